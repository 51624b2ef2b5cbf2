//! Measures how fast messages are sent, and what that costs, on async-std's executor.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example bench -- --help
//! ```

#[path = "../../runtime-tokio/examples/common/bench_args.rs"]
mod bench_args;
#[path = "../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../runtime-tokio/examples/common/cpu.rs"]
mod cpu;
#[path = "common/async_std.rs"]
mod executor;
#[path = "../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "bench/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
