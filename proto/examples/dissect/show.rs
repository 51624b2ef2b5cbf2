//! What is shown of each item: the fields of the JSON objects, in their order.

use std::collections::BTreeMap;

use rocketmq_proto::{
    BatchMember, DecompressError, Frame, MAX_FRAME_LEN, Properties, RemotingCommand, RequestCode,
    ResponseCode, StoredMessage,
};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct FrameShown<'a> {
    serialize_type: &'static str,
    code: i32,
    code_name: Option<&'static str>,
    language: Option<&'static str>,
    version: i32,
    opaque: i32,
    flag: i32,
    remark: Option<&'a str>,
    ext_fields: Option<&'a BTreeMap<String, String>>,
    header_len: usize,
    body_len: usize,
    body_crc32: u32,
}

#[derive(Serialize)]
pub(crate) struct StoredShown<'a> {
    topic: &'a str,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    flag: i32,
    sys_flag: i32,
    born_timestamp: i64,
    born_host: String,
    store_timestamp: i64,
    store_host: String,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    properties: BTreeMap<&'a str, &'a str>,
    message_id: String,
    offset_message_id: String,
    body_len: usize,
    body_crc32: u32,
}

#[derive(Serialize)]
pub(crate) struct MemberShown<'a> {
    flag: i32,
    properties: BTreeMap<&'a str, &'a str>,
    body_len: usize,
    body_crc32: u32,
}

impl<'a> FrameShown<'a> {
    pub(crate) fn new(frame: &Frame, command: &'a RemotingCommand) -> Self {
        let code_name = if command.is_response() {
            ResponseCode(command.code).name()
        } else {
            RequestCode(command.code).name()
        };
        Self {
            serialize_type: frame.serialize_type().name(),
            code: command.code,
            code_name,
            language: command.language.and_then(|language| language.name()),
            version: command.version,
            opaque: command.opaque,
            flag: command.flags.0,
            remark: command.remark.as_deref(),
            ext_fields: command.ext_fields.as_ref(),
            header_len: frame.header().len(),
            body_len: command.body.len(),
            body_crc32: crc32fast::hash(&command.body),
        }
    }
}

impl<'a> StoredShown<'a> {
    /// Fails when the body cannot be decompressed.
    pub(crate) fn new(message: &'a StoredMessage) -> Result<Self, DecompressError> {
        let body = message.decompressed_body(MAX_FRAME_LEN)?;
        Ok(Self {
            topic: &message.topic,
            queue_id: message.queue_id,
            queue_offset: message.queue_offset,
            commit_log_offset: message.commit_log_offset,
            flag: message.flag,
            sys_flag: message.sys_flag.0,
            born_timestamp: message.born_timestamp,
            born_host: message.born_host.to_string(),
            store_timestamp: message.store_timestamp,
            store_host: message.store_host.to_string(),
            reconsume_times: message.reconsume_times,
            prepared_transaction_offset: message.prepared_transaction_offset,
            properties: map_of(&message.properties),
            message_id: message.message_id().into(),
            offset_message_id: message.offset_message_id().to_string(),
            body_len: body.len(),
            body_crc32: crc32fast::hash(&body),
        })
    }
}

impl<'a> MemberShown<'a> {
    pub(crate) fn new(member: &BatchMember<'_>, properties: &'a Properties) -> Self {
        Self {
            flag: member.flag,
            properties: map_of(properties),
            body_len: member.body.len(),
            body_crc32: crc32fast::hash(member.body),
        }
    }
}

/// The properties as an object: of a repeated name the last value, as every reader takes it.
pub(crate) fn map_of(properties: &Properties) -> BTreeMap<&str, &str> {
    properties.iter().collect()
}
