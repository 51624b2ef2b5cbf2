//! Reading messages back.

use std::borrow::Cow;

use super::macros::header;

header! {
    /// PULL_MESSAGE (11). The answer's body is stored messages back to back.
    pub struct PullMessageRequest<'a> {
        /// The consumer's group.
        consumer_group: Cow<'a, str> = "consumerGroup",
        /// The topic.
        topic: Cow<'a, str> = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The first offset wanted.
        queue_offset: i64 = "queueOffset",
        /// How many messages at most.
        max_msg_nums: i32 = "maxMsgNums",
        /// Bit 0 commit the offset, bit 1 wait for messages, bit 2 the subscription is sent along, bit 3 filter by
        /// class.
        sys_flag: i32 = "sysFlag",
        /// The offset to commit, with bit 0.
        commit_offset: i64 = "commitOffset",
        /// How long the broker may wait, in milliseconds, with bit 1.
        suspend_timeout_millis: i64 = "suspendTimeoutMillis",
        /// The tag expression, with bit 2; `*` for all.
        subscription: Option<Cow<'a, str>> = "subscription",
        /// Version of the subscription, milliseconds since 1970.
        sub_version: i64 = "subVersion",
        /// `TAG` or `SQL92`.
        expression_type: Option<Cow<'a, str>> = "expressionType",
        /// The broker this is meant for.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// The answer to PULL_MESSAGE.
    pub struct PullMessageResponse {
        /// The broker to pull from next time, 0 the master.
        suggest_which_broker_id: Option<i64> = "suggestWhichBrokerId",
        /// Where to go on.
        next_begin_offset: i64 = "nextBeginOffset",
        /// First offset of the queue.
        min_offset: i64 = "minOffset",
        /// Behind the last offset of the queue.
        max_offset: i64 = "maxOffset",
    }
}
