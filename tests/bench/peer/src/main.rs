//! rocketmq-client-rust 1.0.0 under the load that `bench --details` puts on ours; the same line comes
//! out.
#![recursion_limit = "256"]

mod arguments;
#[path = "../../../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../../../runtime-tokio/examples/common/latency.rs"]
mod latency;
mod load;
mod producer;
#[path = "../../../../runtime-tokio/examples/common/text.rs"]
mod text;
#[path = "../../../../runtime-tokio/examples/common/usage.rs"]
mod usage;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rocketmq_client_rust::DefaultMQProducer;
use tokio::runtime;

use arguments::Arguments;
use bench_report::{Report, Stopwatch};
use load::Load;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = match arguments.threads() {
        1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(arguments.threads())
        .enable_all()
        .build();
    let result = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(bench(&arguments)));
    result.unwrap_or_else(|error| {
        eprintln!("peer: {error}");
        ExitCode::FAILURE
    })
}

async fn bench(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let home = producer::Home::new()?;
    let producer = Arc::new(home.start(arguments).await?);
    run(&producer, arguments, arguments.warm_up()).await?;

    let stopwatch = Stopwatch::start();
    let load = run(&producer, arguments, arguments.count).await?;
    let time = stopwatch.stop();
    let report = Report {
        mode: arguments.mode.name(),
        count: arguments.count,
        size: arguments.size,
        width: arguments.width,
        time,
        latency: &load.latency,
        failed: load.failed(),
        details: true,
    };
    println!("{report}");
    if let Some(error) = load.first_error() {
        eprintln!("peer: the first error: {error}");
    }
    // Its own shutdown takes seconds, and is not what is measured.
    std::process::exit(i32::from(load.failed() > 0));
}

/// Sends so many messages and waits for all of them.
async fn run(
    producer: &Arc<DefaultMQProducer>,
    arguments: &Arguments,
    count: u64,
) -> Result<Arc<Load>, Box<dyn Error>> {
    let load = Arc::new(Load::new(arguments, count));
    let tasks: Vec<_> = (0..arguments.senders())
        .map(|_| tokio::spawn(load::send_until_done(producer.clone(), load.clone())))
        .collect();
    for task in tasks {
        task.await?;
    }
    Ok(load)
}
