//! What is not a send: topics, offsets, single messages, timers and their recall (PROTOCOL B.8 to B.14).

use std::time::Duration;

use rocketmq_engine::{Certainty, NewTopic, SendErrorKind};
use rocketmq_proto::{
    Message, MessageQueue, OffsetMessageId, RecallHandle, RequestCode, ResponseCode, TopicName,
};
use rocketmq_testkit::{Cluster, Fault, FaultRule, Flavour};

use super::support::{
    Servers, TOPIC, assert_says, assert_works, bodies, cluster, cluster_with, eventually, fresh,
    message, on_time, producer, producer_with,
};
use super::{Admin, Harness, Producer};

/// From the beginning to the end of time, in the numbers that every broker understands.
const ALWAYS: std::ops::Range<u64> = 0..i64::MAX as u64;

pub(crate) fn what_was_sent_is_found_again<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "asked");
    let key = fresh("key");
    let message = Message::new(&*topic, "find me").key("other").key(&key);
    let receipt = producer.send(message).unwrap();
    let queue = &receipt.queue;

    // Brokers give a message its place in the queue a moment after they confirmed it.
    eventually("the message is in its queue", || {
        producer.max_offset(queue).unwrap() == receipt.queue_offset + 1
    });
    assert_eq!(producer.min_offset(queue).unwrap(), 0);
    let earliest = producer.earliest_store_time(queue).unwrap();
    assert!(earliest > 1_600_000_000_000, "{earliest}");
    assert_eq!(producer.search_offset(queue, 1).unwrap(), 0);

    let stored = producer.view_message(&receipt.offset_message_id).unwrap();
    assert_eq!(&stored.body[..], b"find me");
    assert_eq!(
        (&*stored.topic, stored.message_id()),
        (&*topic, receipt.message_id.clone())
    );
    assert_eq!(
        (stored.queue_id, stored.queue_offset),
        (queue.id, receipt.queue_offset)
    );

    // Brokers index what they stored a moment later.
    eventually("the message is found by its unique id", || {
        producer
            .view_by_unique_id(&topic, &receipt.message_id)
            .is_ok()
    });
    let found = producer
        .view_by_unique_id(&topic, &receipt.message_id)
        .unwrap();
    assert_eq!(found.offset_message_id(), stored.offset_message_id());
    for id in [&receipt.message_id, &receipt.offset_message_id] {
        let found = producer.find_message(&topic, id).unwrap();
        assert_eq!(found.message_id(), receipt.message_id);
    }
    let result = producer.query_message(&topic, &key, 32, ALWAYS).unwrap();
    let ids: Vec<_> = result.messages.iter().map(|m| m.message_id()).collect();
    assert_eq!(ids, [receipt.message_id]);
    // The broker that has it has answered; another one may still be building its index.
    let elsewhere = |broker: &str| broker != &*queue.broker;
    let failures = &result.failures;
    assert!(
        failures.iter().all(|f| elsewhere(&f.broker)),
        "{failures:?}"
    );
}

pub(crate) fn a_topic_that_was_made_can_be_sent_to<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("made");
    let created = producer.create_topic(NewTopic::new(&topic, 3)).unwrap();
    assert_eq!(created.brokers.len(), 2, "{created:?}");
    assert!(created.failures.is_empty(), "{created:?}");
    eventually("the name servers list it", || {
        producer.topic_list().unwrap().contains(&topic)
    });
    let queues = producer.publish_queues(&topic).unwrap();
    assert_eq!(queues.len(), 6, "three on each of two brokers");
    producer.send(Message::new(&*topic, "first")).unwrap();
}

pub(crate) fn the_cluster_is_told<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let info = producer.cluster_info().unwrap();
    assert_eq!(info.brokers.len(), 2, "{info:?}");
    assert!(
        info.brokers
            .values()
            .all(|broker| broker.addrs.contains_key(&0))
    );
    let names: Vec<_> = info.clusters.values().flatten().collect();
    assert_eq!(names.len(), 2, "{info:?}");
    let topic = servers.make_topic(&producer, "listed");
    let queues = producer.publish_queues(&topic).unwrap();
    assert!(
        queues
            .iter()
            .all(|queue| info.brokers.contains_key(&*queue.broker))
    );
}

