//! What comes of it, and how it is read off the servers' answers. Pure.

use std::sync::Arc;

use bytes::Bytes;
use rocketmq_proto::header::{
    OffsetResponse, QueryMessageResponse, RecallMessageResponse, TimestampResponse,
};
use rocketmq_proto::{
    ClusterInfo, CommandView, MAX_DECOMPRESSED_LEN, ResponseCode, StoredMessage, StoredMessages,
    SysFlag, TopicList, property,
};

use super::request::{AdminRequest, KeyQuery};
use crate::error::{AttemptFailure, AttemptReport};

/// The compression bits of a flag (PROTOCOL D.3).
const COMPRESSION: SysFlag = SysFlag(0x701);

/// The answer to an admin request; [`Question`](super::Question) says which belongs to which.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminAnswer {
    /// Brokers and clusters.
    Cluster(ClusterInfo),
    /// A topic was made.
    Created(CreatedTopic),
    /// One message, its body as stored.
    Message(Box<StoredMessage>),
    /// The messages with a key, their bodies as stored.
    Messages(QueryResult),
    /// An offset, or a time.
    Number(i64),
    /// The unique id of the message taken back.
    Recalled(String),
    /// Names of topics.
    Topics(Vec<String>),
}

/// Where a topic was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// The brokers that have it now.
    pub brokers: Vec<Arc<str>>,
    /// Those that could not be told, and why: the last try of each. Java says nothing of them.
    pub failures: Vec<AttemptReport>,
}

/// The messages that a query found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueryResult {
    /// The messages, by the time of storing. Bodies are decompressed.
    pub messages: Vec<StoredMessage>,
    /// How far the brokers' indexes are, milliseconds since 1970: messages stored later may be
    /// missing. The earliest of all brokers that answered.
    pub index_updated_at_ms: i64,
    /// Brokers that gave no answer, so that messages of theirs are missing.
    pub failures: Vec<AttemptReport>,
}

/// What one server's answer says.
#[derive(Debug)]
pub(super) enum Read {
    Answer(AdminAnswer),
    /// Nothing there: an answer, but not the one that was hoped for.
    Nothing(AttemptFailure),
    Failed(AttemptFailure),
}

impl AdminAnswer {
    pub(super) fn into_cluster(self) -> Option<ClusterInfo> {
        match self {
            Self::Cluster(info) => Some(info),
            _ => None,
        }
    }

    pub(super) fn into_created(self) -> Option<CreatedTopic> {
        match self {
            Self::Created(created) => Some(created),
            _ => None,
        }
    }

    /// Decompresses: to be called where no lock is held.
    pub(super) fn into_message(self) -> Option<StoredMessage> {
        match self {
            Self::Message(message) => Some(unpacked(*message)),
            other => other.into_first(),
        }
    }

    /// As [`into_message`](Self::into_message), for all.
    pub(super) fn into_messages(self) -> Option<QueryResult> {
        let Self::Messages(mut result) = self else {
            return None;
        };
        result.messages = result.messages.into_iter().map(unpacked).collect();
        Some(result)
    }

    /// The message that was stored first: a retry may have stored it twice.
    pub(super) fn into_first(self) -> Option<StoredMessage> {
        let Self::Messages(result) = self else {
            return None;
        };
        result.messages.into_iter().next().map(unpacked)
    }

