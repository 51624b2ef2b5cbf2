//! What a broker checks before it takes a send (PROTOCOL J.2 and J.3), row by row.

use std::borrow::Cow;

use rocketmq_proto::{
    ResponseCode,
    header::{FieldError, SendMessageRequest},
    is_send_allowed, perm,
};

use super::{Broker, MAX_CREATED};
use crate::{
    Flavour, Health, ServerNow, TopicConfig,
    request::Request,
    time::human_time,
    topic::{JavaTopicConfig, MAX_TOPIC_LEN, invalid_topic},
};

pub(super) const RETRY_PREFIX: &str = "%RETRY%";
const DLQ_PREFIX: &str = "%DLQ%";
/// Java `retryMaxTimes`.
const DEFAULT_MAX_RETRIES: i32 = 16;
/// Requests of this version and later may bring their own limit of retries (PROTOCOL A.5).
const MAX_RECONSUME_SINCE: i32 = 121;
/// What a stored message may have beside its body.
const ROOM_BESIDE_BODY: usize = 64 * 1024;
const MAX_PROPERTIES: usize = i16::MAX as usize;

/// The answer to a send that is not taken.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) code: ResponseCode,
    pub(super) remark: Cow<'static, str>,
    /// Exceptions are answered without any field (PROTOCOL B.2).
    pub(super) is_exception: bool,
}

impl Rejection {
    pub(super) fn new(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            remark: remark.into(),
            is_exception: false,
        }
    }

    pub(super) fn exception(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            is_exception: true,
            ..Self::new(ResponseCode::SYSTEM_ERROR, text)
        }
    }

    /// A field that is missing or no number, as Java's decoder and parsers say it.
    pub(super) fn bad_header(error: &FieldError) -> Self {
        Self::exception(crate::desk::header_exception(error))
    }
}

/// What later steps need to know of the topic.
pub(super) struct Accepted {
    pub(super) queue_id: i32,
    /// The queue that was asked for, of a static topic.
    pub(super) logical_id: Option<i32>,
    pub(super) is_compacted: bool,
}

impl Broker {
    /// Rows 0 to 7: the checks that sends and replies share. Creates the topic if it may.
    pub(super) fn check_send(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
    ) -> Result<Accepted, Rejection> {
        let topic: &str = &header.topic;
        let held = self.find_held(header)?;
        if now.unix_ms < self.config.accept_sends_from {
            let until = human_time(self.config.accept_sends_from);
            let text = format!("broker unable to service, until {until}");
            return Err(Rejection::new(ResponseCode::SYSTEM_ERROR, text));
        }
        if !self.config.writeable && self.topics.find(topic).is_some_and(|t| t.order) {
            let text = format!(
                "the broker[{}] sending message is forbidden",
                self.config.address.ip()
            );
            return Err(Rejection::new(ResponseCode::NO_PERMISSION, text));
        }
        if let Some(text) = invalid_topic(topic) {
            return Err(Rejection::new(self.flavour().bad_argument(), text));
        }
        if !is_send_allowed(topic) {
            let text = format!("Sending message to topic[{topic}] is forbidden.");
            return Err(Rejection::new(ResponseCode::NO_PERMISSION, text));
        }
        if self.topics.find(topic).is_none() {
            self.auto_create(header)?;
        }
        let Some(config) = self.topics.find(topic) else {
            return Err(self.unknown_topic(topic));
        };
        let is_compacted = config.is_compacted();
        if let Some(queue_id) = held {
            return Ok(Accepted {
                queue_id,
                logical_id: Some(header.queue_id),
                is_compacted,
            });
        }
        if header.queue_id >= config.read_queues.max(config.write_queues) {
            let text = format!(
                "request queueId[{}] is illegal, {} Producer: {}",
                header.queue_id,
                JavaTopicConfig {
                    name: topic,
                    config,
                    with_attributes: self.flavour() != Flavour::V4_9,
                },
                request.peer
            );
            return Err(Rejection::new(self.flavour().bad_argument(), text));
        }
        let queue_id = if header.queue_id < 0 {
            let queues = u64::try_from(config.write_queues).unwrap_or(0);
            // Below an i32.
            self.rng.below(queues) as i32
        } else {
            header.queue_id
        };
        Ok(Accepted {
            queue_id,
            logical_id: None,
            is_compacted,
        })
    }

