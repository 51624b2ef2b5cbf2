//! What is known of brokers by their names: the numbers of their tries, and their records for fault
//! tolerance. Bounded by the brokers of the routes in use: others are dropped at each heartbeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::fault::Item;
use crate::publish::Broker;
use crate::slab::{Slab, id};
use crate::stats::{BrokerStats, Latency};

id! {
    /// What is known of a broker.
    pub(crate) BrokerId, "broker"
}

#[derive(Debug)]
pub(crate) struct Brokers {
    records: Slab<BrokerId, Record>,
    by_name: FxHashMap<Arc<str>, BrokerId>,
    /// Round robin over the better half (PROTOCOL F.2).
    pub(crate) turn: u32,
    /// The deadline that is armed: a record's time is over, or a probe is due.
    pub(crate) timer: Option<Instant>,
    /// The next round of probes, while somebody is to be probed.
    pub(crate) round: Option<Instant>,
}

/// A broker's numbers, and what fault tolerance remembers of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: Arc<str>,
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
    pub(crate) fn new() -> Self {
        Self {
            records: Slab::new(),
            by_name: FxHashMap::default(),
            turn: 0,
            timer: None,
            round: None,
        }
    }

    /// The id of a broker's record, made when it is new.
    pub(crate) fn id(&mut self, name: &Arc<str>) -> BrokerId {
        let records = &mut self.records;
        let make = || {
            records.insert(Record {
                name: name.clone(),
                numbers: Numbers::default(),
                item: None,
            })
        };
        *self.by_name.entry(name.clone()).or_insert_with(make)
    }

    /// The record of a broker, made when it is new; `None` never.
    pub(crate) fn record(&mut self, name: &Arc<str>) -> Option<&mut Record> {
        let id = self.id(name);
        self.records.get_mut(id)
    }

    /// The same, looked for where it was kept when the route was learned.
    pub(crate) fn record_of(&mut self, broker: &Broker) -> Option<&mut Record> {
        let place = broker.place.record;
        match place.filter(|id| self.records.get(*id).is_some()) {
            Some(id) => self.records.get_mut(id),
            None => self.record(&broker.name),
        }
    }

    pub(crate) fn item_of(&self, broker: &Broker) -> Option<&Item> {
        match broker.place.record.and_then(|id| self.records.get(id)) {
            Some(record) => record.item.as_ref(),
            None => self.item(&broker.name),
        }
    }

    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        self.records.get(*self.by_name.get(name)?)?.item.as_ref()
    }

    pub(crate) fn item_mut(&mut self, name: &str) -> Option<&mut Item> {
        let id = *self.by_name.get(name)?;
        self.records.get_mut(id)?.item.as_mut()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&Arc<str>, &Item)> {
        let records = self.records.iter();
        records.filter_map(|(_, record)| Some((&record.name, record.item.as_ref()?)))
    }

    /// The names of all that have a record for fault tolerance, in a stable order.
    pub(crate) fn suspects(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.items().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn forget(&mut self, name: &str) -> Option<Record> {
        self.records.remove(self.by_name.remove(name)?)
    }

    pub(crate) fn get(&self, id: BrokerId) -> Option<&Record> {
        self.records.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: BrokerId) -> Option<&mut Record> {
        self.records.get_mut(id)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    pub(crate) fn stats(&self) -> Vec<BrokerStats> {
        let mut all: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| record.is_tried())
            .map(|(_, record)| record.stats())
            .collect();
        all.sort_unstable_by(|a, b| a.broker.cmp(&b.broker));
        all
    }
}

impl Record {
    /// Whether anything but its name is known.
    fn is_tried(&self) -> bool {
        self.numbers.latency.count + self.numbers.failures > 0 || self.item.is_some()
    }

    fn stats(&self) -> BrokerStats {
        let numbers = &self.numbers;
        let quantile = |share| numbers.histogram.quantile(share).min(numbers.latency.max);
        BrokerStats {
            broker: self.name.clone(),
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
        let mut brokers = Brokers::new();
        let record = brokers.record(&"a".into()).unwrap();
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
