//! Measures how fast messages are sent, and what that costs.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example bench -- \
//!     --namesrv HOST:PORT --mode sync|batch|oneway --count N --size S --width W
//! ```
//!
//! `--help` says what is measured. The tasks it speaks of are threads here, so that `--threads` has
//! no meaning.

#[path = "../../../runtime-tokio/examples/common/bench_args.rs"]
mod bench_args;
#[path = "../../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../../runtime-tokio/examples/common/cpu.rs"]
mod cpu;
#[path = "../../../runtime-tokio/examples/common/latency.rs"]
mod latency;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use rocketmq_blocking::{Batch, Message, Producer, SendError};

use bench_args::{Arguments, Mode};
use bench_report::{Report, Stopwatch};
use latency::Latency;

/// Messages that warm up connections, caches and the allocator.
const WARM_UP: u64 = 500;
/// Threads whose calls are counted apart, so that they do not fight for a histogram.
const HISTOGRAMS: u32 = 16;

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the measurement; returns how many messages failed.
fn bench(arguments: &Arguments) -> Result<u64, Box<dyn Error>> {
    let producer = Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| {
            config.compress_over = None;
            config.max_in_flight = config.max_in_flight.max(arguments.width as usize);
            config.max_oneway = config.max_oneway.max(arguments.width as usize);
        })
        .start()?;
    if let Err(error) = producer.ready(&arguments.topic) {
        let (topic, servers) = (&arguments.topic, &arguments.namesrv);
        return Err(format!("cannot send to {topic} of {servers}: {error}").into());
    }

    Load::new(&producer, arguments, WARM_UP).run()?;
    producer.flush();

    let stopwatch = Stopwatch::start();
    let load = Load::new(&producer, arguments, arguments.count);
    load.run()?;
    let time = stopwatch.stop();
    let failed = load.failed.load(Ordering::Relaxed);
    let latency = &load.latency;
    println!(
        "{}",
        Report {
            arguments,
            time,
            latency,
            failed
        }
    );
    if let Some(error) = load.first_error.get() {
        eprintln!("bench: the first error: {error}");
    }
    producer.shutdown(Duration::from_secs(5));
    Ok(failed)
}

/// What the threads of one run share.
struct Load<'a> {
    producer: &'a Producer,
    arguments: &'a Arguments,
    body: Bytes,
    /// Messages that nobody has taken on yet.
    left: AtomicU64,
    failed: AtomicU64,
    first_error: OnceLock<SendError>,
    latency: Latency,
}

impl<'a> Load<'a> {
    fn new(producer: &'a Producer, arguments: &'a Arguments, count: u64) -> Self {
        Self {
            producer,
            arguments,
            body: vec![b'x'; arguments.size as usize].into(),
            left: AtomicU64::new(count),
            failed: AtomicU64::new(0),
            first_error: OnceLock::new(),
            latency: Latency::new(arguments.width.min(HISTOGRAMS) as usize),
        }
    }

    fn run(&self) -> io::Result<()> {
        let (threads, members) = match self.arguments.mode {
            Mode::Batch => (1, self.arguments.width),
            Mode::Oneway | Mode::Sync => (self.arguments.width, 1),
        };
        thread::scope(|scope| {
            for number in 0..threads {
                let sender = move || self.send_until_done(number as usize, members.into());
                thread::Builder::new().spawn_scoped(scope, sender)?;
            }
            Ok(())
        })
    }

    fn send_until_done(&self, thread: usize, members: u64) {
        while let Some(count) = self.take(members) {
            let begun = Instant::now();
            let result = self.send(count);
            self.latency.record(thread, begun.elapsed());
            if let Err(error) = result {
                self.failed.fetch_add(count, Ordering::Relaxed);
                let _first = self.first_error.set(error);
            }
        }
    }

    fn send(&self, count: u64) -> Result<(), SendError> {
        match self.arguments.mode {
            Mode::Batch => {
                let batch = Batch::new((0..count).map(|_| self.message()).collect())?;
                self.producer.send_batch(batch).map(drop)
            }
            Mode::Oneway => self.producer.send_oneway(self.message()),
            Mode::Sync => self.producer.send(self.message()).map(drop),
        }
    }

    fn message(&self) -> Message {
        Message::new(&self.arguments.topic, self.body.clone())
    }

    /// Takes on up to so many messages; `None` when there are none left.
    fn take(&self, most: u64) -> Option<u64> {
        let rest = |left: u64| (left > 0).then(|| left.saturating_sub(most));
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        before.ok().map(|left| most.min(left))
    }
}
