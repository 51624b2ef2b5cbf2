//! Measures how fast messages are sent, and what that costs.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example blocking-bench -- \
//!     --namesrv HOST:PORT --mode sync|batch|enqueue|oneway --count N --size S --width W
//! ```
//!
//! `--help` says what is measured. The tasks it speaks of are threads here, so that `--threads` has
//! no meaning.

#[path = "../../../runtime-tokio/examples/common/bench_args.rs"]
mod bench_args;
#[path = "../../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../../runtime-tokio/examples/common/load.rs"]
mod load;
#[path = "../../../runtime-tokio/examples/common/text.rs"]
mod text;
#[path = "../../../runtime-tokio/examples/common/usage.rs"]
mod usage;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::{Producer, SendError};

use bench_args::{Arguments, Mode};
use bench_report::Stopwatch;
use load::{Load, What};

/// Threads whose calls are counted apart, so that they do not fight for a histogram.
const HISTOGRAMS: u32 = 16;

fn main() -> ExitCode {
    bench(&Arguments::read()).unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

fn bench(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let producer = Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| arguments.apply(config))
        .start()?;
    if let Err(error) = producer.ready(&arguments.topic) {
        return Err(arguments.unreachable(&error).into());
    }

    run(&producer, arguments, arguments.warm_up())?;
    producer.flush();

    let stopwatch = Stopwatch::start();
    let load = run(&producer, arguments, arguments.count)?;
    let code = load.report(arguments, stopwatch.stop());
    producer.shutdown(Duration::from_secs(5));
    Ok(code)
}

/// Sends so many messages and waits for all of them.
fn run(producer: &Producer, arguments: &Arguments, count: u64) -> io::Result<Load> {
    let load = Load::new(arguments, count, arguments.width.min(HISTOGRAMS));
    thread::scope(|scope| {
        for thread in 0..arguments.senders() {
            let load = &load;
            let sender = move || send_all(producer, load, arguments.mode, thread);
            thread::Builder::new().spawn_scoped(scope, sender)?;
        }
        Ok::<_, io::Error>(())
    })?;
    Ok(load)
}

fn send_all(producer: &Producer, load: &Load, mode: Mode, thread: usize) {
    if mode == Mode::Enqueue {
        return enqueue_until_done(producer, load, thread);
    }
    let mut now = Instant::now();
    while let Some((call, what)) = load.next(now) {
        let result = send(producer, what);
        now = load.settled(thread, &call, result);
    }
}

fn send(producer: &Producer, what: Result<What, SendError>) -> Result<(), SendError> {
    match what? {
        What::Batch(batch) => producer.send_batch(batch).map(drop),
        What::Message(message) => producer.send(message).map(drop),
        What::Oneway(message) => producer.send_oneway(message),
    }
}

fn enqueue_until_done(producer: &Producer, load: &Load, thread: usize) {
    let mut window = load.window();
    let mut now = Instant::now();
    while let Some((call, what)) = load.next(now) {
        let Ok(What::Message(message)) = what else {
            continue;
        };
        match producer.enqueue(message) {
            Ok(delivery) => window.push(call, delivery),
            Err(error) => drop(load.settled(thread, &call, Err(error))),
        }
        now = match window.oldest_if_full() {
            Some((call, delivery)) => load.settled(thread, &call, delivery.wait().map(drop)),
            None => Instant::now(),
        };
    }
    while let Some((call, delivery)) = window.oldest() {
        load.settled(thread, &call, delivery.wait().map(drop));
    }
}