    pub(super) fn into_number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn into_recalled(self) -> Option<String> {
        match self {
            Self::Recalled(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn into_topics(self) -> Option<Vec<String>> {
        match self {
            Self::Topics(topics) => Some(topics),
            _ => None,
        }
    }
}

/// Reads a server's answer.
pub(super) fn read(request: &AdminRequest, answer: &CommandView<'_>, body: &Bytes) -> Read {
    let code = ResponseCode(answer.code);
    if code != ResponseCode::SUCCESS {
        let remark = answer.remark.as_deref().unwrap_or_default().to_owned();
        let is_nothing = says_nothing_there(request, code, &remark);
        let failure = AttemptFailure::Answered { code, remark };
        return if is_nothing {
            Read::Nothing(failure)
        } else {
            Read::Failed(failure)
        };
    }
    let read = match request {
        AdminRequest::ClusterInfo => ClusterInfo::decode(body)
            .map(AdminAnswer::Cluster)
            .map_err(|error| error.to_string()),
        AdminRequest::CreateTopic(_) => Ok(AdminAnswer::Created(CreatedTopic {
            brokers: Vec::new(),
            failures: Vec::new(),
        })),
        AdminRequest::EarliestStoreTime(_) => {
            let time = answer.ext.decode::<TimestampResponse>();
            time.map(|time| AdminAnswer::Number(time.timestamp))
                .map_err(|error| error.to_string())
        }
        AdminRequest::MaxOffset(_)
        | AdminRequest::MinOffset(_)
        | AdminRequest::SearchOffset { .. } => {
            let offset = answer.ext.decode::<OffsetResponse>();
            offset
                .map(|offset| AdminAnswer::Number(offset.offset))
                .map_err(|error| error.to_string())
        }
        AdminRequest::Query(query) => return read_query(query, answer, body),
        AdminRequest::Recall { .. } => {
            let recalled = answer.ext.decode::<RecallMessageResponse<'_>>();
            recalled
                .map(|recalled| AdminAnswer::Recalled(recalled.msg_id.into_owned()))
                .map_err(|error| error.to_string())
        }
        AdminRequest::TopicList => TopicList::decode(body)
            .map(|list| AdminAnswer::Topics(list.topics))
            .map_err(|error| error.to_string()),
        AdminRequest::Find { .. } | AdminRequest::View(_) => StoredMessage::decode(body)
            .map(|(message, _)| AdminAnswer::Message(Box::new(message)))
            .map_err(|error| error.to_string()),
    };
    match read {
        Ok(answer) => Read::Answer(answer),
        Err(why) => Read::Failed(AttemptFailure::BadAnswer(why)),
    }
}

/// Whether an error code means that there is no such message (B.10, B.11).
fn says_nothing_there(request: &AdminRequest, code: ResponseCode, remark: &str) -> bool {
    let is_question = matches!(
        request,
        AdminRequest::Find { .. } | AdminRequest::Query(_) | AdminRequest::View(_)
    );
    let nothing = match code {
        ResponseCode::QUERY_NOT_FOUND | ResponseCode::NO_MESSAGE => true,
        // Brokers have no code of its own for a view that finds nothing.
        ResponseCode::SYSTEM_ERROR => remark.starts_with("can not find message"),
        _ => false,
    };
    is_question && nothing
}

fn read_query(query: &KeyQuery, answer: &CommandView<'_>, body: &Bytes) -> Read {
    let mut messages = Vec::new();
    for message in StoredMessages::new(body.clone()) {
        match message {
            Ok(message) if is_meant(query, &message) => messages.push(message),
            Ok(_) => {}
            Err(error) => return Read::Failed(AttemptFailure::BadAnswer(error.to_string())),
        }
        if messages.len() == query.max as usize {
            break;
        }
    }
    let index = answer.ext.decode::<QueryMessageResponse>();
    Read::Answer(AdminAnswer::Messages(QueryResult {
        messages,
        // Servers that do not say how far their index is (L 14) answer the question all the same.
        index_updated_at_ms: index.map_or(0, |index| index.index_last_update_timestamp),
        failures: Vec::new(),
    }))
}

/// Brokers look messages up by a hash of their key: others come along (PROTOCOL B.11).
fn is_meant(query: &KeyQuery, message: &StoredMessage) -> bool {
    let key = &query.key;
    if query.times.is_none() {
        return match message.properties.get(property::UNIQ_KEY) {
            Some(id) => id == key,
            None => message.offset_message_id().to_string() == *key,
        };
    }
    let keys = message.properties.get(property::KEYS).unwrap_or_default();
    message.topic == query.topic.as_str() && keys.split(' ').any(|known| known == key)
}

/// The message with its body as the producer gave it. A body that cannot be decompressed, since its
/// kind is not built in, stays as it is, and so does its flag, which says so.
fn unpacked(mut message: StoredMessage) -> StoredMessage {
    if message.sys_flag.is_compressed() {
        if let Ok(body) = message.decompressed_body(MAX_DECOMPRESSED_LEN) {
            message.body = body;
            message.sys_flag = message.sys_flag.without(COMPRESSION);
        }
    }
    message
}
