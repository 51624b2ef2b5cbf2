//! Every frame that Apache RocketMQ 4.9.8 wrote for us is read, compared with what Java reads from it, written again
//! in both serialize types, and read again.

mod support;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::header::{
    CheckTransactionStateRequest, CreateTopicRequest, DecodeFields, EndTransactionRequest, Fields,
    GetEarliestMsgStoreTimeRequest, GetMaxOffsetRequest, GetMinOffsetRequest, GetRouteInfoRequest,
    HeartbeatData, QueryMessageRequest, SearchOffsetRequest, SendMessageRequest,
    SendMessageRequestV1, SendMessageResponse, SendResponseExtras, UnregisterClientRequest,
    ViewMessageRequest,
};
use rocketmq_proto::{
    CommandView, Frame, FrameDecoder, LanguageCode, RemotingCommand, RequestCode, SerializeType,
    TopicRoute,
};
use serde_json::Value;
use support::{golden, golden_lines};

const GOLDEN_FRAMES: usize = 72;
const ACL_LINES: usize = 6;
const STREAMS: usize = 28;
const STREAM_FRAMES: usize = 152;

#[test]
fn every_golden_frame_is_read_as_java_reads_it_and_survives_both_codecs() {
    let mut checked = 0;
    for line in golden_lines("golden.jsonl") {
        if line["kind"] != "frame" {
            continue;
        }
        let name = line["name"].as_str().unwrap();
        let frame = only_frame(&golden(line["file"].as_str().unwrap()), name);
        assert_eq!(
            frame.serialize_type().name(),
            line["serialize_type"],
            "{name}"
        );
        assert_eq!(frame.encoded_len(), line["frame_len"], "{name}");
        assert_eq!(frame.header().len(), line["header_len"], "{name}");
        check_frame(&frame, &line, name);

        // Java's network layer writes some fields twice; everything else is written once, in hash order.
        if line["encoder"] == "encode" {
            check_bytes(&frame, name);
        }
        checked += 1;
    }
    assert_eq!(checked, GOLDEN_FRAMES);
}

#[test]
fn every_signed_frame_carries_the_recorded_fields() {
    let mut checked = 0;
    for line in golden_lines("golden.jsonl") {
        if line["kind"] != "acl" {
            continue;
        }
        let name = line["name"].as_str().unwrap();
        let frame = only_frame(&golden(&format!("{name}.bin")), name);
        let view = frame.command().unwrap();
        assert_eq!(fields_of(&view), recorded_fields(&line), "{name}");
        assert_eq!(
            view.ext.get("Signature").as_deref(),
            line["signature"].as_str(),
            "{name}"
        );
        assert_eq!(
            view.ext.get("AccessKey").as_deref(),
            line["access_key"].as_str(),
            "{name}"
        );
        assert_eq!(
            view.ext.get("SecurityToken").as_deref(),
            line["security_token"].as_str(),
            "{name}"
        );
        checked += 1;
    }
    assert_eq!(checked, ACL_LINES);
}

#[test]
fn every_frame_of_every_captured_stream_is_read_as_recorded_and_survives_both_codecs() {
    let (mut streams, mut frames) = (0, 0);
    for stream in golden_lines("streams.jsonl") {
        let file = stream["file"].as_str().unwrap();
        let mut bytes = BytesMut::from(&golden(file)[..]);
        assert_eq!(bytes.len(), stream["bytes"], "{file}");
        let index = golden_lines(stream["frames_index"].as_str().unwrap());

        let mut decoder = FrameDecoder::default();
        let mut offset = 0;
        for line in index.iter().filter(|line| line["file"] == file) {
            let name = format!("{file} at {offset}");
            let frame = decoder
                .next_frame(&mut bytes)
                .unwrap()
                .expect("as many frames as recorded");
            assert_eq!((offset, frame.encoded_len()), place(line), "{name}");
            assert_eq!(frame.serialize_type().name(), line["type"], "{name}");
            check_frame(&frame, line, &name);
            check_bytes(&frame, &name);
            offset += frame.encoded_len();
            frames += 1;
        }
        assert!(bytes.is_empty(), "{file}: bytes are left");
        streams += 1;
    }
    assert_eq!((streams, frames), (STREAMS, STREAM_FRAMES));
}

