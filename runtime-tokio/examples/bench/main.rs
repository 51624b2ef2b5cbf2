//! Measures how fast messages are sent, and what that costs.
//!
//! ```text
//! cargo run --release -p rocketmq-tokio --example bench -- \
//!     --namesrv HOST:PORT --mode sync|batch|enqueue|oneway --count N --size S --width W
//! ```
//!
//! `--help` says what is measured.

#[path = "../common/asynchronous/bench.rs"]
mod bench;
#[path = "../common/bench_args.rs"]
mod bench_args;
#[path = "../common/bench_report.rs"]
mod bench_report;
#[path = "../common/asynchronous/executor.rs"]
mod executor;
#[path = "../common/latency.rs"]
mod latency;
#[path = "../common/load.rs"]
mod load;
#[path = "../common/text.rs"]
mod text;
#[path = "../common/usage.rs"]
mod usage;

fn main() -> std::process::ExitCode {
    bench::main()
}
