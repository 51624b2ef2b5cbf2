//! Sends 10 000 messages and shows what comes back, on smol's executor.
//!
//! ```text
//! cargo run --release -p rocketmq-async-std --features smol --example quickstart_smol -- --help
//! ```

#[path = "common/smol.rs"]
mod executor;
#[path = "quickstart/program.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
