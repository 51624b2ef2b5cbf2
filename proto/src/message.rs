//! A message to send: a chain that never fails, and one check at its end (PROTOCOL D.1, E.4).

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::msg_id::UniqueId;
use crate::names::{self, MessageQueue, TopicName, topic};
use crate::properties::{InvalidProperty, Properties, check_value, property};

mod into_topic;
mod invalid;
mod placement;
mod reply;

pub use into_topic::IntoTopic;
pub use invalid::InvalidMessage;
pub use placement::{Placement, Selector, ShardKey, java_hash};
pub use reply::reply_topic;

/// Most bytes of a message's properties: what a broker takes (32 767) less 512 for what it adds
/// itself, as CLUSTER and MSG_REGION (PROTOCOL D.1).
pub const MAX_PROPERTIES_LEN: usize = 32_767 - 512;

/// Largest body by default, before compression: 4 MiB (Java: `maxMessageSize`).
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 4 * 1024 * 1024;

/// The longest written form of a unique id, assumed where none was made yet.
const LONGEST_UNIQUE_ID: usize = 56;

/// A message to send.
///
/// ```
/// use rocketmq_proto::Message;
///
/// let message = Message::new("orders", "eur 3.50").tag("created").key("o-42");
/// assert_eq!(message.properties().as_wire(), "TAGS\u{1}created\u{2}KEYS\u{1}o-42");
/// assert!(message.check(4 << 20).is_ok());
/// ```
///
/// The chain never fails: the first argument that cannot be sent is remembered, and
/// [`check`](Self::check), which every producer calls, reports it. A clone shares topic and body.
#[derive(Clone)]
pub struct Message {
    topic: TopicName,
    body: Bytes,
    properties: Properties,
    flag: i32,
    placement: Placement,
    timeout: Option<Duration>,
    fault: Option<Box<InvalidMessage>>,
}

impl Message {
    /// A message of `body` for `topic`, without properties, for any queue, with flag 0.
    ///
    /// A body given as `Bytes`, `Vec<u8>`, `String` or a `'static` slice is not copied.
    pub fn new(topic: impl IntoTopic, body: impl Into<Bytes>) -> Self {
        let (topic, fault) = match topic.into_topic() {
            Ok(topic) => (topic, None),
            Err((text, why)) => (TopicName::refused(&text), Some(Box::new(why.into()))),
        };
        Self {
            topic,
            body: body.into(),
            properties: Properties::new(),
            flag: 0,
            placement: Placement::Any,
            timeout: None,
            fault,
        }
    }

    /// The one tag by which consumers filter; replaces an earlier one.
    pub fn tag(self, tag: impl AsRef<str>) -> Self {
        self.with(property::TAGS, tag.as_ref())
    }

