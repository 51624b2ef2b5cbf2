//! Sends 10 000 messages and shows what comes back, on async-std's executor.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --example quickstart -- --help
//! ```

#[path = "common/async_std.rs"]
mod executor;
#[path = "quickstart/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
