//! From the caller's message to what is sent: checked, given its unique id, compressed. All of it
//! happens on the caller's side, before any lock (DESIGN 4), and none of it touches the caller's
//! own copy (PROTOCOL I 40).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{
    Batch, BatchError, BatchMember, InvalidMessage, Message, MessageQueue, Placement, Properties,
    SysFlag, TopicName, UniqueId, compress, property, topic,
};

use crate::auto_batch::BatchKey;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::error::SendError;
use crate::hooks::Hooks;
use crate::transaction::EndTransaction;

/// A message, or a batch, ready to be sent as often as it takes: a try adds only queue, broker,
/// correlation number and born time.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) topic: TopicName,
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) properties: String,
    pub(crate) body: Bytes,
    pub(crate) id: IdPlace,
    pub(crate) batch: bool,
    /// Whether it is the reply to a request: such go under a code of their own (PROTOCOL B.2).
    pub(crate) reply: bool,
    /// What a request's reply will name; `None` for anything else.
    pub(crate) correlation: Option<CorrelationId>,
    pub(crate) reconsume_times: i32,
    pub(crate) max_reconsume_times: Option<i32>,
    /// Whom it may share a frame with; `None` when it has to have one for itself.
    pub(crate) key: Option<Arc<BatchKey>>,
    /// For END_TRANSACTION: what is sent instead of a message.
    pub(crate) end: Option<Box<EndTransaction>>,
    /// Whether only brokers from 5.0 on deliver it when it asks for that (PROTOCOL D.2).
    pub(crate) timed: bool,
}

/// Where a message's id is: nothing is kept twice while it is under way.
#[derive(Debug)]
pub(crate) enum IdPlace {
    /// In the properties, from byte to byte.
    Property(Range<u32>),
    /// The list of a batch's.
    List(Box<str>),
}

/// Which queue a message wants (PROTOCOL F).
#[derive(Debug)]
pub(crate) enum Target {
    /// Any: round robin.
    Any,
    /// The one at this hash, modulo the number of queues.
    Hash(i32),
    /// This one.
    Queue(Box<MessageQueue>),
    /// One taken at random, once.
    Random,
    /// The one that the message's closure chooses.
    Select(Box<Message>),
}

impl Prepared {
    /// Checks and prepares one message. `unique_id` is asked only when the message has no UNIQ_KEY.
    ///
    /// # Errors
    /// [`SendErrorKind::InvalidMessage`](crate::SendErrorKind) with the rule that is broken;
    /// [`SendErrorKind::Hook`](crate::SendErrorKind) when a hook refuses it.
    pub fn message(
        config: &Config,
        mut message: Message,
        unique_id: impl FnOnce() -> UniqueId,
    ) -> Result<Self, SendError> {
        message.check(config.max_message_size)?;
        let mut id = message.stamp(unique_id);
        let topic = match message.is_reply() {
            // Every broker has this topic under this name, whatever the namespace (PROTOCOL G.3).
            true => message.topic().clone(),
            false => wire_topic(config, message.topic())?,
        };
        name_instance(config, &mut message);
        let (body, mut sys_flag) = squeeze(config, message.body());
        if hooked(config) {
            Hooks::before_send(config, &mut message, &body, false)?;
        }
        if adds(config) {
            message.check(config.max_message_size)?;
            // What was added may have taken an earlier piece's place.
            let moved = message.properties().range_of(property::UNIQ_KEY);
            id = moved.unwrap_or_default();
        }
        let properties = message.properties();
        let timed = is_timed(properties);
        let half = properties.get(property::TRAN_MSG) == Some("true");
        let (mut reconsume_times, mut max_reconsume_times) = (None, None);
        if message.topic().starts_with(topic::RETRY_PREFIX) {
            let number = |name| properties.get(name).and_then(|text| text.parse().ok());
            reconsume_times = number(property::RECONSUME_TIME);
            max_reconsume_times = number(property::MAX_RECONSUME_TIMES);
        }
        let key = config.auto_batch.and_then(|_| BatchKey::of(&message));
        if half {
            sys_flag = sys_flag.with(SysFlag::TRANSACTION_PREPARED);
        }
        Ok(Self {
            topic,
            target: Target::of(message.placement(), Some(&message)),
            timeout: message.own_timeout().unwrap_or(config.send_timeout),
            flag: message.flag_value(),
            sys_flag: sys_flag.0,
            body,
            id: IdPlace::property(id),
            batch: false,
            reply: message.is_reply(),
            correlation: None,
            reconsume_times: reconsume_times.unwrap_or(0),
            max_reconsume_times,
            key,
            end: None,
            timed,
            properties: std::mem::take(message.properties_mut()).into_wire(),
        })
    }

