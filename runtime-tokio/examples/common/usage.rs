//! What this process has used of the machine.

use std::time::Duration;

/// What was used so far (`getrusage`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// How often one of its threads gave the processor away, or had to.
    pub(crate) switches: u64,
}

impl Usage {
    /// `None` where the system has no such call.
    #[cfg(unix)]
    pub(crate) fn now() -> Option<Self> {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::sys::time::TimeValLike;

        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let micros = (usage.user_time() + usage.system_time()).num_microseconds();
        let switches = usage.voluntary_context_switches() + usage.involuntary_context_switches();
        Some(Self {
            cpu: Duration::from_micros(u64::try_from(micros).ok()?),
            switches: u64::try_from(switches).ok()?,
        })
    }

    /// `None` where the system has no such call.
    #[cfg(not(unix))]
    pub(crate) fn now() -> Option<Self> {
        None
    }

    /// What was used since an earlier moment.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// So many KiB of memory, as `/proc/self/status` has them: `VmHWM`, the most that was resident so far, or
/// `VmRSS`, what is resident now. `None` where there is no such file.
pub(crate) fn memory(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let value = line.strip_prefix(':')?.trim().strip_suffix("kB")?;
    value.trim().parse().ok()
}
