//! Reading the engine's frames with the codec alone, as a server does.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_engine::Frame;
use rocketmq_engine::proto::header::SendMessageRequest;
use rocketmq_engine::proto::{
    BatchMembers, Flags, Frame as Received, FrameDecoder, Properties, RequestCode, property,
};

/// What a frame of the engine says.
pub(super) struct Seen {
    pub(super) code: i32,
    pub(super) flags: Flags,
    pub(super) opaque: i32,
    pub(super) send: Option<SendSeen>,
}

/// What a send says.
pub(super) struct SendSeen {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) body: Bytes,
    pub(super) broker: String,
    pub(super) queue_id: i32,
    pub(super) born_timestamp: i64,
    /// Of its messages, in order.
    pub(super) unique_keys: Vec<String>,
}

/// Reads a frame, which must be exactly one.
pub(super) fn read(frame: &Frame) -> Result<Seen, String> {
    let received = decode(frame)?;
    let command = received.command().map_err(|error| error.to_string())?;
    let mut seen = Seen {
        code: command.code,
        flags: command.flags,
        opaque: command.opaque,
        send: None,
    };
    let code = RequestCode(command.code);
    let sends = [
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::SEND_BATCH_MESSAGE,
    ];
    if command.flags.is_response() || !sends.contains(&code) {
        return Ok(seen);
    }
    let header: SendMessageRequest<'_> = command.ext.decode().map_err(|error| error.to_string())?;
    let unique_keys = if header.batch == Some(true) {
        let body = received.body();
        BatchMembers::new(&body)
            .map(|member| unique_key(member.map_err(|error| error.to_string())?.properties))
            .collect::<Result<_, _>>()?
    } else {
        vec![unique_key(
            header.properties.as_deref().unwrap_or_default(),
        )?]
    };
    seen.send = Some(SendSeen {
        group: header.producer_group.into_owned(),
        topic: header.topic.into_owned(),
        body: received.body(),
        broker: header.broker_name.unwrap_or_default().into_owned(),
        queue_id: header.queue_id,
        born_timestamp: header.born_timestamp,
        unique_keys,
    });
    Ok(seen)
}

/// The header fields of a request, `None` for an answer.
pub(super) fn request_fields(frame: &Frame) -> Result<Option<BTreeMap<String, String>>, String> {
    let received = decode(frame)?;
    let command = received.command().map_err(|error| error.to_string())?;
    let fields = command.ext.iter();
    let fields = fields.map(|(key, value)| (key.into_owned(), value.into_owned()));
    Ok((!command.flags.is_response()).then(|| fields.collect()))
}

/// A frame in a few words.
pub(super) fn describe(frame: &Frame) -> String {
    match read(frame) {
        Err(why) => format!("unreadable: {why}"),
        Ok(Seen {
            send: Some(send), ..
        }) => format!(
            "send {} to queue {} of {}",
            send.unique_keys.join(","),
            send.queue_id,
            send.broker
        ),
        Ok(seen) if seen.flags.is_response() => format!("answer {}", seen.code),
        Ok(seen) => RequestCode(seen.code).to_string(),
    }
}

fn decode(frame: &Frame) -> Result<Received, String> {
    let mut bytes = BytesMut::with_capacity(frame.len());
    bytes.put_slice(&frame.head);
    bytes.put_slice(&frame.body);
    let received = FrameDecoder::default().next_frame(&mut bytes);
    match received.map_err(|error| error.to_string())? {
        Some(received) if bytes.is_empty() => Ok(received),
        Some(_) => Err(format!("{} bytes after the frame", bytes.len())),
        None => Err("the frame is not whole".to_owned()),
    }
}

fn unique_key(properties: &str) -> Result<String, String> {
    let properties = Properties::from_wire(properties);
    let key = properties.get(property::UNIQ_KEY);
    key.map(str::to_owned)
        .ok_or_else(|| "a message without UNIQ_KEY".to_owned())
}