    /// Checks and prepares a request, to which a consumer is to reply within `timeout`: marks it with
    /// its correlation id, whom to reply to, and the timeout in whole milliseconds (PROTOCOL G.3).
    ///
    /// A second request with an id that is under way takes the reply from the first: draw 122 random
    /// bits for each.
    ///
    /// # Errors
    /// As [`message`](Self::message).
    pub fn request(
        config: &Config,
        mut message: Message,
        timeout: Duration,
        correlation: CorrelationId,
        unique_id: impl FnOnce() -> UniqueId,
    ) -> Result<Self, SendError> {
        let ttl = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let marks = [
            (property::CORRELATION_ID, correlation.to_string()),
            (property::REPLY_TO_CLIENT, config.client_id.clone()),
            (property::TTL, ttl.to_string()),
        ];
        for (name, value) in marks {
            let set = message.properties_mut().set(name, &value);
            set.map_err(InvalidMessage::from)?;
        }
        let mut prepared = Self::message(config, message.timeout(timeout), unique_id)?;
        prepared.correlation = Some(correlation);
        Ok(prepared)
    }

    /// Checks and prepares a batch: each member gets its own unique id, the batch as such none
    /// (PROTOCOL D.8: a broker would store it over the members' own).
    ///
    /// # Errors
    /// [`SendErrorKind::InvalidMessage`](crate::SendErrorKind) with the rule that is broken;
    /// [`SendErrorKind::Hook`](crate::SendErrorKind) when a hook refuses a member.
    pub fn batch(
        config: &Config,
        mut batch: Batch,
        unique_id: impl FnMut() -> UniqueId,
    ) -> Result<Self, SendError> {
        batch.check(config.max_message_size)?;
        batch.stamp(unique_id);
        let topic = wire_topic(config, batch.topic())?;
        if adds(config) {
            for message in batch.messages_mut() {
                name_instance(config, message);
                let body = message.body().clone();
                Hooks::before_send(config, message, &body, true)?;
            }
            batch.check(config.max_message_size)?;
        }
        let mut body = BytesMut::new();
        batch.encode(&mut body)?;
        let ids = batch
            .messages()
            .iter()
            .filter_map(|m| m.properties().get(property::UNIQ_KEY));
        let ids = ids.collect::<Vec<_>>().join(",");
        let timeout = batch.own_timeout().unwrap_or(config.send_timeout);
        Ok(Self {
            target: Target::of(batch.placement(), batch.messages().first()),
            properties: batch_properties(batch.waits_for_store()),
            body: body.freeze(),
            id: IdPlace::List(ids.into()),
            batch: true,
            ..Self::plain(topic, timeout)
        })
    }

    /// One frame for messages with the same key; `None` when there is no message. Its body is the one
    /// copy that is made of them.
    pub(crate) fn together<'a>(
        members: impl Iterator<Item = &'a Self> + Clone,
    ) -> Option<Result<Self, BatchError>> {
        let first = members.clone().next()?;
        let waits = first.key.as_ref().is_none_or(|key| key.waits);
        let len = members.clone().map(|member| member.member().encoded_len());
        let mut body = BytesMut::with_capacity(len.sum());
        let mut ids = String::new();
        for member in members {
            if let Err(error) = member.member().encode(&mut body) {
                return Some(Err(error));
            }
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(member.message_id());
        }
        Some(Ok(Self {
            target: match &first.target {
                Target::Queue(queue) => Target::Queue(queue.clone()),
                _ => Target::Any,
            },
            properties: batch_properties(waits),
            body: body.freeze(),
            id: IdPlace::List(ids.into()),
            batch: true,
            ..Self::plain(first.topic.clone(), first.timeout)
        }))
    }

    /// What tells a broker about the end of a transaction; the budget is to be set.
    pub(crate) fn end(topic: TopicName, target: Target, end: EndTransaction) -> Self {
        let mut prepared = Self::plain(topic, Duration::ZERO);
        prepared.target = target;
        prepared.end = Some(Box::new(end));
        prepared
    }

    /// A message of the engine's own making, whose id nobody asks for.
    pub(crate) fn own(
        topic: TopicName,
        properties: String,
        body: String,
        timeout: Duration,
    ) -> Self {
        Self {
            properties,
            body: body.into(),
            ..Self::plain(topic, timeout)
        }
    }

    /// What all kinds have in common: an empty message to any queue, without an id.
    fn plain(topic: TopicName, timeout: Duration) -> Self {
        Self {
            topic,
            target: Target::Any,
            timeout,
            flag: 0,
            sys_flag: 0,
            properties: String::new(),
            body: Bytes::new(),
            id: IdPlace::property(0..0),
            batch: false,
            reply: false,
            correlation: None,
            reconsume_times: 0,
            max_reconsume_times: None,
            key: None,
            end: None,
            timed: false,
        }
    }

    /// The topic as servers know it: in the producer's namespace, if it has one.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The unique id, or a batch's list of them; for the end of a transaction that of the half
    /// message.
    pub fn message_id(&self) -> &str {
        match (&self.end, &self.id) {
            (Some(end), _) => &end.message_id,
            (None, IdPlace::List(ids)) => ids,
            (None, IdPlace::Property(at)) => {
                let id = self.properties.get(at.start as usize..at.end as usize);
                id.unwrap_or_default()
            }
        }
    }

    /// Whether the head of its frame says no more than [`UsualSend`](rocketmq_proto::UsualSend).
    pub(crate) fn is_usual(&self) -> bool {
        !(self.batch || self.reply)
            && self.reconsume_times == 0
            && self.max_reconsume_times.is_none()
    }

    /// The message as a member of a batch.
    pub(crate) fn member(&self) -> BatchMember<'_> {
        BatchMember {
            flag: self.flag,
            body: &self.body,
            properties: &self.properties,
        }
    }

    /// Whether its body is smaller than the application's.
    pub(crate) fn is_compressed(&self) -> bool {
        SysFlag(self.sys_flag).is_compressed()
    }

    /// What it counts against the byte budget.
    pub(crate) fn weight(&self) -> usize {
        self.body.len() + self.properties.len()
    }
}

