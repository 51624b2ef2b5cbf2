//! The behaviour suite on `async-io`, over real sockets on loopback: each scenario of `tests/suite` on async-std's
//! executor, on one of smol, and on a bare thread that polls the driver.

#[path = "../../tests/suite/asynchronous.rs"]
mod asynchronous;
#[path = "support/harness.rs"]
mod harness;
#[path = "../../runtime-tokio/tests/support/reader.rs"]
mod reader;
#[macro_use]
#[path = "../../tests/suite/mod.rs"]
mod suite;

suite_everywhere!(
    async_std,
    crate::harness::AsyncStd,
    crate::suite::Servers::in_process()
);
suite_in_process!(async_std_in_process, crate::harness::AsyncStd);
suite_everywhere!(
    smol,
    crate::harness::Smol,
    crate::suite::Servers::in_process()
);
suite_in_process!(smol_in_process, crate::harness::Smol);
suite_everywhere!(
    bare,
    crate::harness::Bare,
    crate::suite::Servers::in_process()
);
suite_in_process!(bare_in_process, crate::harness::Bare);
#[cfg(feature = "tls")]
suite_encrypted!(async_std_encrypted, crate::harness::AsyncStd);
#[cfg(feature = "tls")]
suite_encrypted!(smol_encrypted, crate::harness::Smol);
#[cfg(feature = "tls")]
suite_encrypted!(bare_encrypted, crate::harness::Bare);
#[cfg(feature = "acl")]
suite_signed!(async_std_signed, crate::harness::AsyncStd);
#[cfg(feature = "acl")]
suite_signed!(smol_signed, crate::harness::Smol);
#[cfg(feature = "acl")]
suite_signed!(bare_signed, crate::harness::Bare);
