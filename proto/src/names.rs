//! Names that were checked once and are cheap to hand around: topics, groups, queues (PROTOCOL E.4).

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest topic name in UTF-16 units, the namespace included (PROTOCOL E.4).
pub const MAX_TOPIC_LEN: usize = 127;

/// Longest group name in UTF-16 units (PROTOCOL E.4).
pub const MAX_GROUP_LEN: usize = 255;

/// Well-known topics and what may be done with them (PROTOCOL E.4).
pub mod topic {
    /// The topic whose route serves for topics that do not exist yet (Java: `createTopicKey`).
    pub const DEFAULT_TOPIC: &str = "TBW102";
    /// Where brokers park delayed messages; nobody may send to it.
    pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
    /// Where brokers keep half messages; nobody may send to it.
    pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
    /// Where brokers note the fate of half messages; nobody may send to it.
    pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
    /// Where half messages end that were asked about too often; nobody may send to it.
    pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
    /// The default topic of trace records (PROTOCOL G.4); clients may send to it.
    pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
    /// A broker's self test; nobody may send to it.
    pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
    /// A broker's note about moved offsets; nobody may send to it.
    pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
    /// The topic of Java's benchmark programs; a system topic, yet clients may send to it.
    pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
    /// Check points of 5.x brokers.
    pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";
    /// Every topic that begins like this is a system topic.
    pub const SYSTEM_PREFIX: &str = "rmq_sys_";
    /// Prefix of a consumer group's retry topic.
    pub const RETRY_PREFIX: &str = "%RETRY%";
    /// Prefix of a consumer group's dead letter topic.
    pub const DLQ_PREFIX: &str = "%DLQ%";
    /// What follows the cluster name in the topic that carries replies (PROTOCOL G.3).
    pub const REPLY_SUFFIX: &str = "REPLY_TOPIC";

    const FORBIDDEN: [&str; 6] = [
        SCHEDULE_TOPIC,
        TRANS_HALF_TOPIC,
        TRANS_OP_HALF_TOPIC,
        TRANS_CHECK_MAX_TIME_TOPIC,
        SELF_TEST_TOPIC,
        OFFSET_MOVED_EVENT,
    ];

    const SYSTEM: [&str; 4] = [
        DEFAULT_TOPIC,
        BENCHMARK_TOPIC,
        TRACE_TOPIC,
        CHECKPOINT_TOPIC,
    ];

    /// Whether `topic` belongs to the servers: it cannot be created and is never put into a namespace.
    pub fn is_system_topic(topic: &str) -> bool {
        topic.starts_with(SYSTEM_PREFIX) || SYSTEM.contains(&topic) || FORBIDDEN.contains(&topic)
    }

    /// Whether a client may send to `topic` (the set of Java 4.9.4 and later).
    pub fn is_send_allowed(topic: &str) -> bool {
        !FORBIDDEN.contains(&topic)
    }
}

pub use topic::{is_send_allowed, is_system_topic};

/// The name of a topic: not blank, at most [`MAX_TOPIC_LEN`] long, only `%|a-zA-Z0-9_-` (PROTOCOL E.4).
///
/// A clone shares the text. The one exception to the rules is the topic of a
/// [`Message`](crate::Message) that was built from a bad name: it shows the text as given, and
/// [`Message::check`](crate::Message::check) refuses it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName(Arc<str>);

/// The name of a producer or consumer group: not blank, at most [`MAX_GROUP_LEN`] long, only
/// `%|a-zA-Z0-9_-` (PROTOCOL E.4). A clone shares the text.
///
/// `DEFAULT_PRODUCER` is a valid name here; it is the producer that refuses it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupName(Arc<str>);

/// One queue of a topic on one broker.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageQueue {
    /// The topic that the queue belongs to.
    pub topic: TopicName,
    /// The name (not the address) of the broker that holds the queue.
    pub broker: Arc<str>,
    /// The number of the queue on that broker, from 0.
    pub id: i32,
}

/// Why a text cannot be the name of a topic or group. Java gives these no code: it is -1.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidName {
    /// A topic that is empty or white space.
    #[error("The specified topic is blank; give it a name of 1 to {MAX_TOPIC_LEN} characters")]
    TopicBlank,
    /// A topic longer than [`MAX_TOPIC_LEN`].
    #[error(
        "The specified topic is longer than topic max length {MAX_TOPIC_LEN}. It has {} (namespace included); shorten it",
        utf16_len(name)
    )]
    TopicTooLong {
        /// The refused text.
        name: Box<str>,
    },
    /// A topic with characters that RocketMQ does not know in names.
    #[error(
        "The specified topic[{}] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        name.escape_debug()
    )]
    TopicIllegal {
        /// The refused text.
        name: Box<str>,
    },
    /// A group that is empty or white space.
    #[error("the specified group is blank; give it a name of 1 to {MAX_GROUP_LEN} characters")]
    GroupBlank,
    /// A group longer than [`MAX_GROUP_LEN`].
    #[error(
        "the specified group is longer than group max length {MAX_GROUP_LEN}. It has {}; shorten it",
        utf16_len(name)
    )]
    GroupTooLong {
        /// The refused text.
        name: Box<str>,
    },
    /// A group with characters that RocketMQ does not know in names.
    #[error(
        "the specified group[{}] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        name.escape_debug()
    )]
    GroupIllegal {
        /// The refused text.
        name: Box<str>,
    },
}

