//! Sends 10 000 messages and shows what comes back. Needs nothing: without arguments it starts a
//! name server and two brokers of its own, in memory.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example quickstart [-- --namesrv HOST:PORT]
//! ```

#[path = "../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../../runtime-tokio/examples/common/progress.rs"]
mod progress;

use std::collections::VecDeque;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_blocking::{Delivery, Message, Producer, SendError};
use rocketmq_testkit::Cluster;

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

fn main() -> ExitCode {
    match quickstart(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn quickstart(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // The servers in this process live as long as the cluster, to the end of this function.
    let (servers, _cluster) = match arguments.namesrv {
        Some(servers) => (servers, None),
        None => {
            let cluster = Cluster::builder().brokers(2).start()?;
            (cluster.name_server_list(), Some(cluster))
        }
    };
    let producer = Producer::builder("quickstart")
        .name_servers([&servers])
        .start()?;
    if let Err(error) = producer.ready(TOPIC) {
        return Err(format!("cannot send to topic {TOPIC} of {servers}: {error}").into());
    }

    let first = Message::new(TOPIC, "hello").tag("greeting").key("first");
    let receipt = producer.send(first)?;
    println!("receipt:  {} in {}", receipt.status, receipt.queue);
    println!("          at {} of the queue", receipt.queue_offset);
    println!("          message id        {}", receipt.message_id);
    println!("          offset message id {}", receipt.offset_message_id);

    let load = send_many(&producer);
    let report = producer.shutdown(Duration::from_secs(5));
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

/// One thread is enough to have many messages in flight: it waits for the oldest when there are
/// enough of them.
fn send_many(producer: &Producer) -> Result<(Duration, Latency), SendError> {
    let begun = Instant::now();
    let bar = progress_bar(MESSAGES);
    let latency = Latency::new(1);
    let mut under_way: VecDeque<(Instant, Delivery)> = VecDeque::new();
    let take_oldest = |under_way: &mut VecDeque<(Instant, Delivery)>| {
        if let Some((begun, delivery)) = under_way.pop_front() {
            delivery.wait()?;
            latency.record(0, begun.elapsed());
            bar.inc(1);
        }
        Ok::<_, SendError>(())
    };
    for _ in 0..MESSAGES {
        if under_way.len() == IN_FLIGHT {
            take_oldest(&mut under_way)?;
        }
        let begun = Instant::now();
        under_way.push_back((begun, producer.enqueue(Message::new(TOPIC, BODY))?));
    }
    while !under_way.is_empty() {
        take_oldest(&mut under_way)?;
    }
    bar.finish_and_clear();
    Ok((begun.elapsed(), latency))
}
