use std::time::Duration;

use super::*;
use crate::msg_id::{UniqueIdSeed, UniqueIds};
use crate::names::InvalidName;
use crate::stored::StoredMessage;

fn fault(message: Message) -> InvalidMessage {
    message.check(DEFAULT_MAX_MESSAGE_SIZE).unwrap_err()
}

fn ids(ip: &str) -> UniqueIds {
    UniqueIds::new(UniqueIdSeed {
        ip: ip.parse().unwrap(),
        pid: 1,
        hash: 2,
        utc_offset_seconds: 0,
    })
}

#[test]
fn the_chain_writes_the_wire_string_in_call_order() {
    let message = Message::new("orders", "body")
        .tag("created")
        .key("k1")
        .keys(["k2", "k3"])
        .property("colour", "red")
        .sharding_key("group-1")
        .wait_store_ok(false)
        .flag(7);
    assert_eq!(
        message.properties().as_wire(),
        "TAGS\u{1}created\u{2}KEYS\u{1}k1 k2 k3\u{2}colour\u{1}red\u{2}__SHARDINGKEY\u{1}group-1\u{2}WAIT\u{1}false"
    );
    assert_eq!(message.flag_value(), 7);
    assert!(!message.waits_for_store());
    assert_eq!(message.check(4), Ok(()));
}

#[test]
fn the_first_fault_of_the_chain_is_reported_and_later_ones_are_not() {
    let message = Message::new("orders", "b")
        .tag(" ")
        .property("TAGS", "x")
        .property("", "y");
    assert_eq!(
        fault(message),
        InvalidMessage::Property(InvalidProperty::BlankValue {
            name: "TAGS".into()
        })
    );
    let message = Message::new("no such topic!", "b").tag("");
    assert!(matches!(
        fault(message.clone()),
        InvalidMessage::Topic(InvalidName::TopicIllegal { .. })
    ));
    assert_eq!(message.topic().as_str(), "no such topic!");
}

