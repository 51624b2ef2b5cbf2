//! The numbers of a producer.

use std::time::Duration;

/// A snapshot of a producer's numbers. Cheap to take; counters run from the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Sends that hold a permit now.
    pub in_flight: usize,
    /// Oneway sends that hold a permit now.
    pub oneway_in_flight: usize,
    /// Bytes of bodies and properties under permits now, of both.
    pub in_flight_bytes: usize,
    /// Connections now, those being dialled included.
    pub connections: usize,
    /// Topics known now.
    pub topics: usize,
    /// Messages and batches that a broker confirmed.
    pub sent: u64,
    /// Of these, how many with a status other than `SEND_OK`.
    pub not_stored_ok: u64,
    /// Oneway messages written.
    pub sent_oneway: u64,
    /// Sends that failed and are stored nowhere.
    pub failed_not_sent: u64,
    /// Sends that a broker refused.
    pub failed_rejected: u64,
    /// Sends that failed and may be stored.
    pub failed_unknown: u64,
    /// Frames that carried several sends, gathered by [`AutoBatch`](crate::AutoBatch).
    pub auto_batches: u64,
    /// The sends that they carried.
    pub auto_batched: u64,
    /// Tries after first ones.
    pub retries: u64,
    /// Answers that nobody waited for (any more).
    pub late_replies: u64,
    /// Connections that broke or were closed for a fault.
    pub connections_lost: u64,
    /// How long confirmed sends took, from the call on.
    pub latency: Latency,
}

/// A summary of durations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// The mean, zero when there is none.
    pub fn mean(&self) -> Duration {
        u32::try_from(self.count).map_or_else(
            |_| Duration::from_secs_f64(self.total.as_secs_f64() / self.count as f64),
            |count| self.total.checked_div(count).unwrap_or_default(),
        )
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total = self.total.saturating_add(took);
        self.max = self.max.max(took);
    }
}
