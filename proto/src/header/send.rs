//! Sending: the request in both spellings and its answer (PROTOCOL B.2).

use std::borrow::Cow;

use super::macros::{header, header_fields};
use super::{DecodeFields, FieldError, FieldSink, Fields};
use crate::command::ExtFields;

header! {
    /// SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320) and SEND_REPLY_MESSAGE_V2 (325), with the one-letter names that
    /// Java sends by default. [`SendMessageRequestV1`] spells the same fields out.
    pub struct SendMessageRequest<'a> {
        /// The producer's group, with its namespace.
        producer_group: Cow<'a, str> = "a",
        /// The topic, with its namespace.
        topic: Cow<'a, str> = "b",
        /// The topic whose settings an automatically made topic takes, `TBW102`.
        default_topic: Cow<'a, str> = "c",
        /// How many queues an automatically made topic gets; Java sends 4.
        default_topic_queue_nums: i32 = "d",
        /// The queue; below 0 the broker takes any writable one.
        queue_id: i32 = "e",
        /// Bits of PROTOCOL D.3.
        sys_flag: i32 = "f",
        /// Milliseconds since 1970, the client's clock.
        born_timestamp: i64 = "g",
        /// The user's own number.
        flag: i32 = "h",
        /// The properties as one string (PROTOCOL D.1).
        properties: Option<Cow<'a, str>> = "i",
        /// How often the message was consumed in vain; Java sends 0.
        reconsume_times: Option<i32> = "j",
        /// Java sends false.
        unit_mode: Option<bool> = "k",
        /// Only for `%RETRY%` topics.
        max_reconsume_times: Option<i32> = "l",
        /// Whether the body is a batch (PROTOCOL D.8); this decides, not the code.
        batch: Option<bool> = "m",
        /// The broker this is meant for; the 5.x proxy insists on it.
        broker_name: Option<Cow<'a, str>> = "n",
    }
}

/// SEND_MESSAGE (10) and SEND_REPLY_MESSAGE (324): the fields of [`SendMessageRequest`] under their long names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SendMessageRequestV1<'a>(pub SendMessageRequest<'a>);

header_fields! {
    SendMessageRequestV1<'a>, |this| &this.0, |built| SendMessageRequestV1(built), SendMessageRequest {
        producer_group = "producerGroup",
        topic = "topic",
        default_topic = "defaultTopic",
        default_topic_queue_nums = "defaultTopicQueueNums",
        queue_id = "queueId",
        sys_flag = "sysFlag",
        born_timestamp = "bornTimestamp",
        flag = "flag",
        properties = "properties",
        reconsume_times = "reconsumeTimes",
        unit_mode = "unitMode",
        max_reconsume_times = "maxReconsumeTimes",
        batch = "batch",
        broker_name = "bname",
    }
}

header! {
    /// The answer to a send, there only on the codes that mean stored: 0, 10, 11 and 12.
    pub struct SendMessageResponse<'a> {
        /// Offset message id; of a batch all of them, joined by commas.
        msg_id: Cow<'a, str> = "msgId",
        /// The queue that was used.
        queue_id: i32 = "queueId",
        /// Place in the queue; of a batch that of its first message.
        queue_offset: i64 = "queueOffset",
        /// 5.x: the unique id as stored. 4.9 never sets it.
        transaction_id: Option<Cow<'a, str>> = "transactionId",
        /// 5.x: the batch was stored as one.
        batch_uniq_id: Option<Cow<'a, str>> = "batchUniqId",
        /// 5.3.2 and later, of delayed messages: what a recall needs (PROTOCOL B.14).
        recall_handle: Option<Cow<'a, str>> = "recallHandle",
    }
}

header! {
    /// A [`SendMessageResponse`] and its [`SendResponseExtras`], read in one pass.
    pub struct SendAnswer<'a> {
        /// Offset message id; of a batch all of them, joined by commas.
        msg_id: Cow<'a, str> = "msgId",
        /// The queue that was used.
        queue_id: i32 = "queueId",
        /// Place in the queue; of a batch that of its first message.
        queue_offset: i64 = "queueOffset",
        /// The broker's region.
        region: Option<Cow<'a, str>> = "MSG_REGION",
        /// Tracing is off only when this says `false`.
        trace_on: Option<Cow<'a, str>> = "TRACE_ON",
        /// 5.x: the unique id as stored.
        transaction_id: Option<Cow<'a, str>> = "transactionId",
        /// 5.x: the batch was stored as one.
        batch_uniq_id: Option<Cow<'a, str>> = "batchUniqId",
        /// 5.3.2 and later: what a recall needs.
        recall_handle: Option<Cow<'a, str>> = "recallHandle",
    }
}

/// What answers to sends carry besides, also error answers made after the broker's first checks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SendResponseExtras<'a> {
    /// `MSG_REGION`: the broker's region, `DefaultRegion` by default.
    pub region: Option<Cow<'a, str>>,
    /// `TRACE_ON`: true unless it says `false`, also when it is absent.
    pub trace_on: bool,
}

impl Default for SendResponseExtras<'_> {
    fn default() -> Self {
        Self {
            region: None,
            trace_on: true,
        }
    }
}

impl Fields for SendResponseExtras<'_> {
    fn write(&self, sink: &mut impl FieldSink) {
        if let Some(region) = &self.region {
            sink.text("MSG_REGION", region);
        }
        sink.bool("TRACE_ON", self.trace_on);
    }
}

impl<'a> DecodeFields<'a> for SendResponseExtras<'a> {
    fn decode_fields(ext: ExtFields<'a>) -> Result<Self, FieldError> {
        let mut extras = Self::default();
        for (key, value) in ext.texts() {
            if key.is("MSG_REGION") {
                extras.region = Some(value.into_cow());
            } else if key.is("TRACE_ON") {
                extras.trace_on = !value.is("false");
            }
        }
        Ok(extras)
    }
}
