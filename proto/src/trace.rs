//! Trace records: what a producer tells about its sends (PROTOCOL G.4).

use std::borrow::Cow;
use std::fmt::Write as _;

use thiserror::Error;

mod read;

pub use read::{InvalidTrace, TraceRecords};

const FIELD_END: char = '\u{1}';
const RECORD_END: char = '\u{2}';

/// What Java prints for a text that is not there.
const NULL: &str = "null";

/// The region that Java names when the broker named none, in records of transactions.
pub const DEFAULT_REGION: &str = "DefaultRegion";

/// One thing that a producer did. Absent texts are written as `null`, as Java does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TraceRecord<'a> {
    /// A message was sent and the broker answered.
    Publish(PublishTrace<'a>),
    /// A transaction was ended.
    EndTransaction(EndTransactionTrace<'a>),
    /// A delayed message was recalled (5.3.2 and later).
    Recall(RecallTrace<'a>),
}

/// A message that was sent: 14 fields on the wire, the first being `Pub`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublishTrace<'a> {
    /// When the send began, milliseconds since 1970.
    pub timestamp: i64,
    /// The broker's region.
    pub region: Option<Cow<'a, str>>,
    /// The producer group, without namespace.
    pub group: Cow<'a, str>,
    /// The topic, without namespace.
    pub topic: Cow<'a, str>,
    /// The unique id.
    pub message_id: Option<Cow<'a, str>>,
    /// The tag.
    pub tags: Option<Cow<'a, str>>,
    /// The keys, joined by spaces.
    pub keys: Option<Cow<'a, str>>,
    /// The broker's address.
    pub store_host: Option<Cow<'a, str>>,
    /// Bytes of the body as sent: compressed, where it was.
    pub body_len: i32,
    /// Milliseconds that the send took.
    pub cost_ms: i64,
    /// What kind of message it was.
    pub kind: TraceKind,
    /// The broker's id of the message.
    pub offset_message_id: Option<Cow<'a, str>>,
    /// Whether the message was stored.
    pub success: bool,
}

/// A transaction that was ended: 13 fields on the wire, the first being `EndTransaction`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndTransactionTrace<'a> {
    /// When, milliseconds since 1970.
    pub timestamp: i64,
    /// The broker's region, or [`DEFAULT_REGION`].
    pub region: Option<Cow<'a, str>>,
    /// The producer group, without namespace.
    pub group: Cow<'a, str>,
    /// The topic, without namespace.
    pub topic: Cow<'a, str>,
    /// The unique id.
    pub message_id: Option<Cow<'a, str>>,
    /// The tag.
    pub tags: Option<Cow<'a, str>>,
    /// The keys, joined by spaces.
    pub keys: Option<Cow<'a, str>>,
    /// The broker's address.
    pub store_host: Option<Cow<'a, str>>,
    /// What kind of message it was: [`TraceKind::TransactionCommit`].
    pub kind: TraceKind,
    /// The transaction.
    pub transaction_id: Option<Cow<'a, str>>,
    /// `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE` or `UNKNOW`.
    pub state: Cow<'a, str>,
    /// Whether a check-back of the broker led to it.
    pub from_check: bool,
}

/// A delayed message that was recalled: 7 fields on the wire, the first being `Recall`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecallTrace<'a> {
    /// When, milliseconds since 1970.
    pub timestamp: i64,
    /// The broker's region.
    pub region: Option<Cow<'a, str>>,
    /// The producer group, without namespace.
    pub group: Cow<'a, str>,
    /// The topic, without namespace.
    pub topic: Cow<'a, str>,
    /// The unique id of the recalled message.
    pub message_id: Option<Cow<'a, str>>,
    /// Whether the broker took the message back.
    pub success: bool,
}

/// The kind of a traced message; written as number.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TraceKind {
    /// 0: an ordinary message.
    #[default]
    Normal,
    /// 1: a half message.
    TransactionHalf,
    /// 2: the end of a transaction.
    TransactionCommit,
    /// 3: a delayed message.
    Delay,
    /// 4: a message whose place in the queue matters.
    Order,
}

