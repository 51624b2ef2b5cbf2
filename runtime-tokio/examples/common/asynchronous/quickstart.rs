//! What `quickstart` does where callers are futures, once there is a producer. `crate::executor`
//! runs them.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocketmq_engine::SendError;
use rocketmq_engine::driver::asynchronous::Producer;
use rocketmq_engine::proto::Message;

use crate::executor;
use crate::latency::Latency;
use crate::progress::progress_bar;
use crate::quickstart::{BODY, IN_FLIGHT, MESSAGES, TOPIC, print_receipt, print_summary};

pub(crate) async fn show(producer: &Producer, servers: &str) -> Result<(), Box<dyn Error>> {
    if let Err(error) = producer.ready(TOPIC).await {
        return Err(format!("cannot send to topic {TOPIC} of {servers}: {error}").into());
    }

    let first = Message::new(TOPIC, "hello").tag("greeting").key("first");
    let receipt = producer.send(first).await?;
    print_receipt(&receipt);

    let load = send_many(producer).await;
    let report = producer.shutdown(Duration::from_secs(5)).await;
    let (took, latency) = load?;
    print_summary(took, &latency, &report);
    Ok(())
}

/// As many tasks as messages are to be in flight, each sending one at a time.
async fn send_many(producer: &Producer) -> Result<(Duration, Arc<Latency>), SendError> {
    let begun = Instant::now();
    let bar = progress_bar(MESSAGES);
    let left = Arc::new(AtomicU64::new(MESSAGES));
    let latency = Arc::new(Latency::new(1));
    let mut tasks = Vec::new();
    for task in 0..IN_FLIGHT {
        let (producer, bar) = (producer.clone(), bar.clone());
        let (left, latency) = (left.clone(), latency.clone());
        tasks.push(executor::spawn(async move {
            while take_one(&left) {
                let begun = Instant::now();
                producer.send(Message::new(TOPIC, BODY)).await?;
                latency.record(task, begun.elapsed());
                bar.inc(1);
            }
            Ok::<_, SendError>(())
        }));
    }
    for task in tasks {
        task.await?;
    }
    bar.finish_and_clear();
    Ok((begun.elapsed(), latency))
}

fn take_one(left: &AtomicU64) -> bool {
    let take = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
}
