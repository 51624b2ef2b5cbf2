//! Events and numbers.

use std::time::Duration;

use rocketmq_engine::{DisconnectReason, Event};
use rocketmq_proto::ResponseCode;
use rocketmq_testkit::{Fault, FaultRule};

use super::support::{
    PATIENCE, TOPIC, bodies, cluster, eventually, is_at_rest, message, producer, producer_with,
};
use super::{Events, Harness, Pending, Producer};

/// How many events are kept for somebody who does not take them.
const KEPT: u64 = 1024;

pub(crate) fn events_tell_what_happens<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let mut events = producer.events();
    let name_server = cluster.name_server(0).addr().to_string();
    let broker = cluster.broker(0).addr().to_string();

    producer.send(message("one")).unwrap();
    expect(
        &mut events,
        |event| matches!(event, Event::Connected { address, .. } if address.to_string() == name_server),
    );
    expect(
        &mut events,
        |event| matches!(event, Event::RouteChanged { topic, queues: 4, .. } if topic.as_str() == TOPIC),
    );
    expect(
        &mut events,
        |event| matches!(event, Event::Connected { address, .. } if address.to_string() == broker),
    );
    cluster.broker(0).stop();
    expect(&mut events, |event| {
        let Event::Disconnected {
            address, reason, ..
        } = event
        else {
            return false;
        };
        address.to_string() == broker && matches!(reason, DisconnectReason::Theirs(_))
    });
    producer.send(message("refused")).unwrap_err();
    expect(
        &mut events,
        |event| matches!(event, Event::ConnectFailed { address, .. } if address.to_string() == broker),
    );
    cluster.broker(0).restart().unwrap();
    expect(
        &mut events,
        |event| matches!(event, Event::Connected { address, .. } if address.to_string() == broker),
    );
    assert_eq!(events.lost(), 0);
}

pub(crate) fn events_that_nobody_takes_are_counted<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("warm")).unwrap();
    let mut events = producer.events();
    let count = KEPT + 500;
    // Each second answer is an event.
    let rule = FaultRule::new(Fault::AnswerTwice).sends();
    cluster.broker(0).inject(rule).unwrap();
    let enqueue = |at: u64| producer.enqueue(message(at.to_string())).unwrap();
    let deliveries: Vec<_> = (0..count).map(enqueue).collect();
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    eventually("all second answers came", || {
        producer.stats().late_replies == count
    });
    assert_eq!(events.lost(), 500);
    let mut taken = 0;
    while let Some(event) = events.next_within(Duration::ZERO) {
        assert!(matches!(event, Event::LateReply { .. }), "{event}");
        taken += 1;
    }
    assert_eq!(taken, KEPT);
    // Taken again, they flow again.
    producer.send(message("one more")).unwrap();
    expect(&mut events, |event| {
        matches!(event, Event::LateReply { .. })
    });
    assert_eq!(events.lost(), 500);
}

pub(crate) fn events_end_with_the_producer<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let mut events = producer.events();
    producer.send(message("one")).unwrap();
    producer.shutdown(PATIENCE);
    let mut taken = 0;
    while events.next_within(PATIENCE).is_some() {
        taken += 1;
    }
    assert!(taken >= 3, "only {taken} events");
    let mut late = producer.events();
    assert!(late.next_within(PATIENCE).is_none());
}

pub(crate) fn stats_add_up<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.send_timeout = Duration::from_millis(300);
        config.retries = 1;
    });
    for at in 0..10 {
        producer.send(message(at.to_string())).unwrap();
    }
    for at in 0..5 {
        producer.send_oneway(message(at.to_string())).unwrap();
    }
    eventually("the faults below meet what is sent below", || {
        bodies(&cluster, TOPIC).len() == 15
    });
    let code = ResponseCode::MESSAGE_ILLEGAL;
    let refuse = FaultRule::new(Fault::Answer { code, remark: None });
    cluster.broker(0).inject(refuse.sends().times(3)).unwrap();
    for _ in 0..3 {
        producer.send(message("refused")).unwrap_err();
    }
    let busy = FaultRule::new(Fault::overload()).sends().times(1);
    cluster.broker(0).inject(busy).unwrap();
    producer.send(message("second try")).unwrap();
    let silence = FaultRule::new(Fault::Swallow).sends();
    cluster.broker(0).inject(silence).unwrap();
    producer.send(message("perhaps")).unwrap_err();
    producer.send(message("")).unwrap_err();

    assert!(is_at_rest(&producer));
    let stats = producer.stats();
    assert_eq!((stats.sent, stats.sent_oneway), (11, 5));
    assert_eq!(stats.failed_rejected, 3);
    assert_eq!(stats.failed_unknown, 1);
    assert_eq!(stats.retries, 2);
    assert_eq!(stats.topics, 1);
    assert_eq!(stats.latency.count, 11);
    assert!(stats.latency.mean() <= stats.latency.max);
    assert!(stats.latency.max < Duration::from_millis(400));
}

/// Takes events until one fits.
fn expect(events: &mut impl Events, fits: impl Fn(&Event) -> bool) {
    let mut seen = Vec::new();
    while let Some(event) = events.next_within(PATIENCE) {
        if fits(&event) {
            return;
        }
        seen.push(event);
    }
    panic!("not among the events: {seen:#?}");
}
