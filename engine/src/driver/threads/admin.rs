//! What an application asks beside its sends, on threads.

use std::ops::Range;
use std::time::Duration;

use rocketmq_proto::{ClusterInfo, MessageQueue, StoredMessage};

use crate::admin::{CreatedTopic, NewTopic, QueryResult, Question};
use crate::driver::{Handle, park_on};
use crate::error::SendError;
use crate::io::Now;

/// Questions about topics, offsets and messages; from [`Producer::admin`](super::Producer::admin).
///
/// Each call has one budget for everything: route, connection, all servers and all tries. At most
/// [`MAX_QUESTIONS`](crate::MAX_QUESTIONS) are under way at once; they take no room from the sends.
///
/// # Errors
/// Of every call: [`SendError`], whose kind says whether an argument breaks a rule, no route names a
/// server to ask, none could be reached, one answered with an error ([`code`](SendError::code) and its
/// own words in [`attempts`](SendError::attempts), with its address), or time ran out.
#[derive(Clone, Debug)]
pub struct Admin {
    handle: Handle,
    timeout: Option<Duration>,
}

impl Admin {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            timeout: None,
        }
    }

    /// The same with a budget for each call. Default: 6 s for topics, offsets and single messages, 18 s
    /// for `query_message`, `find_message` and `view_by_unique_id` (Java's), the send timeout for a
    /// recall.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes a topic, or changes it, on every master of its key topic: up to five tries each within
    /// the budget, side by side (Java: `createTopic`; PROTOCOL B.8). A topic can be sent to as soon as
    /// the brokers have told the name servers of it.
    ///
    /// # Errors
    /// No broker made it. Those that did not, beside others that did, are in
    /// [`CreatedTopic::failures`].
    pub fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, SendError> {
        self.ask(Question::create_topic(topic))
    }

    /// The offset of the first message of a queue that was stored at or after a time, milliseconds
    /// since 1970 (Java: `searchOffset`; PROTOCOL B.9).
    pub fn search_offset(&self, queue: &MessageQueue, unix_ms: u64) -> Result<i64, SendError> {
        self.ask(Question::search_offset(queue, unix_ms))
    }

    /// The offset that the next message of a queue will have (Java: `maxOffset`; PROTOCOL B.9). 0 for
    /// a queue that does not exist.
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64, SendError> {
        self.ask(Question::max_offset(queue))
    }

    /// The offset of a queue's oldest message (Java: `minOffset`; PROTOCOL B.9).
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64, SendError> {
        self.ask(Question::min_offset(queue))
    }

    /// When a queue's oldest message was stored, milliseconds since 1970; negative when there is none
    /// (Java: `earliestMsgStoreTime`; PROTOCOL B.9).
    pub fn earliest_store_time(&self, queue: &MessageQueue) -> Result<i64, SendError> {
        self.ask(Question::earliest_store_time(queue))
    }

    /// The message with an offset id, `offset_message_id` of its receipt, from the broker whose address
    /// is in the id (Java: `viewMessage`; PROTOCOL B.10). Its body is decompressed.
    ///
    /// # Errors
    /// [`NotFound`](crate::SendErrorKind::NotFound) when the broker has no such message.
    pub fn view_message(
        &self,
        offset_message_id: impl AsRef<str>,
    ) -> Result<StoredMessage, SendError> {
        self.ask(Question::view_message(offset_message_id.as_ref()))
    }

    /// The message of a topic with an id of either kind: looked up in the store first, if the id names
    /// a broker of the topic, then by unique id (Java: `viewMessage(topic, id)`; PROTOCOL B.11).
    ///
    /// # Errors
    /// [`NotFound`](crate::SendErrorKind::NotFound) when no broker of the topic has such a message.
    pub fn find_message(
        &self,
        topic: impl AsRef<str>,
        id: impl AsRef<str>,
    ) -> Result<StoredMessage, SendError> {
        self.ask(Question::find_message(topic, id.as_ref()))
    }

    /// The message of a topic with a unique id, `message_id` of its receipt; the oldest when there are
    /// several (Java: `queryMessageByUniqKey`; PROTOCOL B.11). Brokers index messages a moment after
    /// they were stored. Ids older than a month do not tell when they were made: look for those with
    /// [`query_message`](Self::query_message).
    ///
    /// # Errors
    /// [`NotFound`](crate::SendErrorKind::NotFound) when no broker of the topic has such a message.
    pub fn view_by_unique_id(
        &self,
        topic: impl AsRef<str>,
        unique_id: impl AsRef<str>,
    ) -> Result<StoredMessage, SendError> {
        self.ask(Question::view_by_unique_id(topic, unique_id.as_ref()))
    }

    /// The messages of a topic with a key that were stored within `unix_ms`, milliseconds since 1970;
    /// at most `max` (1 to 1024) of each broker, of which brokers allow 32 or 64 by default (Java:
    /// `queryMessage`; PROTOCOL B.11). Answers of more than 64 MiB in all are not kept.
    ///
    /// # Errors
    /// [`NotFound`](crate::SendErrorKind::NotFound) when all brokers answered that there is none.
    pub fn query_message(
        &self,
        topic: impl AsRef<str>,
        key: impl AsRef<str>,
        max: u32,
        unix_ms: Range<u64>,
    ) -> Result<QueryResult, SendError> {
        self.ask(Question::query_message(topic, key.as_ref(), max, unix_ms))
    }

    /// The brokers and clusters that the name servers know (PROTOCOL B.13). Of several name servers the
    /// first that answers counts.
    pub fn cluster_info(&self) -> Result<ClusterInfo, SendError> {
        self.ask(Question::cluster_info())
    }

    /// The names of all topics that the name servers know, those of the brokers' own among them
    /// (PROTOCOL B.13).
    pub fn topic_list(&self) -> Result<Vec<String>, SendError> {
        self.ask(Question::topic_list())
    }

    pub(super) fn ask<T>(&self, question: Question<T>) -> Result<T, SendError> {
        let now = Now::system();
        let mut ticket = self.handle.admin(now, question.request?, self.timeout)?;
        let outcome = park_on(|waker| ticket.poll_outcome(waker));
        outcome.into_answer_of(question.read)
    }
}