pub(crate) fn what_is_not_there_is_not_found<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(2));
    let producer = producer(&harness, &cluster);
    let receipt = producer.send(message("the only one")).unwrap();
    let mut id: OffsetMessageId = receipt.offset_message_id.parse().unwrap();
    id.offset += 1_000_000;
    let unique_id = "F".repeat(32);
    let errors = [
        producer.view_message(&id.to_string()).unwrap_err(),
        producer.view_by_unique_id(TOPIC, &unique_id).unwrap_err(),
        producer.find_message(TOPIC, &unique_id).unwrap_err(),
        producer.find_message(TOPIC, &id.to_string()).unwrap_err(),
        producer
            .query_message(TOPIC, "nobody", 32, ALWAYS)
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), SendErrorKind::NotFound, "{error}");
        assert!(!error.attempts().is_empty(), "{error}");
    }
    let error = producer
        .query_message("nowhere", "key", 32, ALWAYS)
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NoRoute);
    let queue = MessageQueue::new(TopicName::new(TOPIC).unwrap(), "broker-z", 0);
    let error = producer.max_offset(&queue).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NoRoute);
    assert_says(&error, &["The broker[broker-z] not exist"]);
    assert_works(&producer, &cluster);
}

pub(crate) fn large_messages_are_found_whole<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(2));
    let producer = producer(&harness, &cluster);
    let body = "compressible ".repeat(10_000);
    let receipt = producer.send(message(&*body).key("large")).unwrap();
    let viewed = producer.view_message(&receipt.offset_message_id).unwrap();
    let result = producer.query_message(TOPIC, "large", 32, ALWAYS).unwrap();
    for found in [&viewed, &result.messages[0]] {
        assert_eq!(found.body, body.as_bytes());
        assert!(!found.sys_flag.is_compressed());
    }
    let stored = cluster.brokers().into_iter().flat_map(|b| b.stored(TOPIC));
    assert!(
        stored
            .into_iter()
            .all(|message| message.sys_flag.is_compressed())
    );
}

pub(crate) fn a_topic_is_made_although_a_broker_fails_at_first<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(2));
    let producer = producer(&harness, &cluster);
    let busy = Fault::Answer {
        code: ResponseCode::SYSTEM_ERROR,
        remark: Some("disk full".to_owned()),
    };
    let [first, other] = ["broker-a", "broker-b"].map(|n| cluster.broker_named(n).unwrap());
    let create = RequestCode::UPDATE_AND_CREATE_TOPIC;
    let rule = FaultRule::new(busy).code(create);
    first.inject(rule.clone().times(4)).unwrap();
    other.inject(rule).unwrap();
    let created = producer.create_topic(NewTopic::new("made", 2)).unwrap();
    assert_eq!(created.brokers, ["broker-a".into()]);
    assert_eq!((first.count(create), other.count(create)), (5, 5));
    assert_eq!(&*created.failures[0].broker, "broker-b");

    first
        .inject(FaultRule::new(Fault::ResetBeforeProcessing).code(create))
        .unwrap();
    let error = producer
        .create_topic(NewTopic::new("never", 2))
        .unwrap_err();
    assert_says(&error, &["create new topic failed"]);
    assert_eq!(error.attempts().len(), 2);
    assert_eq!(error.code(), Some(ResponseCode::SYSTEM_ERROR));
    first.clear_faults();
    other.clear_faults();
    let error = producer
        .create_topic(NewTopic::new("TBW102", 2))
        .unwrap_err();
    assert_says(
        &error,
        &["The topic[TBW102] is conflict with system topic."],
    );
    assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_question_ends_in_its_own_time<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(1));
    let producer = producer(&harness, &cluster);
    let queue = producer.publish_queues(TOPIC).unwrap()[0].clone();
    let broker = cluster.broker_named("broker-a").unwrap();
    let swallow = FaultRule::new(Fault::Swallow).code(RequestCode::GET_MAX_OFFSET);
    broker.inject(swallow).unwrap();
    let budget = Duration::from_millis(300);
    let error = on_time(budget, || producer.max_offset_within(&queue, budget)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Timeout);
    assert_says(&error, &["broker-a at", "no reply within"]);
    broker.clear_faults();
    assert_eq!(producer.max_offset(&queue).unwrap(), 0);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_question_outlives_a_broker_that_goes_away<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(1));
    let producer = producer(&harness, &cluster);
    let queue = producer.publish_queues(TOPIC).unwrap()[0].clone();
    let broker = cluster.broker_named("broker-a").unwrap();
    let away = FaultRule::new(Fault::GoAway).code(RequestCode::GET_MAX_OFFSET);
    broker.inject(away.times(1)).unwrap();
    assert_eq!(producer.max_offset(&queue).unwrap(), 0);
    assert_eq!(broker.count(RequestCode::GET_MAX_OFFSET), 2);
}

