//! The processor time of this process.

use std::time::Duration;

/// User and system time so far (`getrusage`); `None` where the system has no such call.
#[cfg(unix)]
pub(crate) fn cpu_time() -> Option<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Some(Duration::from_micros(u64::try_from(micros).ok()?))
}

/// User and system time so far (`getrusage`); `None` where the system has no such call.
#[cfg(not(unix))]
pub(crate) fn cpu_time() -> Option<Duration> {
    None
}
