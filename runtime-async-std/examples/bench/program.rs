//! What `bench` does, on any executor.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use rocketmq_async_std::{Batch, Message, Producer, SendError, TopicName};

use crate::bench_args::{Arguments, Mode};
use crate::bench_report::{Report, Stopwatch};
use crate::executor;
use crate::latency::Latency;

/// Messages that warm up connections, caches and the allocator.
const WARM_UP: u64 = 500;

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = executor::set_threads(arguments.threads as usize)
        .and_then(|()| executor::block_on(bench(&arguments)));
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the measurement; returns how many messages failed.
async fn bench(arguments: &Arguments) -> Result<u64, Box<dyn Error>> {
    let producer = Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| {
            config.compress_over = None;
            config.max_in_flight = config.max_in_flight.max(arguments.width as usize);
            config.max_oneway = config.max_oneway.max(arguments.width as usize);
        })
        .start_with(executor::background)?;
    if let Err(error) = producer.ready(&arguments.topic).await {
        let (topic, servers) = (&arguments.topic, &arguments.namesrv);
        return Err(format!("cannot send to {topic} of {servers}: {error}").into());
    }

    Load::new(&producer, arguments, WARM_UP).run().await;
    producer.flush().await;

    let stopwatch = Stopwatch::start();
    let load = Load::new(&producer, arguments, arguments.count).run().await;
    let time = stopwatch.stop();
    let failed = load.failed.load(Ordering::Relaxed);
    let report = Report {
        arguments,
        time,
        latency: &load.latency,
        failed,
    };
    println!("{report}");
    if let Some(error) = load.first_error.get() {
        eprintln!("bench: the first error: {error}");
    }
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(failed)
}

/// What the tasks of one run share.
struct Load {
    producer: Producer,
    topic: TopicName,
    body: Bytes,
    mode: Mode,
    /// Tasks, or members of a batch.
    width: u64,
    /// Messages that nobody has taken on yet.
    left: AtomicU64,
    failed: AtomicU64,
    first_error: OnceLock<SendError>,
    latency: Latency,
}

impl Load {
    fn new(producer: &Producer, arguments: &Arguments, count: u64) -> Arc<Self> {
        Arc::new(Self {
            producer: producer.clone(),
            topic: arguments.topic.clone(),
            body: vec![b'x'; arguments.size as usize].into(),
            mode: arguments.mode,
            width: arguments.width.into(),
            left: AtomicU64::new(count),
            failed: AtomicU64::new(0),
            first_error: OnceLock::new(),
            latency: Latency::new(arguments.threads as usize),
        })
    }

    async fn run(self: Arc<Self>) -> Arc<Self> {
        let (tasks, members) = match self.mode {
            Mode::Batch => (1, self.width),
            Mode::Oneway | Mode::Sync => (self.width, 1),
        };
        let mut running = Vec::new();
        for task in 0..tasks {
            let load = self.clone();
            running.push(executor::spawn(async move {
                load.send_until_done(task as usize, members).await;
            }));
        }
        for task in running {
            task.await;
        }
        self
    }

    async fn send_until_done(&self, task: usize, members: u64) {
        while let Some(count) = self.take(members) {
            let begun = Instant::now();
            let result = self.send(count).await;
            self.latency.record(task, begun.elapsed());
            if let Err(error) = result {
                self.failed.fetch_add(count, Ordering::Relaxed);
                let _first = self.first_error.set(error);
            }
        }
    }

    async fn send(&self, count: u64) -> Result<(), SendError> {
        match self.mode {
            Mode::Batch => {
                let batch = Batch::new((0..count).map(|_| self.message()).collect())?;
                self.producer.send_batch(batch).await.map(drop)
            }
            Mode::Oneway => self.producer.send_oneway(self.message()).await,
            Mode::Sync => self.producer.send(self.message()).await.map(drop),
        }
    }

    fn message(&self) -> Message {
        Message::new(&self.topic, self.body.clone())
    }

    /// Takes on up to so many messages; `None` when there are none left.
    fn take(&self, most: u64) -> Option<u64> {
        let take = |left: u64| left.checked_sub(most.min(left)).filter(|_| left > 0);
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        before.ok().map(|left| most.min(left))
    }
}
