//! Deadlines hold to the millisecond a machine allows, and say what was going on (DESIGN 6, deadline).

use std::time::Duration;

use rocketmq_engine::{AttemptTimeout, Certainty, OnTimeout, SendErrorKind};
use rocketmq_proto::Message;
use rocketmq_testkit::{Fault, FaultRule, Listening, TopicConfig};

use super::support::{
    PATIENCE, TOPIC, assert_says, assert_works, bodies, cluster, eventually, is_at_rest, message,
    on_time, producer, producer_with, within,
};
use super::{Harness, Pending, Producer};

const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn a_silent_broker_is_given_up_at_the_deadline<H: Harness>() {
    for how in [AttemptTimeout::Split, AttemptTimeout::Whole] {
        let cluster = cluster(1);
        let harness = H::new();
        let producer = producer_with(&harness, &cluster, |config| {
            config.send_timeout = SHORT;
            config.attempt_timeout = how;
        });
        producer.send(message("warm").timeout(PATIENCE)).unwrap();
        let rule = FaultRule::new(Fault::Swallow).sends();
        cluster.broker(0).inject(rule).unwrap();

        let error = on_time(SHORT, || producer.send(message("lost"))).unwrap_err();

        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::Unknown, "{error:?}");
        assert!(!error.attempts().is_empty());
        let address = cluster.broker(0).addr().to_string();
        assert_says(&error, &[TOPIC, "broker-a", &address]);
        let last = error.attempts().last().unwrap();
        assert_says(&error, &[&last.cause.to_string()]);
        assert!(is_at_rest(&producer), "{:?}", producer.stats());
        cluster.broker(0).clear_faults();
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn a_silent_broker_leaves_time_for_the_other_one<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.send_timeout = Duration::from_millis(1500);
    });
    for at in 0..8 {
        producer.send(message(format!("warm {at}"))).unwrap();
    }
    let rule = FaultRule::new(Fault::Swallow).sends();
    cluster.broker(0).inject(rule).unwrap();
    for at in 0..8 {
        let receipt = producer.send(message(format!("heard {at}"))).unwrap();
        assert_eq!(&*receipt.queue.broker, "broker-b");
    }
}

pub(crate) fn a_message_may_have_its_own_deadline<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("warm").timeout(PATIENCE)).unwrap();
    let rule = FaultRule::new(Fault::Swallow).sends();
    cluster.broker(0).inject(rule).unwrap();
    for limit in [50, 150, 450].map(Duration::from_millis) {
        let lost = message("lost").timeout(limit);
        let error = on_time(limit, || producer.send(lost)).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
    }
    let lost = message("lost").timeout(SHORT);
    let delivery = producer.enqueue(lost).unwrap();
    let error = within(SHORT, || delivery.wait()).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

pub(crate) fn the_route_is_part_of_the_budget<H: Harness>() {
    let cluster = cluster(1);
    cluster.name_server(0).listen(Listening::Silent).unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.send_timeout = SHORT);
    let error = on_time(SHORT, || producer.send(message("nowhere"))).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &[TOPIC, &cluster.name_server_list()]);
    let error = on_time(SHORT, || producer.send_oneway(message("nowhere"))).unwrap_err();
    assert!(error.is_timeout());
    let error = on_time(SHORT, || producer.publish_queues(TOPIC)).unwrap_err();
    assert!(error.is_timeout());
    assert_says(&error, &[TOPIC, &cluster.name_server_list()]);
    cluster.name_server(0).listen(Listening::Open).unwrap();
    eventually("it works again", || producer.send(message("now")).is_ok());
}

