//! Messages with a timer beside brokers that would ignore it (PROTOCOL D.2).

use std::time::Duration;

use rocketmq_engine::proto::{
    Message, RemotingCommand, RequestCode, ResponseCode, TopicName, version,
};
use rocketmq_engine::{AttemptFailure, Certainty, Config, ConnId, Operation, SendErrorKind};

use crate::rig::{NAME_SERVER, Rig, message, route};

/// Brokers with the route known and everybody connected; no heartbeat is answered yet.
fn connected(brokers: &[&str], change: impl FnOnce(&mut Config)) -> (Rig, Vec<ConnId>) {
    let mut rig = Rig::new(change);
    rig.submit(Operation::Ready {
        topic: TopicName::new("T").unwrap(),
        timeout: Duration::from_secs(3),
    });
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(brokers, 4));
    let conns = brokers.iter().map(|name| rig.connect(&format!("{name}:1")));
    let conns = conns.collect();
    (rig, conns)
}

fn beat_answered(rig: &mut Rig, conn: ConnId, version: i32) {
    let beat = rig.frame(conn, RequestCode::HEART_BEAT);
    let mut answer = RemotingCommand::response(beat.command.opaque, ResponseCode::SUCCESS, None);
    answer.version = version;
    rig.receive(conn, &answer);
}

fn timed() -> Message {
    message("later").deliver_after(Duration::from_secs(60))
}

#[test]
fn a_timer_waits_for_the_version_of_its_broker() {
    for timed in [timed(), message("later").deliver_at(2_000_000_000_000)] {
        let (mut rig, conns) = connected(&["a"], |_| {});
        let op = rig.send(timed);
        assert!(
            rig.next_send().is_none(),
            "sent to a broker that may be old"
        );
        beat_answered(&mut rig, conns[0], version::V5_0_0);
        let sent = rig.next_send().expect("the broker is young enough");
        rig.confirm(&sent);
        assert_eq!(rig.receipt(op).attempts, 1);
        // Known once, known for the connection.
        rig.send(message("more").deliver_after(Duration::from_secs(1)));
        assert!(rig.next_send().is_some());
    }
}

#[test]
fn an_old_broker_gets_no_timer_and_the_error_names_its_version() {
    let (mut rig, conns) = connected(&["a"], |_| {});
    let op = rig.send(timed());
    beat_answered(&mut rig, conns[0], version::V4_9_8);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Unsupported, Certainty::NotSent)
    );
    assert!(!error.is_retryable());
    for words in [
        "a at a:1",
        "version 409",
        "allow_ignored_timers",
        "delay_level",
    ] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    assert!(rig.next_send().is_none());
    let plain = rig.send(message("plain"));
    let sent = rig.next_send().expect("the others go as ever");
    rig.confirm(&sent);
    assert_eq!(rig.receipt(plain).attempts, 1);
}

#[test]
fn beside_a_young_broker_an_old_one_is_passed_over() {
    let (mut rig, conns) = connected(&["a", "b"], |_| {});
    beat_answered(&mut rig, conns[0], version::V4_9_8);
    beat_answered(&mut rig, conns[1], version::V5_3_3);
    for _ in 0..8 {
        let op = rig.send(timed());
        let sent = rig.next_send().unwrap();
        assert_eq!(sent.conn, conns[1]);
        rig.confirm(&sent);
        assert!(rig.receipt(op).attempts <= 2);
    }
}

#[test]
fn whoever_allows_it_has_the_timer_ignored() {
    let (mut rig, _) = connected(&["a"], |config| config.allow_ignored_timers = true);
    let op = rig.send(timed());
    let sent = rig.next_send().expect("nothing to wait for");
    rig.confirm(&sent);
    assert_eq!(rig.receipt(op).attempts, 1);
}

#[test]
fn a_delay_level_goes_to_every_broker_at_once() {
    let (mut rig, _) = connected(&["a"], |_| {});
    rig.send(message("level").delay_level(3));
    assert!(rig.next_send().is_some());
}

#[test]
fn a_broker_that_says_no_version_is_not_taken_for_an_old_one() {
    let (mut rig, conns) = connected(&["a"], |_| {});
    rig.send(timed());
    beat_answered(&mut rig, conns[0], 0);
    assert!(rig.next_send().is_some());
}

#[test]
fn a_broker_that_never_says_its_version_costs_no_more_than_the_budget() {
    let (mut rig, _) = connected(&["a"], |config| config.retries = 0);
    let op = rig.send(timed().timeout(Duration::from_millis(400)));
    rig.run_to(399);
    assert!(rig.outcome(op).is_none());
    rig.run_to(400);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Timeout, Certainty::NotSent)
    );
    assert!(matches!(
        error.attempts()[0].cause,
        AttemptFailure::NoVersion(_)
    ));
}

#[test]
fn a_connection_lost_before_the_version_was_told_leads_to_the_next_one() {
    let (mut rig, conns) = connected(&["a"], |_| {});
    let op = rig.send(timed());
    rig.close(conns[0]);
    rig.run_to(200);
    let again = rig.connect("a:1");
    assert!(
        rig.next_send().is_none(),
        "another connection may lead to another broker"
    );
    beat_answered(&mut rig, again, version::V5_3_3);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn a_oneway_message_with_a_timer_waits_as_well() {
    let (mut rig, conns) = connected(&["a"], |_| {});
    let op = rig.oneway(timed());
    assert!(rig.next_send().is_none());
    beat_answered(&mut rig, conns[0], version::V4_9_8);
    assert_eq!(rig.error(op).kind(), SendErrorKind::Unsupported);
}
