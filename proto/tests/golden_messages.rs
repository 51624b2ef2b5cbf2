//! Every golden line that is no frame, decoded, encoded again and compared with what Java wrote and read.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{
    BatchMembers, FrameDecoder, MAX_DECOMPRESSED_LEN, OffsetMessageId, Properties, RemotingCommand,
    StoredMessage, StoredMessages, UniqueId, UniqueIdSeed, UniqueIds, body_crc, java_hash,
};
use serde_json::Value;
use sha1::{Digest, Sha1};

const CHECKED_HERE: [&str; 9] = [
    "acl",
    "batch",
    "crc",
    "hash",
    "message",
    "message-list",
    "msgid",
    "properties",
    "uniqid",
];

#[test]
fn every_kind_of_line_is_checked_by_some_test() {
    for line in lines() {
        let kind = text(&line, "kind");
        assert!(
            ["frame", "meta"].contains(&kind) || CHECKED_HERE.contains(&kind),
            "{kind}"
        );
    }
}

#[test]
fn stored_messages_decode_as_in_java_and_encode_to_the_same_bytes() {
    let checked = of_kind("message", |line| {
        let bytes = golden(text(line, "file"));
        let (message, len) = StoredMessage::decode(&bytes).unwrap();
        assert_eq!(len, bytes.len());
        compare_message(line, &message);
        assert_eq!(again(&message), bytes);
    });
    assert!(checked >= 8);
}

#[test]
fn lists_of_stored_messages_decode_and_encode_to_the_same_bytes() {
    of_kind("message-list", |line| {
        let bytes = golden(text(line, "file"));
        let messages: Vec<_> = StoredMessages::new(bytes.clone())
            .collect::<Result<_, _>>()
            .unwrap();
        let written: Vec<u8> = messages.iter().flat_map(again).collect();
        assert_eq!(written, bytes);
        let expected = line["messages"].as_array().unwrap();
        assert_eq!(messages.len(), expected.len());
        for (line, message) in expected.iter().zip(&messages) {
            compare_message(line, message);
        }
    });
}

#[test]
fn batches_decode_as_in_java_and_encode_to_the_same_bytes() {
    let checked = of_kind("batch", |line| {
        let bytes = golden(text(line, "file"));
        let members: Vec<_> = BatchMembers::new(&bytes).collect::<Result<_, _>>().unwrap();
        let expected = line["messages"].as_array().unwrap();
        assert_eq!(members.len(), expected.len());
        let mut out = BytesMut::new();
        for (member, expected) in members.iter().zip(expected) {
            assert_eq!(i64::from(member.flag), expected["flag"]);
            assert_eq!(member.body, text(expected, "body").as_bytes());
            let properties = Properties::from_wire(member.properties);
            assert_eq!(pairs(&properties), map(&expected["properties"]));
            member.encode(&mut out).unwrap();
        }
        assert_eq!(out, bytes);
    });
    assert!(checked > 0);
}

#[test]
fn properties_decode_as_in_java_and_are_written_like_it() {
    let checked = of_kind("properties", |line| {
        let wire = String::from_utf8(golden(text(line, "file"))).unwrap();
        assert_eq!(wire, text(line, "string"));
        let read = Properties::from_wire(wire.clone());
        assert_eq!(read.as_wire(), wire);
        assert_eq!(pairs(&read), map(&line["decoded"]));

        let mut written = Properties::new();
        for pair in line["input"].as_array().unwrap() {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            // Java writes an empty value and loses it when it reads; here it is refused.
            assert_eq!(written.set(name, value).is_err(), value.is_empty());
        }
        if written.len() == line["input"].as_array().unwrap().len() {
            assert_eq!(written.as_wire(), wire);
        }
        assert_eq!(pairs(&written), map(&line["decoded"]));
    });
    assert!(checked >= 4);
}

#[test]
fn offset_ids_decode_and_encode() {
    let checked = of_kind("msgid", |line| {
        let addr = SocketAddr::new(
            text(line, "address").parse().unwrap(),
            line["port"].as_u64().unwrap().try_into().unwrap(),
        );
        let id = OffsetMessageId::new(addr, line["offset"].as_i64().unwrap());
        assert_eq!(text(line, "id").parse(), Ok(id));
        assert_eq!(id.to_string(), text(line, "id"));
    });
    assert!(checked > 0);
}