pub(crate) fn a_busy_broker_keeps_its_requests<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.send_timeout = 3 * SHORT;
    });
    let queue = producer.publish_queues(TOPIC).unwrap().remove(0);
    let broker = cluster.broker_named(&queue.broker).unwrap();
    // Answers trickle in over twice the share of one try; in the order of asking, then in reverse.
    let steps = || (1..=20).map(|step| step * SHORT / 10);
    for delays in [steps().collect(), steps().rev().collect::<Vec<_>>()] {
        for delay in delays {
            let late = FaultRule::new(Fault::Delay(delay)).sends().times(1);
            broker.inject(late).unwrap();
        }
        let enqueue = |at: i32| producer.enqueue(message(at.to_string()).to(queue.clone()));
        let deliveries: Vec<_> = (0..20).map(|at| enqueue(at).unwrap()).collect();
        for delivery in deliveries {
            assert_eq!(delivery.wait().unwrap().attempts, 1);
        }
    }
    assert_eq!(bodies(&cluster, TOPIC).len(), 40, "nothing is stored twice");
}

pub(crate) fn one_lost_answer_among_many_is_tried_again_elsewhere<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.send_timeout = 3 * SHORT;
    });
    for broker in cluster.brokers() {
        let lost = FaultRule::new(Fault::NeverAnswer).topic("lost").sends();
        broker.create_topic("lost", TopicConfig::new(1));
        broker.inject(lost.times(1)).unwrap();
    }
    cluster.broker(1).clear_faults();
    let mut tries = Vec::new();
    // One of the two begins on the broker that loses it.
    for at in 0..2 {
        let body = at.to_string();
        let lost = producer.enqueue(Message::new("lost", body)).unwrap();
        while producer.stats().in_flight > 0 {
            producer.send(message("beside it")).unwrap();
        }
        tries.push(lost.wait().unwrap().attempts);
    }
    tries.sort_unstable();
    assert_eq!(tries, [1, 2]);
    assert_eq!(bodies(&cluster, "lost").len(), 3);
    assert_eq!(producer.stats().connections_lost, 0);
}

pub(crate) fn one_overdue_answer_does_not_hurt_its_neighbours<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.retries = 0);
    producer.send(message("warm").timeout(PATIENCE)).unwrap();
    let rule = FaultRule::new(Fault::NeverAnswer).sends().nth(1);
    cluster.broker(0).inject(rule).unwrap();
    let delay = FaultRule::new(Fault::Delay(2 * SHORT)).sends().times(20);
    cluster.broker(0).inject(delay).unwrap();

    let unanswered = producer
        .enqueue(message("unanswered").timeout(SHORT * 3))
        .unwrap();
    let answer_late = |at| producer.enqueue(message(format!("late {at}"))).unwrap();
    let neighbours: Vec<_> = (0..20).map(answer_late).collect();

    let error = unanswered.wait().unwrap_err();
    assert!(error.is_timeout());
    for neighbour in neighbours {
        assert_eq!(neighbour.wait().unwrap().attempts, 1);
    }
    assert_eq!(producer.stats().connections_lost, 0);
    assert_eq!(bodies(&cluster, TOPIC).len(), 22);
}

pub(crate) fn a_late_answer_is_counted_and_dropped<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.retries = 0;
        config.on_timeout = OnTimeout::Keep;
    });
    producer.send(message("warm").timeout(PATIENCE)).unwrap();
    let rule = FaultRule::new(Fault::Delay(2 * SHORT)).sends().times(1);
    cluster.broker(0).inject(rule).unwrap();
    let error = producer.send(message("late").timeout(SHORT)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Timeout);
    assert_eq!(error.certainty(), Certainty::Unknown, "{error:?}");
    assert_says(&error, &["no reply"]);
    eventually("the late answer is counted", || {
        producer.stats().late_replies == 1
    });
    assert_eq!(producer.stats().connections_lost, 0);
    assert_works(&producer, &cluster);
}

pub(crate) fn readiness_has_a_deadline<H: Harness>() {
    let cluster = cluster(1);
    cluster.broker(0).stop();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.send_timeout = SHORT);
    eventually("the route is known", || {
        producer.publish_queues(TOPIC).is_ok()
    });
    let error = within(SHORT, || producer.ready(TOPIC)).unwrap_err();
    let address = cluster.broker(0).addr().to_string();
    assert_says(&error, &[&address]);
    cluster.broker(0).restart().unwrap();
    eventually("it is ready", || producer.ready(TOPIC).is_ok());
    let message = Message::new(TOPIC, "ready").timeout(PATIENCE);
    producer.send(message).unwrap();
}
