//! How much memory a producer holds, on tokio: for each message under way, and after millions.
//!
//! ```text
//! memory --namesrv HOST:PORT in-flight [--count N]      the server has to hold its answers back
//! memory --namesrv HOST:PORT soak [--count N]
//! ```

#[path = "../../../../../runtime-tokio/examples/common/usage.rs"]
#[allow(dead_code, reason = "only the memory is asked for")]
mod usage;

use std::alloc::System;
use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, Subcommand};
use rocketmq_tokio::{Delivery, Message, Producer, TopicName};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Under way at a time, in the soak.
const WINDOW: usize = 1000;

/// Bodies are shared by all messages, so that what is told is what a producer holds beside them.
#[derive(Parser)]
struct Arguments {
    /// The name servers.
    #[arg(long)]
    namesrv: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Bytes for each message that is written and waits for its answer.
    InFlight {
        #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(2..))]
        count: u32,
    },
    /// Bytes after a tenth of the messages, and after all.
    Soak {
        #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let producer = Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| config.send_timeout = Duration::from_secs(3600))
        .start()
        .await?;
    producer.ready("bench").await?;
    let topic = TopicName::new("bench")?;
    let body = Bytes::from(vec![b'x'; 1024]);
    let message = || Message::new(&topic, body.clone());
    match arguments.what {
        What::InFlight { count } => in_flight(&producer, count, message).await,
        What::Soak { count } => soak(&producer, count, message).await,
    }
}

async fn in_flight(
    producer: &Producer,
    count: u32,
    message: impl Fn() -> Message,
) -> Result<(), Box<dyn Error>> {
    let mut deliveries = Vec::with_capacity(count as usize);
    // The first warms up what stays.
    deliveries.push(producer.enqueue(message()).await?);
    settle().await;
    let before = Held::now();
    for _ in 1..count {
        deliveries.push(producer.enqueue(message()).await?);
    }
    settle().await;
    let after = Held::now();
    let each = |bytes: f64| bytes / f64::from(count - 1);
    println!(
        "in-flight n={count} allocated={:.0}B/msg resident={:.0}B/msg",
        each((after.allocated - before.allocated) as f64),
        each((after.resident_kib - before.resident_kib) as f64 * 1024.0),
    );
    // Nobody is going to answer.
    std::process::exit(0);
}

async fn soak(
    producer: &Producer,
    count: u64,
    message: impl Fn() -> Message,
) -> Result<(), Box<dyn Error>> {
    let mut under_way: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
    let mut tenth = None;
    for sent in 0..count {
        if under_way.len() == WINDOW {
            under_way.pop_front().expect("it is full").await?;
        }
        under_way.push_back(producer.enqueue(message()).await?);
        if sent == count / 10 {
            tenth = Some(Held::now());
        }
    }
    let (tenth, end) = (tenth.expect("it was passed"), Held::now());
    for delivery in under_way {
        delivery.await?;
    }
    println!(
        "soak n={count} allocated at a tenth={}B at the end={}B resident at a tenth={}KiB at the end={}KiB",
        tenth.allocated, end.allocated, tenth.resident_kib, end.resident_kib
    );
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// What this process has.
struct Held {
    allocated: i64,
    resident_kib: i64,
}

impl Held {
    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let allocated = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
        let resident = usage::memory("VmRSS").unwrap_or_default();
        Self {
            allocated,
            resident_kib: i64::try_from(resident).unwrap_or_default(),
        }
    }
}

/// Waits until what was written has left: until no memory comes or goes for a while.
async fn settle() {
    let mut last = i64::MIN;
    loop {
        let now = Held::now().allocated;
        if now == last {
            return;
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
