//! The message trace (PROTOCOL G.4).

use std::sync::Arc;
use std::time::Duration;

use rocketmq_engine::{Config, SendReceipt, TraceConfig, TraceTopic, TransactionState};
use rocketmq_proto::names::topic::TRACE_TOPIC;
use rocketmq_proto::trace::{EndTransactionTrace, PublishTrace, TraceKind, TraceRecords};
use rocketmq_proto::{Message, StoredMessage, TopicName, TraceRecord, property};
use rocketmq_testkit::Cluster;

use super::support::{
    PATIENCE, Servers, TOPIC, cluster, cluster_with, eventually, fresh, message, producer_with,
    text,
};
use super::{Harness, Producer, Transact, Transacts};

/// Longer than any test: nothing leaves by itself.
const EVER: Duration = Duration::from_secs(600);

fn tracing(change: impl FnOnce(&mut TraceConfig)) -> impl FnOnce(&mut Config) {
    let mut trace = TraceConfig {
        linger: EVER,
        ..TraceConfig::default()
    };
    change(&mut trace);
    move |config| config.trace = Some(trace)
}

fn trace_messages(cluster: &Cluster) -> Vec<StoredMessage> {
    let brokers = cluster.brokers().into_iter();
    brokers
        .flat_map(|broker| broker.stored(TRACE_TOPIC))
        .collect()
}

fn records(body: &str) -> Vec<PublishTrace<'_>> {
    TraceRecords::new(body)
        .map(|record| match record.unwrap() {
            TraceRecord::Publish(publish) => publish,
            other => panic!("{other:?}"),
        })
        .collect()
}

pub(crate) fn what_was_sent_is_traced<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let (topic, trace_topic) = (fresh("traced"), fresh("trace"));
    let name = TopicName::new(&trace_topic).unwrap();
    let producer = servers.start(
        &harness,
        tracing(|trace| trace.topic = TraceTopic::Named(name)),
    );
    let send = |at: usize| {
        let message = Message::new(&*topic, "x".repeat(at + 1));
        let message = message.tag(format!("tag-{at}")).key(format!("key-{at}"));
        producer.send(message).unwrap()
    };
    let receipts: Vec<SendReceipt> = (0..30).map(send).collect();
    producer.flush();
    let stats = producer.stats();
    assert_eq!((stats.traced, stats.trace_dropped), (30, 0), "{stats:?}");

    let stored = servers.read(&trace_topic, 1).remove(0);
    let body = text(&stored);
    let records = records(&body);
    assert_eq!(records.len(), 30);
    let keys = stored.properties.get(property::KEYS).unwrap();
    let keys: Vec<_> = keys.split(' ').collect();
    for (at, (record, receipt)) in records.iter().zip(&receipts).enumerate() {
        assert_eq!(record.message_id.as_deref(), Some(&*receipt.message_id));
        let offset_id = record.offset_message_id.as_deref();
        assert_eq!(offset_id, Some(&*receipt.offset_message_id));
        assert_eq!((&*record.group, &*record.topic), ("suite", &*topic));
        assert_eq!(record.region.as_deref(), Some(&*receipt.region));
        assert_eq!(record.tags.as_deref(), Some(&*format!("tag-{at}")));
        assert_eq!(record.keys.as_deref(), Some(&*format!("key-{at}")));
        assert_eq!(record.body_len, at as i32 + 1);
        assert_eq!(record.kind, TraceKind::Normal);
        assert!(record.store_host.is_some() && record.success && record.cost_ms >= 0);
        assert!(keys.contains(&&*receipt.message_id));
        assert!(keys.contains(&&*format!("key-{at}")));
    }
}

pub(crate) fn records_leave_by_themselves_after_the_linger<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let short = tracing(|trace| trace.linger = Duration::from_millis(50));
    let producer = producer_with(&harness, &cluster, short);
    let receipt = producer.send(message("one")).unwrap();
    eventually("it is traced", || trace_messages(&cluster).len() == 1);
    let body = text(&trace_messages(&cluster)[0]);
    let ids: Vec<_> = records(&body)
        .into_iter()
        .map(|r| r.message_id.unwrap())
        .collect();
    assert_eq!(ids, [&*receipt.message_id]);
}