    /// Row 0: which of its own queues a logical one is, if the topic is static.
    fn find_held(&self, header: &SendMessageRequest<'_>) -> Result<Option<i32>, Rejection> {
        let config = self.topics.find(&header.topic);
        let logical = config.and_then(|config| config.logical.as_ref());
        let Some(logical) = logical.filter(|_| self.flavour() != Flavour::V4_9) else {
            return Ok(None);
        };
        match logical.held.get(&header.queue_id) {
            Some(queue_id) => Ok(Some(*queue_id)),
            None => {
                let text = format!(
                    "{}-{} does not exit in request process of current broker {}",
                    header.topic, header.queue_id, self.config.name
                );
                Err(Rejection::new(ResponseCode::NOT_LEADER_FOR_QUEUE, text))
            }
        }
    }

    /// PROTOCOL J.3.
    fn auto_create(&mut self, header: &SendMessageRequest<'_>) -> Result<(), Rejection> {
        let topic: &str = &header.topic;
        let config = if topic.starts_with(RETRY_PREFIX) {
            TopicConfig::new(1)
        } else {
            let default = self.topics.find(&header.default_topic);
            let Some(default) = default.filter(|default| default.is_inherited()) else {
                return Err(self.unknown_topic(topic));
            };
            let queues = header.default_topic_queue_nums.min(default.write_queues);
            TopicConfig::new(queues).perm(default.perm & !perm::INHERIT)
        };
        if self.topics.len() >= MAX_CREATED {
            return Err(self.unknown_topic(topic));
        }
        self.create_topic(topic, config);
        Ok(())
    }

    fn unknown_topic(&self, topic: &str) -> Rejection {
        let faq = self.flavour().faq();
        let text = format!("topic[{topic}] not exist, apply first please!{faq}");
        Rejection::new(ResponseCode::TOPIC_NOT_EXIST, text)
    }

    /// Rows 10 and 11: the topic that a retry really goes to.
    pub(super) fn check_retry(
        &mut self,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
    ) -> Result<Option<String>, Rejection> {
        let Some(group) = header.topic.strip_prefix(RETRY_PREFIX) else {
            return Ok(None);
        };
        if !self.groups.contains_key(group) {
            if !self.config.auto_create_groups || self.groups.len() >= MAX_CREATED {
                let faq = self.flavour().faq();
                let text = format!("subscription group not exist, {group} {faq}");
                return Err(Rejection::new(
                    ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                    text,
                ));
            }
            self.create_group(group, DEFAULT_MAX_RETRIES);
        }
        let of_group = self.groups.get(group).copied();
        let own = header
            .max_reconsume_times
            .filter(|_| request.view.version >= MAX_RECONSUME_SINCE);
        let max = own.or(of_group).unwrap_or(DEFAULT_MAX_RETRIES);
        let times = header.reconsume_times.unwrap_or(0);
        let is_dead = match self.flavour() {
            Flavour::V4_9 => times >= max,
            Flavour::V5_3 => times > max,
        };
        if !is_dead {
            return Ok(None);
        }
        let dead = format!("{DLQ_PREFIX}{group}");
        if !self.topics.contains(&dead) {
            self.create_topic(dead.clone(), TopicConfig::new(1));
        }
        Ok(Some(dead))
    }

