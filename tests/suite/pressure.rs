//! What is under way is bounded, by number and by bytes, and room is given in the order of asking (DESIGN 6,
//! back-pressure; PROTOCOL E.9).

use std::time::Duration;

use rocketmq_engine::{Certainty, SendErrorKind};
use rocketmq_proto::{Message, property};
use rocketmq_testkit::{Fault, FaultRule};

use super::support::{
    TOPIC, assert_says, assert_works, bodies, cluster, eventually, is_at_rest, message, on_time,
    producer_with,
};
use super::{Harness, Pending, Producer};

pub(crate) fn the_number_under_way_is_bounded<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 3);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let taken: Vec<_> = (0..3)
        .map(|at| producer.try_enqueue(message(at.to_string())).unwrap())
        .collect();
    assert_eq!(producer.stats().in_flight, 3);

    let given = message("back").tag("mine").key("k");
    let (returned, error) = producer.try_enqueue(given).map(drop).unwrap_err();

    assert_eq!(error.kind(), SendErrorKind::Full);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &["max_in_flight"]);
    assert_eq!(returned.body(), "back");
    assert_eq!(returned.properties().get(property::TAGS), Some("mine"));
    assert_eq!(returned.properties().get(property::KEYS), Some("k"));
    assert!(!returned.properties().contains(property::UNIQ_KEY));

    cluster.broker(0).resume();
    for delivery in taken {
        delivery.wait().unwrap();
    }
    producer
        .try_enqueue(returned)
        .map_err(|e| e.1)
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(bodies(&cluster, TOPIC).len(), 4);
    assert!(is_at_rest(&producer));
}

pub(crate) fn the_bytes_under_way_are_bounded<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.max_in_flight_bytes = 10_000;
        config.compress_over = None;
    });
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let first = producer.try_enqueue(large(6_000)).unwrap();
    let bytes = producer.stats().in_flight_bytes;
    assert!((6_000..6_200).contains(&bytes), "{bytes} bytes under way");
    let (returned, error) = producer.try_enqueue(large(6_000)).map(drop).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
    assert_eq!(returned.body().len(), 6_000);
    let second = producer.try_enqueue(large(3_000)).unwrap();
    cluster.broker(0).resume();
    first.wait().unwrap();
    second.wait().unwrap();
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
}

pub(crate) fn a_message_larger_than_the_budget_passes_alone<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.max_in_flight_bytes = 1_000;
        config.compress_over = None;
    });
    for _ in 0..3 {
        producer.send(large(50_000)).unwrap();
    }
    assert_eq!(bodies(&cluster, TOPIC).len(), 3);
    assert!(is_at_rest(&producer));
}

pub(crate) fn room_is_given_first_come_first_served<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    let queue = producer.publish_queues(TOPIC).unwrap().remove(0);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let begin = |at: i32| producer.begin(message(at.to_string()).to(queue.clone()));
    let line: Vec<_> = (0..50).map(begin).collect();
    assert_eq!(producer.stats().in_flight, 1);
    cluster.broker(0).resume();
    for send in line {
        send.wait().unwrap();
    }
    let order: Vec<_> = (0..50).map(|at| at.to_string()).collect();
    assert_eq!(bodies(&cluster, TOPIC), order);
    assert!(is_at_rest(&producer));
}

pub(crate) fn a_large_message_in_line_is_not_overtaken<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.max_in_flight_bytes = 10_000;
        config.compress_over = None;
    });
    let queue = producer.publish_queues(TOPIC).unwrap().remove(0);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let first = producer.begin(large(6_000).to(queue.clone()));
    let waiting = producer.begin(large(9_000).to(queue.clone()));
    let small = producer.begin(large(10).to(queue.clone()));
    let full = producer.try_enqueue(large(10).to(queue)).map(drop);
    assert!(full.is_err(), "it would overtake those in line");
    assert_eq!(producer.stats().in_flight, 1);
    cluster.broker(0).resume();
    for send in [first, waiting, small] {
        send.wait().unwrap();
    }
    let lens: Vec<_> = bodies(&cluster, TOPIC).iter().map(String::len).collect();
    assert_eq!(lens, [6_000, 9_000, 10]);
}

pub(crate) fn oneway_messages_have_room_of_their_own<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let taken = producer.try_enqueue(message("takes all room")).unwrap();
    assert!(producer.try_enqueue(message("none left")).is_err());
    producer.send_oneway(message("oneway")).unwrap();
    cluster.broker(0).resume();
    taken.wait().unwrap();
    eventually("both are stored", || bodies(&cluster, TOPIC).len() == 2);
    assert!(is_at_rest(&producer));
}

pub(crate) fn no_room_in_time_is_an_error_that_says_so<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    producer.ready(TOPIC).unwrap();
    // Shorter than the third of the budget after which a silent broker is given up.
    let rule = FaultRule::new(Fault::Delay(Duration::from_millis(700)));
    cluster.broker(0).inject(rule.sends().times(1)).unwrap();
    let taken = producer.enqueue(message("takes all room")).unwrap();

    let limit = Duration::from_millis(200);
    let late = || message("too late").timeout(limit);
    let by_send = on_time(limit, || producer.send(late())).unwrap_err();
    let by_enqueue = on_time(limit, || producer.enqueue(late()).map(drop)).unwrap_err();

    for error in [by_send, by_enqueue] {
        assert_eq!(error.kind(), SendErrorKind::Timeout);
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_says(&error, &["no room", TOPIC, "max_in_flight"]);
    }
    taken.wait().unwrap();
    assert_works(&producer, &cluster);
    assert_eq!(bodies(&cluster, TOPIC).len(), 2);
}

fn large(len: usize) -> Message {
    message("x".repeat(len))
}
