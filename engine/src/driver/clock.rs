//! The one place of this crate that reads clocks, for drivers.

use std::time::{Instant, SystemTime};

use crate::io::Now;

impl Now {
    /// Reads both clocks of this machine. The engine itself never does: it is told.
    #[expect(
        clippy::disallowed_methods,
        reason = "drivers have to read the clock somewhere"
    )]
    pub fn system() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            mono: Instant::now(),
            unix_ms: unix.map_or(0, |unix| {
                u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }
}
