//! Sends each line of standard input as a message, on smol's executor.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --features smol --example produce_smol -- --help
//! ```

#[path = "common/smol.rs"]
mod executor;
#[path = "produce/flights.rs"]
mod flights;
#[path = "produce/group.rs"]
mod group;
#[path = "../../runtime-tokio/examples/common/lines.rs"]
mod lines;
#[path = "../../runtime-tokio/examples/common/produce_args.rs"]
mod produce_args;
#[path = "../../runtime-tokio/examples/common/produce_report.rs"]
mod produce_report;
#[path = "produce/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