impl TopicName {
    /// Checks `name` and takes it as a topic.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] with the text of PROTOCOL E.4. Whether one may *send* to the topic is
    /// another question: [`topic::is_send_allowed`].
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = name.as_ref();
        // Legal characters are one unit each, so that the bytes can be counted.
        if (1..=MAX_TOPIC_LEN).contains(&name.len()) && has_legal_characters(name) {
            return Ok(Self(name.into()));
        }
        Err(if is_blank(name) {
            InvalidName::TopicBlank
        } else if utf16_len(name) > MAX_TOPIC_LEN {
            InvalidName::TopicTooLong { name: name.into() }
        } else {
            InvalidName::TopicIllegal { name: name.into() }
        })
    }

    /// Keeps a refused text for display; whoever holds it remembers the refusal as well.
    pub(crate) fn refused(name: &str) -> Self {
        Self(name.into())
    }
}

impl GroupName {
    /// Checks `name` and takes it as a group.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] with the text of PROTOCOL E.4.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = name.as_ref();
        if is_blank(name) {
            return Err(InvalidName::GroupBlank);
        }
        if utf16_len(name) > MAX_GROUP_LEN {
            return Err(InvalidName::GroupTooLong { name: name.into() });
        }
        if !has_legal_characters(name) {
            return Err(InvalidName::GroupIllegal { name: name.into() });
        }
        Ok(Self(name.into()))
    }
}

impl MessageQueue {
    /// Queue `id` of `topic` on the broker named `broker`.
    pub fn new(topic: TopicName, broker: impl Into<Arc<str>>, id: i32) -> Self {
        Self {
            topic,
            broker: broker.into(),
            id,
        }
    }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.topic, self.broker, self.id)
    }
}

macro_rules! shared_text {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

shared_text!(TopicName);
shared_text!(GroupName);

/// Java's notion: empty, or white space throughout.
pub(crate) fn is_blank(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    !text.bytes().any(is_plain) && text.trim().is_empty()
}

fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

fn has_legal_characters(name: &str) -> bool {
    name.bytes().all(|byte| LEGAL[usize::from(byte)])
}

const LEGAL: [bool; 256] = {
    let mut legal = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        legal[byte] =
            character.is_ascii_alphanumeric() || matches!(character, b'%' | b'|' | b'_' | b'-');
        byte += 1;
    }
    legal
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_127_pass_and_of_128_are_refused_with_javas_text() {
        assert!(TopicName::new("t".repeat(127)).is_ok());
        let error = TopicName::new("t".repeat(128)).unwrap_err().to_string();
        assert!(error.starts_with("The specified topic is longer than topic max length 127."));
        assert!(error.contains("128"), "{error}");
    }

    #[test]
    fn length_counts_utf16_units_and_is_checked_before_the_characters() {
        // 64 surrogate pairs are 128 units but 64 characters.
        let name = "😀".repeat(64);
        assert_eq!(
            TopicName::new(&name),
            Err(InvalidName::TopicTooLong {
                name: name.as_str().into()
            })
        );
    }

    #[test]
    fn names_allow_javas_characters_only() {
        assert!(TopicName::new("%RETRY%a|B-9_").is_ok());
        for bad in ["a b", "a.b", "a/b", "тема", "a\u{1}b"] {
            let error = TopicName::new(bad).unwrap_err().to_string();
            assert!(
                error.ends_with("allowing only ^[%|a-zA-Z0-9_-]+$"),
                "{error}"
            );
            assert!(GroupName::new(bad).is_err());
        }
    }

    #[test]
    fn blank_names_say_which_name_is_blank() {
        for blank in ["", " ", "\t\n"] {
            assert_eq!(TopicName::new(blank), Err(InvalidName::TopicBlank));
            assert_eq!(GroupName::new(blank), Err(InvalidName::GroupBlank));
        }
    }

    #[test]
    fn groups_of_255_pass_and_of_256_are_refused() {
        assert!(GroupName::new("g".repeat(255)).is_ok());
        assert!(matches!(
            GroupName::new("g".repeat(256)),
            Err(InvalidName::GroupTooLong { .. })
        ));
    }

    #[test]
    fn the_two_lists_of_special_topics_are_those_of_e4() {
        for forbidden in [
            "SCHEDULE_TOPIC_XXXX",
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "SELF_TEST_TOPIC",
        ] {
            assert!(!is_send_allowed(forbidden) && is_system_topic(forbidden));
        }
        for system in [
            "TBW102",
            "BenchmarkTest",
            "RMQ_SYS_TRACE_TOPIC",
            "rmq_sys_anything",
        ] {
            assert!(is_send_allowed(system) && is_system_topic(system));
        }
        assert!(is_send_allowed("orders") && !is_system_topic("orders"));
    }
}
