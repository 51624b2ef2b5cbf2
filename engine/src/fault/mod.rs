//! Latency fault tolerance: brokers that are slow or fail are passed over for a while (PROTOCOL
//! F.2). Here are its settings; `item` is what is remembered of a broker, `choose` picks a queue by
//! it, both pure. What the engine does about it is in `health`.

mod choose;
mod item;

use std::time::Duration;

pub(crate) use choose::{Dice, Standing, next_queue};
pub(crate) use item::{Item, TryEnd};

/// Between two rounds of probes (5.x: fixed).
pub(crate) const PROBE_ROUND: Duration = Duration::from_secs(3);

/// Passing over brokers that were slow or failed (`sendLatencyFaultEnable` in 4.9,
/// `sendLatencyEnable` in 5.x; PROTOCOL F.2). Off unless
/// [`Config::fault_tolerance`](crate::Config::fault_tolerance) holds one.
///
/// | | [`v4_9`](Self::v4_9), the default | [`v5_1`](Self::v5_1), Java 5.1.4 and later |
/// |---|---|---|
/// | latency from ms (`latencyMax`) | 50, 100, 550, 1000, 2000, 3000, 15000 | 50, 100, 550, 1800, 3000, 5000, 15000 |
/// | passed over for ms (`notAvailableDuration`) | 0, 0, 30000, 60000, 120000, 180000, 600000 | 0, 0, 2000, 5000, 6000, 10000, 30000 |
/// | a failed try counts as | 30 000 ms, so 600 000 ms | 10 000 ms, so 10 000 ms |
/// | a later success | ends it, or sets it anew | leaves it as it is |
/// | among the rest | the better half by latency, when all are passed over | whoever can be reached |
/// | probes | none | every 3 s to whoever is not known to be reachable |
///
/// It works beside the rule that is always there: brokers whose connection failed are passed over
/// while others can be reached. When no broker is left, a message goes out all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FaultTolerance {
    /// From which latency on a broker is passed over for how long, ascending. The last step that a
    /// latency reaches counts; below the first it is zero.
    pub steps: Vec<(Duration, Duration)>,
    /// What the latency of a failed try counts as.
    pub isolation: Duration,
    /// How a broker's record is kept and a queue is chosen.
    pub rules: FaultRules,
    /// Whether brokers that are not known to be reachable are asked a small question until they
    /// answer (`startDetectorEnable`, which Java leaves off). Only with [`FaultRules::V5_1`].
    pub probe: bool,
    /// How long a probe waits for its answer (`detectTimeout`). 200 ms.
    pub probe_timeout: Duration,
    /// No broker is probed again sooner than this (`detectInterval`). 2 s; rounds are 3 s apart.
    pub probe_interval: Duration,
}

/// Which line of Java's rules applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FaultRules {
    /// Each try sets a broker's record anew. A queue of the first broker that is not passed over;
    /// if all are, one of the better half by latency.
    V4_9,
    /// A record is only ever prolonged, and notes whether the broker could be reached. A queue of a
    /// broker that is not passed over; else of one that can be reached; else any.
    V5_1,
}

impl FaultTolerance {
    /// The numbers and rules of Java 4.9.
    pub fn v4_9() -> Self {
        let steps = [
            (50, 0),
            (100, 0),
            (550, 30_000),
            (1_000, 60_000),
            (2_000, 120_000),
            (3_000, 180_000),
            (15_000, 600_000),
        ];
        Self {
            steps: in_ms(&steps),
            isolation: Duration::from_secs(30),
            rules: FaultRules::V4_9,
            probe: false,
            probe_timeout: Duration::from_millis(200),
            probe_interval: Duration::from_secs(2),
        }
    }

    /// The numbers and rules of Java 5.1.4 and later, with its detector switched on.
    pub fn v5_1() -> Self {
        let steps = [
            (50, 0),
            (100, 0),
            (550, 2_000),
            (1_800, 5_000),
            (3_000, 6_000),
            (5_000, 10_000),
            (15_000, 30_000),
        ];
        Self {
            steps: in_ms(&steps),
            isolation: Duration::from_secs(10),
            rules: FaultRules::V5_1,
            probe: true,
            ..Self::v4_9()
        }
    }

    /// For how long a broker of this latency is passed over.
    pub fn not_available_for(&self, latency: Duration) -> Duration {
        let reached = self.steps.iter().rev().find(|(from, _)| latency >= *from);
        reached.map_or(Duration::ZERO, |(_, lasting)| *lasting)
    }

    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if !self.steps.is_sorted_by_key(|(from, _)| *from) {
            return Some("steps must be in ascending order of latency");
        }
        (self.probe_timeout.is_zero()).then_some("probe_timeout must be longer than zero")
    }
}

impl Default for FaultTolerance {
    fn default() -> Self {
        Self::v4_9()
    }
}

fn in_ms(steps: &[(u64, u64)]) -> Vec<(Duration, Duration)> {
    let ms = Duration::from_millis;
    steps
        .iter()
        .map(|(from, lasting)| (ms(*from), ms(*lasting)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both columns of the table in F.2: latency in ms, how long a broker is then passed over.
    #[test]
    fn each_latency_passes_a_broker_over_for_as_long_as_the_tables_say() {
        let v4_9 = [
            (0, 0),
            (49, 0),
            (50, 0),
            (100, 0),
            (549, 0),
            (550, 30_000),
            (999, 30_000),
            (1_000, 60_000),
            (2_000, 120_000),
            (3_000, 180_000),
            (14_999, 180_000),
            (15_000, 600_000),
            (30_000, 600_000),
        ];
        let v5_1 = [
            (0, 0),
            (50, 0),
            (100, 0),
            (549, 0),
            (550, 2_000),
            (1_799, 2_000),
            (1_800, 5_000),
            (3_000, 6_000),
            (5_000, 10_000),
            (10_000, 10_000),
            (15_000, 30_000),
        ];
        let both = [
            (FaultTolerance::v4_9(), &v4_9[..]),
            (FaultTolerance::v5_1(), &v5_1[..]),
        ];
        for (settings, rows) in both {
            for (latency, lasting) in rows {
                let found = settings.not_available_for(Duration::from_millis(*latency));
                assert_eq!(found, Duration::from_millis(*lasting), "{latency} ms");
            }
        }
    }

    #[test]
    fn the_default_is_that_of_4_9() {
        assert_eq!(FaultTolerance::default(), FaultTolerance::v4_9());
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut settings = FaultTolerance::v4_9();
        settings.steps.swap(0, 1);
        assert!(settings.problem().unwrap().contains("ascending"));
    }
}
