//! The parts of the suite that make sense beside real servers, on async-std's executor and on one of smol.
//!
//! ```text
//! tests/scripts/real-servers.sh cargo test --release -p rocketmq-async-std --test real_servers -- --nocapture
//! ```
//!
//! Without `ROCKETMQ_NAMESRV` in the environment every test says so and passes.

#[path = "../../tests/suite/asynchronous.rs"]
mod asynchronous;
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
    async_std,
    crate::harness::AsyncStd,
    crate::suite::real::beside_real_servers()
);
suite_real!(async_std_alone, crate::harness::AsyncStd);
suite_everywhere!(
    smol,
    crate::harness::Smol,
    crate::suite::real::beside_real_servers()
);
suite_real!(smol_alone, crate::harness::Smol);
