//! Messages that are delivered later: delay levels (4.9 and 5.x), timers and their recall (5.x; PROTOCOL D.2, B.14).
//!
//! A delayed message lies in its system topic as in a real broker. It is delivered when the broker next learns that
//! its time has come, which is at the latest before the next request is handled, so no reader can tell the
//! difference.

use std::collections::BTreeMap;

use rocketmq_proto::{
    RecallHandle, ResponseCode, StoredMessage,
    header::{RecallMessageRequest, RecallMessageResponse},
};

use super::{
    Broker,
    checks::{RETRY_PREFIX, Rejection},
    facts::Facts,
};
use crate::{
    Flavour, Health, ServerNow,
    desk::Answer,
    properties,
    request::Request,
    store::{NewMessage, Put},
};

pub(super) const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
pub(super) const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Java `messageDelayLevel`, in seconds.
const LEVELS: [u64; 18] = [
    1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
];
/// Java `timerPrecisionMs`.
const TIMER_PRECISION_MS: i64 = 1000;

/// When a message is to be delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Now,
    /// By delay level; `index` is the level less one and the queue of the schedule topic.
    Level {
        index: i32,
        at_ms: u64,
    },
    /// By the 5.x timer; `out_ms` is the time rounded as Java does.
    Timer {
        at_ms: u64,
        out_ms: i64,
    },
}

/// Where delayed messages lie, by due time and then by arrival.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: BTreeMap<(u64, u64), i64>,
    arrivals: u64,
}

impl Schedule {
    pub(super) fn add(&mut self, due: Due, put: Put) {
        let (Due::Level { at_ms, .. } | Due::Timer { at_ms, .. }) = due else {
            return;
        };
        self.arrivals += 1;
        self.waiting
            .insert((at_ms, self.arrivals), put.commit_log_offset);
    }
}

impl Broker {
    /// When the next delayed message is due, ms since the Unix epoch.
    pub fn next_delivery(&self) -> Option<u64> {
        let (&(at_ms, _), _) = self.schedule.waiting.first_key_value()?;
        Some(at_ms)
    }

    /// Delivers the delayed messages whose time has come. Frames do this by themselves.
    pub fn deliver_due(&mut self, now: ServerNow) {
        while let Some(first) = self.schedule.waiting.first_entry() {
            if first.key().0 > now.unix_ms {
                return;
            }
            let offset = first.remove();
            if let Some(message) = self.message_at(offset) {
                self.deliver(now, &message);
            }
        }
    }

    /// The message that starts at this commit-log offset.
    pub(super) fn message_at(&self, offset: i64) -> Option<StoredMessage> {
        let bytes = self.store.at_offset(offset)?;
        Some(StoredMessage::decode(bytes).ok()?.0)
    }

    /// Appends a waiting message to its real queue.
    pub(super) fn deliver(&mut self, now: ServerNow, message: &StoredMessage) {
        let wire = message.properties.as_wire();
        let Some((topic, queue_id)) = real_queue(wire) else {
            return;
        };
        let kept = properties::without(wire, &["DELAY"]);
        let delivered = NewMessage {
            topic,
            queue_id,
            properties: &kept,
            ..again(message)
        };
        // A full disk loses a delayed message here; a real broker would try again.
        if self
            .store
            .has_room(delivered.stored_len(self.config.address))
        {
            let _ = self.store.append(now, delivered);
        }
    }

    /// When a message is due (PROTOCOL D.2), and rows 18 and 19 of J.2.
    pub(super) fn due(&self, now: ServerNow, facts: &Facts<'_>) -> Result<Due, Rejection> {
        let level = facts.delay_level.map(str::parse::<i64>).transpose();
        let level = level.map_err(|_| {
            let text = facts.delay_level.unwrap_or_default();
            Rejection::exception(crate::desk::number_exception(text))
        })?;
        if let Some(level) = level.filter(|&level| level > 0) {
            let index = (level - 1).min(LEVELS.len() as i64 - 1);
            let seconds = LEVELS[index as usize];
            return Ok(Due::Level {
                index: index as i32,
                at_ms: now.unix_ms.saturating_add(seconds * 1000),
            });
        }
        if self.flavour() == Flavour::V4_9 {
            return Ok(Due::Now);
        }
        let Some(deliver_ms) = self.timer_time(now, facts)? else {
            return Ok(Due::Now);
        };
        if !self.config.timer_enabled {
            return Err(Rejection::new(
                ResponseCode::SYSTEM_ERROR,
                "accurate timer message is not enabled, timerWheelEnable is false",
            ));
        }
        let delay = deliver_ms.saturating_sub(now.millis());
        if delay > self.config.max_timer_delay_ms || (delay <= 0 && facts.deletes_timer) {
            return Err(self.illegal_timer());
        }
        if delay <= 0 {
            return Ok(Due::Now);
        }
        if self.config.health == Health::TimerFlowControl {
            return Err(Rejection::new(
                ResponseCode::SYSTEM_ERROR,
                "timer message is under flow control, max num limit is 0 or the current value is \
                 greater than 0 and less than 0, trigger random flow control",
            ));
        }
        let precision = TIMER_PRECISION_MS;
        Ok(Due::Timer {
            at_ms: deliver_ms.unsigned_abs(),
            out_ms: (deliver_ms - 1) / precision * precision,
        })
    }

