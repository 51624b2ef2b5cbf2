//! Sends each line of standard input as a message.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example produce -- --namesrv HOST:PORT --topic T < FILE
//! ```
//!
//! `--help` says what goes in and what comes out. One thread reads, one sends, one reports.

mod input;
#[path = "../../../runtime-tokio/examples/common/lines.rs"]
mod lines;
#[path = "../../../runtime-tokio/examples/common/produce_args.rs"]
mod produce_args;
#[path = "../../../runtime-tokio/examples/common/produce_group.rs"]
mod produce_group;
#[path = "../../../runtime-tokio/examples/common/produce_report.rs"]
mod produce_report;
mod reports;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use rocketmq_blocking::Producer;

use input::Input;
use produce_args::Arguments;
use run::Run;

/// As clap ends for wrong arguments.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    produce(Arguments::read())
}

fn produce(arguments: Arguments) -> ExitCode {
    let (input, source) = Input::new();
    let started = Producer::builder(&arguments.group)
        .name_servers([&arguments.namesrv])
        .config(|config| arguments.apply(config))
        .start();
    let producer = match started {
        Ok(producer) => producer,
        Err(error) => {
            complain(error);
            return WRONG_ARGUMENTS.into();
        }
    };
    if let Err(error) = producer.ready(&arguments.topic) {
        let (topic, servers) = (&arguments.topic, &arguments.namesrv);
        complain(format_args!("cannot send to {topic} of {servers}: {error}"));
        return ExitCode::FAILURE;
    }
    source.read(producer.settings().max_message_size);
    Run::new(arguments, producer, input).finish()
}

/// Tells it on standard error, and does not mind when nobody listens.
fn complain(what: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "produce: {what}");
}
