//! Replies to requests (PROTOCOL B.7).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

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

/// The address that Java's text means, in any of the forms of [`plain_host`]; an IPv6 address may
/// stand in brackets or not. `None` for a host that is a name.
pub fn host_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = plain_host(text).rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{host_address, plain_host};

    #[test]
    fn an_address_is_read_in_every_form_that_brokers_write() {
        let rows = [
            ("10.0.0.2:5123", Some("10.0.0.2:5123")),
            ("/10.0.0.2:5123", Some("10.0.0.2:5123")),
            ("host/10.0.0.2:5123", Some("10.0.0.2:5123")),
            ("/0:0:0:0:0:0:0:1:5123", Some("[::1]:5123")),
            ("/[0:0:0:0:0:0:0:1]:5123", Some("[::1]:5123")),
            ("[fe80::1]:1", Some("[fe80::1]:1")),
            ("broker.example:5123", None),
            ("/10.0.0.2", None),
            ("/10.0.0.2:70000", None),
            ("", None),
        ];
        for (text, address) in rows {
            let read = host_address(text).map(|address| address.to_string());
            assert_eq!(read.as_deref(), address, "{text}");
        }
    }

    #[test]
    fn hosts_lose_what_java_writes_before_them() {
        for text in ["10.0.0.2:5123", "/10.0.0.2:5123", "host/10.0.0.2:5123"] {
            assert_eq!(plain_host(text), "10.0.0.2:5123");
        }
    }
}