#[test]
fn unique_ids_decode_to_their_parts_and_are_generated_alike() {
    let mut generated = 0;
    let checked = of_kind("uniqid", |line| {
        let number = |name: &str| line[name].as_u64().unwrap();
        let id = UniqueId::parse(text(line, "id")).unwrap();
        assert_eq!(id.to_string(), text(line, "id"));
        assert_eq!(id.ip(), text(line, "ip_str").parse::<IpAddr>().unwrap());
        assert_eq!(u64::from(id.pid()), number("pid"));
        assert_eq!(u64::from(id.hash()), number("classloader_hash"));
        assert_eq!(u64::from(id.millis_of_month()), number("time_diff_ms"));
        assert_eq!(u64::from(id.counter()), number("counter"));

        let Some(created_at) = line["created_at_ms"].as_u64() else {
            return;
        };
        assert_eq!(text(line, "timezone"), "Etc/UTC");
        let mut ids = UniqueIds::new(UniqueIdSeed {
            ip: id.ip(),
            pid: id.pid().into(),
            hash: id.hash(),
            utc_offset_seconds: 0,
        });
        let last = (0..=number("counter")).map(|_| ids.next(created_at)).last();
        assert_eq!(last, Some(id));
        generated += 1;
    });
    assert!(checked >= 3 && generated >= 2);
}

#[test]
fn hashes_and_checksums_are_javas() {
    let hashes = of_kind("hash", |line| {
        assert_eq!(
            i64::from(java_hash(text(line, "string"))),
            line["java_hashcode"]
        );
    });
    let checksums = of_kind("crc", |line| {
        assert_eq!(
            i64::from(body_crc(text(line, "string").as_bytes())),
            line["crc32"]
        );
    });
    assert!(hashes > 0 && checksums > 0);
}

#[cfg(feature = "acl")]
#[test]
fn signatures_are_reproduced_from_the_frames_that_carry_them() {
    use rocketmq_proto::acl::{Credentials, SECURITY_TOKEN, SIGNATURE};

    let checked = of_kind("acl", |line| {
        let frame = golden(&format!("{}.bin", text(line, "name")));
        let mut frame = BytesMut::from(&frame[..]);
        let frame = FrameDecoder::default()
            .next_frame(&mut frame)
            .unwrap()
            .unwrap();
        let command = RemotingCommand::from_frame(&frame).unwrap();
        let sent = command.ext_fields.unwrap();
        assert_eq!(sent, map(&line["extFields"]));
        assert_eq!(sent[SIGNATURE], text(line, "signature"));

        let mut credentials = Credentials::new(text(line, "access_key"), text(line, "secret_key"));
        if let Some(token) = line["security_token"].as_str() {
            credentials = credentials.with_security_token(token);
            assert_eq!(sent[SECURITY_TOKEN], token);
        }
        // All of it but what signing itself adds.
        let own = [SIGNATURE, SECURITY_TOKEN, "AccessKey"];
        let fields: Vec<_> = sent
            .iter()
            .filter(|(key, _)| !own.contains(&key.as_str()))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let content = credentials.signed_content(&(), &fields, &[&command.body]);
        assert_eq!(content, golden(text(line, "content_file")));
        assert_eq!(content.len() as u64, line["content_len"]);
        assert_eq!(sha1_hex(&content), text(line, "content_sha1"));
        let signature = credentials.sign(&(), &fields, &[&command.body]);
        assert_eq!(signature, text(line, "signature"));
    });
    assert!(checked >= 6);
}

