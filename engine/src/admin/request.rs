//! What can be asked, checked before any lock.

use std::ops::Range;
use std::time::Duration;

use rocketmq_proto::{
    ClusterInfo, InvalidId, InvalidRecallHandle, MessageQueue, OffsetMessageId, RecallHandle,
    StoredMessage, TopicName, is_system_topic, topic,
};

use super::answer::{AdminAnswer, CreatedTopic, QueryResult};
use crate::config::Config;
use crate::error::SendError;

/// Longest key, in bytes: none longer fits the properties of a message (PROTOCOL D.1).
const MAX_KEY: usize = i16::MAX as usize;
/// Longest list of attributes, in bytes.
const MAX_ATTRIBUTES: usize = i16::MAX as usize;
/// Most queues of a topic on one broker.
const MAX_QUEUES: i32 = 1 << 16;
/// Most messages that a query may ask of one broker.
const MAX_QUERIED: u32 = 1024;

/// A request that is not a send. Made by the functions of [`Question`], which check it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminRequest {
    /// The brokers and clusters that the name servers know (GET_BROKER_CLUSTER_INFO, B.13).
    ClusterInfo,
    /// Makes a topic on every master of its key topic (UPDATE_AND_CREATE_TOPIC, B.8).
    CreateTopic(NewTopic),
    /// When the oldest message of a queue was stored (GET_EARLIEST_MSG_STORETIME, B.9).
    EarliestStoreTime(MessageQueue),
    /// A message of a topic by either of its ids: VIEW_MESSAGE_BY_ID first if the id can be one of a
    /// broker, then QUERY_MESSAGE (B.11).
    Find {
        /// The topic.
        topic: TopicName,
        /// An offset id or a unique id.
        id: String,
    },
    /// The offset that a queue's next message will have (GET_MAX_OFFSET, B.9).
    MaxOffset(MessageQueue),
    /// The offset of a queue's oldest message (GET_MIN_OFFSET, B.9).
    MinOffset(MessageQueue),
    /// The messages of a topic with a key (QUERY_MESSAGE, B.11).
    Query(KeyQuery),
    /// Takes a delayed message back (RECALL_MESSAGE, B.14).
    Recall {
        /// The topic.
        topic: TopicName,
        /// As the receipt gave it.
        handle: String,
        /// The broker that the handle names.
        broker: String,
    },
    /// The offset of a queue at a time (SEARCH_OFFSET_BY_TIMESTAMP, B.9).
    SearchOffset {
        /// The queue.
        queue: MessageQueue,
        /// Milliseconds since 1970.
        at_ms: u64,
    },
    /// The topics that the name servers know (GET_ALL_TOPIC_LIST_FROM_NAMESERVER, B.13).
    TopicList,
    /// The message at an offset of a broker's store (VIEW_MESSAGE_BY_ID, B.10).
    View(OffsetMessageId),
}

/// A topic to be made, or changed (PROTOCOL B.8).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewTopic {
    pub(super) key_topic: String,
    pub(super) topic: String,
    pub(super) queues: i32,
    pub(super) perm: i32,
    pub(super) order: bool,
    pub(super) attributes: String,
}

/// A question for messages by key (PROTOCOL B.11).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyQuery {
    pub(super) topic: TopicName,
    pub(super) key: String,
    pub(super) max: u32,
    /// Milliseconds since 1970; `None` for a unique id, whose time is its own.
    pub(super) times: Option<Range<u64>>,
}

/// What is wrong with an admin request. The text begins with Java's where it has one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The topic belongs to the brokers (PROTOCOL E.4).
    #[error("The topic[{0}] is conflict with system topic. Choose another name")]
    SystemTopic(String),
    /// A topic needs queues.
    #[error("a topic cannot have {0} queues on a broker; give it from 1 to {MAX_QUEUES}")]
    Queues(i32),
    /// Permission bits that mean nothing (PROTOCOL C.3).
    #[error("{0} is no permission; add up 4 to read, 2 to write, 1 to inherit, as in 6")]
    Permission(i32),
    /// The attributes would not be read as they were meant.
    #[error(
        "the attributes `{0}` cannot be sent; names and values hold no `+`, `-` in front, `,` or `=`, \
         and take {MAX_ATTRIBUTES} bytes at most"
    )]
    Attributes(String),
    /// There is no key, or one that no message can have.
    #[error("a key of {0} bytes finds nothing; keys have from 1 to {MAX_KEY} bytes")]
    Key(usize),
    /// Nothing, or too much, is asked for.
    #[error("{0} messages cannot be asked for; ask for 1 to {MAX_QUERIED}")]
    Max(u32),
    /// The id is none that a broker gives.
    #[error("`{0}` is no offset message id: {1}. Pass `offset_message_id` of a receipt")]
    OffsetId(String, InvalidId),
    /// The handle is none.
    #[error(transparent)]
    RecallHandle(#[from] InvalidRecallHandle),
    /// Messages of this topic cannot be recalled.
    #[error("topic is not supported: messages of {0} cannot be recalled")]
    RecallTopic(TopicName),
}

