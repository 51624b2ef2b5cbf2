//! Giving up a send, at each point of the table in DESIGN 6 (cancellation).

use std::time::Duration;

use rocketmq_testkit::{Fault, FaultRule};

use super::support::{
    TOPIC, assert_works, bodies, cluster, eventually, is_at_rest, message, producer, producer_with,
};
use super::{Harness, Pending, Producer};

pub(crate) fn dropped_before_its_first_poll_it_is_not_sent<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.forget(message("forgotten"));
    assert!(is_at_rest(&producer));
    assert_works(&producer, &cluster);
    assert_eq!(bodies(&cluster, TOPIC).len(), 1);
}

pub(crate) fn dropped_while_it_waits_for_room_it_is_not_sent<H: Harness>() {
    if !H::Producer::CAN_CANCEL {
        return;
    }
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    let queue = producer.publish_queues(TOPIC).unwrap().remove(0);
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let first = producer.begin(message("first").to(queue.clone()));
    let given_up = producer.begin(message("given up").to(queue.clone()));
    let next = producer.begin(message("next").to(queue));
    drop(given_up);
    cluster.broker(0).resume();
    first.wait().unwrap();
    next.wait().unwrap();
    assert_eq!(bodies(&cluster, TOPIC), ["first", "next"]);
    assert!(is_at_rest(&producer), "{:?}", producer.stats());
}

pub(crate) fn dropped_while_it_waits_for_the_route_it_is_sent_all_the_same<H: Harness>() {
    let cluster = cluster(1);
    cluster.name_server(0).pause();
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    drop(producer.begin(message("on its way")));
    assert_eq!(producer.stats().in_flight, 1, "it keeps its room");
    cluster.name_server(0).resume();
    eventually("it is stored", || bodies(&cluster, TOPIC) == ["on its way"]);
    eventually("its room is free", || is_at_rest(&producer));
}

pub(crate) fn dropped_after_it_was_written_it_keeps_its_room_until_the_answer<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    producer.send(message("warm")).unwrap();
    let late = FaultRule::new(Fault::Delay(Duration::from_millis(300)));
    cluster.broker(0).inject(late.sends().times(1)).unwrap();
    let written = producer.begin(message("written"));
    eventually("it is stored", || bodies(&cluster, TOPIC).len() == 2);
    drop(written);
    assert_eq!(producer.stats().in_flight, 1);
    assert!(producer.try_enqueue(message("no room")).is_err());
    eventually("the answer frees its room", || is_at_rest(&producer));
    assert_works(&producer, &cluster);
    assert_eq!(producer.stats().sent, 3, "the given up one counts as well");
}

pub(crate) fn dropped_deliveries_arrive<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for at in 0..100 {
        drop(producer.enqueue(message(at.to_string())).unwrap());
    }
    eventually("all are stored", || bodies(&cluster, TOPIC).len() == 100);
    eventually("nothing is left", || is_at_rest(&producer));
}

pub(crate) fn a_storm_of_cancelled_sends_leaves_no_permit_behind<H: Harness>() {
    if !H::Producer::CAN_CANCEL {
        return;
    }
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.max_in_flight = 4;
        config.max_in_flight_bytes = 400;
    });
    producer.ready(TOPIC).unwrap();
    let mut kept = Vec::new();
    for at in 0..2_000 {
        let send = producer.begin(message(format!("message {at}")));
        match at % 3 {
            0 => kept.push((at, send)),
            1 => drop(send),
            // Given up a little later, wherever it is by then.
            _ => drop(producer.try_enqueue(message("in between")).map(|_| send)),
        }
    }
    let kept: Vec<_> = kept
        .into_iter()
        .map(|(at, send)| {
            send.wait().unwrap();
            format!("message {at}")
        })
        .collect();
    eventually("nothing is left", || is_at_rest(&producer));
    let mut stored = bodies(&cluster, TOPIC);
    stored.sort_unstable();
    for body in kept {
        assert!(stored.binary_search(&body).is_ok(), "{body} is not stored");
    }
    assert_works(&producer, &cluster);
}
