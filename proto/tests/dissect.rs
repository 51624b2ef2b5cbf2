//! The example `dissect`, run over the golden files and over bad bytes. Its rooms are included here, since
//! the path to an example's program is not known to tests.

#[path = "../examples/dissect/items.rs"]
mod items;
#[path = "../examples/dissect/show.rs"]
mod show;
#[path = "../examples/dissect/source.rs"]
mod source;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use items::{Fault, Kind, dissect};
use serde_json::{Value, json};

const FRAME_LIMIT: usize = 16 * 1024 * 1024;

#[test]
fn every_golden_frame_is_shown_with_what_java_read() {
    let mut checked = 0;
    for line in lines("golden.jsonl")
        .iter()
        .filter(|line| line["kind"] == "frame")
    {
        let bytes = golden(line["file"].as_str().unwrap());
        let [shown] = &shown(Kind::Frames, &bytes)[..] else {
            panic!("one frame in {line}");
        };
        for (ours, theirs) in [
            ("serialize_type", "serialize_type"),
            ("code", "code"),
            ("opaque", "opaque"),
            ("flag", "flag"),
            ("version", "version"),
            ("remark", "remark"),
            ("ext_fields", "extFields"),
            ("header_len", "header_len"),
            ("body_len", "body_len"),
        ] {
            assert_eq!(shown[ours], line[theirs], "{ours} of {}", line["name"]);
        }
        assert_eq!(
            keys(shown),
            [
                "body_crc32",
                "body_len",
                "code",
                "code_name",
                "ext_fields",
                "flag",
                "header_len",
                "language",
                "opaque",
                "remark",
                "serialize_type",
                "version",
            ]
        );
        let body = &bytes[bytes.len() - line["body_len"].as_u64().unwrap() as usize..];
        assert_eq!(shown["body_crc32"], crc32fast::hash(body));
        checked += 1;
    }
    assert!(checked >= 60, "{checked}");
}

#[test]
fn every_frame_of_every_capture_is_shown() {
    let streams = lines("streams.jsonl");
    assert!(streams.len() >= 20);
    for stream in &streams {
        let shown = shown(Kind::Frames, &golden(stream["file"].as_str().unwrap()));
        let codes: Vec<_> = shown.iter().map(|frame| frame["code"].clone()).collect();
        assert_eq!(
            Value::from(codes.clone()),
            stream["codes"],
            "{}",
            stream["file"]
        );
        assert_eq!(codes.len() as u64, stream["frames"]);
    }
}

