//! Flush, shutdown, and the ends that nobody ordered (DESIGN 6, shutdown and exactly one completion).

use std::time::Duration;

use rocketmq_engine::{Certainty, SendErrorKind, ShutdownReport};
use rocketmq_proto::RequestCode;
use rocketmq_testkit::{Fault, FaultRule};

use super::support::{
    PATIENCE, TOPIC, assert_says, bodies, cluster, eventually, is_at_rest, message, producer,
    producer_with, within,
};
use super::{Harness, Pending, Producer};

const SHORT: Duration = Duration::from_millis(300);
/// What a shutdown may take beyond its grace.
const GOODBYE: Duration = Duration::from_secs(1);

pub(crate) fn flush_waits_for_all_that_was_sent_before<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for broker in cluster.brokers() {
        let late = FaultRule::new(Fault::Delay(SHORT)).sends().every(3);
        broker.inject(late).unwrap();
    }
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let deliveries: Vec<_> = (0..30).map(enqueue).collect();
    producer.flush();
    assert_eq!(bodies(&cluster, TOPIC).len(), 30);
    assert!(is_at_rest(&producer));
    for delivery in deliveries {
        let outcome = delivery.wait_within(Duration::from_secs(1));
        outcome.expect("flush was over before this one").unwrap();
    }
}

pub(crate) fn flush_waits_for_what_fails_too<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.send_timeout = SHORT);
    eventually("it is ready", || producer.ready(TOPIC).is_ok());
    let rule = FaultRule::new(Fault::Swallow).sends();
    cluster.broker(0).inject(rule).unwrap();
    let lost = producer.enqueue(message("lost")).unwrap();
    within(SHORT, || producer.flush());
    assert!(is_at_rest(&producer));
    lost.wait().unwrap_err();
}

pub(crate) fn flush_of_an_idle_producer_returns_at_once<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    within(Duration::ZERO, || producer.flush());
    producer.send(message("one")).unwrap();
    within(Duration::ZERO, || producer.flush());
}

pub(crate) fn shutdown_delivers_what_is_under_way_and_says_goodbye<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for broker in cluster.brokers() {
        let late = FaultRule::new(Fault::Delay(SHORT)).sends();
        broker.inject(late).unwrap();
    }
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let deliveries: Vec<_> = (0..20).map(enqueue).collect();

    let report = within(SHORT + GOODBYE, || producer.shutdown(PATIENCE));

    let all_delivered = ShutdownReport {
        delivered: 20,
        failed: 0,
        abandoned: 0,
    };
    assert_eq!(report, all_delivered);
    assert_eq!(bodies(&cluster, TOPIC).len(), 20);
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    for broker in cluster.brokers() {
        assert_eq!(broker.count(RequestCode::UNREGISTER_CLIENT), 1);
        eventually("connections are closed", || broker.connections() == 0);
        assert!(broker.clients().is_empty());
    }
    let name_server = cluster.name_server(0);
    eventually("this one too", || name_server.connections() == 0);
    assert_eq!(producer.stats().connections, 0);
}

pub(crate) fn shutdown_gives_up_when_the_grace_is_over<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("warm")).unwrap();
    cluster.broker(0).pause();
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let deliveries: Vec<_> = (0..5).map(enqueue).collect();

    let report = within(SHORT + GOODBYE, || producer.shutdown(SHORT));

    assert_eq!(
        (report.delivered, report.failed, report.abandoned),
        (0, 0, 5)
    );
    for delivery in deliveries {
        let error = delivery.wait().unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::Unknown);
    }
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
}

pub(crate) fn shutdown_refuses_who_waits_for_room<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    producer.ready(TOPIC).unwrap();
    let late = FaultRule::new(Fault::Delay(SHORT)).sends();
    cluster.broker(0).inject(late).unwrap();
    let first = producer.begin(message("first"));
    let waiting = producer.begin(message("waiting"));
    let report = producer.shutdown(PATIENCE);
    assert_eq!(
        (report.delivered, report.failed, report.abandoned),
        (1, 1, 0)
    );
    first.wait().unwrap();
    let error = waiting.wait().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_eq!(bodies(&cluster, TOPIC), ["first"]);
}

pub(crate) fn nothing_is_sent_after_a_shutdown<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let other_handle = producer.clone();
    producer.send(message("before")).unwrap();
    producer.shutdown(PATIENCE);

    let by_send = other_handle.send(message("after")).unwrap_err();
    let by_enqueue = other_handle
        .enqueue(message("after"))
        .map(drop)
        .unwrap_err();
    let by_oneway = other_handle.send_oneway(message("after")).unwrap_err();
    let (_, by_try) = other_handle
        .try_enqueue(message("after"))
        .map(drop)
        .unwrap_err();
    let by_queues = other_handle.publish_queues(TOPIC).unwrap_err();
    let by_ready = other_handle.ready(TOPIC).unwrap_err();

    for error in [by_send, by_enqueue, by_oneway, by_try, by_queues, by_ready] {
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_says(&error, &["shut down"]);
    }
    within(Duration::ZERO, || {
        producer.flush();
        producer.shutdown(PATIENCE);
    });
    assert_eq!(bodies(&cluster, TOPIC), ["before"]);
}

pub(crate) fn dropping_the_last_handle_drains_in_the_background<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.ready(TOPIC).unwrap();
    let late = FaultRule::new(Fault::Delay(SHORT)).sends();
    cluster.broker(0).inject(late).unwrap();
    let other_handle = producer.clone();
    let kept = producer.enqueue(message("kept")).unwrap();
    for at in 0..50 {
        drop(producer.enqueue(message(at.to_string())).unwrap());
    }
    drop(producer);
    other_handle.send(message("not closed yet")).unwrap();
    drop(other_handle);
    let broker = cluster.broker(0);
    eventually("all are stored", || bodies(&cluster, TOPIC).len() == 52);
    kept.wait().unwrap();
    eventually("the producer said goodbye", || {
        broker.count(RequestCode::UNREGISTER_CLIENT) == 1
    });
    eventually("its connections are closed", || broker.connections() == 0);
}

pub(crate) fn when_the_runtime_is_dropped_every_delivery_ends<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 50);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let under_way: Vec<_> = (0..50).map(enqueue).collect();
    let begin = |at: i32| producer.begin(message(at.to_string()));
    let waiting: Vec<_> = (50..60).map(begin).collect();

    harness.abort();

    for delivery in under_way {
        let error = delivery.wait().unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
    }
    for send in waiting {
        let error = send.wait().unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::NotSent);
    }
    let later = producer.begin(message("later")).wait().unwrap_err();
    assert_eq!(later.kind(), SendErrorKind::Closed);
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
    cluster.broker(0).resume();
    eventually("connections are closed", || {
        cluster.broker(0).connections() == 0
    });
}

pub(crate) fn when_the_runtime_is_dropped_before_a_route_is_known_every_send_ends<H: Harness>() {
    let cluster = cluster(1);
    cluster.name_server(0).pause();
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let begin = |at: i32| producer.begin(message(at.to_string()));
    let sends: Vec<_> = (0..20).map(begin).collect();
    harness.abort();
    for send in sends {
        let error = send.wait().unwrap_err();
        // A runtime drops its tasks in any order; that of the connection may be the first.
        let kinds = [SendErrorKind::Closed, SendErrorKind::NameServer];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert_eq!(error.certainty(), Certainty::NotSent);
    }
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
}
