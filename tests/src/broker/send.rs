//! Sends: codes 10, 310 and 320 (PROTOCOL B.2, J.2).

use rocketmq_proto::{
    OffsetMessageId, RequestCode, ResponseCode,
    header::{SendMessageRequest, SendMessageRequestV1, SendMessageResponse},
};

use super::{
    Broker,
    checks::{Accepted, Rejection},
    facts::Facts,
    schedule::{Due, SCHEDULE_TOPIC, TIMER_TOPIC},
    transaction::HALF_TOPIC,
};
use crate::{
    Flavour, Keep, ServerNow,
    desk::Answer,
    properties,
    request::Request,
    store::{NewMessage, Put},
};

/// Bits of the system flag that say which part of a transaction a message is (PROTOCOL D.3).
pub(super) const TRANSACTION_BITS: i32 = 0xC;

/// The answer to a send that was taken.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) status: ResponseCode,
    pub(super) msg_id: String,
    pub(super) queue_id: i32,
    pub(super) queue_offset: i64,
    pub(super) transaction_id: Option<String>,
    pub(super) recall_handle: Option<String>,
}

impl Broker {
    pub(super) fn answer_send(&mut self, now: ServerNow, request: &Request<'_>) {
        let outcome = decode_send(request).and_then(|header| self.take_send(now, request, &header));
        self.answer_outcome(request, outcome);
    }

    /// Every answer to a send names region and tracing, but for exceptions (PROTOCOL B.2, L 3).
    pub(super) fn answer_outcome(
        &mut self,
        request: &Request<'_>,
        outcome: Result<Receipt, Rejection>,
    ) {
        let trace_on = if self.config.trace_on {
            "true"
        } else {
            "false"
        };
        let extra = [
            ("MSG_REGION", self.config.region.as_str()),
            ("TRACE_ON", trace_on),
        ];
        match outcome {
            Ok(receipt) => {
                let answer = Answer::new(receipt.status).extra(&extra);
                self.desk.answer(request, answer, &receipt.header());
            }
            Err(rejection) if rejection.is_exception => {
                self.desk.exception(request, &rejection.remark);
            }
            Err(rejection) => {
                let answer = Answer::new(rejection.code)
                    .remark(&rejection.remark)
                    .extra(&extra);
                self.desk.answer(request, answer, &());
            }
        }
    }

    fn take_send(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
    ) -> Result<Receipt, Rejection> {
        let accepted = self.check_send(now, request, header)?;
        // The header decides, not the code (PROTOCOL B.2).
        let mut receipt = if header.batch == Some(true) {
            self.take_batch(now, request, header, &accepted)?
        } else {
            self.take_single(now, request, header, &accepted)?
        };
        receipt.queue_id = accepted.logical_id.unwrap_or(receipt.queue_id);
        Ok(receipt)
    }

    fn take_single(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
        accepted: &Accepted,
    ) -> Result<Receipt, Rejection> {
        let dead_letter = self.check_retry(request, header)?;
        let facts = Facts::read(header.properties.as_deref().unwrap_or_default());
        if accepted.is_compacted && !facts.has_keys && self.flavour() != Flavour::V4_9 {
            return Err(Rejection::new(
                ResponseCode::MESSAGE_ILLEGAL,
                "Required message key is missing",
            ));
        }
        if facts.is_half && self.config.reject_transactions {
            let ip = self.config.address.ip();
            let text = format!("the broker[{ip}] sending transaction message is forbidden");
            return Err(Rejection::new(ResponseCode::NO_PERMISSION, text));
        }
        let body = request.frame.body();
        if body.is_empty() {
            return Err(self.no_body());
        }
        let queue_id = if dead_letter.is_some() {
            0
        } else {
            accepted.queue_id
        };
        let made_key = self.make_unique_key(now, &facts);
        let made = made_key.as_deref();
        let mut stored_properties = self.stored_properties(header, &facts, made);
        let mut message = NewMessage {
            topic: dead_letter.as_deref().unwrap_or(&header.topic),
            queue_id,
            flag: header.flag,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            born_host: request.peer,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_offset: 0,
            properties: "",
            body: &body,
        };
        let stored_len = message.stored_len(self.config.address) + stored_properties.len();
        self.check_store(stored_len)?;
        self.check_sizes(body.len(), stored_properties.len(), stored_len)?;
        if facts.has_inner_num && self.flavour() != Flavour::V4_9 {
            return Err(self.illegal_message());
        }
        let due = if facts.is_half || dead_letter.is_some() {
            Due::Now
        } else {
            self.due(now, &facts)?
        };
        let status = self.check_health()?;
        divert(&mut message, due, facts.is_half, &mut stored_properties);
        message.properties = &stored_properties;
        let put = self.put(now, message)?;
        let unique_key = made_key.as_deref().or(facts.unique_key);
        // What is not kept cannot be delivered later.
        if self.config.keep == Keep::Everything {
            self.schedule.add(due, put);
            if facts.is_half {
                let group = facts.group.unwrap_or(&header.producer_group);
                self.halves.add(now, put, group, unique_key, facts.immunity);
            }
        }
        Ok(Receipt {
            status,
            msg_id: self.offset_id(put),
            queue_id,
            queue_offset: put.queue_offset,
            transaction_id: self.transaction_id(unique_key),
            recall_handle: self.recall_handle(&header.topic, due, unique_key),
        })
    }

