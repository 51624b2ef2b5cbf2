//! Sends 10 000 messages and shows what comes back, on async-std's executor or on smol's.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example quickstart -- --help
//! cargo run --release -p rocketmq-async-std --no-default-features --features smol --example quickstart -- --help
//! ```

#[cfg_attr(feature = "async-std", path = "common/async_std.rs")]
#[cfg_attr(not(feature = "async-std"), path = "common/smol.rs")]
mod executor;
#[path = "quickstart/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