/// Whether hooks want to see a message before it is sent.
fn hooked(config: &Config) -> bool {
    !config.hooks.forbidden.is_empty() || !config.hooks.send.is_empty()
}

/// Whether something is added to what the caller gave, so that its size is to be judged again.
fn adds(config: &Config) -> bool {
    hooked(config) || config.namespace.is_some()
}

pub(crate) fn wire_topic(config: &Config, topic: &TopicName) -> Result<TopicName, SendError> {
    let topic = config.wire_topic(topic);
    topic.map_err(|error| InvalidMessage::from(error).into())
}

/// A message says which namespace it is of (PROTOCOL G.6).
fn name_instance(config: &Config, message: &mut Message) {
    if let Some(namespace) = config.namespace.as_deref().filter(|n| !n.is_empty()) {
        let properties = message.properties_mut();
        // Of the characters of a name: checked with the settings.
        let _legal = properties.set(property::INSTANCE_ID, namespace);
    }
}

/// Whether it is a timer that delays the message: a delay level wins, and every broker knows it
/// (PROTOCOL D.2).
fn is_timed(properties: &Properties) -> bool {
    let has = |name| properties.get(name).is_some();
    let has_timer = has(property::TIMER_DELAY_MS)
        || has(property::TIMER_DELIVER_MS)
        || has(property::TIMER_DELAY_SEC);
    has_timer
        && properties
            .get(property::DELAY)
            .is_none_or(|level| level == "0")
}

impl IdPlace {
    /// Properties are checked to be shorter than 32 KiB.
    fn property(at: Range<usize>) -> Self {
        Self::Property(at.start as u32..at.end as u32)
    }
}

impl Target {
    fn of(placement: &Placement, message: Option<&Message>) -> Self {
        match (placement, message) {
            (Placement::Queue(queue), _) => Self::Queue(Box::new(queue.clone())),
            (Placement::Hash(hash), _) => Self::Hash(*hash),
            (Placement::Random, _) => Self::Random,
            (Placement::Select(_), Some(message)) => Self::Select(Box::new(message.clone())),
            _ => Self::Any,
        }
    }
}

/// What stands in the header of a batch (D.8, I 29).
fn batch_properties(waits: bool) -> String {
    format!("{}\u{1}{waits}", property::WAIT)
}

/// The body to send and its system flag: compressed when long enough and when that made it smaller;
/// sent plain when compressing failed (PROTOCOL D.4, I 31).
fn squeeze(config: &Config, plain: &Bytes) -> (Bytes, SysFlag) {
    if config.compress_over.is_none_or(|over| plain.len() < over) {
        return (plain.clone(), SysFlag::default());
    }
    match compress(config.compression, config.compression_level, plain) {
        Ok(small) if small.len() < plain.len() => (
            small.into(),
            config.compression.sys_flag().with(SysFlag::COMPRESSED),
        ),
        _ => (plain.clone(), SysFlag::default()),
    }
}
