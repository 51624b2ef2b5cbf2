//! What is remembered of a broker, and how a try changes it (PROTOCOL F.2, E.10 "fault item update").

use std::time::{Duration, Instant};

use rocketmq_proto::ResponseCode;

use super::{FaultRules, FaultTolerance};
use crate::engine::later;
use crate::error::AttemptFailure;
use crate::io::ConnId;

/// A broker's record.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// That of the last try, or what a failure counts as.
    pub(crate) latency: Duration,
    /// Passed over before this time; `None` when nothing asks for it.
    pub(crate) until: Option<Instant>,
    /// Whether the last word was that it can be reached.
    pub(crate) reachable: bool,
    /// The probe that is under way: its connection, its correlation number, when it went out.
    pub(crate) probe: Option<(ConnId, i32, Instant)>,
    /// Not to be probed before this time.
    pub(crate) probe_from: Instant,
    /// Whether it was last told to be isolated.
    pub(crate) told: bool,
}

/// How a try ended, as far as it speaks for or against its broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TryEnd {
    /// The broker answered with an error code.
    Broker,
    /// It could not even be begun.
    Client,
    /// Stored, whatever the status; or written, for oneway sends.
    Ok,
    /// No connection, no answer, or none that can be read.
    Remoting,
}

/// What a try says of its broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Verdict {
    isolate: bool,
    reachable: bool,
}

impl Item {
    /// The record of a broker of which nothing is known.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            latency: Duration::ZERO,
            until: None,
            reachable: true,
            probe: None,
            probe_from: now,
            told: false,
        }
    }

    /// Notes how a try ended.
    pub(crate) fn update(
        &mut self,
        settings: &FaultTolerance,
        now: Instant,
        latency: Duration,
        end: TryEnd,
    ) {
        let verdict = verdict(settings, end);
        let latency = if verdict.isolate {
            settings.isolation
        } else {
            latency
        };
        let lasting = settings.not_available_for(latency);
        let until = (!lasting.is_zero()).then(|| later(now, lasting));
        self.latency = latency;
        self.reachable = verdict.reachable;
        self.until = match settings.rules {
            FaultRules::V4_9 => until,
            // Never shortened.
            FaultRules::V5_1 => self.until.max(until),
        };
    }

    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Whether messages rather go elsewhere.
    pub(crate) fn is_isolated(&self, now: Instant) -> bool {
        !self.is_available(now) || !self.reachable
    }
}

impl TryEnd {
    pub(crate) fn of(failure: &AttemptFailure) -> Self {
        match failure {
            AttemptFailure::NotStoredOk(_) => Self::Ok,
            // Twice GO_AWAY is a request that could not be sent (PROTOCOL E.13).
            AttemptFailure::Answered {
                code: ResponseCode::GO_AWAY,
                ..
            } => Self::Remoting,
            AttemptFailure::Answered { .. } => Self::Broker,
            AttemptFailure::NoAddress | AttemptFailure::TimerIgnored { .. } => Self::Client,
            _ => Self::Remoting,
        }
    }
}

/// The last row of the table in E.10.
fn verdict(settings: &FaultTolerance, end: TryEnd) -> Verdict {
    let (isolate, reachable) = match (settings.rules, end) {
        (FaultRules::V4_9, TryEnd::Ok) => (false, true),
        (FaultRules::V4_9, _) => (true, true),
        (FaultRules::V5_1, TryEnd::Ok | TryEnd::Client) => (false, true),
        // Without probes it would stay unreachable until a message happened to get through.
        (FaultRules::V5_1, TryEnd::Remoting) => (true, !settings.probe),
        (FaultRules::V5_1, TryEnd::Broker) => (true, false),
    };
    Verdict { isolate, reachable }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::io::Now;
    use crate::receipt::SendStatus;

    const MS: Duration = Duration::from_millis(1);

    /// Row "fault item update" of E.10: (isolation, reachable) after ok, remoting, client, broker.
    #[test]
    fn each_end_of_a_try_speaks_as_the_table_says() {
        let ends = [TryEnd::Ok, TryEnd::Remoting, TryEnd::Client, TryEnd::Broker];
        let silent = FaultTolerance {
            probe: false,
            ..FaultTolerance::v5_1()
        };
        let rows = [
            (
                FaultTolerance::v4_9(),
                [(false, true), (true, true), (true, true), (true, true)],
            ),
            (
                FaultTolerance::v5_1(),
                [(false, true), (true, false), (false, true), (true, false)],
            ),
            (
                silent,
                [(false, true), (true, true), (false, true), (true, false)],
            ),
        ];
        for (settings, expected) in rows {
            let found = ends.map(|end| {
                let verdict = verdict(&settings, end);
                (verdict.isolate, verdict.reachable)
            });
            assert_eq!(found, expected, "{settings:?}");
        }
    }

    #[test]
    fn each_failure_belongs_to_one_column() {
        let answered = |code| AttemptFailure::Answered {
            code,
            remark: String::new(),
        };
        let rows = [
            (
                AttemptFailure::NotStoredOk(SendStatus::FlushDiskTimeout),
                TryEnd::Ok,
            ),
            (answered(ResponseCode::SYSTEM_BUSY), TryEnd::Broker),
            (answered(ResponseCode::MESSAGE_ILLEGAL), TryEnd::Broker),
            (answered(ResponseCode::GO_AWAY), TryEnd::Remoting),
            (AttemptFailure::NoAddress, TryEnd::Client),
            (
                AttemptFailure::Connect(ErrorKind::ConnectionRefused.into()),
                TryEnd::Remoting,
            ),
            (AttemptFailure::ConnectTimeout(MS), TryEnd::Remoting),
            (AttemptFailure::NoReply(MS), TryEnd::Remoting),
            (AttemptFailure::NotWritten(MS), TryEnd::Remoting),
            (AttemptFailure::BadAnswer(String::new()), TryEnd::Remoting),
        ];
        for (failure, end) in rows {
            assert_eq!(TryEnd::of(&failure), end, "{failure}");
        }
    }

    /// Tries one after the other, 1 s apart: latency, end, and for how long it is then passed over.
    #[test]
    fn a_record_is_set_anew_by_4_9_and_only_prolonged_by_5_1() {
        let tries = [
            (1_000 * MS, TryEnd::Ok),
            (10 * MS, TryEnd::Ok),
            (10 * MS, TryEnd::Remoting),
            (600 * MS, TryEnd::Ok),
            (10 * MS, TryEnd::Ok),
        ];
        let rows = [
            (FaultTolerance::v4_9(), [60_000, 0, 600_000, 30_000, 0]),
            (
                FaultTolerance::v5_1(),
                // 2 s from the first; 10 s from the third, of which 9 and 8 are left.
                [2_000, 1_000, 10_000, 9_000, 8_000],
            ),
        ];
        let start = Now::system().mono;
        for (settings, expected) in rows {
            let mut item = Item::new(start);
            let mut now = start;
            let mut found = Vec::new();
            for (latency, end) in tries {
                item.update(&settings, now, latency, end);
                let left = item.until.map(|until| until.saturating_duration_since(now));
                found.push(left.unwrap_or_default().as_millis() as u64);
                now += 1_000 * MS;
            }
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn who_is_passed_over_is_available_again_when_its_time_is_over() {
        let start = Now::system().mono;
        let mut item = Item::new(start);
        assert!(item.is_available(start));
        item.update(&FaultTolerance::v4_9(), start, MS, TryEnd::Remoting);
        assert!(!item.is_available(start + 599_999 * MS));
        assert!(item.is_available(start + 600_000 * MS));
    }
}
