//! What `quickstart` does, on any executor. Needs nothing: without arguments it starts a name server
//! and two brokers of its own, in memory.

#[path = "../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../../runtime-tokio/examples/common/progress.rs"]
mod progress;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_async_std::{Message, Producer, SendError};
use rocketmq_testkit::Cluster;

use crate::executor;
use latency::Latency;
use progress::progress_bar;

const TOPIC: &str = "quickstart";
const MESSAGES: u64 = 10_000;
const SIZE: usize = 1024;
const IN_FLIGHT: usize = 256;
const BODY: &[u8] = &[b'x'; SIZE];

/// Sends 10 000 messages of 1 KiB, 256 at a time, and shows what comes back.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// The name servers of a real cluster. Without, a name server and two brokers are started in
    /// this process.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT]")]
    namesrv: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    match executor::block_on(quickstart(Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn quickstart(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // The servers in this process live as long as the cluster, to the end of this function.
    let (servers, _cluster) = match arguments.namesrv {
        Some(servers) => (servers, None),
        None => {
            let cluster = Cluster::builder().brokers(2).start()?;
            (cluster.name_server_list(), Some(cluster))
        }
    };
    // With the executor's feature on, `.start().await?` does the same.
    let producer = Producer::builder("quickstart")
        .name_servers([&servers])
        .start_with(executor::background)?;
    if let Err(error) = producer.ready(TOPIC).await {
        return Err(format!("cannot send to topic {TOPIC} of {servers}: {error}").into());
    }

    let first = Message::new(TOPIC, "hello").tag("greeting").key("first");
    let receipt = producer.send(first).await?;
    println!("receipt:  {} in {}", receipt.status, receipt.queue);
    println!("          at {} of the queue", receipt.queue_offset);
    println!("          message id        {}", receipt.message_id);
    println!("          offset message id {}", receipt.offset_message_id);

    let load = send_many(&producer).await;
    let report = producer.shutdown(Duration::from_secs(5)).await;
    let (took, latency) = load?;
    println!(
        "sent:     {MESSAGES} messages of {SIZE} bytes, {IN_FLIGHT} in flight: {:.0} messages/s",
        MESSAGES as f64 / took.as_secs_f64()
    );
    let [p50, p99] = latency.quantiles([0.5, 0.99]);
    println!("latency:  p50 {p50:.1?}, p99 {p99:.1?}");
    println!(
        "shutdown: {} delivered meanwhile, {} failed, {} abandoned",
        report.delivered, report.failed, report.abandoned
    );
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
