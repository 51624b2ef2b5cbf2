//! Sends 10 000 messages and shows what comes back. Needs nothing: without arguments it starts a
//! name server and two brokers of its own, in memory.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example blocking-quickstart [-- --namesrv HOST:PORT]
//! ```

#[path = "../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../../runtime-tokio/examples/common/progress.rs"]
mod progress;
#[path = "../../../runtime-tokio/examples/common/quickstart.rs"]
mod quickstart;

use std::collections::VecDeque;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rocketmq_blocking::{Delivery, Message, Producer, SendError};

use latency::Latency;
use progress::progress_bar;
use quickstart::{Arguments, BODY, IN_FLIGHT, MESSAGES, TOPIC, print_receipt, print_summary};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let servers = arguments.servers()?;
    let producer = Producer::builder("quickstart")
        .name_servers([&servers.namesrv])
        .start()?;
    if let Err(error) = producer.ready(TOPIC) {
        let servers = &servers.namesrv;
        return Err(format!("cannot send to topic {TOPIC} of {servers}: {error}").into());
    }

    let first = Message::new(TOPIC, "hello").tag("greeting").key("first");
    let receipt = producer.send(first)?;
    print_receipt(&receipt);

    let load = send_many(&producer);
    let report = producer.shutdown(Duration::from_secs(5));
    let (took, latency) = load?;
    print_summary(took, &latency, &report);
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
