//! The numbers of a producer.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Of these, how many were requests that got their reply.
    pub replied: u64,
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
    /// Requests that were stored and got no reply in time.
    pub failed_stored: u64,
    /// Frames that carried several sends, gathered by [`AutoBatch`](crate::AutoBatch).
    pub auto_batches: u64,
    /// The sends that they carried.
    pub auto_batched: u64,
    /// Trace records that a broker confirmed.
    pub traced: u64,
    /// Trace records that were dropped: too many waited, their message failed, or the last one had left.
    pub trace_dropped: u64,
    /// Tries after first ones.
    pub retries: u64,
    /// Ends of transactions that were handed to a socket, answers to check-backs included.
    pub transactions_ended: u64,
    /// Half messages that stay open for now, and for which a broker asks (again): what was to end one
    /// could not be written, or a check-back listener panicked, failed, or took too long.
    pub transactions_left_open: u64,
    /// Check-backs that wait for the listener now.
    pub checks_waiting: usize,
    /// Check-backs that came for this producer and were kept for its listener.
    pub checks: u64,
    /// Check-backs that were dropped since too many waited, or since they could not be read. The
    /// broker asks again.
    pub checks_dropped: u64,
    /// Check-backs of other groups, or that nobody listens for.
    pub checks_ignored: u64,
    /// Answers that nobody waited for (any more).
    pub late_replies: u64,
    /// Reply messages for requests that nobody waits for (any more).
    pub unmatched_replies: u64,
    /// Connections that broke or were closed for a fault.
    pub connections_lost: u64,
    /// Hooks of the application that panicked after a send, or around a request
    /// ([`Hooks`](crate::Hooks)).
    pub hook_panics: u64,
    /// How long confirmed sends took, from the call on; requests are not in it.
    pub latency: Latency,
}

/// What is known of one broker's work for this producer, over the tries that went to it. There is one
/// for each broker of the routes in use; it is dropped with the last route that names the broker.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// The broker's name.
    pub broker: Arc<str>,
    /// How long the tries took that it confirmed, each from its own beginning.
    pub latency: Latency,
    /// Half of these took no longer; an estimate, at most a quarter too high.
    pub p50: Duration,
    /// 99 of 100 took no longer; an estimate likewise.
    pub p99: Duration,
    /// Tries that failed: no connection, no answer, a refusal.
    pub failures: u64,
    /// Tries that came to it after one that failed, there or elsewhere.
    pub retries: u64,
    /// Until when it is passed over ([`FaultTolerance`](crate::FaultTolerance)); may have passed.
    /// `None` when it never was, or without fault tolerance.
    pub isolated_until: Option<Instant>,
    /// Whether its last try or probe says that it can be reached; true without fault tolerance.
    pub reachable: bool,
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
