use super::*;
use crate::compress::{Compression, MAX_DECOMPRESSED_LEN, compress};

fn sample() -> StoredMessage {
    StoredMessage {
        version: StoredVersion::V1,
        topic: "orders".to_owned(),
        queue_id: 3,
        queue_offset: 42,
        commit_log_offset: 123_456_789_012,
        flag: -5,
        sys_flag: SysFlag::default(),
        body_crc: body_crc(b"body"),
        born_timestamp: 1_700_000_000_123,
        born_host: "192.168.1.5:54321".parse().unwrap(),
        store_timestamp: 1_700_000_000_456,
        store_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 2,
        prepared_transaction_offset: 987_654_321,
        properties: Properties::from_wire("TAGS\u{1}a\u{2}UNIQ_KEY\u{1}id\u{2}"),
        body: Bytes::from_static(b"body"),
    }
}

fn encoded(message: &StoredMessage) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    assert_eq!(out.len(), message.encoded_len());
    out
}

#[test]
fn both_versions_and_all_hosts_survive_the_round_trip() {
    let v6 = "[2001:db8::ff00:42:8329]:65535".parse().unwrap();
    for version in [StoredVersion::V1, StoredVersion::V2] {
        for (born_v6, store_v6) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut message = sample();
            message.version = version;
            if born_v6 {
                message.born_host = v6;
                message.sys_flag = message.sys_flag.with(SysFlag::BORN_HOST_V6);
            }
            if store_v6 {
                message.store_host = v6;
                message.sys_flag = message.sys_flag.with(SysFlag::STORE_HOST_V6);
            }
            let bytes = encoded(&message);
            assert_eq!(StoredMessage::decode(&bytes), Ok((message, bytes.len())));
        }
    }
}

#[test]
fn the_flag_follows_the_hosts_when_written() {
    let mut message = sample();
    message.sys_flag = SysFlag::BORN_HOST_V6.with(SysFlag::TRANSACTION_PREPARED);
    let (read, _) = StoredMessage::decode(&encoded(&message)).unwrap();
    assert_eq!(read.sys_flag, SysFlag::TRANSACTION_PREPARED);
    assert_eq!(read.born_host, message.born_host);
}

#[test]
fn the_second_version_takes_topics_beyond_127_bytes_and_the_first_says_so() {
    let mut message = sample();
    message.topic = format!("%RETRY%{}", "g".repeat(200));
    let mut out = BytesMut::from("before");
    let error = message.encode(&mut out).unwrap_err();
    assert!(matches!(
        error.problem,
        StoredProblem::TopicTooLong {
            len: 207,
            limit: 127
        }
    ));
    assert_eq!(out, "before");
    message.version = StoredVersion::V2;
    let bytes = encoded(&message);
    assert_eq!(StoredMessage::decode(&bytes).unwrap().0, message);
}

#[test]
fn ids_come_from_the_unique_key_or_else_from_host_and_offset() {
    let mut message = sample();
    assert_eq!(message.message_id(), "id");
    assert_eq!(
        message.offset_message_id().to_string(),
        "7F00000100002A9F0000001CBE991A14"
    );
    message.properties = Properties::new();
    assert_eq!(message.message_id(), "7F00000100002A9F0000001CBE991A14");
}

#[test]
fn bodies_are_shared_out_of_a_concatenation() {
    let mut bytes = encoded(&sample());
    sample().encode(&mut bytes).unwrap();
    let bytes = bytes.freeze();
    let range = bytes.as_ptr_range();
    let messages: Vec<_> = StoredMessages::new(bytes.clone())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(messages, [sample(), sample()]);
    assert!(
        messages
            .iter()
            .all(|message| range.contains(&message.body.as_ptr()))
    );
}

#[test]
fn the_blank_end_of_a_store_file_ends_a_concatenation() {
    let mut bytes = encoded(&sample());
    let first = bytes.len();
    bytes.put_i32(1000);
    bytes.put_u32(MAGIC_BLANK);
    bytes.put_slice(&[0xAB; 50]);
    let mut messages = StoredMessages::new(bytes);
    assert_eq!(messages.next(), Some(Ok(sample())));
    assert_eq!(messages.next(), None);
    assert_eq!(messages.offset(), first);
    assert_eq!(messages.next(), None);
}