/// A request, and how its answer is read.
#[derive(Debug)]
#[must_use = "does nothing until it is put"]
pub struct Question<T> {
    /// What to ask; the error when an argument breaks a rule ([`InvalidRequest`]).
    pub request: Result<AdminRequest, SendError>,
    /// How to read the answer. Inflates bodies, so call it where that may take its time.
    pub read: fn(AdminAnswer) -> Option<T>,
}

impl NewTopic {
    /// A topic with so many queues to read and to write on each master of the key topic, readable
    /// and writable.
    pub fn new(topic: impl Into<String>, queues: i32) -> Self {
        Self {
            key_topic: topic::DEFAULT_TOPIC.to_owned(),
            topic: topic.into(),
            queues,
            perm: 6,
            order: false,
            attributes: String::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.topic
    }

    /// On whose brokers it is made (`key`): those that have this topic. Default `TBW102`, which every
    /// broker has that makes topics by itself; the name of a cluster works as well.
    pub fn key_topic(mut self, key_topic: impl Into<String>) -> Self {
        self.key_topic = key_topic.into();
        self
    }

    /// Permission bits (PROTOCOL C.3). Default 6, to read and to write.
    pub fn perm(mut self, perm: i32) -> Self {
        self.perm = perm;
        self
    }

    /// Whether it is an orderly topic. Default false.
    pub fn order(mut self, order: bool) -> Self {
        self.order = order;
        self
    }

    /// Sets an attribute, such as `message.type` to `TRANSACTION`. 5.x brokers only; others ignore it.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        if !self.attributes.is_empty() {
            self.attributes.push(',');
        }
        self.attributes.push_str(&format!("+{name}={value}"));
        self
    }

    fn check(self) -> Result<AdminRequest, SendError> {
        let name = TopicName::new(&self.topic)?;
        TopicName::new(&self.key_topic)?;
        if is_system_topic(&name) {
            return Err(InvalidRequest::SystemTopic(self.topic).into());
        }
        if !(1..=MAX_QUEUES).contains(&self.queues) {
            return Err(InvalidRequest::Queues(self.queues).into());
        }
        if !(0..16).contains(&self.perm) {
            return Err(InvalidRequest::Permission(self.perm).into());
        }
        let is_sound = |item: &str| {
            let pair = item.strip_prefix('+').and_then(|item| item.split_once('='));
            pair.is_some_and(|(name, value)| {
                !name.is_empty() && !name.starts_with(['+', '-']) && !value.contains('=')
            })
        };
        let attributes = &self.attributes;
        let are_sound = attributes.is_empty() || attributes.split(',').all(is_sound);
        if !are_sound || attributes.len() > MAX_ATTRIBUTES {
            return Err(InvalidRequest::Attributes(self.attributes).into());
        }
        Ok(AdminRequest::CreateTopic(self))
    }
}

impl AdminRequest {
    /// The budget of a call that names none: 6 s as Java for topics, offsets and single messages,
    /// 18 s for queries and what may end as one (`queryMessage`), the send timeout for a recall.
    pub fn default_timeout(&self, config: &Config) -> Duration {
        match self {
            Self::Find { .. } | Self::Query(_) => Duration::from_secs(18),
            Self::Recall { .. } => config.send_timeout,
            _ => Duration::from_secs(6),
        }
    }
}

impl Question<CreatedTopic> {
    /// Makes a topic.
    pub fn create_topic(topic: NewTopic) -> Self {
        Self::new(topic.check(), AdminAnswer::into_created)
    }
}

impl Question<i64> {
    /// The offset of the first message stored at or after a time, milliseconds since 1970.
    pub fn search_offset(queue: &MessageQueue, at_ms: u64) -> Self {
        let queue = queue.clone();
        let request = AdminRequest::SearchOffset { queue, at_ms };
        Self::new(Ok(request), AdminAnswer::into_number)
    }

    /// The offset that the next message will have.
    pub fn max_offset(queue: &MessageQueue) -> Self {
        let request = AdminRequest::MaxOffset(queue.clone());
        Self::new(Ok(request), AdminAnswer::into_number)
    }

