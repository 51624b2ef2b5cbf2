//! Permits: by count, by bytes, first come first served (DESIGN 6, back-pressure).

use std::time::Duration;

use rocketmq_engine::{Certainty, Operation, SendErrorKind};

use crate::rig::{Rig, message};

#[test]
fn permits_are_handed_over_in_the_order_of_asking() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight = 1);
    let first = rig.send(message("first"));
    let waiting: Vec<_> = (0..3).map(|_| rig.send(message("waiting"))).collect();
    assert!(rig.admitted.is_empty());
    assert_eq!(rig.engine.stats().in_flight, 1);
    for turn in 0..3 {
        let sent = rig.next_send().unwrap();
        assert!(rig.next_send().is_none(), "one at a time");
        rig.confirm(&sent);
        assert_eq!(rig.admitted, waiting[..=turn]);
    }
    rig.receipt(first);
}

#[test]
fn bytes_are_bounded_too_and_a_small_message_does_not_pass_a_large_one_in_the_line() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight_bytes = 1_000);
    let large = |rig: &mut Rig| {
        let prepared = rig.prepare(rocketmq_engine::proto::Message::new("T", vec![7; 700]));
        rig.submit(Operation::Send(prepared))
    };
    large(&mut rig);
    let second = large(&mut rig);
    let small = rig.send(message("small"));
    assert!(rig.admitted.is_empty());
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    assert_eq!(rig.admitted, [second, small]);
    assert!(rig.engine.stats().in_flight_bytes <= 1_000);
}

#[test]
fn a_full_producer_gives_back_what_must_not_wait() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight = 1);
    rig.send(message("first"));
    let prepared = rig.prepare(message("second"));
    let error = rig
        .try_accept(Operation::Send(prepared), false)
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
}

#[test]
fn waiting_for_a_permit_counts_against_the_budget() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight = 1);
    rig.send(message("first"));
    let op = rig.send(message("second").timeout(Duration::from_millis(500)));
    rig.run_to(500);
    let error = rig.error(op);
    assert!(error.is_timeout());
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("max_in_flight"), "{error}");
}

#[test]
fn who_withdraws_before_admission_was_never_sent_and_blocks_nobody() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight = 1);
    let first = rig.send(message("first"));
    let withdrawn = rig.send(message("withdrawn"));
    let third = rig.send(message("third"));
    let now = rig.now();
    assert!(
        rig.engine.abandon(now, first).is_none(),
        "admitted: it goes on"
    );
    assert!(rig.engine.abandon(now, withdrawn).is_some());
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    assert_eq!(rig.admitted, [third]);
    assert!(rig.outcome(withdrawn).is_none());
}

#[test]
fn oneway_sends_are_counted_apart_and_end_when_written() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.max_in_flight = 1;
        config.max_oneway = 1;
    });
    rig.send(message("answered"));
    let oneway = rig.oneway(message("oneway"));
    let stats = rig.engine.stats();
    assert_eq!((stats.in_flight, stats.oneway_in_flight), (1, 1));
    rig.next_send().unwrap();
    let frame = rig.next_send().unwrap();
    assert!(frame.command.flags.is_oneway());
    assert!(rig.outcome(oneway).is_none());
    rig.flushed(frame.conn, frame.seq);
    assert!(matches!(
        rig.outcome(oneway),
        Some(rocketmq_engine::Outcome::Done)
    ));
    assert_eq!(rig.engine.stats().oneway_in_flight, 0);
}