    /// Row 9.
    pub(super) fn check_batch_topic(&self, topic: &str) -> Result<(), Rejection> {
        let illegal = |text| Err(Rejection::new(ResponseCode::MESSAGE_ILLEGAL, text));
        if topic.len() > MAX_TOPIC_LEN {
            return illegal(format!("message topic length too long {}", topic.len()));
        }
        if topic.starts_with(RETRY_PREFIX) {
            return illegal(format!(
                "batch request does not support retry group {topic}"
            ));
        }
        Ok(())
    }

    /// Rows 14 and 15: whether the store takes anything, and so many bytes more.
    pub(super) fn check_store(&self, stored_len: usize) -> Result<(), Rejection> {
        let health = self.config.health;
        if health == Health::Unavailable || !self.store.has_room(stored_len) {
            return Err(Rejection::new(
                ResponseCode::SERVICE_NOT_AVAILABLE,
                "service not available now. It may be caused by one of the following reasons: \
                 the broker's disk is full [CL:  0.99 CQ:  0.99 INDEX:  0.99], messages are put to the slave, \
                 message store has been shut down, etc.",
            ));
        }
        if health == Health::PageCacheBusy {
            return Err(Rejection::new(
                self.flavour().page_cache_busy(),
                "[PC_SYNCHRONIZED]broker busy, start flow control for a while",
            ));
        }
        Ok(())
    }

    /// Row 16: the sizes of a message as it would be stored.
    pub(super) fn check_sizes(
        &self,
        body: usize,
        properties: usize,
        stored: usize,
    ) -> Result<(), Rejection> {
        let max = self.config.max_message_size;
        if body > max
            || properties > MAX_PROPERTIES
            || stored > max.saturating_add(ROOM_BESIDE_BODY)
        {
            return Err(self.illegal_message());
        }
        Ok(())
    }

    /// Row 17: the members of a batch together.
    pub(super) fn check_batch_size(&self, stored: usize) -> Result<(), Rejection> {
        let max = self.config.max_message_size;
        if stored > max.saturating_add(ROOM_BESIDE_BODY) {
            return Err(Rejection::exception(
                "java.lang.RuntimeException: message body size exceeded, \
                 org.apache.rocketmq.store.MessageExtEncoder.encode(MessageExtEncoder.java)",
            ));
        }
        Ok(())
    }

    /// The text of rows 16 and 20.
    pub(super) fn illegal_message(&self) -> Rejection {
        let max = self.config.max_message_size;
        let text = format!(
            "the message is illegal, maybe msg body or properties length not matched. \
             msg body length limit {max}B, msg properties length limit 32KB."
        );
        Rejection::new(ResponseCode::MESSAGE_ILLEGAL, text)
    }

    /// Rows 21 to 24, and the code of a message that is stored.
    pub(super) fn check_health(&self) -> Result<ResponseCode, Rejection> {
        let failed = |text: &'static str| Err(Rejection::new(ResponseCode::SYSTEM_ERROR, text));
        match self.config.health {
            Health::FlushDiskTimeout => Ok(ResponseCode::FLUSH_DISK_TIMEOUT),
            Health::FlushSlaveTimeout => Ok(ResponseCode::FLUSH_SLAVE_TIMEOUT),
            Health::SlaveNotAvailable => Ok(ResponseCode::SLAVE_NOT_AVAILABLE),
            Health::MappedFileFailed => {
                failed("create mapped file failed, server is busy or broken.")
            }
            Health::ReplicasNotEnough => failed("in-sync replicas not enough"),
            Health::LightQueuesExceeded => failed(
                "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]broker config enableLmq and enableMultiDispatch \
                 should be true, lmq consumeQueue num exceed maxLmqConsumeQueueNum config num, \
                 default limit 2w.",
            ),
            Health::Unknown => failed("UNKNOWN_ERROR"),
            Health::Good
            | Health::PageCacheBusy
            | Health::TimerFlowControl
            | Health::Unavailable => Ok(ResponseCode::SUCCESS),
        }
    }
}
