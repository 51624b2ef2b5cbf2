//! The behaviour suite on plain threads, over real sockets on loopback: each scenario of `tests/suite`.

#[path = "support/harness.rs"]
mod harness;
#[path = "../../runtime-tokio/tests/support/reader.rs"]
mod reader;
#[macro_use]
#[path = "../../tests/suite/mod.rs"]
mod suite;

suite_everywhere!(
    threads,
    crate::harness::Threads,
    crate::suite::Servers::in_process()
);
suite_in_process!(threads_in_process, crate::harness::Threads);
#[cfg(feature = "tls")]
suite_encrypted!(threads_encrypted, crate::harness::Threads);
#[cfg(feature = "acl")]
suite_signed!(threads_signed, crate::harness::Threads);
