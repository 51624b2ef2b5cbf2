//! Sends each line of standard input as a message, on async-std's executor or on smol's.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example async-std-produce -- --help
//! cargo run --release -p rocketmq-async-std --no-default-features --features smol --example async-std-produce -- --help
//! ```

#[cfg_attr(feature = "async-std", path = "common/async_std.rs")]
#[cfg_attr(not(feature = "async-std"), path = "common/smol.rs")]
#[allow(
    dead_code,
    unused_imports,
    reason = "not every program asks for all of it"
)]
mod executor;
#[path = "produce/flights.rs"]
mod flights;
#[path = "../../runtime-tokio/examples/common/lines.rs"]
mod lines;
#[path = "../../runtime-tokio/examples/common/produce_args.rs"]
mod produce_args;
#[path = "../../runtime-tokio/examples/common/produce_end.rs"]
mod produce_end;
#[path = "../../runtime-tokio/examples/common/produce_report.rs"]
mod produce_report;
#[path = "../../runtime-tokio/examples/common/produce_units.rs"]
mod produce_units;
#[path = "produce/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
