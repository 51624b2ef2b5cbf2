//! Flush and shutdown (DESIGN 6; PROTOCOL B.4).

use std::time::Duration;

use rocketmq_engine::proto::{RequestCode, ResponseCode};
use rocketmq_engine::{Certainty, CloseReason, Operation, Outcome, SendErrorKind, ShutdownReport};

use crate::rig::{Rig, message};

const BYE: RequestCode = RequestCode::UNREGISTER_CLIENT;

fn shutdown(rig: &mut Rig, grace_ms: u64) -> rocketmq_engine::OpId {
    let grace = Duration::from_millis(grace_ms);
    rig.submit(Operation::Shutdown { grace })
}

fn report(rig: &mut Rig, op: rocketmq_engine::OpId) -> ShutdownReport {
    match rig.outcome(op) {
        Some(Outcome::Shutdown(report)) => report,
        other => panic!("not closed but {other:?}"),
    }
}

#[test]
fn a_flush_ends_with_the_last_send_before_it_and_minds_none_after_it() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.send(message("first"));
    rig.send(message("second"));
    let flush = rig.submit(Operation::Flush);
    rig.send(message("third"));
    let sent: Vec<_> = std::iter::from_fn(|| rig.next_send()).collect();
    rig.confirm(&sent[2]);
    rig.confirm(&sent[1]);
    assert!(rig.outcome(flush).is_none());
    rig.confirm(&sent[0]);
    assert!(matches!(rig.outcome(flush), Some(Outcome::Done)));
}

#[test]
fn a_flush_with_nothing_under_way_is_done_at_once() {
    let mut rig = Rig::new(|_| {});
    let flush = rig.submit(Operation::Flush);
    assert!(matches!(rig.outcome(flush), Some(Outcome::Done)));
}

#[test]
fn a_shutdown_counts_what_was_delivered_what_failed_and_what_it_gave_up() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.max_in_flight = 3;
        config.retries = 0;
    });
    let delivered = rig.send(message("delivered"));
    let failed = rig.send(message("failed"));
    let abandoned = rig.send(message("abandoned"));
    let waiting = rig.send(message("waiting for a permit"));
    let sent: Vec<_> = std::iter::from_fn(|| rig.next_send()).collect();
    let end = shutdown(&mut rig, 500);
    assert_eq!(rig.error(waiting).kind(), SendErrorKind::Closed);
    rig.confirm(&sent[0]);
    rig.answer(&sent[1], ResponseCode::MESSAGE_ILLEGAL, "no");
    rig.receipt(delivered);
    rig.error(failed);
    rig.run_to(499);
    assert!(rig.try_frame(conns[0], BYE).is_none(), "still draining");
    rig.run_to(500);
    let error = rig.error(abandoned);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Closed, Certainty::Unknown)
    );
    let bye = rig.frame(conns[0], BYE);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    let expected = ShutdownReport {
        delivered: 1,
        failed: 2,
        abandoned: 1,
    };
    assert_eq!(report(&mut rig, end), expected);
    assert!(rig.closed.contains(&(conns[0], CloseReason::Shutdown)));
    assert!(rig.engine.is_closed());
    assert_eq!(rig.next_deadline(), None, "nothing is left to wake up for");
}

#[test]
fn a_shutdown_with_nothing_under_way_says_goodbye_at_once_and_beats_no_more() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.heartbeat_interval = Duration::from_millis(100);
    });
    let end = shutdown(&mut rig, 5_000);
    let bye = rig.frame(conns[0], BYE);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    rig.frame(conns[1], BYE);
    rig.run_to(999);
    assert!(
        rig.outcome(end).is_none(),
        "the other broker has its second"
    );
    assert!(rig.try_frame(conns[1], RequestCode::HEART_BEAT).is_none());
    rig.run_to(1_000);
    assert_eq!(report(&mut rig, end), ShutdownReport::default());
}

#[test]
fn a_shutdown_of_a_producer_that_knows_no_broker_is_over_at_once() {
    let mut rig = Rig::new(|_| {});
    let end = shutdown(&mut rig, 5_000);
    assert_eq!(report(&mut rig, end), ShutdownReport::default());
    let error = rig.try_accept(Operation::Flush, true).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
}

#[test]
fn a_second_shutdown_gets_the_same_report_and_the_shorter_grace_counts() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let op = rig.send(message("x"));
    let first = shutdown(&mut rig, 60_000);
    let second = shutdown(&mut rig, 100);
    rig.run_to(100);
    rig.error(op);
    let bye = rig.frame(conns[0], BYE);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    let expected = report(&mut rig, first);
    assert_eq!(expected.abandoned, 1);
    assert_eq!(report(&mut rig, second), expected);
    let third = shutdown(&mut rig, 100);
    assert_eq!(report(&mut rig, third), expected);
}

#[test]
fn a_oneway_send_that_is_given_up_may_yet_be_written() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let op = rig.oneway(message("x"));
    shutdown(&mut rig, 1);
    rig.run_to(1);
    assert_eq!(rig.error(op).certainty(), Certainty::Unknown);
}