pub(crate) fn a_shutdown_takes_the_trace_along<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, tracing(|_| {}));
    for at in 0..250 {
        producer.send(message(at.to_string())).unwrap();
    }
    let report = producer.shutdown(PATIENCE);
    assert_eq!((report.failed, report.abandoned), (0, 0));
    let bodies: Vec<_> = trace_messages(&cluster).iter().map(text).collect();
    let counts: Vec<_> = bodies.iter().map(|body| records(body).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 250, "{counts:?}");
    assert_eq!(producer.stats().traced, 250);
}

pub(crate) fn records_without_room_are_dropped_and_counted<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, tracing(|trace| trace.max_waiting = 5));
    for at in 0..8 {
        producer.send(message(at.to_string())).unwrap();
    }
    assert_eq!(producer.stats().trace_dropped, 3);
    producer.flush();
    producer.send(message("there is room again")).unwrap();
    producer.flush();
    let stats = producer.stats();
    assert_eq!((stats.traced, stats.trace_dropped), (6, 3));
}

pub(crate) fn without_a_trace_topic_everything_else_works<H: Harness>() {
    let cluster = cluster_with(1, |builder| builder.auto_create(false));
    let harness = H::new();
    let nowhere = TraceTopic::Named(TopicName::new("no-such-topic").unwrap());
    let producer = producer_with(&harness, &cluster, tracing(|trace| trace.topic = nowhere));
    producer.send(message("one")).unwrap();
    producer.flush();
    producer.send(message("two")).unwrap();
    assert_eq!(producer.stats().trace_dropped, 1);
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 2);
    let report = producer.shutdown(PATIENCE);
    assert_eq!(report.abandoned, 0);
}

pub(crate) fn the_ends_of_transactions_are_traced<H: Transacts>() {
    let cluster = cluster_with(1, |builder| {
        builder.configure_brokers(|broker| {
            broker.check_after_ms = 0;
            broker.check_interval_ms = Some(u64::MAX);
        })
    });
    let harness = H::new();
    let servers = cluster.name_server_list();
    let listener = Arc::new(|_: StoredMessage| TransactionState::Rollback.into());
    let producer = harness
        .start_transacting("payers", &servers, listener, tracing(|_| {}))
        .unwrap();
    let transact = |key: &str, state: TransactionState| {
        let half = message("paid").tag("half").key(key);
        let receipt = producer.transact(half, move |_, _| state.into()).unwrap();
        receipt.end.unwrap();
        receipt.receipt.message_id
    };
    let ids = [
        transact("k-1", TransactionState::Commit),
        transact("k-2", TransactionState::Unknown),
    ];
    assert_eq!(cluster.broker(0).check_halves(), 1);
    eventually("the question is answered", || {
        producer.stats().transactions_ended == 3
    });
    producer.flush();
    let bodies: Vec<_> = trace_messages(&cluster).iter().map(text).collect();
    let (halves, ends) = half_records(&bodies);
    assert_eq!(halves, ids);
    let seen: Vec<_> = ends
        .iter()
        .map(|end| (end.keys.as_deref().unwrap(), &*end.state, end.from_check))
        .collect();
    let expected = [
        ("k-1", "COMMIT_MESSAGE", false),
        ("k-2", "UNKNOW", false),
        ("k-2", "ROLLBACK_MESSAGE", true),
    ];
    assert_eq!(seen, expected);
    for (end, id) in ends.iter().zip([&ids[0], &ids[1], &ids[1]]) {
        assert_eq!(end.message_id.as_deref(), Some(&**id));
        assert_eq!((&*end.group, &*end.topic), ("payers", TOPIC));
        assert_eq!(end.tags.as_deref(), Some("half"));
        assert_eq!(end.kind, TraceKind::TransactionCommit);
        assert!(end.region.is_some() && end.store_host.is_some());
    }
}

/// The ids of half messages that were traced, and the ends of transactions.
fn half_records(bodies: &[String]) -> (Vec<String>, Vec<EndTransactionTrace<'_>>) {
    let (mut halves, mut ends) = (Vec::new(), Vec::new());
    for record in bodies.iter().flat_map(|body| TraceRecords::new(body)) {
        match record.unwrap() {
            TraceRecord::Publish(half) => {
                assert_eq!(half.kind, TraceKind::TransactionHalf);
                halves.push(half.message_id.unwrap().into_owned());
            }
            TraceRecord::EndTransaction(end) => ends.push(end),
            other => panic!("{other:?}"),
        }
    }
    (halves, ends)
}
