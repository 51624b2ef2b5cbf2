//! Sends each line of standard input as a message.
//!
//! ```text
//! cargo run --release -p rocketmq-blocking --example blocking-produce -- --namesrv HOST:PORT --topic T < FILE
//! ```
//!
//! `--help` says what goes in and what comes out. One thread reads, one sends, one reports.

mod input;
#[path = "../../../runtime-tokio/examples/common/lines.rs"]
mod lines;
#[path = "../../../runtime-tokio/examples/common/produce_args.rs"]
mod produce_args;
#[path = "../../../runtime-tokio/examples/common/produce_end.rs"]
mod produce_end;
#[path = "../../../runtime-tokio/examples/common/produce_report.rs"]
mod produce_report;
#[path = "../../../runtime-tokio/examples/common/produce_units.rs"]
mod produce_units;
mod reports;
mod run;

use std::process::ExitCode;

use rocketmq_blocking::Producer;

use input::Input;
use produce_args::Arguments;
use produce_end::{WRONG_ARGUMENTS, complain};
use run::Run;

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
        complain(arguments.unreachable(&error));
        return ExitCode::FAILURE;
    }
    source.read(producer.settings().max_message_size);
    Run::new(arguments, producer, input).finish()
}
