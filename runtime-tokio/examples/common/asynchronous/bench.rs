//! What `bench` does where callers are futures. `crate::executor` runs them.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_engine::driver::asynchronous::Producer;

use crate::bench_args::{Arguments, Mode};
use crate::bench_report::Stopwatch;
use crate::executor;
use crate::load::{Load, What};

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::read();
    let measured = executor::run(arguments.threads, bench(&arguments));
    measured.and_then(|code| code).unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

async fn bench(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let builder = executor::Producer::builder("bench")
        .name_servers([&arguments.namesrv])
        .config(|config| arguments.apply(config));
    let producer = executor::start(builder).await?;
    if let Err(error) = producer.ready(&arguments.topic).await {
        return Err(arguments.unreachable(&error).into());
    }

    run(&producer, arguments, arguments.warm_up()).await;
    producer.flush().await;

    let stopwatch = Stopwatch::start();
    let load = run(&producer, arguments, arguments.count).await;
    let code = load.report(arguments, stopwatch.stop());
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(code)
}

/// Sends so many messages and waits for all of them.
async fn run(producer: &Producer, arguments: &Arguments, count: u64) -> Arc<Load> {
    let load = Arc::new(Load::new(arguments, count, arguments.threads));
    let tasks: Vec<_> = (0..arguments.senders())
        .map(|task| {
            executor::spawn(send_all(
                producer.clone(),
                load.clone(),
                arguments.mode,
                task,
            ))
        })
        .collect();
    for task in tasks {
        task.await;
    }
    load
}

async fn send_all(producer: Producer, load: Arc<Load>, mode: Mode, task: usize) {
    if mode == Mode::Enqueue {
        return enqueue_until_done(&producer, &load, task).await;
    }
    let mut now = Instant::now();
    while let Some((call, what)) = load.next(now) {
        let result = match what {
            Ok(What::Batch(batch)) => producer.send_batch(batch).await.map(drop),
            Ok(What::Message(message)) => producer.send(message).await.map(drop),
            Ok(What::Oneway(message)) => producer.send_oneway(message).await,
            Err(error) => Err(error),
        };
        now = load.settled(task, &call, result);
    }
}

async fn enqueue_until_done(producer: &Producer, load: &Load, task: usize) {
    let mut window = load.window();
    let mut now = Instant::now();
    while let Some((call, what)) = load.next(now) {
        let Ok(What::Message(message)) = what else {
            continue;
        };
        match producer.enqueue(message).await {
            Ok(delivery) => window.push(call, delivery),
            Err(error) => drop(load.settled(task, &call, Err(error))),
        }
        now = match window.oldest_if_full() {
            Some((call, delivery)) => load.settled(task, &call, delivery.await.map(drop)),
            None => Instant::now(),
        };
    }
    while let Some((call, delivery)) = window.oldest() {
        load.settled(task, &call, delivery.await.map(drop));
    }
}