    /// Bytes are appended to the commit log, and what Java answers when that fails is an exception.
    pub(super) fn put(
        &mut self,
        now: ServerNow,
        message: NewMessage<'_>,
    ) -> Result<Put, Rejection> {
        self.store
            .append(now, message)
            .map_err(|failed| Rejection::exception(failed.0))
    }

    pub(super) fn offset_id(&self, put: Put) -> String {
        OffsetMessageId {
            addr: self.config.address,
            offset: put.commit_log_offset,
        }
        .to_string()
    }

    /// 5.x answers with the unique key of the stored message, 4.9 with nothing (PROTOCOL B.2).
    pub(super) fn transaction_id(&self, unique_key: Option<&str>) -> Option<String> {
        unique_key
            .filter(|_| self.flavour() != Flavour::V4_9)
            .map(str::to_owned)
    }

    /// A null body: 4.9 dereferences it, 5.x checks it (PROTOCOL B.2, J.2 row 16).
    pub(super) fn no_body(&self) -> Rejection {
        match self.flavour() {
            Flavour::V4_9 => Rejection::exception(
                "java.lang.NullPointerException, \
                 org.apache.rocketmq.store.CommitLog.asyncPutMessage(CommitLog.java)",
            ),
            Flavour::V5_3 => self.illegal_message(),
        }
    }

    /// 5.x gives a message a unique key that has none.
    fn make_unique_key(&mut self, now: ServerNow, facts: &Facts<'_>) -> Option<String> {
        let lacks = facts.unique_key.is_none() && self.flavour() != Flavour::V4_9;
        lacks.then(|| self.ids.next(now.unix_ms).to_string())
    }

    /// The properties of a single message with what the broker takes away and adds.
    fn stored_properties(
        &self,
        header: &SendMessageRequest<'_>,
        facts: &Facts<'_>,
        made_key: Option<&str>,
    ) -> String {
        let sent = header.properties.as_deref().unwrap_or_default();
        let removed = match self.flavour() {
            Flavour::V4_9 if facts.has_wait => Some("WAIT"),
            Flavour::V5_3 if facts.has_pop_ck => Some("POP_CK"),
            _ => None,
        };
        let mut stored = match removed {
            Some(name) => properties::without(sent, &[name]),
            None => {
                let mut stored = String::with_capacity(sent.len() + ROOM_FOR_OURS);
                stored.push_str(sent);
                stored
            }
        };
        if let Some(key) = made_key {
            properties::append(&mut stored, "UNIQ_KEY", key);
        }
        self.append_broker_properties(&mut stored);
        stored
    }

    /// 4.9.8 adds its cluster, 5.x also region and tracing (PROTOCOL J.2, stored extras).
    pub(super) fn append_broker_properties(&self, wire: &mut String) {
        properties::append(wire, "CLUSTER", &self.config.cluster);
        if self.flavour() != Flavour::V4_9 {
            let trace_on = if self.config.trace_on {
                "true"
            } else {
                "false"
            };
            properties::append(wire, "MSG_REGION", &self.config.region);
            properties::append(wire, "TRACE_ON", trace_on);
        }
    }
}

/// Half and delayed messages lie in a system topic until their time comes.
fn divert(message: &mut NewMessage<'_>, due: Due, is_half: bool, properties: &mut String) {
    if !is_half && due == Due::Now {
        return;
    }
    properties::append(properties, "REAL_TOPIC", message.topic);
    properties::append(properties, "REAL_QID", &message.queue_id.to_string());
    match due {
        Due::Now => {
            message.topic = HALF_TOPIC;
            message.queue_id = 0;
            message.sys_flag &= !TRANSACTION_BITS;
        }
        Due::Level { index, .. } => {
            message.topic = SCHEDULE_TOPIC;
            message.queue_id = index;
        }
        Due::Timer { out_ms, .. } => {
            properties::append(properties, "TIMER_OUT_MS", &out_ms.to_string());
            message.topic = TIMER_TOPIC;
            message.queue_id = 0;
        }
    }
}

/// About what the broker's own properties take.
const ROOM_FOR_OURS: usize = 128;

impl Receipt {
    fn header(&self) -> SendMessageResponse<'_> {
        SendMessageResponse {
            msg_id: self.msg_id.as_str().into(),
            queue_id: self.queue_id,
            queue_offset: self.queue_offset,
            transaction_id: self.transaction_id.as_deref().map(Into::into),
            batch_uniq_id: None,
            recall_handle: self.recall_handle.as_deref().map(Into::into),
        }
    }
}

/// The header of a send, by the names that its code uses (PROTOCOL B.2).
pub(super) fn decode_send<'a>(request: &Request<'a>) -> Result<SendMessageRequest<'a>, Rejection> {
    let ext = request.view.ext;
    let decoded = match request.code() {
        RequestCode::SEND_MESSAGE | RequestCode::SEND_REPLY_MESSAGE => ext
            .decode::<SendMessageRequestV1<'a>>()
            .map(|SendMessageRequestV1(header)| header),
        _ => ext.decode::<SendMessageRequest<'a>>(),
    };
    decoded.map_err(|error| Rejection::bad_header(&error))
}