    /// The offset of the oldest message.
    pub fn min_offset(queue: &MessageQueue) -> Self {
        let request = AdminRequest::MinOffset(queue.clone());
        Self::new(Ok(request), AdminAnswer::into_number)
    }

    /// When the oldest message was stored, milliseconds since 1970.
    pub fn earliest_store_time(queue: &MessageQueue) -> Self {
        let request = AdminRequest::EarliestStoreTime(queue.clone());
        Self::new(Ok(request), AdminAnswer::into_number)
    }
}

impl Question<StoredMessage> {
    /// The message with this offset id, from the broker that the id names.
    pub fn view_message(id: &str) -> Self {
        let parsed = id.parse().map(AdminRequest::View);
        let invalid = |error| InvalidRequest::OffsetId(shortened(id), error).into();
        Self::new(parsed.map_err(invalid), AdminAnswer::into_message)
    }

    /// The message of a topic with this id, of either kind.
    pub fn find_message(topic: impl AsRef<str>, id: &str) -> Self {
        let find = |topic| {
            let id = checked_key(id)?;
            Ok(AdminRequest::Find { topic, id })
        };
        let request = TopicName::new(topic).map_err(SendError::from);
        Self::new(request.and_then(find), AdminAnswer::into_message)
    }

    /// The message of a topic with this unique id.
    pub fn view_by_unique_id(topic: impl AsRef<str>, unique_id: &str) -> Self {
        let query = KeyQuery::by_unique_id(topic, unique_id);
        Self::new(query.map(AdminRequest::Query), AdminAnswer::into_first)
    }
}

impl Question<QueryResult> {
    /// The messages of a topic with a key, stored within these times, milliseconds since 1970; at most
    /// `max` of each broker.
    pub fn query_message(topic: impl AsRef<str>, key: &str, max: u32, times: Range<u64>) -> Self {
        let query = KeyQuery::by_key(topic, key, max, times);
        Self::new(query.map(AdminRequest::Query), AdminAnswer::into_messages)
    }
}

impl Question<ClusterInfo> {
    /// The brokers and clusters that the name servers know.
    pub fn cluster_info() -> Self {
        Self::new(Ok(AdminRequest::ClusterInfo), AdminAnswer::into_cluster)
    }
}

impl Question<Vec<String>> {
    /// The topics that the name servers know.
    pub fn topic_list() -> Self {
        Self::new(Ok(AdminRequest::TopicList), AdminAnswer::into_topics)
    }
}

impl Question<String> {
    /// Takes a delayed message back.
    pub fn recall(topic: impl AsRef<str>, handle: &str) -> Self {
        let recall = |topic: TopicName| {
            if topic.starts_with(topic::RETRY_PREFIX) || topic.starts_with(topic::DLQ_PREFIX) {
                return Err(InvalidRequest::RecallTopic(topic).into());
            }
            let broker = RecallHandle::decode(handle).map_err(InvalidRequest::from)?;
            Ok(AdminRequest::Recall {
                topic,
                handle: handle.to_owned(),
                broker: broker.broker,
            })
        };
        let topic = TopicName::new(topic).map_err(SendError::from);
        Self::new(topic.and_then(recall), AdminAnswer::into_recalled)
    }
}

impl<T> Question<T> {
    /// The request alone, for who drives the engine himself.
    ///
    /// # Errors
    /// An argument breaks a rule ([`InvalidRequest`]).
    pub fn into_request(self) -> Result<AdminRequest, SendError> {
        self.request
    }

    fn new(request: Result<AdminRequest, SendError>, read: fn(AdminAnswer) -> Option<T>) -> Self {
        Self { request, read }
    }
}

impl KeyQuery {
    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    fn by_key(
        topic: impl AsRef<str>,
        key: &str,
        max: u32,
        times: Range<u64>,
    ) -> Result<Self, SendError> {
        if !(1..=MAX_QUERIED).contains(&max) {
            return Err(InvalidRequest::Max(max).into());
        }
        Ok(Self {
            topic: TopicName::new(topic)?,
            key: checked_key(key)?,
            max,
            times: Some(times),
        })
    }

    /// PROTOCOL B.11: a query by unique id asks for 32.
    pub(super) fn by_unique_id(topic: impl AsRef<str>, id: &str) -> Result<Self, SendError> {
        Ok(Self {
            topic: TopicName::new(topic)?,
            key: checked_key(id)?,
            max: 32,
            times: None,
        })
    }
}

fn checked_key(key: &str) -> Result<String, SendError> {
    if key.trim().is_empty() || key.len() > MAX_KEY {
        return Err(InvalidRequest::Key(key.len()).into());
    }
    Ok(key.to_owned())
}

/// As much of a wrong text as an error needs.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
