//! What messages of 4 MiB to one broker do to small ones to another, on tokio, all in one thread.
//!
//! ```text
//! large --namesrv HOST:PORT [--count N]      two brokers at least
//! ```

#[path = "../../../../../runtime-tokio/examples/common/latency.rs"]
mod latency;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use rocketmq_tokio::{Message, MessageQueue, Producer, TopicName};

use latency::Latency;

const TASKS: usize = 16;
/// As large as a message may be, properties included.
const LARGE: usize = 4 * 1024 * 1024 - 1024;
const SMALL: usize = 1024;

/// Small messages, sixteen tasks one at a time, first alone and then beside a task that sends large
/// ones to another broker without a pause.
#[derive(Parser)]
struct Arguments {
    /// The name servers.
    #[arg(long)]
    namesrv: String,
    /// Small messages of each task, either time.
    #[arg(long, default_value_t = 3_000)]
    count: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let producer = Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| {
            config.compress_over = None;
            config.send_timeout = Duration::from_secs(60);
        })
        .start()
        .await?;
    let topic = TopicName::new("bench")?;
    let queues = producer.publish_queues("bench").await?;
    let far = queues.first().ok_or("the topic has no queue")?.clone();
    let other = queues.iter().find(|queue| queue.broker != far.broker);
    let near = other.ok_or("the topic has one broker only")?.clone();

    small(&producer, &topic, &near, arguments.count / 10).await?;
    let alone = small(&producer, &topic, &near, arguments.count).await?;
    let sent = tokio::spawn(large(producer.clone(), topic.clone(), far));
    let beside = small(&producer, &topic, &near, arguments.count).await?;
    sent.abort();
    for (name, latency) in [("alone", alone), ("beside 4 MiB", beside)] {
        let [p50, p99, p999] = latency
            .quantiles([0.5, 0.99, 0.999])
            .map(|time| time.as_secs_f64() * 1e6);
        println!("large: small messages {name}: p50={p50:.1}us p99={p99:.1}us p999={p999:.1}us");
    }
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn small(
    producer: &Producer,
    topic: &TopicName,
    queue: &MessageQueue,
    count: u32,
) -> Result<Latency, Box<dyn Error>> {
    let latency = Arc::new(Latency::new(TASKS));
    let body = Bytes::from(vec![b'x'; SMALL]);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (producer, topic, queue) = (producer.clone(), topic.clone(), queue.clone());
            let (latency, body) = (latency.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..count {
                    let message = Message::new(&topic, body.clone()).to(queue.clone());
                    let begun = Instant::now();
                    producer.send(message).await?;
                    latency.record(task, begun.elapsed());
                }
                Ok::<_, rocketmq_tokio::SendError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Arc::into_inner(latency).ok_or_else(|| "a task still measures".into())
}

/// Without an end: it is to be aborted.
async fn large(producer: Producer, topic: TopicName, queue: MessageQueue) {
    let body = Bytes::from(vec![b'x'; LARGE]);
    loop {
        let message = Message::new(&topic, body.clone()).to(queue.clone());
        if let Err(error) = producer.send(message).await {
            eprintln!("large: {error}");
            return;
        }
    }
}