/// What the line says, the typed header, and the way through both codecs.
fn check_frame(frame: &Frame, line: &Value, name: &str) {
    let view = frame.command().unwrap();
    assert_eq!(view.code, line["code"], "{name}");
    assert_eq!(view.opaque, line["opaque"], "{name}");
    assert_eq!(view.flags.0, line["flag"], "{name}");
    assert_eq!(view.version, line["version"], "{name}");
    assert_eq!(
        view.language,
        recorded_language(&line["language"]),
        "{name}"
    );
    assert_eq!(view.remark.as_deref(), line["remark"].as_str(), "{name}");
    assert_eq!(
        view.ext.is_present(),
        line["extFields"].is_object(),
        "{name}"
    );
    assert_eq!(fields_of(&view), recorded_fields(line), "{name}");
    assert_eq!(frame.body().len(), line["body_len"], "{name}");
    if let Some(body) = line["body"].as_str() {
        assert_eq!(frame.body(), body, "{name}");
    }
    check_typed(&view, &frame.body(), name);

    let command = RemotingCommand::from_frame(frame).unwrap();
    for ty in [SerializeType::Json, SerializeType::Binary] {
        let again = RemotingCommand::from_frame(&encoded(&command, ty)).unwrap();
        let mut expected = command.clone();
        if ty == SerializeType::Binary {
            // The layout has no way to say "there, but empty".
            expected.remark = expected.remark.filter(|remark| !remark.is_empty());
            expected.ext_fields = expected.ext_fields.filter(|fields| !fields.is_empty());
        }
        assert_eq!(again, expected, "{name} as {}", ty.name());
    }
}

/// Ours is as long as Java's, and the same to the byte where there are no fields in hash order.
fn check_bytes(frame: &Frame, name: &str) {
    let command = RemotingCommand::from_frame(frame).unwrap();
    let ours = encoded(&command, frame.serialize_type());
    assert_eq!(ours.encoded_len(), frame.encoded_len(), "{name}");
    if command
        .ext_fields
        .as_ref()
        .is_none_or(|fields| fields.len() < 2)
    {
        assert_eq!(ours.as_bytes(), frame.as_bytes(), "{name}");
    }
    if frame.serialize_type() == SerializeType::Json {
        assert_eq!(
            outside_ext_fields(ours.header()),
            outside_ext_fields(frame.header()),
            "{name}"
        );
    }
}

