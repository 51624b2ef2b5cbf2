//! What is known of brokers by their names: the numbers of their tries, and their records for fault
//! tolerance. Bounded by the brokers of the routes in use: others are dropped at each heartbeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::fault::Item;
use crate::stats::{BrokerStats, Latency};

#[derive(Debug, Default)]
pub(crate) struct Brokers {
    records: FxHashMap<Arc<str>, Record>,
    /// Round robin over the better half (PROTOCOL F.2).
    pub(crate) turn: u32,
    /// The deadline that is armed: a record's time is over, or a probe is due.
    pub(crate) timer: Option<Instant>,
    /// The next round of probes, while somebody is to be probed.
    pub(crate) round: Option<Instant>,
}

/// A broker's numbers, and what fault tolerance remembers of it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) numbers: Numbers,
    pub(crate) item: Option<Item>,
}

/// The numbers of the tries that went to a broker.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    latency: Latency,
    histogram: Histogram,
    failures: u64,
    retries: u64,
}

impl Brokers {
    /// The record of a broker, made when it is new.
    pub(crate) fn record(&mut self, name: &Arc<str>) -> &mut Record {
        self.records.entry(name.clone()).or_default()
    }

    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        self.records.get(name)?.item.as_ref()
    }

    pub(crate) fn item_mut(&mut self, name: &str) -> Option<&mut Item> {
        self.records.get_mut(name)?.item.as_mut()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&Arc<str>, &Item)> {
        let records = self.records.iter();
        records.filter_map(|(name, record)| Some((name, record.item.as_ref()?)))
    }

    /// The names of all that have a record for fault tolerance, in a stable order.
    pub(crate) fn suspects(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.items().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn forget(&mut self, name: &str) -> Option<Record> {
        self.records.remove(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.records.keys()
    }

    pub(crate) fn stats(&self) -> Vec<BrokerStats> {
        let mut all: Vec<_> = self
            .records
            .iter()
            .map(|(name, record)| record.stats(name))
            .collect();
        all.sort_unstable_by(|a, b| a.broker.cmp(&b.broker));
        all
    }
}

impl Record {
    fn stats(&self, name: &Arc<str>) -> BrokerStats {
        let numbers = &self.numbers;
        let quantile = |share| numbers.histogram.quantile(share).min(numbers.latency.max);
        BrokerStats {
            broker: name.clone(),
            latency: numbers.latency,
            p50: quantile(0.5),
            p99: quantile(0.99),
            failures: numbers.failures,
            retries: numbers.retries,
            isolated_until: self.item.as_ref().and_then(|item| item.until),
            reachable: self.item.as_ref().is_none_or(|item| item.reachable),
        }
    }
}

impl Numbers {
    /// Counts a try that took so long: whether it was confirmed, and whether it was not the first.
    pub(crate) fn count(&mut self, took: Duration, confirmed: bool, again: bool) {
        self.retries += u64::from(again);
        if confirmed {
            self.latency.add(took);
            self.histogram.add(took);
        } else {
            self.failures += 1;
        }
    }
}

/// Steps of a [`Histogram`].
const STEPS: usize = 92;

/// Durations in four steps for each doubling, from 16 us to more than a minute.
#[derive(Debug)]
struct Histogram([u32; STEPS]);

impl Histogram {
    /// The first step holds all below it, in us: a power of two.
    const FIRST: u64 = 16;

    fn add(&mut self, took: Duration) {
        let count = &mut self.0[Self::step_of(took)];
        *count = count.saturating_add(1);
    }

    /// The end of the step in which so large a share of all durations ends.
    fn quantile(&self, share: f64) -> Duration {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (step, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Self::end_of(step);
            }
        }
        Duration::ZERO
    }

    fn step_of(took: Duration) -> usize {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if micros < Self::FIRST {
            return 0;
        }
        let octave = micros.ilog2() - Self::FIRST.ilog2();
        let quarter = (micros >> (micros.ilog2() - 2)) & 3;
        (1 + octave as usize * 4 + quarter as usize).min(STEPS - 1)
    }

    fn end_of(step: usize) -> Duration {
        let Some(step) = step.checked_sub(1) else {
            return Duration::from_micros(Self::FIRST);
        };
        let (octave, quarter) = (step / 4, step as u64 % 4);
        Duration::from_micros((Self::FIRST << octave) / 4 * (5 + quarter))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self([0; STEPS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_at_most_a_quarter_above_what_is_in_it() {
        for micros in (16..200_000_u64).chain([5_000_000, 30_000_000, 60_000_000]) {
            let took = Duration::from_micros(micros);
            let end = Histogram::end_of(Histogram::step_of(took));
            assert!(end > took, "{took:?} ends at {end:?}");
            assert!(end * 4 <= took * 5, "{took:?} ends at {end:?}");
        }
        assert_eq!(Histogram::step_of(Duration::ZERO), 0);
        assert_eq!(Histogram::step_of(Duration::MAX), STEPS - 1);
    }

    #[test]
    fn a_summary_estimates_the_median_and_the_slowest_hundredth() {
        let mut brokers = Brokers::default();
        let record = brokers.record(&"a".into());
        for ms in 1..=1_000 {
            record.numbers.count(Duration::from_millis(ms), true, false);
        }
        record.numbers.count(Duration::from_secs(9), false, true);
        let stats = &brokers.stats()[0];
        assert_eq!(stats.latency.count, 1_000);
        assert_eq!(stats.latency.max, Duration::from_secs(1));
        assert_eq!((stats.failures, stats.retries), (1, 1));
        assert!(stats.p50 >= Duration::from_millis(500), "{:?}", stats.p50);
        assert!(stats.p50 <= Duration::from_millis(625), "{:?}", stats.p50);
        assert!(stats.p99 >= Duration::from_millis(990), "{:?}", stats.p99);
        assert!(stats.p99 <= stats.latency.max, "{:?}", stats.p99);
    }
}
