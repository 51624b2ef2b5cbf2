//! Sends 10 000 messages and shows what comes back. Needs nothing: without arguments it starts a
//! name server and two brokers of its own, in memory.
//!
//! ```text
//! cargo run --release -p rocketmq-tokio --example quickstart [-- --namesrv HOST:PORT]
//! ```

#[path = "../common/asynchronous/executor.rs"]
#[allow(dead_code, reason = "not every program asks for all of it")]
mod executor;
#[path = "../common/latency.rs"]
mod latency;
#[path = "../common/progress.rs"]
mod progress;
#[path = "../common/quickstart.rs"]
mod quickstart;
#[path = "../common/asynchronous/quickstart.rs"]
mod shared;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use rocketmq_tokio::Producer;

use quickstart::Arguments;

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
    shared::show(&producer, &servers.namesrv).await
}
