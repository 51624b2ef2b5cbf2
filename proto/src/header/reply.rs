//! Replies to requests (PROTOCOL B.7).

use std::borrow::Cow;

use super::macros::header;

header! {
    /// PUSH_REPLY_MESSAGE_TO_CLIENT (326), from the broker, wants an answer. The body is the reply's.
    pub struct ReplyMessageRequest<'a> {
        /// Group of the replying producer.
        producer_group: Cow<'a, str> = "producerGroup",
        /// The reply topic.
        topic: Cow<'a, str> = "topic",
        /// As in the send.
        default_topic: Cow<'a, str> = "defaultTopic",
        /// As in the send.
        default_topic_queue_nums: i32 = "defaultTopicQueueNums",
        /// As in the send.
        queue_id: i32 = "queueId",
        /// Bits of PROTOCOL D.3; bit 0: the body is compressed.
        sys_flag: i32 = "sysFlag",
        /// Milliseconds since 1970, the replying client's clock.
        born_timestamp: i64 = "bornTimestamp",
        /// The user's own number.
        flag: i32 = "flag",
        /// Holds CORRELATION_ID, REPLY_TO_CLIENT, TTL and MSG_TYPE.
        properties: Option<Cow<'a, str>> = "properties",
        /// As in the send.
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// As in the send.
        unit_mode: Option<bool> = "unitMode",
        /// Where the reply came from; 4.9 writes it as `/ip:port` or `host/ip:port`, see [`plain_host`].
        born_host: Cow<'a, str> = "bornHost",
        /// The broker; written as `born_host`.
        store_host: Cow<'a, str> = "storeHost",
        /// Milliseconds since 1970, the broker's clock.
        store_timestamp: i64 = "storeTimestamp",
    }
}

/// The `ip:port` of an address that Java may have written as `/ip:port` or `host/ip:port`.
pub fn plain_host(text: &str) -> &str {
    text.rsplit_once('/').map_or(text, |(_, plain)| plain)
}

#[cfg(test)]
mod tests {
    use super::plain_host;

    #[test]
    fn hosts_lose_what_java_writes_before_them() {
        for text in ["10.0.0.2:5123", "/10.0.0.2:5123", "host/10.0.0.2:5123"] {
            assert_eq!(plain_host(text), "10.0.0.2:5123");
        }
    }
}
