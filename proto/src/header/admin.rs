//! Topics, offsets, single messages (PROTOCOL B.8 to B.12, B.14).

use std::borrow::Cow;

use super::macros::header;

header! {
    /// UPDATE_AND_CREATE_TOPIC (17).
    pub struct CreateTopicRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The key topic, `TBW102`.
        default_topic: Cow<'a, str> = "defaultTopic",
        /// Queues to read from.
        read_queue_nums: i32 = "readQueueNums",
        /// Queues to write to.
        write_queue_nums: i32 = "writeQueueNums",
        /// Permission bits; 6 is read and write.
        perm: i32 = "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: Cow<'a, str> = "topicFilterType",
        /// Java sends 0.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Whether the topic is orderly; Java sends false.
        order: bool = "order",
        /// 5.x: `+key=value` or `-key`, joined by commas.
        attributes: Option<Cow<'a, str>> = "attributes",
        /// 5.x: false.
        force: Option<bool> = "force",
    }
}

header! {
    /// SEARCH_OFFSET_BY_TIMESTAMP (29), answered by [`OffsetResponse`].
    pub struct SearchOffsetRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Milliseconds since 1970.
        timestamp: i64 = "timestamp",
        /// 5.x: `LOWER` or `UPPER` of several messages of one time; absent is lower.
        boundary_type: Option<Cow<'a, str>> = "boundaryType",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// GET_MAX_OFFSET (30), answered by [`OffsetResponse`].
    pub struct GetMaxOffsetRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// 5.x: Java sends true.
        committed: Option<bool> = "committed",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// GET_MIN_OFFSET (31), answered by [`OffsetResponse`].
    pub struct GetMinOffsetRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// GET_EARLIEST_MSG_STORETIME (32), answered by [`TimestampResponse`].
    pub struct GetEarliestMsgStoreTimeRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// A place in a queue.
    pub struct OffsetResponse {
        /// The offset.
        offset: i64 = "offset",
    }
}

header! {
    /// A time.
    pub struct TimestampResponse {
        /// Milliseconds since 1970.
        timestamp: i64 = "timestamp",
    }
}

header! {
    /// VIEW_MESSAGE_BY_ID (33). The answer's body is one stored message; code 1 when there is none.
    pub struct ViewMessageRequest<'a> {
        /// Place in the store, from the offset id.
        offset: i64 = "offset",
        /// 5.x: the topic, which its access control needs.
        topic: Option<Cow<'a, str>> = "topic",
    }
}

header! {
    /// QUERY_MESSAGE (12). The answer's body is stored messages back to back; code 22 when there are none.
    pub struct QueryMessageRequest<'a> {
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// A key, or a unique id.
        key: Cow<'a, str> = "key",
        /// How many messages at most.
        max_num: i32 = "maxNum",
        /// Milliseconds since 1970.
        begin_timestamp: i64 = "beginTimestamp",
        /// Milliseconds since 1970.
        end_timestamp: i64 = "endTimestamp",
        /// Whether `key` is a unique id.
        unique_key: Option<bool> = "_UNIQUE_KEY_QUERY",
    }
}

header! {
    /// The answer to QUERY_MESSAGE.
    pub struct QueryMessageResponse {
        /// Milliseconds since 1970.
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        /// Place in the store.
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset",
    }
}

header! {
    /// CONSUMER_SEND_MSG_BACK (36).
    pub struct ConsumerSendMsgBackRequest<'a> {
        /// The message's place in the store.
        offset: i64 = "offset",
        /// The consumer's group.
        group: Cow<'a, str> = "group",
        /// When to deliver it again.
        delay_level: i32 = "delayLevel",
        /// The message's id.
        origin_msg_id: Option<Cow<'a, str>> = "originMsgId",
        /// The message's topic.
        origin_topic: Option<Cow<'a, str>> = "originTopic",
        /// Java sends false.
        unit_mode: Option<bool> = "unitMode",
        /// How often at most.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// RECALL_MESSAGE (370), 5.3.2 and later.
    pub struct RecallMessageRequest<'a> {
        /// The producer's group.
        producer_group: Option<Cow<'a, str>> = "producerGroup",
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// As the receipt gave it.
        recall_handle: Cow<'a, str> = "recallHandle",
        /// The broker named in the handle.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// The answer to RECALL_MESSAGE.
    pub struct RecallMessageResponse<'a> {
        /// Unique id of the message taken back.
        msg_id: Cow<'a, str> = "msgId",
    }
}
