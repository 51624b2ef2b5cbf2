//! The parts of the suite that make sense beside real servers, on plain threads.
//!
//! ```text
//! tests/scripts/real-servers.sh cargo test --release -p rocketmq-blocking --test real_servers -- --nocapture
//! ```
//!
//! Without `ROCKETMQ_NAMESRV` in the environment every test says so and passes.

#[path = "support/harness.rs"]
mod harness;
#[path = "../../runtime-tokio/tests/support/reader.rs"]
mod reader;
#[macro_use]
#[allow(
    dead_code,
    unused_macros,
    reason = "a part of it needs servers in process"
)]
#[path = "../../tests/suite/mod.rs"]
mod suite;

suite_everywhere!(
    threads,
    crate::harness::Threads,
    crate::suite::real::beside_real_servers()
);
suite_real!(threads_alone, crate::harness::Threads);
