//! Numbers with names: request and response codes, languages, versions.
//!
//! All are open newtypes: a peer may send a number this crate has no name for, and that is no error.

use std::fmt;

/// What a request asks for (PROTOCOL A.7).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestCode(pub i32);

/// How a request ended (PROTOCOL A.8).
///
/// The numbers 209 to 211 were renumbered between 4.9 and 5.x; the names here are those of 5.x.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ResponseCode(pub i32);

/// The language a peer says it is written in (PROTOCOL A.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LanguageCode(pub u8);

/// Gives an open newtype its named constants, `name` and `Display`.
macro_rules! named_codes {
    ($newtype:ident($number:ty) { $($(#[doc = $doc:literal])+ $name:ident = $value:literal,)+ }) => {
        impl $newtype {
            $($(#[doc = $doc])+ pub const $name: Self = Self($value);)+

            /// The name used by Apache RocketMQ, or `None` for a number without one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// The code that has this name, compared case-sensitively as Java does.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $newtype {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name} ({})", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl From<$number> for $newtype {
            fn from(code: $number) -> Self {
                Self(code)
            }
        }
    };
}

named_codes!(RequestCode(i32) {
    /// Client to broker: one message, long field names (B.2).
    SEND_MESSAGE = 10,
    /// Client to broker: messages from a queue.
    PULL_MESSAGE = 11,
    /// Client to broker: messages by key or unique id (B.11).
    QUERY_MESSAGE = 12,
    /// Client to broker: make or change a topic (B.8).
    UPDATE_AND_CREATE_TOPIC = 17,
    /// Client to broker: make or change several topics, 5.3 and later.
    UPDATE_AND_CREATE_TOPIC_LIST = 18,
    /// Client to broker: all topic settings.
    GET_TOPIC_CONFIG_LIST = 22,
    /// Client to broker: the broker's settings.
    GET_BROKER_CONFIG = 26,
    /// Client to broker: the broker's live figures.
    GET_BROKER_RUNTIME_INFO = 28,
    /// Client to broker: the offset stored at or after a time (B.9).
    SEARCH_OFFSET_BY_TIMESTAMP = 29,
    /// Client to broker: the next offset of a queue (B.9).
    GET_MAX_OFFSET = 30,
    /// Client to broker: the first offset of a queue (B.9).
    GET_MIN_OFFSET = 31,
    /// Client to broker: when the oldest message of a queue was stored (B.9).
    GET_EARLIEST_MSG_STORETIME = 32,
    /// Client to broker: one message by its offset id (B.10).
    VIEW_MESSAGE_BY_ID = 33,
    /// Client to broker: who is connected (B.3).
    HEART_BEAT = 34,
    /// Client to broker: a group leaves (B.4).
    UNREGISTER_CLIENT = 35,
    /// Client to broker: a consumer gives a message back (B.12).
    CONSUMER_SEND_MSG_BACK = 36,
    /// Client to broker, oneway: commit or roll back a half message (B.5).
    END_TRANSACTION = 37,
    /// Client to broker: the consumers of a group.
    GET_CONSUMER_LIST_BY_GROUP = 38,
    /// Broker to client, oneway: how did this transaction end (B.6).
    CHECK_TRANSACTION_STATE = 39,
    /// Broker to client, oneway: consumers came or went.
    NOTIFY_CONSUMER_IDS_CHANGED = 40,
    /// Client to broker: is this subscription acceptable.
    CHECK_CLIENT_CONFIG = 46,
    /// Client to broker: change an access entry, 4.9 only.
    UPDATE_AND_CREATE_ACL_CONFIG = 50,
    /// Client to broker: delete an access entry, 4.9 only.
    DELETE_ACL_CONFIG = 51,
    /// Client to broker: version of the access list, 4.9 only.
    GET_BROKER_CLUSTER_ACL_INFO = 52,
    /// Client to broker: change the global white list, 4.9 only.
    UPDATE_GLOBAL_WHITE_ADDRS_CONFIG = 53,
    /// Client to broker: the access list, 4.9.3 only.
    GET_BROKER_CLUSTER_ACL_CONFIG = 54,
    /// Client to name server: set a key of a namespace (B.13).
    PUT_KV_CONFIG = 100,
    /// Client to name server: read a key of a namespace (B.13).
    GET_KV_CONFIG = 101,
    /// Client to name server: delete a key of a namespace (B.13).
    DELETE_KV_CONFIG = 102,
    /// Broker to name server: a broker announces itself.
    REGISTER_BROKER = 103,
    /// Broker to name server: a broker leaves.
    UNREGISTER_BROKER = 104,
    /// Client to name server: the route of a topic (B.1).
    GET_ROUTEINFO_BY_TOPIC = 105,
    /// Client to name server: brokers and clusters (B.13).
    GET_BROKER_CLUSTER_INFO = 106,
    /// Client to broker: offsets of a topic's queues.
    GET_TOPIC_STATS_INFO = 202,
    /// Client to broker: producers of a group.
    GET_PRODUCER_CONNECTION_LIST = 204,
    /// Client to name server: take the write permission of a broker away.
    WIPE_WRITE_PERM_OF_BROKER = 205,
    /// Client to name server: every topic (B.13).
    GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206,
    /// Client to broker: delete a topic.
    DELETE_TOPIC_IN_BROKER = 215,
    /// Client to name server: delete a topic.
    DELETE_TOPIC_IN_NAMESRV = 216,
    /// Client to name server: register a topic, 5.x.
    REGISTER_TOPIC_IN_NAMESRV = 217,
    /// Client to name server: all keys of a namespace.
    GET_KVLIST_BY_NAMESPACE = 219,
    /// Broker to client: set a consumer's offsets.
    RESET_CONSUMER_CLIENT_OFFSET = 220,
    /// Broker to client: a consumer's offsets.
    GET_CONSUMER_STATUS_FROM_CLIENT = 221,
    /// Client to name server: topics of one cluster.
    GET_TOPICS_BY_CLUSTER = 224,
    /// Client to name server: the system topics.
    GET_SYSTEM_TOPIC_LIST_FROM_NS = 304,
    /// Client to broker: the system topics.
    GET_SYSTEM_TOPIC_LIST_FROM_BROKER = 305,
    /// Broker to client: a consumer's state.
    GET_CONSUMER_RUNNING_INFO = 307,
    /// Broker to client: consume one message now.
    CONSUME_MESSAGE_DIRECTLY = 309,
    /// Client to broker: one message, one-letter field names; what Java sends (B.2).
    SEND_MESSAGE_V2 = 310,
    /// Client to broker: figures of the store.
    VIEW_BROKER_STATS_DATA = 315,
    /// Client to broker: several messages of one topic (B.2, D.8).
    SEND_BATCH_MESSAGE = 320,
    /// Client to broker: a reply, long field names (B.2).
    SEND_REPLY_MESSAGE = 324,
    /// Client to broker: a reply, one-letter field names (B.2).
    SEND_REPLY_MESSAGE_V2 = 325,
    /// Broker to client: a reply arrived; wants an answer (B.7).
    PUSH_REPLY_MESSAGE_TO_CLIENT = 326,
    /// Client to name server: give the write permission of a broker back.
    ADD_WRITE_PERM_OF_BROKER = 327,
    /// Client to broker: every producer, 4.9.4 and later.
    GET_ALL_PRODUCER_INFO = 328,
    /// Client to broker: one topic's settings, 5.x.
    GET_TOPIC_CONFIG = 351,
    /// Client to broker: take a delayed message back, 5.3.2 and later (B.14).
    RECALL_MESSAGE = 370,
    /// Client to broker: make or change a static topic, 5.x.
    UPDATE_AND_CREATE_STATIC_TOPIC = 513,
});

named_codes!(ResponseCode(i32) {
    /// Done.
    SUCCESS = 0,
    /// The broker failed, or refused with an exception text.
    SYSTEM_ERROR = 1,
    /// Flow control: try again later (J.1).
    SYSTEM_BUSY = 2,
    /// The server does not know this request code.
    REQUEST_CODE_NOT_SUPPORTED = 3,
    /// A transaction could not be finished.
    TRANSACTION_FAILED = 4,
    /// Stored, but not yet on disk. A send success.
    FLUSH_DISK_TIMEOUT = 10,
    /// Stored, but no replica is there. A send success.
    SLAVE_NOT_AVAILABLE = 11,
    /// Stored, but not yet on a replica. A send success.
    FLUSH_SLAVE_TIMEOUT = 12,
    /// The message breaks a rule (size, topic, properties).
    MESSAGE_ILLEGAL = 13,
    /// The store does not take messages now.
    SERVICE_NOT_AVAILABLE = 14,
    /// 5.x proxy: the broker name is missing from the header.
    VERSION_NOT_SUPPORTED = 15,
    /// Not allowed.
    NO_PERMISSION = 16,
    /// No such topic.
    TOPIC_NOT_EXIST = 17,
    /// The topic is there already.
    TOPIC_EXIST_ALREADY = 18,
    /// No message at this offset yet.
    PULL_NOT_FOUND = 19,
    /// Pull again at once.
    PULL_RETRY_IMMEDIATELY = 20,
    /// The offset is outside the queue.
    PULL_OFFSET_MOVED = 21,
    /// Nothing found.
    QUERY_NOT_FOUND = 22,
    /// The subscription text is wrong.
    SUBSCRIPTION_PARSE_FAILED = 23,
    /// The group has no such subscription.
    SUBSCRIPTION_NOT_EXIST = 24,
    /// The broker knows an older subscription.
    SUBSCRIPTION_NOT_LATEST = 25,
    /// No such subscription group.
    SUBSCRIPTION_GROUP_NOT_EXIST = 26,
    /// The filter is not known.
    FILTER_DATA_NOT_EXIST = 27,
    /// The broker knows an older filter.
    FILTER_DATA_NOT_LATEST = 28,
    /// 5.x: a bad topic or queue id.
    INVALID_PARAMETER = 29,
    /// Not in use today.
    TRANSACTION_SHOULD_COMMIT = 200,
    /// Not in use today.
    TRANSACTION_SHOULD_ROLLBACK = 201,
    /// Not in use today.
    TRANSACTION_STATE_UNKNOW = 202,
    /// Not in use today.
    TRANSACTION_STATE_GROUP_WRONG = 203,
    /// The message carries no buyer id.
    NO_BUYER_ID = 204,
    /// The message belongs to another unit.
    NOT_IN_CURRENT_UNIT = 205,
    /// The consumer is not connected.
    CONSUMER_NOT_ONLINE = 206,
    /// The consumer did not finish in time.
    CONSUME_MSG_TIMEOUT = 207,
    /// No message matched; also made by clients.
    NO_MESSAGE = 208,
    /// 5.x; in 4.9 the number means that an access entry could not be changed.
    POLLING_FULL = 209,
    /// 5.x; in 4.9 the number means that an access entry could not be deleted.
    POLLING_TIMEOUT = 210,
    /// 5.x; in 4.9 the number means that the white list could not be changed.
    BROKER_NOT_EXIST = 211,
    /// 5.x.
    BROKER_DISPATCH_NOT_COMPLETE = 212,
    /// 5.x.
    BROADCAST_CONSUMPTION = 213,
    /// Flow control by quota.
    FLOW_CONTROL = 215,
    /// 5.x static topics: another broker leads this queue.
    NOT_LEADER_FOR_QUEUE = 501,
    /// 5.x.
    ILLEGAL_OPERATION = 604,
    /// 5.2 and later: the server is leaving; resend on another connection (E.13).
    GO_AWAY = 1500,
    /// 5.x access administration.
    USER_NOT_EXIST = 3001,
    /// 5.x access administration.
    POLICY_NOT_EXIST = 3002,
    /// 5.x, between servers.
    RPC_UNKNOWN = -1000,
    /// 5.x, between servers.
    RPC_ADDR_IS_NULL = -1002,
    /// 5.x, between servers.
    RPC_SEND_TO_CHANNEL_FAILED = -1004,
    /// 5.x, between servers.
    RPC_TIME_OUT = -1006,
});

named_codes!(LanguageCode(u8) {
    /// Java.
    JAVA = 0,
    /// C++.
    CPP = 1,
    /// .NET.
    DOTNET = 2,
    /// Python.
    PYTHON = 3,
    /// Delphi.
    DELPHI = 4,
    /// Erlang.
    ERLANG = 5,
    /// Ruby.
    RUBY = 6,
    /// Any other; known to every server.
    OTHER = 7,
    /// HTTP.
    HTTP = 8,
    /// Go.
    GO = 9,
    /// PHP.
    PHP = 10,
    /// OpenMessaging.
    OMS = 11,
    /// Rust; known from 5.0.0 on, and to 4.9.8 (PROTOCOL L 13).
    RUST = 12,
    /// Node.js; 5.3.1 and later.
    NODE_JS = 13,
});

/// Release numbers as they stand in the `version` field (PROTOCOL A.5).
///
/// A peer's version decides what a server dares to answer: below [`V4_9_4`](version::V4_9_4) routes come with
/// bare numeric keys, above [`V5_3_1`](version::V5_3_1) a server that shuts down may answer
/// [`ResponseCode::GO_AWAY`].
pub mod version {
    /// 3.4.9: from here on `maxReconsumeTimes` is honoured.
    pub const V3_4_9: i32 = 121;
    /// 4.9.3: the last one that gets routes with bare numeric keys.
    pub const V4_9_3: i32 = 399;
    /// 4.9.4: from here on routes are standard JSON.
    pub const V4_9_4: i32 = 401;
    /// 4.9.8: below every threshold that changes what a producer sees.
    pub const V4_9_8: i32 = 409;
    /// 5.0.0.
    pub const V5_0_0: i32 = 413;
    /// 5.1.0.
    pub const V5_1_0: i32 = 433;
    /// 5.2.0.
    pub const V5_2_0: i32 = 453;
    /// 5.3.0.
    pub const V5_3_0: i32 = 473;
    /// 5.3.1: the last one that a 5.3.2 or later server never answers with GO_AWAY.
    pub const V5_3_1: i32 = 475;
    /// 5.3.2: from here on GO_AWAY may come.
    pub const V5_3_2: i32 = 477;
    /// 5.3.3: for clients that handle GO_AWAY.
    pub const V5_3_3: i32 = 479;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_show_name_and_number_and_unknown_ones_the_number() {
        assert_eq!(RequestCode(310).to_string(), "SEND_MESSAGE_V2 (310)");
        assert_eq!(RequestCode(999).to_string(), "999");
        assert_eq!(ResponseCode(-1006).name(), Some("RPC_TIME_OUT"));
        assert_eq!(ResponseCode(7).name(), None);
    }

    #[test]
    fn languages_translate_both_ways() {
        for code in 0..=13 {
            let name = LanguageCode(code).name();
            assert_eq!(
                name.and_then(LanguageCode::from_name),
                Some(LanguageCode(code))
            );
        }
        assert_eq!(LanguageCode(14).name(), None);
        assert_eq!(LanguageCode::from_name("java"), None);
    }
}
