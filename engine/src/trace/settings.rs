//! What the message trace can be told (PROTOCOL G.4).

use std::time::Duration;

use rocketmq_proto::{InvalidName, TopicName, topic};

use crate::bounds::check;
use crate::config::ConfigError;

/// The topic of the CLOUD channel, without the region.
const OF_REGION: &str = "rmq_sys_TRACE_DATA_";

/// The message trace: after each send that a broker confirmed, and after each end of a transaction
/// that was written, a record of it goes to a topic of its own, from where consoles show the way of a
/// message (PROTOCOL G.4). So does one of each recall that a broker answered, if
/// [`recalls`](Self::recalls) says so.
///
/// Records wait in the producer until a message of them is full or the [`linger`](Self::linger) is
/// over, and are sent beside everything else, without a permit, under a group and a timeout (5 s) of
/// their own. `flush` and `shutdown` send what waits, and wait until it has arrived or failed. Failed
/// sends, oneway sends, sends that their broker wants no trace of (`TRACE_ON=false`), and messages to
/// the trace topic leave no record, and neither do the ends of their transactions. Nothing ever waits
/// for room for a record: one for which there is none, among the records
/// ([`max_waiting`](Self::max_waiting)) or the 8 MiB that they may take, is dropped and counted in
/// [`Stats::trace_dropped`](crate::Stats::trace_dropped).
///
/// As in Java, the end of a transaction names the half message's unique id as transaction id too,
/// whatever its broker calls it; the region is that of the half message.
///
/// Trace messages are not compressed (Java compresses those from 4 KiB on).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceConfig {
    /// Where to (`traceTopic`, `accessChannel`). Default `RMQ_SYS_TRACE_TOPIC`.
    pub topic: TraceTopic,
    /// The most records of one message (`traceMsgBatchNum`). Default 100, as 4.9; 5.x has 10.
    pub max_records: usize,
    /// A message leaves when its body has so many bytes (`maxMsgSize`). Default 128 000.
    pub max_bytes: usize,
    /// How long the first record waits for more. Default 500 ms, as 4.9.8; 5.x has 5 s.
    pub linger: Duration,
    /// The most records that wait or are on their way. Default 1024, as 4.9; 5.x has 2048.
    pub max_waiting: usize,
    /// Whether recalls are traced too (`com.rocketmq.recall.default.trace.enable`, 5.3.2): those that
    /// a broker answered, naming its region, whether it took the message back or not. Default false.
    pub recalls: bool,
}

/// The topic that trace records go to. It is in no namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum TraceTopic {
    /// `RMQ_SYS_TRACE_TOPIC`, which brokers make when they are told to (`traceTopicEnable`).
    #[default]
    Standard,
    /// This one (`customizedTraceTopic`).
    Named(TopicName),
    /// `rmq_sys_TRACE_DATA_` and the region that the broker names (`accessChannel` = `CLOUD`).
    OfRegion,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            topic: TraceTopic::Standard,
            max_records: 100,
            max_bytes: 128_000,
            linger: Duration::from_millis(500),
            max_waiting: 1024,
            recalls: false,
        }
    }
}

impl TraceConfig {
    /// The numbers of the 5.3 Java client: 10 records a message, 5 s, 2048 waiting.
    pub fn v5_3() -> Self {
        Self {
            max_records: 10,
            linger: Duration::from_secs(5),
            max_waiting: 2048,
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = |field, value: usize| {
            let bound = "must be at least 1";
            check(value > 0, field, value.to_string(), bound)
        };
        at_least_one("trace.max_records", self.max_records)?;
        at_least_one("trace.max_waiting", self.max_waiting)?;
        check(
            (1..=4 * 1024 * 1024 - 64 * 1024).contains(&self.max_bytes),
            "trace.max_bytes",
            self.max_bytes.to_string(),
            "must be from 1 to 4128768 (4 MiB less 64 KiB)",
        )?;
        check(
            self.linger > Duration::ZERO,
            "trace.linger",
            format!("{:?}", self.linger),
            "must be longer than zero",
        )
    }
}

impl TraceTopic {
    /// The topic for the records of a broker in this region.
    pub(crate) fn of(&self, region: &str) -> Result<TopicName, InvalidName> {
        match self {
            Self::Standard => TopicName::new(topic::TRACE_TOPIC),
            Self::Named(name) => Ok(name.clone()),
            Self::OfRegion => TopicName::new(format!("{OF_REGION}{region}")),
        }
    }

    /// Whether messages to this topic are trace messages themselves.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let prefix = match self {
            Self::Standard => topic::TRACE_TOPIC,
            Self::Named(own) => own.as_str(),
            Self::OfRegion => OF_REGION,
        };
        name.starts_with(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_topic_is_named_as_java_names_it_and_not_traced_itself() {
        let own = TopicName::new("my-trace").unwrap();
        let rows = [
            (TraceTopic::Standard, "RMQ_SYS_TRACE_TOPIC"),
            (TraceTopic::Named(own), "my-trace"),
            (TraceTopic::OfRegion, "rmq_sys_TRACE_DATA_cn-hangzhou"),
        ];
        let orders = TopicName::new("orders").unwrap();
        for (kind, name) in rows {
            let topic = kind.of("cn-hangzhou").unwrap();
            assert_eq!(topic.as_str(), name);
            assert!(kind.covers(&topic));
            assert!(!kind.covers(&orders));
        }
        assert!(TraceTopic::OfRegion.of("no region").is_err());
    }

    #[test]
    fn the_numbers_are_those_of_both_lines() {
        let of = |config: TraceConfig| {
            (
                config.max_records,
                config.linger.as_millis(),
                config.max_waiting,
            )
        };
        assert_eq!(of(TraceConfig::default()), (100, 500, 1024));
        assert_eq!(of(TraceConfig::v5_3()), (10, 5_000, 2048));
        assert_eq!(TraceConfig::default().max_bytes, 128_000);
    }
}