#[test]
fn every_row_of_e4_has_javas_text_and_code() {
    let rows = [
        (Message::new("", "b"), -1, "The specified topic is blank"),
        (
            Message::new("t".repeat(128), "b"),
            -1,
            "The specified topic is longer than topic max length 127.",
        ),
        (
            Message::new("a b", "b"),
            -1,
            "The specified topic[a b] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        ),
        (
            Message::new("SCHEDULE_TOPIC_XXXX", "b"),
            -1,
            "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.",
        ),
        (Message::new("t", ""), 13, "the message body length is zero"),
        (
            Message::new("t", vec![0; DEFAULT_MAX_MESSAGE_SIZE + 1]),
            13,
            "the message body size over max value, MAX: 4194304",
        ),
        (
            Message::new("t", "b").property("KEYS", "k"),
            -1,
            "The Property<KEYS> is used by system, input another please",
        ),
        (
            Message::new("t", "b").property("n", " "),
            -1,
            "The value of property [n] can not be null or blank string!",
        ),
        (
            Message::new("t", "b").property(" ", "v"),
            -1,
            "The name of property can not be null or blank string!",
        ),
        (
            Message::new("t", "b").property("INNER_MULTI_DISPATCH", "a/b"),
            13,
            "INNER_MULTI_DISPATCH a/b can not contains / character",
        ),
        (
            Message::new("t", "b").property("n", "x".repeat(40_000)),
            13,
            "the message properties are too long",
        ),
        (
            Message::new("t", "b").to(MessageQueue::new(TopicName::new("u").unwrap(), "b", 0)),
            -1,
            "message's topic not equal mq's topic",
        ),
    ];
    for (message, code, text) in rows {
        let error = fault(message);
        assert!(
            error.to_string().starts_with(text),
            "{error} should begin with {text}"
        );
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn separators_are_refused_wherever_they_come_in() {
    for message in [
        Message::new("t", "b").tag("a\u{1}"),
        Message::new("t", "b").key("a\u{2}b"),
        Message::new("t", "b").property("a\u{2}", "v"),
        Message::new("t", "b").property("a", "\u{1}"),
    ] {
        assert!(matches!(
            fault(message),
            InvalidMessage::Property(InvalidProperty::Separator { .. })
        ));
    }
}

#[test]
fn the_property_limit_is_exact_and_counts_what_is_still_to_be_added() {
    let stamped = "UNIQ_KEY\u{1}".len() + 56 + 1 + "WAIT\u{1}true".len() + 1;
    let room = MAX_PROPERTIES_LEN - stamped - "n\u{1}".len();
    let fits = Message::new("t", "b").property("n", "x".repeat(room));
    assert_eq!(fits.check(1), Ok(()));
    let over = Message::new("t", "b").property("n", "x".repeat(room + 1));
    assert_eq!(
        over.check(1),
        Err(InvalidMessage::PropertiesTooLong {
            len: MAX_PROPERTIES_LEN + 1
        })
    );
}

#[test]
fn the_last_delay_wins() {
    let message = Message::new("t", "b")
        .delay_level(3)
        .deliver_at(1_700_000_000_000)
        .deliver_after(Duration::from_millis(1500));
    assert_eq!(message.properties().as_wire(), "TIMER_DELAY_MS\u{1}1500");
    assert_eq!(
        message.delay_level(18).properties().as_wire(),
        "DELAY\u{1}18"
    );
}

#[test]
fn delay_level_zero_means_none_and_a_negative_one_is_a_fault() {
    let message = Message::new("t", "b").delay_level(3).delay_level(0_u8);
    assert_eq!(message.properties().as_wire(), "");
    let text = fault(Message::new("t", "b").delay_level(-1)).to_string();
    assert!(text.contains("DELAY") && text.contains("-1"), "{text}");
}

#[test]
fn a_topic_name_is_shared_and_not_copied() {
    let topic = TopicName::new("orders").unwrap();
    let message = Message::new(&topic, "b");
    assert!(std::ptr::eq(message.topic().as_str(), topic.as_str()));
}

#[test]
fn stamping_adds_id_and_wait_once_and_is_foretold_to_the_byte() {
    for start in [
        "",
        "a\u{1}b",
        "a\u{1}b\u{2}",
        "WAIT\u{1}false",
        "UNIQ_KEY\u{1}x",
        "WAIT\u{1}true\u{2}UNIQ_KEY\u{1}x",
    ] {
        let mut message = Message::new("t", "b");
        message.properties = Properties::from_wire(start);
        let foretold = message.stamped_properties_len();
        let mut v6 = ids("fd00::2");
        let at = message.stamp(|| v6.next(1_700_000_000_000));
        assert_eq!(message.properties.as_wire().len(), foretold, "{start:?}");
        let id = message.properties.get(property::UNIQ_KEY);
        assert_eq!(message.properties.as_wire().get(at.clone()), id);
        let once = message.properties.clone();
        let again = message.stamp(|| unreachable!("has an id"));
        assert_eq!((message.properties, again), (once, at));
    }
}

#[test]
fn a_stamped_message_of_usual_size_allocates_its_properties_once() {
    let mut message = Message::new("t", "b").tag("created").key("order-42");
    let before = message.properties.as_wire().as_ptr();
    let mut v6 = ids("fd00::2");
    message.stamp(|| v6.next(1_700_000_000_000));
    assert_eq!(message.properties.as_wire().as_ptr(), before);
}

#[test]
fn another_topic_takes_the_named_queue_along() {
    let queue = MessageQueue::new(TopicName::new("t").unwrap(), "broker-a", 1);
    let wrapped = TopicName::new("ns%t").unwrap();
    let message = Message::new("t", "b").to(queue).with_topic(wrapped.clone());
    assert_eq!(message.check(1), Ok(()));
    assert!(matches!(message.placement(), Placement::Queue(queue) if queue.topic == wrapped));
}

#[test]
fn debug_shows_the_length_of_the_body_and_not_its_bytes() {
    let text = format!("{:?}", Message::new("t", "secret").tag("x"));
    assert!(
        text.contains("body_len: 6") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn keys_hash_as_in_java() {
    assert_eq!(java_hash("hello"), 99_162_322);
    assert_eq!("hello".shard_hash(), 99_162_322);
    assert_eq!(String::from("标签").shard_hash(), 857_175);
    // One character outside the basic plane is two units: d83d·31 + de00.
    assert_eq!(java_hash("😀"), 0xd83d * 31 + 0xde00);
    // The string whose hash has no absolute value, known from Java's own puzzles.
    assert_eq!(java_hash("polygenelubricants"), i32::MIN);
}

/// Java: `Integer.hashCode` is the value, `Long.hashCode` its low half xor its high half.
#[test]
fn numbers_hash_as_in_java() {
    for number in [0, 7, -5, i32::MAX, i32::MIN] {
        assert_eq!(number.shard_hash(), number);
    }
    let rows = [
        (0_i64, 0),
        (7, 7),
        (-1, 0),
        (-5, 4),
        (1 << 32, 1),
        (4_294_967_299, 2),
        (1_700_000_000_123, -807_048_720),
        (i64::MAX, i32::MIN),
        (i64::MIN, i32::MIN),
    ];
    for (number, hash) in rows {
        assert_eq!(number.shard_hash(), hash, "{number}");
    }
}

#[test]
fn a_reply_carries_what_leads_it_back() {
    let request = request(&[
        ("CLUSTER", "c1"),
        ("CORRELATION_ID", "id"),
        ("REPLY_TO_CLIENT", "10.0.0.1@1"),
        ("TTL", "3000"),
        ("KEYS", "not copied"),
    ]);
    let reply = Message::in_reply_to(&request, "pong").unwrap();
    assert!(reply.is_reply() && !Message::new("t", "x").is_reply());
    assert_eq!(reply.topic(), "c1_REPLY_TOPIC");
    let mut properties: Vec<_> = reply.properties().iter().collect();
    properties.sort_unstable();
    let expected = [
        ("CORRELATION_ID", "id"),
        ("MSG_TYPE", "reply"),
        ("REPLY_TO_CLIENT", "10.0.0.1@1"),
        ("TTL", "3000"),
    ];
    assert_eq!(properties, expected);
    assert_eq!(reply.check(100), Ok(()));
}

#[test]
fn what_is_no_request_gets_no_reply() {
    let whole = [
        ("CLUSTER", "c1"),
        ("CORRELATION_ID", "id"),
        ("REPLY_TO_CLIENT", "10.0.0.1@1"),
    ];
    for (missing, (name, _)) in whole.iter().enumerate() {
        let mut properties = whole.to_vec();
        properties.remove(missing);
        let error = Message::in_reply_to(&request(&properties), "pong").unwrap_err();
        assert_eq!(error, InvalidMessage::NotARequest(name));
        assert_eq!(error.code(), 10_007);
        assert!(
            error
                .to_string()
                .contains(&format!("property[{name}] is null"))
        );
    }
    let mut odd = whole.to_vec();
    odd[0].1 = "no topic name";
    let error = Message::in_reply_to(&request(&odd), "pong").unwrap_err();
    assert!(matches!(error, InvalidMessage::Topic(_)), "{error}");
}

fn request(properties: &[(&str, &str)]) -> StoredMessage {
    let mut wire = Properties::new();
    for (name, value) in properties {
        wire.set(name, value).unwrap();
    }
    StoredMessage {
        properties: wire,
        version: crate::StoredVersion::V1,
        topic: "requests".into(),
        queue_id: 0,
        queue_offset: 0,
        commit_log_offset: 0,
        flag: 0,
        sys_flag: crate::SysFlag::default(),
        body_crc: 0,
        born_timestamp: 0,
        born_host: ([10, 0, 0, 1], 1).into(),
        store_timestamp: 0,
        store_host: ([10, 0, 0, 2], 1).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::new(),
    }
}

#[test]
fn a_selector_is_asked_with_the_queues_and_the_message() {
    let queues: Vec<_> = (0..3)
        .map(|id| MessageQueue::new(TopicName::new("t").unwrap(), "b", id))
        .collect();
    let message =
        Message::new("t", "xx").select(|queues, message| Some(queues.len() - message.body().len()));
    let Placement::Select(selector) = message.placement() else {
        panic!("a selector was set")
    };
    assert_eq!(selector.choose(&queues, &message), Some(1));
}
