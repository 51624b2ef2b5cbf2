//! Measures how fast messages are sent, and what that costs, on async-std's executor or on smol's.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example async-std-bench -- --help
//! cargo run --release -p rocketmq-async-std --no-default-features --features smol --example async-std-bench -- --help
//! ```

#[path = "../../runtime-tokio/examples/common/asynchronous/bench.rs"]
mod bench;
#[path = "../../runtime-tokio/examples/common/bench_args.rs"]
mod bench_args;
#[path = "../../runtime-tokio/examples/common/bench_report.rs"]
mod bench_report;
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
#[path = "../../runtime-tokio/examples/common/load.rs"]
mod load;
#[path = "../../runtime-tokio/examples/common/text.rs"]
mod text;
#[path = "../../runtime-tokio/examples/common/usage.rs"]
mod usage;

fn main() -> std::process::ExitCode {
    bench::main()
}