pub(crate) fn nobody_answers_for_name_servers_that_are_gone<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(1));
    let producer = producer(&harness, &cluster);
    producer.ready(TOPIC).unwrap();
    let queue = producer.publish_queues(TOPIC).unwrap()[0].clone();
    let name_server = cluster.name_server(0);
    name_server.stop();
    let error = producer.topic_list().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connection, "{error}");
    assert_says(&error, &[&name_server.addr().to_string()]);
    assert_eq!(
        producer.max_offset(&queue).unwrap(),
        0,
        "what is known stays known"
    );
    name_server.restart().unwrap();
    cluster.register_all();
    assert!(producer.topic_list().unwrap().contains(&TOPIC.to_owned()));
}

fn timed() -> Message {
    message("later").deliver_after(Duration::from_secs(3_600))
}

pub(crate) fn a_message_for_later_can_be_taken_back<H: Harness>() {
    let (harness, cluster) = (H::new(), cluster(2));
    let producer = producer(&harness, &cluster);
    let receipt = producer.send(timed()).unwrap();
    let handle = receipt
        .recall_handle
        .expect("a 5.3.3 broker gives a handle");
    assert_eq!(producer.recall(TOPIC, &handle).unwrap(), receipt.message_id);
    let decoded = RecallHandle::decode(&handle).unwrap();
    assert_eq!(decoded.broker, *receipt.queue.broker);
    assert_eq!(bodies(&cluster, TOPIC), [""; 0], "nothing was delivered");

    let error = producer.recall("another", &handle).unwrap_err();
    assert_ne!(error.kind(), SendErrorKind::InvalidMessage, "{error}");
    let error = producer.recall(TOPIC, "no handle").unwrap_err();
    assert_says(&error, &["recall handle is invalid"]);
    let past = RecallHandle {
        deliver_at_ms: 1,
        ..decoded
    };
    let error = producer.recall(TOPIC, &past.encode()).unwrap_err();
    assert_eq!(error.code(), Some(ResponseCode::ILLEGAL_OPERATION));
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert_says(&error, &["recall failed, timestamp invalid"]);
}

fn old_cluster() -> Cluster {
    cluster_with(1, |builder| builder.flavour(Flavour::V4_9))
}

pub(crate) fn an_old_broker_cannot_take_messages_back<H: Harness>() {
    let (harness, cluster) = (H::new(), old_cluster());
    let producer = producer(&harness, &cluster);
    let handle = RecallHandle {
        topic: TOPIC.to_owned(),
        broker: "broker-a".to_owned(),
        deliver_at_ms: i64::MAX - 1,
        unique_id: "F".repeat(32),
    };
    let error = producer.recall(TOPIC, &handle.encode()).unwrap_err();
    assert_eq!(error.code(), Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED));
}

pub(crate) fn an_old_broker_gets_no_message_that_it_would_deliver_at_once<H: Harness>() {
    let (harness, cluster) = (H::new(), old_cluster());
    let producer = producer(&harness, &cluster);
    // The first message on a new connection, and one on a connection that is known.
    for _ in 0..2 {
        let error = producer.send(timed()).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Unsupported, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_says(
            &error,
            &["broker-a at", "version 409", "allow_ignored_timers"],
        );
    }
    let error = producer.send_oneway(timed()).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Unsupported);
    assert_eq!(bodies(&cluster, TOPIC), [""; 0]);
    producer.send(message("a level").delay_level(3)).unwrap();
    assert_works(&producer, &cluster);
}

pub(crate) fn whoever_allows_it_has_timers_ignored<H: Harness>() {
    let (harness, cluster) = (H::new(), old_cluster());
    let producer = producer_with(&harness, &cluster, |config| {
        config.allow_ignored_timers = true;
    });
    let receipt = producer.send(timed()).unwrap();
    assert_eq!(receipt.recall_handle, None);
    assert_eq!(
        bodies(&cluster, TOPIC),
        ["later"],
        "at once: this is what 4.9 does"
    );
}
