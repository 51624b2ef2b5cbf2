//! Brokers whose connections do what connections do (PROTOCOL E.7, E.8, E.13).

use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::{AttemptFailure, Certainty, Event, SendErrorKind};
use rocketmq_proto::{RequestCode, ResponseCode};
use rocketmq_testkit::{Cluster, Fault, FaultRule};

use super::support::{
    PATIENCE, TOPIC, assert_says, assert_works, bodies, cluster, eventually, is_at_rest, message,
    producer, producer_with, within,
};
use super::{Events, Harness, Pending, Producer};

/// So many sends in a row begin on each of two brokers more than once.
const ROUND: usize = 8;

pub(crate) fn a_half_open_broker_leaves_time_for_the_other_one<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.send_timeout = Duration::from_millis(1500);
    });
    send_round(&producer);
    cluster.broker(0).pause();
    for at in 0..ROUND {
        let receipt = producer.send(message(format!("paused {at}"))).unwrap();
        assert_eq!(&*receipt.queue.broker, "broker-b");
    }
    cluster.broker(0).resume();
    send_until_used(&producer, "broker-a");
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
}

pub(crate) fn garbage_from_a_broker_is_survived<H: Harness>() {
    let garbage = Bytes::from_static(b"\0\0\0\x20\0\0\0\x10{\"code\":oh no this is no frame");
    bad_answers_are_survived::<H>(Fault::Garbage(garbage));
    bad_answers_are_survived::<H>(Fault::Garbage(Bytes::from_static(&[0xff; 64])));
}

pub(crate) fn a_frame_that_claims_two_gib_is_survived<H: Harness>() {
    bad_answers_are_survived::<H>(Fault::OversizedFrame);
}

pub(crate) fn an_answer_cut_short_is_no_answer<H: Harness>() {
    bad_answers_are_survived::<H>(Fault::ResetAfterBytes(7));
}

/// One of two brokers answers badly: every message ends on the other one.
fn bad_answers_are_survived<H: Harness>(fault: Fault) {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    send_round(&producer);
    inject(&cluster, 0, FaultRule::new(fault).sends());
    for at in 0..ROUND {
        let receipt = producer.send(message(format!("elsewhere {at}"))).unwrap();
        assert_eq!(&*receipt.queue.broker, "broker-b");
    }
    cluster.broker(0).clear_faults();
    send_until_used(&producer, "broker-a");
}

pub(crate) fn garbage_from_the_only_broker_is_named_in_the_error<H: Harness>() {
    let garbage = Fault::Garbage(Bytes::from_static(&[0xff; 64]));
    for fault in [garbage, Fault::OversizedFrame] {
        let cluster = cluster(1);
        let harness = H::new();
        let producer = producer(&harness, &cluster);
        inject(&cluster, 0, FaultRule::new(fault).sends());
        let limit = Duration::from_secs(3);
        let error = within(limit, || producer.send(message("lost"))).unwrap_err();
        let address = cluster.broker(0).addr().to_string();
        assert_says(&error, &["broker-a", &address, "closed"]);
        let was_dropped = |cause: &AttemptFailure| matches!(cause, AttemptFailure::Dropped { .. });
        assert!(error.attempts().iter().any(|a| was_dropped(&a.cause)));
        assert_eq!(error.certainty(), Certainty::Unknown, "{error:?}");
        cluster.broker(0).clear_faults();
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn going_away_once_goes_unnoticed<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("warm")).unwrap();
    let mut events = producer.events();
    let rule = FaultRule::new(Fault::GoAway).sends().times(1);
    inject(&cluster, 0, rule);
    let receipt = producer.send(message("again")).unwrap();
    assert_eq!(receipt.attempts, 1, "it is not counted as a try");
    assert_eq!(bodies(&cluster, TOPIC), ["warm", "again"]);
    let is_go_away = |event: &Event| matches!(event, Event::GoAway { .. });
    let mut seen = std::iter::from_fn(|| events.next_within(PATIENCE));
    assert!(seen.any(|event| is_go_away(&event)));
    assert_eq!(producer.stats().connections_lost, 0);
}

