//! The behaviour suite on tokio, over real sockets on loopback: each scenario of `tests/suite` on a runtime of one
//! thread and on one of several. Beside real servers: see `real_servers.rs`.

#[path = "../../tests/suite/asynchronous.rs"]
mod asynchronous;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/reader.rs"]
mod reader;
#[macro_use]
#[path = "../../tests/suite/mod.rs"]
mod suite;

suite_everywhere!(
    current_thread,
    crate::harness::CurrentThread,
    crate::suite::Servers::in_process()
);
suite_in_process!(current_thread_in_process, crate::harness::CurrentThread);
suite_everywhere!(
    multi_thread,
    crate::harness::MultiThread,
    crate::suite::Servers::in_process()
);
suite_in_process!(multi_thread_in_process, crate::harness::MultiThread);
#[cfg(feature = "tls")]
suite_encrypted!(current_thread_encrypted, crate::harness::CurrentThread);
#[cfg(feature = "tls")]
suite_encrypted!(multi_thread_encrypted, crate::harness::MultiThread);
#[cfg(feature = "acl")]
suite_signed!(current_thread_signed, crate::harness::CurrentThread);
#[cfg(feature = "acl")]
suite_signed!(multi_thread_signed, crate::harness::MultiThread);