#[test]
fn an_error_says_where_and_ends_the_concatenation() {
    let mut bytes = encoded(&sample());
    let second = bytes.len();
    sample().encode(&mut bytes).unwrap();
    bytes[second + 4] = 0;
    let mut messages = StoredMessages::new(bytes);
    assert!(messages.next().unwrap().is_ok());
    let error = messages.next().unwrap().unwrap_err();
    assert_eq!(error.offset, second);
    assert!(error.to_string().contains("magic 0x00A320A7"), "{error}");
    assert_eq!(messages.next(), None);
}

#[test]
fn a_message_cut_anywhere_is_an_error() {
    let bytes = encoded(&sample());
    for len in 0..bytes.len() {
        let error = StoredMessage::decode(&bytes[..len]).unwrap_err();
        assert!(
            matches!(error.problem, StoredProblem::Truncated { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn lengths_that_lie_or_are_negative_are_errors() {
    let good = encoded(&sample());
    let body_at = 84;
    let topic_at = body_at + 4 + 4;
    let properties_at = topic_at + 1 + 6;
    let with = |at: usize, lie: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + lie.len()].copy_from_slice(lie);
        StoredMessage::decode(&bytes).unwrap_err().problem
    };
    assert!(matches!(
        with(0, &[0xFF; 4]),
        StoredProblem::LengthTooSmall { len: -1, .. }
    ));
    assert!(matches!(
        with(0, &[0, 0, 0, 39]),
        StoredProblem::LengthTooSmall { len: 39, .. }
    ));
    assert!(matches!(
        with(0, &[0, 0, 0, 90]),
        StoredProblem::LengthTooSmall { len: 90, least: 91 }
    ));
    assert!(matches!(
        with(0, &[0, 0, 0, 91]),
        StoredProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        with(0, &[0x7F; 4]),
        StoredProblem::Truncated { .. }
    ));
    assert!(matches!(
        with(36, &[0, 0, 0, 0x10]),
        StoredProblem::NegativeLength { .. }
            | StoredProblem::LengthMismatch { .. }
            | StoredProblem::BadPort(_)
    ));
    assert!(matches!(
        with(52, &[0x7F; 4]),
        StoredProblem::BadPort(0x7F7F_7F7F)
    ));
    assert!(matches!(
        with(body_at, &[0xFF; 4]),
        StoredProblem::NegativeLength {
            part: "body",
            len: -1
        }
    ));
    assert!(matches!(
        with(body_at, &[0x7F, 0xFF, 0xFF, 0xFF]),
        StoredProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        with(topic_at, &[0x80]),
        StoredProblem::NegativeLength {
            part: "topic",
            len: -128
        }
    ));
    assert!(matches!(
        with(topic_at, &[0x7F]),
        StoredProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        with(topic_at + 1, &[0xFF]),
        StoredProblem::NotUtf8("topic")
    ));
    assert!(matches!(
        with(properties_at, &[0xFF; 2]),
        StoredProblem::NegativeLength {
            part: "properties",
            len: -1
        }
    ));
    assert!(matches!(
        with(properties_at, &[0, 1]),
        StoredProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        with(properties_at + 2, &[0xFF]),
        StoredProblem::NotUtf8("properties")
    ));
}

#[test]
fn properties_beyond_32767_bytes_cannot_be_written() {
    let mut message = sample();
    let value = "x".repeat(32_765);
    message.properties = Properties::from_wire(format!("n\u{1}{value}"));
    encoded(&message);
    message.properties = Properties::from_wire(format!("n\u{1}x{value}"));
    let error = message.encode(&mut BytesMut::new()).unwrap_err();
    assert_eq!(error.problem, StoredProblem::PropertiesTooLong(32_768));
}

#[test]
fn a_compressed_body_is_read_within_the_limit_and_a_plain_one_shared() {
    let mut message = sample();
    assert_eq!(message.decompressed_body(0).unwrap(), "body");
    assert!(message.is_body_intact());
    message.body = compress(Compression::Zlib, 5, &[7; 5000]).unwrap().into();
    message.sys_flag = Compression::Zlib.sys_flag();
    assert!(!message.is_body_intact());
    assert_eq!(
        message.decompressed_body(MAX_DECOMPRESSED_LEN).unwrap(),
        vec![7; 5000]
    );
    assert!(message.decompressed_body(4999).is_err());
}