pub(crate) fn going_away_twice_leads_to_the_other_broker<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    send_round(&producer);
    cluster
        .broker(0)
        .with(|broker| broker.config_mut().going_away = true);
    for at in 0..ROUND {
        let receipt = producer.send(message(format!("elsewhere {at}"))).unwrap();
        assert_eq!(&*receipt.queue.broker, "broker-b");
        assert!(receipt.attempts <= 2);
    }
    assert_eq!(cluster.broker(1).stored(TOPIC).len(), ROUND / 2 + ROUND);
    cluster
        .broker(0)
        .with(|broker| broker.config_mut().going_away = false);
    send_until_used(&producer, "broker-a");
}

pub(crate) fn going_away_for_ever_is_an_error_that_says_so<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    inject(&cluster, 0, FaultRule::new(Fault::GoAway).sends());
    let limit = Duration::from_secs(3);
    let error = within(limit, || producer.send(message("nowhere"))).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Broker);
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert_eq!(error.code(), Some(ResponseCode::GO_AWAY));
    assert_says(&error, &["please go away"]);
    cluster.broker(0).clear_faults();
    assert_works(&producer, &cluster);
    assert_eq!(bodies(&cluster, TOPIC).len(), 1);
}

pub(crate) fn a_stopped_broker_is_an_error_until_it_is_back<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("before")).unwrap();
    cluster.broker(0).stop();
    // What is written before the end of a connection was seen may have been stored.
    eventually("the producer noticed", || {
        producer.stats().connections_lost > 0
    });
    let limit = Duration::from_secs(3);
    let error = within(limit, || producer.send(message("during"))).unwrap_err();
    let address = cluster.broker(0).addr().to_string();
    assert_says(&error, &["broker-a", &address]);
    assert!(error.is_retryable());
    assert_eq!(error.certainty(), Certainty::NotSent);
    cluster.broker(0).restart().unwrap();
    assert_works(&producer, &cluster);
    assert_eq!(bodies(&cluster, TOPIC).len(), 2);
}

pub(crate) fn a_broker_killed_under_load_costs_no_message<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 256);
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let mut deliveries = Vec::new();
    for at in 0..6_000 {
        match at {
            2_000 => cluster.broker(0).stop(),
            4_000 => cluster.broker(0).restart().unwrap(),
            _ => {}
        }
        deliveries.push(enqueue(at));
    }
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    let mut stored: Vec<u32> = bodies(&cluster, TOPIC)
        .iter()
        .map(|body| body.parse().unwrap())
        .collect();
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), 6_000);
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
    send_until_used(&producer, "broker-a");
}

pub(crate) fn a_second_answer_changes_nothing<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    inject(&cluster, 0, FaultRule::new(Fault::AnswerTwice).sends());
    let enqueue = |at: i32| producer.enqueue(message(at.to_string())).unwrap();
    let deliveries: Vec<_> = (0..50).map(enqueue).collect();
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    eventually("second answers are counted", || {
        producer.stats().late_replies == 50
    });
    assert_eq!(producer.stats().sent, 50);
    assert_eq!(producer.stats().connections_lost, 0);
    assert!(is_at_rest(&producer));
}

pub(crate) fn a_broker_hears_who_we_are_before_the_first_message<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("first")).unwrap();
    let requests = cluster.broker(0).requests();
    let codes: Vec<_> = requests.iter().map(|request| request.code()).collect();
    let expected = [RequestCode::HEART_BEAT, RequestCode::SEND_MESSAGE_V2];
    assert_eq!(codes, expected);
    assert_eq!(cluster.broker(0).heartbeats().len(), 1);
    assert_eq!(cluster.broker(0).clients().len(), 1);
}

fn send_round(producer: &impl Producer) {
    for at in 0..ROUND {
        producer.send(message(format!("round {at}"))).unwrap();
    }
}

/// A broker that is well again gets its share.
fn send_until_used(producer: &impl Producer, broker: &str) {
    eventually("the broker is used again", || {
        let receipt = producer.send(message("and you?")).unwrap();
        &*receipt.queue.broker == broker
    });
}

fn inject(cluster: &Cluster, broker: usize, rule: FaultRule) {
    cluster.broker(broker).inject(rule).unwrap();
}
