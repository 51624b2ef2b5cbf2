//! Measures how fast messages are sent, and what that costs, on async-std's executor or on smol's.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example bench -- --help
//! cargo run --release -p rocketmq-async-std --no-default-features --features smol --example bench -- --help
//! ```

#[path = "../../runtime-tokio/examples/common/bench_args.rs"]
mod bench_args;
#[path = "../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
#[path = "../../runtime-tokio/examples/common/cpu.rs"]
mod cpu;
#[cfg_attr(feature = "async-std", path = "common/async_std.rs")]
#[cfg_attr(not(feature = "async-std"), path = "common/smol.rs")]
mod executor;
#[path = "../../runtime-tokio/examples/common/latency.rs"]
mod latency;
#[path = "bench/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