/// Beyond the lines made for it: what went over the wire between Java and Java.
#[test]
fn messages_and_batches_of_the_captures_encode_to_the_same_bytes() {
    let (mut messages, mut batches, mut strings) = (0, 0, 0);
    for entry in fs::read_dir(golden_folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("stream-") && name.ends_with(".bin")) {
            continue;
        }
        let mut stream = BytesMut::from(&fs::read(&path).unwrap()[..]);
        let mut decoder = FrameDecoder::default();
        while let Some(frame) = decoder.next_frame(&mut stream).unwrap() {
            let command = RemotingCommand::from_frame(&frame).unwrap();
            if let Some(wire) = command
                .ext_fields
                .as_ref()
                .and_then(|fields| fields.get("i"))
            {
                let read = Properties::from_wire(wire.clone());
                let mut written = Properties::new();
                for (name, value) in read.iter() {
                    written.set(name, value).unwrap();
                }
                assert_eq!(written.as_wire(), wire.trim_end_matches('\u{2}'), "{name}");
                strings += 1;
            }
            if command.code == 320 && !command.is_response() {
                let mut out = BytesMut::new();
                for member in BatchMembers::new(&command.body) {
                    member.unwrap().encode(&mut out).unwrap();
                }
                assert_eq!(out, command.body, "{name}");
                batches += 1;
            }
            if command.body.get(4..7) == Some(&[0xDA, 0xA3, 0x20][..]) {
                let read = StoredMessages::new(command.body.clone());
                let read: Vec<_> = read.collect::<Result<_, _>>().unwrap();
                let written: Vec<u8> = read.iter().flat_map(again).collect();
                assert_eq!(Bytes::from(written), command.body, "{name}");
                messages += read.len();
            }
        }
        assert!(stream.is_empty());
    }
    println!("{messages} messages, {batches} batches, {strings} properties strings");
    assert!(messages > 0 && batches > 0 && strings > 0);
}

fn compare_message(line: &Value, message: &StoredMessage) {
    assert_eq!(message.topic, text(line, "topic"));
    for (name, found) in [
        ("queueId", i64::from(message.queue_id)),
        ("queueOffset", message.queue_offset),
        ("commitLogOffset", message.commit_log_offset),
        ("flag", message.flag.into()),
        ("sysFlag", message.sys_flag.0.into()),
        ("bodyCRC", message.body_crc.into()),
        ("bornTimestamp", message.born_timestamp),
        ("bornPort", message.born_host.port().into()),
        ("storeTimestamp", message.store_timestamp),
        ("storePort", message.store_host.port().into()),
        ("reconsumeTimes", message.reconsume_times.into()),
        (
            "preparedTransactionOffset",
            message.prepared_transaction_offset,
        ),
        ("storeSize", message.encoded_len() as i64),
    ] {
        assert_eq!(found, line[name], "{name} of {}", text(line, "name"));
    }
    let ip = |name: &str| text(line, name).parse::<IpAddr>().unwrap();
    assert_eq!(message.born_host.ip(), ip("bornHost"));
    assert_eq!(message.store_host.ip(), ip("storeHost"));
    assert_eq!(pairs(&message.properties), map(&line["properties"]));
    assert_eq!(message.message_id(), text(line, "msgId"));
    assert_eq!(
        message.offset_message_id().to_string(),
        text(line, "offsetMsgId")
    );
    if cfg!(feature = "lz4") || message.sys_flag.compression_bits() != 1 {
        let body = message.decompressed_body(MAX_DECOMPRESSED_LEN).unwrap();
        assert_eq!(body.len() as u64, line["body_len"]);
        assert_eq!(sha1_hex(&body), text(line, "body_sha1"));
    }
}

fn again(message: &StoredMessage) -> Vec<u8> {
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    out.to_vec()
}

/// Runs `check` over every line of one kind and says how many there were.
fn of_kind(kind: &str, mut check: impl FnMut(&Value)) -> usize {
    assert!(CHECKED_HERE.contains(&kind));
    let lines: Vec<_> = lines()
        .into_iter()
        .filter(|line| text(line, "kind") == kind)
        .collect();
    lines.iter().for_each(&mut check);
    lines.len()
}

fn lines() -> Vec<Value> {
    let lines = String::from_utf8(golden("golden.jsonl")).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn golden(file: &str) -> Vec<u8> {
    fs::read(golden_folder().join(file)).unwrap()
}

fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {line}"))
}

fn pairs(properties: &Properties) -> BTreeMap<String, String> {
    let pairs = properties.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An object of texts; null is an empty one.
fn map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
