//! The names that RocketMQ gives a meaning to (PROTOCOL D.2).

// Set by users.

/// Keys by which the broker indexes the message, joined by one space.
pub const KEYS: &str = "KEYS";
/// The message's one tag, for filters of consumers.
pub const TAGS: &str = "TAGS";
/// `true` (default when absent): the broker answers after its flush and replication rules are met. Java: `WAIT_STORE_MSG_OK`.
pub const WAIT: &str = "WAIT";
/// Delay level, 1 to 18. Java: `DELAY_TIME_LEVEL`.
pub const DELAY: &str = "DELAY";
/// How the names of all timers begin.
pub(crate) const TIMER_PREFIX: &str = "TIMER_";
/// Deliver after so many seconds (5.x brokers; 4.9 ignores it).
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Deliver after so many milliseconds (5.x brokers; 4.9 ignores it).
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Deliver at this time, milliseconds since 1970 (5.x brokers; 4.9 ignores it).
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// Delay of an old cloud service, milliseconds since 1970; only marks the trace type.
pub const START_DELIVER_TIME: &str = "__STARTDELIVERTIME";
/// Marks a FIFO message of 5.x and names its message group.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// A legacy mark of users.
pub const BUYER_ID: &str = "BUYER_ID";
/// Seconds before the first check of a half message.
pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// Light queues that also get the message, joined by commas.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";

// Set by producers.

/// The message's unique id (PROTOCOL D.5). Java: `UNIQ_CLIENT_MESSAGE_ID_KEYIDX`.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// More about the unique id (5.x).
pub const EXTEND_UNIQ_INFO: &str = "EXTEND_UNIQ_INFO";
/// `true` on half messages. Java: `TRANSACTION_PREPARED`.
pub const TRAN_MSG: &str = "TRAN_MSG";
/// The producer group on half messages. Java: `PRODUCER_GROUP`.
pub const PGROUP: &str = "PGROUP";
/// The transaction that a half message belongs to.
pub const TRANSACTION_ID: &str = "__transactionId__";
/// The namespace, when there is one of the first kind (PROTOCOL G.6).
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Ties a reply to its request (PROTOCOL G.3).
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// Client id of the requester. Java: `MESSAGE_REPLY_TO_CLIENT`.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// How long the requester waits, milliseconds. Java: `MESSAGE_TTL`.
pub const TTL: &str = "TTL";
/// When the reply arrived, milliseconds since 1970. Java: `REPLY_MESSAGE_ARRIVE_TIME`.
pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
/// `reply` on replies. Java: `MESSAGE_TYPE`.
pub const MSG_TYPE: &str = "MSG_TYPE";
/// Attempts of a consumer; moves into the header for retry topics.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// Most attempts of a consumer; moves into the header for retry topics.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// The real topic of a message in a retry topic.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// The first id of a message in a retry topic.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Unique id of the timer message to recall.
pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
/// A mark of tools.
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
/// A mark of tools.
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
/// A mark of tools.
pub const MQ2_FLAG: &str = "MQ2_FLAG";

// Set by brokers and consumers.

/// Where a parked message really belongs.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue that a parked message really belongs to.
pub const REAL_QUEUE_ID: &str = "REAL_QID";
/// The broker's region.
pub const MSG_REGION: &str = "MSG_REGION";
/// `false` switches tracing off for the message.
pub const TRACE_SWITCH: &str = "TRACE_ON";
/// The broker's cluster; replies go to a topic named after it.
pub const CLUSTER: &str = "CLUSTER";
/// When the broker pushed the reply, milliseconds since 1970.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// Least offset of the queue, on pulled messages.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// Largest offset of the queue, on pulled messages.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// When a consumer began. Java: `CONSUME_START_TIMESTAMP`.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// Offset of the half message.
pub const TRAN_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// How often a half message was asked about.
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// Members of an inner batch (5.x); code 13 when a client sends it.
pub const INNER_NUM: &str = "INNER_NUM";
/// First offset of an inner batch (5.x).
pub const INNER_BASE: &str = "INNER_BASE";
/// Offsets in the light queues.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
/// Check point of a pop consumer (5.x).
pub const POP_CK: &str = "POP_CK";
/// Offset of such a check point (5.x).
pub const POP_CK_OFFSET: &str = "POP_CK_OFFSET";
/// When the message was first popped (5.x).
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// Redirected message (5.x).
pub const REDIRECT: &str = "REDIRECT";
/// Queue of a redirected message (5.x).
pub const FORWARD_QUEUE_ID: &str = "PROPERTY_FORWARD_QUEUE_ID";
/// Context of a foreign tracing system (5.x).
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
/// When a timer message was parked (5.x).
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When a timer message was taken out (5.x).
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// How often a timer message was parked again (5.x).
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// When a timer message is due (5.x).
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// The level behind a timer message (5.x).
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// Where the message was born (5.x).
pub const BORN_HOST: &str = "__BORNHOST";
/// When the message was born (5.x).
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
/// What begins the names of properties that are never stored (5.x).
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";
/// Checksum at the tail of the properties (5.x).
pub const CRC32: &str = "__CRC32#";
/// Where a dead letter comes from.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The first id of a dead letter.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// Duplicate marks (5.x).
pub const DUP_INFO: &str = "DUP_INFO";

/// Names that users cannot set through [`Message::property`](crate::Message::property): the set of Java
/// 5.x, and the further names that would make a broker refuse or bend the message.
pub const RESERVED: [&str; 50] = [
    KEYS,
    TAGS,
    WAIT,
    DELAY,
    RETRY_TOPIC,
    REAL_TOPIC,
    REAL_QUEUE_ID,
    TRAN_MSG,
    PGROUP,
    MIN_OFFSET,
    MAX_OFFSET,
    BUYER_ID,
    ORIGIN_MESSAGE_ID,
    TRANSFER_FLAG,
    CORRECTION_FLAG,
    MQ2_FLAG,
    RECONSUME_TIME,
    MAX_RECONSUME_TIMES,
    MSG_REGION,
    TRACE_SWITCH,
    UNIQ_KEY,
    EXTEND_UNIQ_INFO,
    CONSUME_START_TIME,
    POP_CK,
    POP_CK_OFFSET,
    FIRST_POP_TIME,
    TRAN_PREPARED_QUEUE_OFFSET,
    DUP_INFO,
    INSTANCE_ID,
    CORRELATION_ID,
    REPLY_TO_CLIENT,
    TTL,
    ARRIVE_TIME,
    PUSH_REPLY_TIME,
    CLUSTER,
    MSG_TYPE,
    INNER_NUM,
    INNER_MULTI_QUEUE_OFFSET,
    TIMER_DELAY_SEC,
    TIMER_DELAY_MS,
    TIMER_DELIVER_MS,
    TIMER_ENQUEUE_MS,
    TIMER_DEQUEUE_MS,
    TIMER_ROLL_TIMES,
    TIMER_OUT_MS,
    TIMER_DEL_UNIQKEY,
    TIMER_DELAY_LEVEL,
    BORN_HOST,
    BORN_TIMESTAMP,
    CRC32,
];

/// Whether `name` is one of [`RESERVED`].
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}
