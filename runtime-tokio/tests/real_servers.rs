//! The parts of the suite that make sense beside real servers, on tokio.
//!
//! ```text
//! tests/scripts/real-servers.sh cargo test --release -p rocketmq-tokio --test real_servers -- --nocapture
//! ```
//!
//! Without `ROCKETMQ_NAMESRV` in the environment every test says so and passes.

#[path = "../../tests/suite/asynchronous.rs"]
mod asynchronous;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/reader.rs"]
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
    current_thread,
    crate::harness::CurrentThread,
    crate::suite::real::beside_real_servers()
);
suite_real!(current_thread_alone, crate::harness::CurrentThread);
suite_everywhere!(
    multi_thread,
    crate::harness::MultiThread,
    crate::suite::real::beside_real_servers()
);
suite_real!(multi_thread_alone, crate::harness::MultiThread);
