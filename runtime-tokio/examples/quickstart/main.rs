//! Sends 10 000 messages and shows what comes back. Needs nothing: without arguments it starts a
//! name server and two brokers of its own, in memory.
//!
//! ```text
//! cargo run --release -p rocketmq-tokio --example quickstart [-- --namesrv HOST:PORT]
//! ```

#[path = "../common/latency.rs"]
mod latency;
#[path = "../common/progress.rs"]
mod progress;
#[path = "../common/quickstart.rs"]
mod quickstart;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_tokio::{Message, Producer, SendError};
use tokio::task::JoinSet;

use latency::Latency;
use progress::progress_bar;
use quickstart::{Arguments, BODY, IN_FLIGHT, MESSAGES, TOPIC, print_receipt, print_summary};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let servers = arguments.servers()?;
    let producer = Producer::builder("quickstart")
        .name_servers([&servers.namesrv])
        .start()
        .await?;
    if let Err(error) = producer.ready(TOPIC).await {
        let servers = &servers.namesrv;
        return Err(format!("cannot send to topic {TOPIC} of {servers}: {error}").into());
    }

    let first = Message::new(TOPIC, "hello").tag("greeting").key("first");
    let receipt = producer.send(first).await?;
    print_receipt(&receipt);

    let load = send_many(&producer).await;
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
    let mut tasks = JoinSet::new();
    for task in 0..IN_FLIGHT {
        let (producer, bar) = (producer.clone(), bar.clone());
        let (left, latency) = (left.clone(), latency.clone());
        tasks.spawn(async move {
            while take_one(&left) {
                let begun = Instant::now();
                producer.send(Message::new(TOPIC, BODY)).await?;
                latency.record(task, begun.elapsed());
                bar.inc(1);
            }
            Ok(())
        });
    }
    let result = tasks
        .join_all()
        .await
        .into_iter()
        .collect::<Result<(), _>>();
    bar.finish_and_clear();
    result.map(|()| (begun.elapsed(), latency))
}

fn take_one(left: &AtomicU64) -> bool {
    let take = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
}
