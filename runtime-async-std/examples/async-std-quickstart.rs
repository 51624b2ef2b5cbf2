//! Sends 10 000 messages and shows what comes back, on async-std's executor or on smol's. Needs
//! nothing: without arguments it starts a name server and two brokers of its own, in memory.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example async-std-quickstart [-- --namesrv HOST:PORT]
//! cargo run --release -p rocketmq-async-std --no-default-features --features smol --example async-std-quickstart
//! ```

#[cfg_attr(feature = "async-std", path = "common/async_std.rs")]
#[cfg_attr(not(feature = "async-std"), path = "common/smol.rs")]
#[allow(
    dead_code,
    unused_imports,
    reason = "not every program asks for all of it"
)]
mod executor;
#[path = "../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "../../runtime-tokio/examples/common/progress.rs"]
mod progress;
#[path = "../../runtime-tokio/examples/common/quickstart.rs"]
mod quickstart;
#[path = "../../runtime-tokio/examples/common/asynchronous/quickstart.rs"]
mod shared;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use rocketmq_async_std::Producer;

use quickstart::Arguments;

fn main() -> ExitCode {
    match executor::block_on(run(Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let servers = arguments.servers()?;
    // With the executor's feature on, `.start().await?` does the same.
    let producer = Producer::builder("quickstart")
        .name_servers([&servers.namesrv])
        .start_with(executor::background)?;
    shared::show(&producer, &servers.namesrv).await
}