/// The header of a request, or of the answer to a send, through its struct: nothing is lost.
fn check_typed(view: &CommandView<'_>, body: &Bytes, name: &str) {
    if view.flags.is_response() {
        if view.ext.get("msgId").is_some() {
            let response: SendMessageResponse<'_> = view.ext.decode().unwrap();
            let extras: SendResponseExtras<'_> = view.ext.decode().unwrap();
            assert_eq!(written(&(response, extras)), fields_of(view), "{name}");
        }
        if body.starts_with(b"{\"brokerDatas\"") {
            let route = TopicRoute::decode(body).unwrap();
            let ours = [route.encode_json(), route.encode_fastjson()];
            assert!(ours.contains(body), "{name}: {ours:?}");
        }
        return;
    }
    match view.request_code() {
        RequestCode::SEND_MESSAGE => typed::<SendMessageRequestV1<'_>>(view, name),
        RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
            typed::<SendMessageRequest<'_>>(view, name);
        }
        RequestCode::QUERY_MESSAGE => typed::<QueryMessageRequest<'_>>(view, name),
        RequestCode::UPDATE_AND_CREATE_TOPIC => typed::<CreateTopicRequest<'_>>(view, name),
        RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => typed::<SearchOffsetRequest<'_>>(view, name),
        RequestCode::GET_MAX_OFFSET => typed::<GetMaxOffsetRequest<'_>>(view, name),
        RequestCode::GET_MIN_OFFSET => typed::<GetMinOffsetRequest<'_>>(view, name),
        RequestCode::GET_EARLIEST_MSG_STORETIME => {
            typed::<GetEarliestMsgStoreTimeRequest<'_>>(view, name);
        }
        RequestCode::VIEW_MESSAGE_BY_ID => typed::<ViewMessageRequest<'_>>(view, name),
        RequestCode::HEART_BEAT => {
            let data = HeartbeatData::decode(body).unwrap();
            let mut ours = BytesMut::new();
            data.encode(&mut ours);
            assert_eq!(ours.len(), body.len(), "{name}: {ours:?}");
            assert_eq!(HeartbeatData::decode(&ours).unwrap(), data, "{name}");
        }
        RequestCode::UNREGISTER_CLIENT => typed::<UnregisterClientRequest<'_>>(view, name),
        RequestCode::END_TRANSACTION => typed::<EndTransactionRequest<'_>>(view, name),
        RequestCode::CHECK_TRANSACTION_STATE => {
            typed::<CheckTransactionStateRequest<'_>>(view, name);
        }
        RequestCode::GET_ROUTEINFO_BY_TOPIC => typed::<GetRouteInfoRequest<'_>>(view, name),
        RequestCode(32767) | RequestCode::GET_BROKER_CLUSTER_INFO => {
            assert!(!view.ext.is_present(), "{name}");
        }
        other => panic!("{name}: no typed header for {other}"),
    }
}

fn typed<'a, H: DecodeFields<'a> + Fields>(view: &CommandView<'a>, name: &str) {
    let header: H = view.ext.decode().unwrap();
    let mut expected = fields_of(view);
    expected.retain(|key, _| !["AccessKey", "SecurityToken", "Signature"].contains(&key.as_str()));
    assert_eq!(written(&header), expected, "{name}");
}

fn written(fields: &impl Fields) -> BTreeMap<String, String> {
    RemotingCommand::request(RequestCode(0), 0, fields)
        .ext_fields
        .unwrap_or_default()
}

fn only_frame(bytes: &[u8], name: &str) -> Frame {
    let mut bytes = BytesMut::from(bytes);
    let frame = FrameDecoder::default()
        .next_frame(&mut bytes)
        .unwrap()
        .unwrap();
    assert!(bytes.is_empty(), "{name}: bytes are left");
    frame
}

fn encoded(command: &RemotingCommand, ty: SerializeType) -> Frame {
    let mut bytes = BytesMut::new();
    command.encode(ty, &mut bytes).unwrap();
    only_frame(&bytes, "ours")
}

fn fields_of(view: &CommandView<'_>) -> BTreeMap<String, String> {
    view.ext
        .iter()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

fn recorded_fields(line: &Value) -> BTreeMap<String, String> {
    let fields = line["extFields"].as_object();
    fields
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

/// A name, or the number when the header was binary.
fn recorded_language(value: &Value) -> Option<LanguageCode> {
    match value.as_u64() {
        Some(number) => Some(LanguageCode(number as u8)),
        None => LanguageCode::from_name(value.as_str().unwrap()),
    }
}

fn place(line: &Value) -> (usize, usize) {
    (
        line["offset"].as_u64().unwrap() as usize,
        line["len"].as_u64().unwrap() as usize,
    )
}

/// A JSON header without what stands in hash order.
fn outside_ext_fields(header: &[u8]) -> String {
    let text = std::str::from_utf8(header).unwrap();
    let Some((before, rest)) = text.split_once("\"extFields\":{") else {
        return text.to_owned();
    };
    let (_, after) = rest.split_once("},\"flag\"").unwrap();
    format!("{before}{after}")
}