#[test]
fn every_golden_message_is_shown_as_java_read_it() {
    let mut checked = 0;
    for line in lines("golden.jsonl")
        .iter()
        .filter(|line| line["kind"] == "message")
    {
        if cfg!(not(feature = "lz4")) && line["sysFlag"] == 0x101 {
            continue;
        }
        let [shown] = &shown(Kind::Stored, &golden(line["file"].as_str().unwrap()))[..] else {
            panic!("one message in {line}");
        };
        for (ours, theirs) in [
            ("topic", "topic"),
            ("queue_id", "queueId"),
            ("queue_offset", "queueOffset"),
            ("commit_log_offset", "commitLogOffset"),
            ("flag", "flag"),
            ("sys_flag", "sysFlag"),
            ("born_timestamp", "bornTimestamp"),
            ("store_timestamp", "storeTimestamp"),
            ("reconsume_times", "reconsumeTimes"),
            ("prepared_transaction_offset", "preparedTransactionOffset"),
            ("message_id", "msgId"),
            ("offset_message_id", "offsetMsgId"),
            ("body_len", "body_len"),
        ] {
            assert_eq!(shown[ours], line[theirs], "{ours} of {}", line["name"]);
        }
        let none = json!({});
        let properties = if line["properties"].is_null() {
            &none
        } else {
            &line["properties"]
        };
        assert_eq!(shown["properties"], *properties);
        let port = format!(":{}", line["storePort"]);
        assert!(shown["store_host"].as_str().unwrap().ends_with(&port));
        assert_eq!(shown.as_object().unwrap().len(), 17);
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}

#[test]
fn batches_properties_and_routes_are_shown() {
    let members = shown(Kind::Batch, &golden("batch-3.bin"));
    assert_eq!(members.len(), 3);
    assert_eq!(members[2]["flag"], 2);
    assert_eq!(members[2]["properties"]["KEYS"], "key2");
    assert_eq!(members[2]["body_crc32"], crc32fast::hash(b"batch body 2"));

    assert_eq!(
        shown(Kind::Properties, &golden("props-empty-value.bin")),
        [json!({"b": "x"})]
    );
    assert_eq!(shown(Kind::Properties, b""), [json!({})]);
    assert_eq!(
        shown(Kind::Properties, b"a\x01b\x01c"),
        [json!({"a": "b\u{1}c"})]
    );

    let [route] = &shown(Kind::Route, br#"{"brokerDatas":[{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"c"}],"queueDatas":[]}"#)[..] else {
        panic!("one route");
    };
    assert_eq!(route["brokerDatas"][0]["brokerAddrs"]["0"], "h:1");
}

#[test]
fn items_back_to_back_are_found_however_the_stream_is_chopped() {
    for (kind, files) in [
        (
            Kind::Frames,
            [
                "send-v2.json.bin",
                "send-v2.rocketmq.bin",
                "resp-route.json.bin",
            ],
        ),
        (
            Kind::Stored,
            ["msg-plain.bin", "msg-ipv6-born.bin", "msg-zlib.bin"],
        ),
        (Kind::Batch, ["batch-3.bin", "batch-3.bin", "batch-3.bin"]),
    ] {
        let bytes: Vec<u8> = files.iter().flat_map(|file| golden(file)).collect();
        let whole = run(kind, &bytes[..]);
        whole.1.unwrap();
        assert!(whole.0.len() >= 3);
        let dripped = run(kind, Drip(&bytes));
        dripped.1.unwrap();
        assert_eq!(dripped.0, whole.0);
    }
}

#[test]
fn what_stands_before_bad_bytes_is_shown_and_their_offset_named() {
    for (kind, file) in [
        (Kind::Frames, "send-v2.json.bin"),
        (Kind::Stored, "msg-plain.bin"),
        (Kind::Batch, "batch-3.bin"),
    ] {
        let good = golden(file);
        let count = shown(kind, &good).len();
        for bad in [
            &[0xFF; 40][..],
            &[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            &[0, 0, 0, 1],
            &[0],
            &good[..good.len() - 1],
        ] {
            let bytes = [&good[..], bad].concat();
            let (shown, outcome) = run(kind, &bytes[..]);
            let fault = outcome.unwrap_err();
            assert!(shown.len() >= count, "{kind:?}");
            assert!(fault.offset >= good.len() as u64, "{kind:?}: {fault:?}");
            assert!(!fault.reason.is_empty() && !fault.reason.contains('\n'));
        }
    }
}

#[test]
fn a_blank_ends_stored_messages_without_a_fault() {
    let mut bytes = golden("msg-plain.bin");
    bytes.extend_from_slice(&[0, 0, 1, 0, 0xCB, 0xD4, 0x31, 0x94]);
    bytes.extend_from_slice(&[0; 300]);
    assert_eq!(shown(Kind::Stored, &bytes).len(), 1);
}

#[test]
fn lengths_that_lie_are_refused_before_the_stream_is_read_for_them() {
    for (kind, head) in [
        (Kind::Frames, [0x7F, 0xFF, 0xFF, 0xFF]),
        (Kind::Frames, [0x01, 0, 0, 0]),
        (Kind::Stored, [0x7F, 0xFF, 0xFF, 0xFF]),
        (Kind::Batch, [0x01, 0, 0, 1]),
    ] {
        let mut counted = Counted {
            head: head.to_vec(),
            read: 0,
        };
        let (shown, outcome) = run(kind, &mut counted);
        assert!(shown.is_empty());
        assert_eq!(outcome.unwrap_err().offset, 0);
        assert!(counted.read <= 256 * 1024, "{kind:?} read {}", counted.read);
    }
    for kind in [Kind::Route, Kind::Properties] {
        let mut counted = Counted {
            head: Vec::new(),
            read: 0,
        };
        assert!(run(kind, &mut counted).1.is_err());
        assert!(counted.read <= FRAME_LIMIT + 256 * 1024);
    }
}

#[test]
fn a_small_body_that_inflates_beyond_the_frame_limit_is_a_fault() {
    let mut message = rocketmq_proto::StoredMessage::decode(&golden("msg-zlib.bin"))
        .unwrap()
        .0;
    let zeros = vec![0; FRAME_LIMIT + 1];
    message.body = rocketmq_proto::compress(rocketmq_proto::Compression::Zlib, 9, &zeros)
        .unwrap()
        .into();
    let mut bytes = bytes::BytesMut::new();
    message.encode(&mut bytes).unwrap();
    let fault = run(Kind::Stored, &bytes[..]).1.unwrap_err();
    assert!(
        fault.reason.contains("larger than 16777216"),
        "{}",
        fault.reason
    );
}

#[test]
fn bent_files_never_panic() {
    let seed = 0x0D15_5EC7;
    println!("seed {seed:#x}");
    let mut random: u64 = seed;
    let mut next = |end: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % end
    };
    for (kind, files) in [
        (
            Kind::Frames,
            ["send-v2.json.bin", "resp-error-remark.rocketmq.bin"],
        ),
        (Kind::Stored, ["msg-zlib.bin", "msg-ipv6-store.bin"]),
        (Kind::Batch, ["batch-3.bin", "batch-3.bin"]),
        (Kind::Properties, ["props-simple.bin", "props-one.bin"]),
        (Kind::Route, ["resp-route.json.bin", "resp-route.json.bin"]),
    ] {
        let mut source: Vec<u8> = files.iter().flat_map(|file| golden(file)).collect();
        if let Kind::Route = kind {
            let start = source
                .windows(2)
                .rposition(|two| two == b"{\"")
                .unwrap_or(0);
            source.drain(..start);
        }
        for _ in 0..3000 {
            let mut bytes = source.clone();
            for _ in 0..1 + next(3) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            // Whatever it says, a fault of the round trip would be a bug.
            if let Err(fault) = run(kind, &bytes[..]).1 {
                assert!(
                    !fault.reason.contains("differs"),
                    "{kind:?}: {fault:?}: {bytes:?}"
                );
            }
        }
    }
}

/// What is shown of good bytes; the round trip is checked as well.
fn shown(kind: Kind, bytes: &[u8]) -> Vec<Value> {
    let (shown, outcome) = run(kind, bytes);
    outcome.unwrap();
    shown
}

fn run(kind: Kind, input: impl Read) -> (Vec<Value>, Result<(), Fault>) {
    let mut out = Vec::new();
    let outcome = dissect(kind, true, input, &mut out);
    let out = String::from_utf8(out).unwrap();
    let shown = out.lines().map(|line| serde_json::from_str(line).unwrap());
    (shown.collect(), outcome)
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn lines(file: &str) -> Vec<Value> {
    let text = String::from_utf8(golden(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn golden(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    fs::read(folder.join(file)).unwrap()
}

/// A byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let [first, rest @ ..] = self.0 else {
            return Ok(0);
        };
        buf[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

/// A few bytes, then spaces without end.
struct Counted {
    head: Vec<u8>,
    read: usize,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(b' ');
        if self.read == 0 {
            buf[..self.head.len()].copy_from_slice(&self.head);
        }
        self.read += buf.len();
        Ok(buf.len())
    }
}