    /// Adds a key by which the broker indexes the message. Keys are joined by one space, so that a
    /// key with spaces counts as several.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        let key = key.as_ref();
        match self.properties.get(property::KEYS) {
            Some(keys) if !names::is_blank(key) => {
                let keys = format!("{keys} {key}");
                self.write(property::KEYS, &keys);
            }
            _ => self.write(property::KEYS, key),
        }
        self
    }

    /// Adds each of `keys` as [`key`](Self::key) does.
    pub fn keys<K: AsRef<str>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, Self::key)
    }

    /// Sets a property of the user's own; replaces an earlier value (Java: `putUserProperty`).
    ///
    /// Names of [`property::RESERVED`], blank names and values, and U+0001 and U+0002 in either are
    /// faults that [`check`](Self::check) reports.
    pub fn property(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(fault) = self.write_own(name.as_ref(), value.as_ref()) {
            self.refuse(fault);
        }
        self
    }

    /// The application's own number, carried untouched; 0 by default.
    pub fn flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// Delivers after the broker's delay level 1 to 18 (1 s to 2 h unless the broker says otherwise;
    /// larger levels count as the last); 0 delivers at once. Replaces any other delay.
    pub fn delay_level(mut self, level: impl Into<i32>) -> Self {
        let level = level.into();
        self.remove_delay();
        match level {
            0 => self,
            1.. => self.with(property::DELAY, &level.to_string()),
            _ => {
                self.refuse(InvalidProperty::BadValue {
                    name: property::DELAY.into(),
                    value: level.to_string().into(),
                    expected: "levels are 1 to 18, and 0 for no delay",
                });
                self
            }
        }
    }

    /// Delivers `delay` after the broker got the message, in steps of its timer (1 s). Replaces any
    /// other delay. Needs a 5.x broker and at most 3 days; a 4.9 broker **delivers at once**.
    pub fn deliver_after(mut self, delay: Duration) -> Self {
        let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        self.remove_delay();
        self.with(property::TIMER_DELAY_MS, &millis.to_string())
    }

    /// Delivers at `unix_ms`, milliseconds since 1970; a past time delivers at once. Replaces any
    /// other delay. Needs a 5.x broker and at most 3 days; a 4.9 broker **delivers at once**.
    pub fn deliver_at(mut self, unix_ms: u64) -> Self {
        let millis = i64::try_from(unix_ms).unwrap_or(i64::MAX);
        self.remove_delay();
        self.with(property::TIMER_DELIVER_MS, &millis.to_string())
    }

    /// Whether the broker answers only once its flush and replication rules are met; true unless
    /// said otherwise (Java: `waitStoreMsgOK`).
    pub fn wait_store_ok(self, wait: bool) -> Self {
        self.with(property::WAIT, if wait { "true" } else { "false" })
    }

    /// Marks a FIFO message of a 5.x topic and names its message group. The queue is another matter:
    /// see [`by`](Self::by).
    pub fn sharding_key(self, key: impl AsRef<str>) -> Self {
        self.with(property::SHARDING_KEY, key.as_ref())
    }

    /// Sends to exactly this queue; never to another one, and without retry elsewhere.
    pub fn to(mut self, queue: MessageQueue) -> Self {
        self.placement = Placement::Queue(queue);
        self
    }

    /// Sends to the queue that `key` hashes to, as Java's `SelectMessageQueueByHash` (PROTOCOL F.3).
    pub fn by(mut self, key: impl ShardKey) -> Self {
        self.placement = Placement::Hash(key.shard_hash());
        self
    }

    /// Sends to one queue taken at random, all of them alike (Java: `SelectMessageQueueByRandom`,
    /// PROTOCOL F.3). A retry stays with it, as with any queue that was chosen.
    pub fn at_random(mut self) -> Self {
        self.placement = Placement::Random;
        self
    }

    /// Lets `choose` take one of the topic's queues, given as index into the list; `None`, or an
    /// index behind its end, fails the send. Runs once a send, on the caller's side.
    pub fn select(
        mut self,
        choose: impl Fn(&[MessageQueue], &Self) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        self.placement = Placement::Select(Selector::new(choose));
        self
    }

    /// The budget of the whole send; by default the producer's (3 s, Java: `sendMsgTimeout`).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Moves the message, and the queue it names, to another topic: for namespaces (PROTOCOL G.6).
    pub fn with_topic(mut self, topic: TopicName) -> Self {
        if let Placement::Queue(queue) = &mut self.placement {
            if queue.topic == self.topic {
                queue.topic = topic.clone();
            }
        }
        self.topic = topic;
        self
    }

    /// Replaces the body, as compression does on the producer's own copy.
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Adds what every message carries when it leaves (PROTOCOL D.2): a unique id from `next_id`
    /// unless there is one, and `WAIT` = `true` unless there is a `WAIT`, as Java's constructors do.
    /// Says where in the [wire string](Properties::as_wire) of the properties the id stands.
    pub fn stamp(&mut self, next_id: impl FnOnce() -> UniqueId) -> Range<usize> {
        let known = self.properties.range_of(property::UNIQ_KEY);
        let id = known.unwrap_or_else(|| {
            let id = next_id().to_hex();
            self.properties.append(property::UNIQ_KEY, &id)
        });
        if !self.properties.contains(property::WAIT) {
            self.properties.append(property::WAIT, "true");
        }
        id
    }

    /// The properties, for producers and tools: reserved names can be set here.
    pub fn properties_mut(&mut self) -> &mut Properties {
        &mut self.properties
    }

    /// Whether the message can be sent with bodies of up to `max_body` bytes (Java:
    /// `maxMessageSize`, 4 MiB), the body as it is before compression.
    ///
    /// # Errors
    ///
    /// The first fault of the chain, else of topic, body and properties, in Java's order.
    pub fn check(&self, max_body: usize) -> Result<(), InvalidMessage> {
        if let Some(fault) = &self.fault {
            return Err((**fault).clone());
        }
        if !topic::is_send_allowed(&self.topic) {
            return Err(InvalidMessage::ForbiddenTopic(self.topic.clone()));
        }
        if self.body.is_empty() {
            return Err(InvalidMessage::EmptyBody);
        }
        if self.body.len() > max_body {
            return Err(InvalidMessage::BodyTooLong {
                len: self.body.len(),
                limit: max_body,
            });
        }
        self.check_properties()?;
        match &self.placement {
            Placement::Queue(queue) if queue.topic != self.topic => {
                Err(InvalidMessage::QueueOfOtherTopic {
                    message: self.topic.clone(),
                    queue: queue.topic.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The properties that were set so far.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The application's own number ([`flag`](Self::flag) sets it).
    pub fn flag_value(&self) -> i32 {
        self.flag
    }

    /// Which queue the message is for.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The budget of this send, where [`timeout`](Self::timeout) gave it one of its own.
    pub fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether the broker is to wait for flush and replication: true unless `WAIT` says otherwise.
    pub fn waits_for_store(&self) -> bool {
        self.properties
            .get(property::WAIT)
            .is_none_or(|wait| wait.eq_ignore_ascii_case("true"))
    }

    /// Bytes of the properties once [`stamp`](Self::stamp) was called, a unique id counted with its
    /// longest form (56, an IPv6 host) where there is none yet.
    pub(crate) fn stamped_properties_len(&self) -> usize {
        let mut len = self.properties.as_wire().len();
        let mut separated = !self.properties.needs_separator();
        let mut count = |name: &str, value_len: usize| {
            len += name.len() + 1 + value_len + usize::from(!separated);
            separated = false;
        };
        if !self.properties.contains(property::UNIQ_KEY) {
            count(property::UNIQ_KEY, LONGEST_UNIQUE_ID);
        }
        if !self.properties.contains(property::WAIT) {
            count(property::WAIT, "true".len());
        }
        len
    }

    fn check_properties(&self) -> Result<(), InvalidMessage> {
        let len = self.stamped_properties_len();
        if len > MAX_PROPERTIES_LEN {
            return Err(InvalidMessage::PropertiesTooLong { len });
        }
        match self.properties.get(property::INNER_MULTI_DISPATCH) {
            Some(queues) if queues.contains(['/', '\\']) => {
                Err(InvalidMessage::DispatchPath(queues.into()))
            }
            _ => Ok(()),
        }
    }

    /// Sets a property of the protocol.
    #[inline(always)]
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.write(name, value);
        self
    }

    #[inline(always)]
    fn write(&mut self, name: &'static str, value: &str) {
        match check_value(name, value) {
            Ok(()) => self.properties.replace(name, value),
            Err(fault) => self.refuse(fault),
        }
    }

    /// Sets a property of the user's own.
    fn write_own(&mut self, name: &str, value: &str) -> Result<(), InvalidProperty> {
        if property::is_reserved(name) {
            return Err(InvalidProperty::Reserved { name: name.into() });
        }
        if names::is_blank(name) {
            return Err(InvalidProperty::BlankName);
        }
        check_value(name, value)?;
        self.properties.set(name, value)
    }

    fn remove_delay(&mut self) {
        for name in [
            property::DELAY,
            property::TIMER_DELAY_SEC,
            property::TIMER_DELAY_MS,
            property::TIMER_DELIVER_MS,
        ] {
            self.properties.remove(name);
        }
    }

    fn refuse(&mut self, fault: InvalidProperty) {
        self.fault.get_or_insert_with(|| Box::new(fault.into()));
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("body_len", &self.body.len())
            .field("properties", &self.properties)
            .field("flag", &self.flag)
            .field("placement", &self.placement)
            .field("timeout", &self.timeout)
            .field("fault", &self.fault)
            .finish()
    }
}

#[cfg(test)]
mod tests;
