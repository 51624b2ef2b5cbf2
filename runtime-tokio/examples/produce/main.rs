//! Sends each line of standard input as a message.
//!
//! ```text
//! cargo run --release -p rocketmq-tokio --example produce -- --namesrv HOST:PORT --topic T < FILE
//! ```
//!
//! `--help` says what goes in and what comes out.

#[path = "../common/lines.rs"]
mod lines;
#[path = "../common/produce_args.rs"]
mod produce_args;
#[path = "../common/produce_end.rs"]
mod produce_end;
#[path = "../common/produce_report.rs"]
mod produce_report;
#[path = "../common/produce_units.rs"]
mod produce_units;
mod run;
mod window;

use std::io;
use std::process::ExitCode;
use std::thread;

use rocketmq_tokio::Producer;
use tokio::sync::{mpsc, watch};

use lines::read_lines;
use produce_args::Arguments;
use produce_end::{WRONG_ARGUMENTS, complain};
use run::{Input, Run};

/// Parts of the input that are read ahead.
const READ_AHEAD: usize = 4;

#[tokio::main]
async fn main() -> ExitCode {
    produce(Arguments::read()).await
}

async fn produce(arguments: Arguments) -> ExitCode {
    let interrupted = watch_for_interrupt();
    let started = Producer::builder(&arguments.group)
        .name_servers([&arguments.namesrv])
        .config(|config| arguments.apply(config))
        .start()
        .await;
    let producer = match started {
        Ok(producer) => producer,
        Err(error) => {
            complain(error);
            return WRONG_ARGUMENTS.into();
        }
    };
    if let Err(error) = producer.ready(&arguments.topic).await {
        complain(arguments.unreachable(&error));
        return ExitCode::FAILURE;
    }
    let input = read_ahead(producer.settings().max_message_size);
    Run::new(arguments, producer, input, interrupted)
        .finish()
        .await
}

/// Standard input has no asynchronous form that can be given up; a thread of its own can.
fn read_ahead(limit: usize) -> Input {
    let (lines, input) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        let take = |part| lines.blocking_send(Ok(part)).is_ok();
        if let Err(error) = read_lines(io::stdin().lock(), limit, take) {
            // Nobody is left to tell when this fails.
            let _ = lines.blocking_send(Err(error));
        }
    });
    input
}

fn watch_for_interrupt() -> watch::Receiver<bool> {
    let (interrupt, interrupted) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupt.send_replace(true);
        }
        // Held, so that waiting for it does not end by itself.
        interrupt.closed().await;
    });
    interrupted
}