/// A trace record cannot carry this text.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "the trace field {field} contains U+0001 or U+0002, which end fields and records; remove them"
)]
pub struct TraceSeparator {
    /// Which field.
    pub field: &'static str,
}

impl TraceRecord<'_> {
    /// Appends the record.
    ///
    /// # Errors
    ///
    /// When a text holds one of the two separators; `out` is unchanged then.
    pub fn encode(&self, out: &mut String) -> Result<(), TraceSeparator> {
        let start = out.len();
        let mut fields = FieldWriter { out, fault: None };
        match self {
            Self::Publish(trace) => fields.publish(trace),
            Self::EndTransaction(trace) => fields.end_transaction(trace),
            Self::Recall(trace) => fields.recall(trace),
        }
        match fields.fault {
            None => {
                // The last field ended like all others; the record's end takes that place.
                out.pop();
                out.push(RECORD_END);
                Ok(())
            }
            Some(field) => {
                out.truncate(start);
                Err(TraceSeparator { field })
            }
        }
    }
}

impl TraceKind {
    const ALL: [Self; 5] = [
        Self::Normal,
        Self::TransactionHalf,
        Self::TransactionCommit,
        Self::Delay,
        Self::Order,
    ];

    /// The number on the wire (Java: the ordinal of `MessageType`).
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

struct FieldWriter<'a> {
    out: &'a mut String,
    fault: Option<&'static str>,
}

impl FieldWriter<'_> {
    fn publish(&mut self, trace: &PublishTrace<'_>) {
        self.text("type", Some("Pub"));
        self.number(trace.timestamp);
        self.text("region", trace.region.as_deref());
        self.text("group", Some(&trace.group));
        self.text("topic", Some(&trace.topic));
        self.text("message id", trace.message_id.as_deref());
        self.text("tags", trace.tags.as_deref());
        self.text("keys", trace.keys.as_deref());
        self.text("store host", trace.store_host.as_deref());
        self.number(trace.body_len.into());
        self.number(trace.cost_ms);
        self.number(trace.kind.number().into());
        self.text("offset message id", trace.offset_message_id.as_deref());
        self.flag(trace.success);
    }

    fn end_transaction(&mut self, trace: &EndTransactionTrace<'_>) {
        self.text("type", Some("EndTransaction"));
        self.number(trace.timestamp);
        self.text("region", trace.region.as_deref());
        self.text("group", Some(&trace.group));
        self.text("topic", Some(&trace.topic));
        self.text("message id", trace.message_id.as_deref());
        self.text("tags", trace.tags.as_deref());
        self.text("keys", trace.keys.as_deref());
        self.text("store host", trace.store_host.as_deref());
        self.number(trace.kind.number().into());
        self.text("transaction id", trace.transaction_id.as_deref());
        self.text("state", Some(&trace.state));
        self.flag(trace.from_check);
    }

    fn recall(&mut self, trace: &RecallTrace<'_>) {
        self.text("type", Some("Recall"));
        self.number(trace.timestamp);
        self.text("region", trace.region.as_deref());
        self.text("group", Some(&trace.group));
        self.text("topic", Some(&trace.topic));
        self.text("message id", trace.message_id.as_deref());
        self.flag(trace.success);
    }

    fn text(&mut self, field: &'static str, text: Option<&str>) {
        let text = text.unwrap_or(NULL);
        if text.contains([FIELD_END, RECORD_END]) {
            self.fault.get_or_insert(field);
        }
        self.out.push_str(text);
        self.out.push(FIELD_END);
    }

    fn number(&mut self, number: i64) {
        // Writing to a String does not fail.
        let _ = write!(self.out, "{number}{FIELD_END}");
    }

    fn flag(&mut self, flag: bool) {
        self.text("flag", Some(if flag { "true" } else { "false" }));
    }
}

#[cfg(test)]
mod tests;