    /// The time that the timer properties ask for, by their precedence.
    fn timer_time(&self, now: ServerNow, facts: &Facts<'_>) -> Result<Option<i64>, Rejection> {
        let parse = |text: &str| text.parse::<i64>().map_err(|_| self.illegal_timer());
        if let Some(seconds) = facts.timer_seconds {
            let delay = parse(seconds)?.saturating_mul(1000);
            return Ok(Some(now.millis().saturating_add(delay)));
        }
        if let Some(millis) = facts.timer_millis {
            return Ok(Some(now.millis().saturating_add(parse(millis)?)));
        }
        facts.timer_deliver.map(parse).transpose()
    }

    fn illegal_timer(&self) -> Rejection {
        let text = format!(
            "timer message illegal, the delay time should not be bigger than the max delay {}ms; \
             or if set del msg, the delay time should be bigger than the current time",
            self.config.max_timer_delay_ms
        );
        Rejection::new(ResponseCode::MESSAGE_ILLEGAL, text)
    }

    /// What RECALL_MESSAGE takes; only timers have one.
    pub(super) fn recall_handle(
        &self,
        topic: &str,
        due: Due,
        unique_key: Option<&str>,
    ) -> Option<String> {
        let Due::Timer { out_ms, .. } = due else {
            return None;
        };
        let handle = RecallHandle {
            topic: topic.to_owned(),
            broker: self.config.name.clone(),
            deliver_at_ms: out_ms,
            unique_id: unique_key?.to_owned(),
        };
        Some(handle.encode())
    }

    pub(super) fn answer_recall(&mut self, now: ServerNow, request: &Request<'_>) {
        match self.recall(now, request) {
            Ok(unique_id) => {
                let fields = RecallMessageResponse {
                    msg_id: unique_id.into(),
                };
                self.desk.answer(request, Answer::ok(), &fields);
            }
            Err(rejection) => {
                let answer = Answer::new(rejection.code).remark(&rejection.remark);
                self.desk.answer(request, answer, &());
            }
        }
    }

    /// The rows of PROTOCOL J.5, in order. A message that was delivered already is recalled with success.
    fn recall(&mut self, now: ServerNow, request: &Request<'_>) -> Result<String, Rejection> {
        let illegal = |text| Rejection::new(ResponseCode::ILLEGAL_OPERATION, text);
        let header = request
            .view
            .ext
            .decode::<RecallMessageRequest<'_>>()
            .map_err(|error| Rejection::bad_header(&error))?;
        if !self.config.recall_enabled {
            return Err(Rejection::new(
                ResponseCode::NO_PERMISSION,
                "recall failed, operation is forbidden",
            ));
        }
        if self.config.health == Health::Unavailable {
            return Err(Rejection::new(
                ResponseCode::SERVICE_NOT_AVAILABLE,
                "recall failed, broker service not available",
            ));
        }
        let topic: &str = &header.topic;
        if !self.topics.contains(topic) || topic.starts_with(RETRY_PREFIX) {
            let text = format!("recall failed, the topic[{topic}] not exist");
            return Err(Rejection::new(ResponseCode::TOPIC_NOT_EXIST, text));
        }
        let handle = RecallHandle::decode(&header.recall_handle)
            .map_err(|_| illegal("recall handle is invalid"))?;
        if handle.topic != topic {
            return Err(illegal("recall failed, topic not match"));
        }
        if handle.broker != self.config.name {
            return Err(illegal("recall failed, broker service not available"));
        }
        let left = handle.deliver_at_ms.saturating_sub(now.millis());
        if left <= 0 || left >= self.config.max_timer_delay_ms {
            return Err(illegal("recall failed, timestamp invalid"));
        }
        let store = &self.store;
        self.schedule.waiting.retain(|_, offset| {
            let bytes = store.at_offset(*offset);
            let message = bytes.and_then(|bytes| StoredMessage::decode(bytes).ok());
            message.is_none_or(|(message, _)| {
                properties::find(message.properties.as_wire(), "UNIQ_KEY")
                    != Some(handle.unique_id.as_str())
            })
        });
        Ok(handle.unique_id)
    }
}

/// Where a message in a system topic belongs.
pub(super) fn real_queue(wire: &str) -> Option<(&str, i32)> {
    let topic = properties::find(wire, "REAL_TOPIC")?;
    let queue_id = properties::find(wire, "REAL_QID")?.parse().ok()?;
    Some((topic, queue_id))
}

/// A stored message, to be stored once more with changes.
pub(super) fn again(message: &StoredMessage) -> NewMessage<'_> {
    NewMessage {
        topic: &message.topic,
        queue_id: message.queue_id,
        flag: message.flag,
        sys_flag: message.sys_flag.0,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        reconsume_times: message.reconsume_times,
        prepared_offset: message.prepared_transaction_offset,
        properties: message.properties.as_wire(),
        body: &message.body,
    }
}
