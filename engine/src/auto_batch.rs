//! Auto-batching before the lock: its settings, and which messages may share a frame (PROTOCOL D.8).

use std::sync::Arc;
use std::time::Duration;

use rocketmq_proto::{Message, Placement, TopicName, property, topic};

use crate::bounds::check;
use crate::config::ConfigError;

/// Properties of messages that brokers treat one by one: transactions, requests, replies, delays.
const ONE_BY_ONE: [&str; 6] = [
    property::CORRELATION_ID,
    property::MSG_TYPE,
    property::PGROUP,
    property::REPLY_TO_CLIENT,
    property::START_DELIVER_TIME,
    property::TRAN_MSG,
];

/// How single sends are gathered into batches (`autoBatch`, 5.1.4 and later; PROTOCOL D.8).
///
/// Messages with the same topic, queue (if they name one), tag and `WAIT` share a frame, and the
/// properties of that frame are `WAIT` alone: the union of KEYS, the tag and the id of its own that
/// 5.x Java clients add there would be stored over those of every member (I 29). Each caller gets the
/// receipt of its own message.
///
/// Sent by themselves all the same: delayed and timed messages, those of transactions, requests and
/// `%RETRY%` topics, those with a timeout of their own or a queue chosen by key or closure, those that
/// compression makes smaller (the members of a batch cannot be compressed), those larger than a
/// batch, oneway messages and batches.
///
/// Messages of one queue keep their order as long as tag and `WAIT` are the same. What is gathered
/// leaves at once when the batch is full, when the producer has no room for more, and at
/// `flush` and `shutdown`; it never waits for longer than half of what is left of its budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AutoBatch {
    /// How long a message may wait for company (`batchMaxDelayMs`). Default 10 ms; 1 ms to 30 s.
    pub linger: Duration,
    /// The most bytes of one batch, its members' properties and 22 bytes each included
    /// (`batchMaxBytes`, which counts bodies and lets the last one over). Default 32 KiB; 1 to 2 MiB.
    pub max_bytes: usize,
    /// The most bytes that may wait in all batches together (`totalBatchMaxBytes`); what comes when
    /// they are reached is sent by itself. Default 32 MiB; at least 1.
    pub max_held_bytes: usize,
}

impl Default for AutoBatch {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(10),
            max_bytes: 32 * 1024,
            max_held_bytes: 32 * 1024 * 1024,
        }
    }
}

impl AutoBatch {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let linger = Duration::from_millis(1)..=Duration::from_secs(30);
        check(
            linger.contains(&self.linger),
            "auto_batch.linger",
            format!("{:?}", self.linger),
            "must be from 1 ms to 30 s",
        )?;
        check(
            (1..=2 * 1024 * 1024).contains(&self.max_bytes),
            "auto_batch.max_bytes",
            self.max_bytes.to_string(),
            "must be from 1 to 2097152 (2 MiB)",
        )?;
        check(
            self.max_held_bytes > 0,
            "auto_batch.max_held_bytes",
            self.max_held_bytes.to_string(),
            "must be at least 1",
        )
    }
}

/// What the members of a batch have in common.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(crate) struct BatchKey {
    topic: TopicName,
    queue: Option<(Arc<str>, i32)>,
    tag: Option<Box<str>>,
    pub(crate) waits: bool,
}

impl BatchKey {
    /// The key of a message that may be gathered.
    pub(crate) fn of(message: &Message) -> Option<Arc<Self>> {
        let queue = match message.placement() {
            Placement::Any => None,
            Placement::Queue(queue) => Some((queue.broker.clone(), queue.id)),
            Placement::Hash(_) | Placement::Random | Placement::Select(_) => return None,
        };
        if message.own_timeout().is_some() || message.topic().starts_with(topic::RETRY_PREFIX) {
            return None;
        }
        let mut tag = None;
        for (name, value) in message.properties().iter() {
            match name {
                property::TAGS => tag = Some(value.into()),
                property::DELAY if value == "0" => {}
                property::DELAY => return None,
                _ if name.starts_with("TIMER_") || ONE_BY_ONE.contains(&name) => return None,
                _ => {}
            }
        }
        Some(Arc::new(Self {
            topic: message.topic().clone(),
            queue,
            tag,
            waits: message.waits_for_store(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::MessageQueue;

    use super::*;

    fn message() -> Message {
        Message::new("T", "body")
    }

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new(TopicName::new("T").unwrap(), "b", id)
    }

    /// One row a line of D.8, "not batched".
    #[test]
    fn what_is_sent_one_by_one_is_not_gathered() {
        let with = |name, value| {
            let mut message = message();
            message.properties_mut().set(name, value).unwrap();
            message
        };
        let rows = [
            ("delay level", message().delay_level(3)),
            (
                "relative timer",
                message().deliver_after(Duration::from_secs(1)),
            ),
            ("absolute timer", message().deliver_at(1_800_000_000_000)),
            (
                "cloud delay",
                with(property::START_DELIVER_TIME, "1800000000000"),
            ),
            ("retry topic", Message::new("%RETRY%g", "body")),
            ("group of a transaction", with(property::PGROUP, "g")),
            ("half message", with(property::TRAN_MSG, "true")),
            ("own timeout", message().timeout(Duration::from_secs(1))),
            ("request", with(property::CORRELATION_ID, "id")),
            ("reply", with(property::MSG_TYPE, "reply")),
            ("hash", message().by("key")),
            ("chance", message().at_random()),
            ("closure", message().select(|_, _| None)),
        ];
        for (what, message) in rows {
            assert!(BatchKey::of(&message).is_none(), "{what}");
        }
        assert!(BatchKey::of(&message()).is_some());
        assert!(BatchKey::of(&with(property::DELAY, "0")).is_some());
    }

    #[test]
    fn topic_queue_tag_and_wait_make_the_key_and_nothing_else_does() {
        let of = |message: Message| BatchKey::of(&message).unwrap();
        let plain = of(message());
        assert_eq!(plain, of(message().key("k").property("p", "v").flag(7)));
        assert_eq!(plain, of(Message::new("T", "other").wait_store_ok(true)));
        let others = [
            Message::new("U", "body"),
            message().tag("a"),
            message().wait_store_ok(false),
            message().to(queue(0)),
            message().to(queue(1)),
        ];
        for (index, other) in others.iter().enumerate() {
            let key = BatchKey::of(other).unwrap();
            assert_ne!(plain, key);
            assert!(
                others[..index]
                    .iter()
                    .all(|o| BatchKey::of(o) != Some(key.clone()))
            );
            assert_eq!(BatchKey::of(other), Some(key));
        }
    }
}
