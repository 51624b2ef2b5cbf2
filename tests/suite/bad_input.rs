//! What cannot be sent is a typed error with a clear text, at once or within its deadline, and no producer is
//! the worse for it.

use std::time::Duration;

use rocketmq_engine::{Certainty, SendError, SendErrorKind};
use rocketmq_proto::{Batch, Message, ResponseCode};
use rocketmq_testkit::TopicConfig;

use super::support::{
    TOPIC, assert_says, assert_works, bodies, cluster, cluster_with, fresh, is_at_rest, message,
    producer, producer_with, within,
};
use super::{Harness, Producer};

const MIB: usize = 1024 * 1024;

pub(crate) fn a_topic_of_128_characters_is_refused<H: Harness>() {
    is_refused::<H>(|| Message::new("t".repeat(128), "x"), &["topic", "127"]);
}

pub(crate) fn illegal_characters_in_a_topic_are_refused<H: Harness>() {
    for topic in ["orders!", "a b", "größe", "a/b", "a.b", "a\u{1}b"] {
        is_refused::<H>(
            || Message::new(topic, "x"),
            &["topic", "^[%|a-zA-Z0-9_-]+$"],
        );
    }
    for topic in ["", "  "] {
        is_refused::<H>(|| Message::new(topic, "x"), &["topic", "blank"]);
    }
}

pub(crate) fn an_empty_body_is_refused<H: Harness>() {
    is_refused::<H>(|| message(""), &["body length is zero"]);
}

pub(crate) fn a_body_over_the_limit_is_refused<H: Harness>() {
    let body = vec![b'x'; 4 * MIB + 1];
    let words = ["body size over max value", "4194304"];
    is_refused::<H>(|| Message::new(TOPIC, body.clone()), &words);
    let value = "v".repeat(33_000);
    is_refused::<H>(
        || message("x").property("long", &value),
        &["properties", "32255"],
    );
}

/// No way of sending takes it, no byte of it is sent, and the producer goes on.
fn is_refused<H: Harness>(make: impl Fn() -> Message, words: &[&str]) {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let by_send = within(Duration::ZERO, || producer.send(make())).unwrap_err();
    let by_oneway = producer.send_oneway(make()).unwrap_err();
    let by_enqueue = producer.enqueue(make()).map(drop).unwrap_err();
    let (returned, by_try) = producer.try_enqueue(make()).map(drop).unwrap_err();
    assert_eq!(returned.body(), make().body());
    for error in [by_send, by_oneway, by_enqueue, by_try] {
        assert_eq!(error.kind(), SendErrorKind::InvalidMessage, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(!error.is_retryable());
        assert!(error.attempts().is_empty());
        assert_says(&error, words);
    }
    assert_eq!(bodies(&cluster, TOPIC).len(), 0);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_batch_over_the_limit_is_refused<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let half = || Message::new(TOPIC, vec![b'x'; 2 * MIB]);
    let refused = |result: Result<_, SendError>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
        assert_says(&error, &["4194304"]);
    };
    match Batch::new(vec![half(), half()]) {
        Ok(batch) => refused(producer.send_batch(batch)),
        Err(error) => assert!(error.to_string().contains("4194304"), "{error}"),
    }
    let parts = Batch::split(vec![half(), half()], 4 * MIB).unwrap();
    assert_eq!(parts.len(), 2);
    for part in parts {
        producer.send_batch(part).unwrap();
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn an_unknown_topic_without_auto_create_is_an_error<H: Harness>() {
    let cluster = cluster_with(2, |builder| builder.auto_create(false));
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let unknown = fresh("unknown");
    let limit = Duration::from_secs(3);
    let send = || producer.send(Message::new(&*unknown, "x"));
    let by_send = within(limit, send).unwrap_err();
    let by_oneway = producer.send_oneway(Message::new(&*unknown, "x"));
    let by_queues = producer.publish_queues(&unknown).unwrap_err();
    let by_ready = producer.ready(&unknown).unwrap_err();
    for error in [by_send, by_oneway.unwrap_err(), by_queues, by_ready] {
        assert_eq!(error.kind(), SendErrorKind::NoRoute, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_says(&error, &[&unknown, "no route"]);
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn a_topic_that_appears_is_found<H: Harness>() {
    let cluster = cluster_with(1, |builder| builder.auto_create(false));
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let topic = fresh("later");
    producer
        .send(Message::new(&*topic, "too early"))
        .unwrap_err();
    let config = TopicConfig::new(2);
    cluster.broker(0).create_topic(&*topic, config);
    producer.send(Message::new(&*topic, "now")).unwrap();
    assert_eq!(bodies(&cluster, &topic), ["now"]);
}

pub(crate) fn a_wrong_setting_is_refused_at_the_start<H: Harness>() {
    let cluster = cluster(1);
    let servers = cluster.name_server_list();
    let harness = H::new();
    let refused = |group: &str, servers: &str, word: &str| {
        let error = harness.start(group, servers, |_| {}).map(drop).unwrap_err();
        assert!(error.contains(word), "no {word:?} in {error:?}");
    };
    refused("DEFAULT_PRODUCER", &servers, "DEFAULT_PRODUCER");
    refused("no spaces", &servers, "group");
    refused("g", "", "name_servers");
    refused("g", "localhost", "localhost");
    refused("g", "localhost:port", "localhost:port");
    let error = harness.start("g", &servers, |config| config.max_in_flight = 0);
    let error = error.map(drop).unwrap_err();
    assert!(error.contains("max_in_flight"), "{error}");
}

pub(crate) fn a_broker_that_refuses_a_message_is_quoted<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.max_message_size = 20 * MIB;
        config.compress_over = None;
    });
    let body = |len| Message::new(TOPIC, vec![b'x'; len]);
    let by_broker = producer.send(body(5 * MIB)).unwrap_err();
    assert_eq!(by_broker.kind(), SendErrorKind::Broker);
    assert_eq!(by_broker.certainty(), Certainty::Rejected);
    assert_eq!(by_broker.code(), Some(ResponseCode::MESSAGE_ILLEGAL));
    assert_eq!(by_broker.attempts().len(), 1);
    assert_says(&by_broker, &["the message is illegal", "broker-a"]);
    // A frame beyond every limit is not even written: the connection would be lost for all.
    let by_frame = producer.send(body(17 * MIB)).unwrap_err();
    assert_eq!(by_frame.kind(), SendErrorKind::InvalidMessage);
    assert_eq!(by_frame.certainty(), Certainty::NotSent);
    assert_eq!(producer.stats().connections_lost, 0);
    assert!(is_at_rest(&producer));
    assert_works(&producer, &cluster);
}
