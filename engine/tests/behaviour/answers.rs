//! Answers and requests that come in: for whom, too late, twice, of the server's own (PROTOCOL A.6,
//! A.7, E.13).

use rocketmq_engine::proto::{Flags, RequestCode, ResponseCode};
use rocketmq_engine::{CloseReason, Event};

use crate::rig::{Rig, message};

#[test]
fn a_server_that_says_go_away_gets_the_request_again_on_a_new_connection_as_the_same_try() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let waiting = rig.send(message("answered later"));
    let earlier = rig.next_send().unwrap();
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.answer(&first, ResponseCode::GO_AWAY, "please go away");
    let new = rig.connect("a:1");
    assert_ne!(new, conns[0]);
    rig.frame(new, RequestCode::HEART_BEAT);
    let again = rig.next_send().unwrap();
    assert_eq!(again.conn, new);
    rig.confirm(&again);
    assert_eq!(rig.receipt(op).attempts, 1);
    assert!(
        rig.closed.is_empty(),
        "the old connection still owes an answer"
    );
    rig.confirm(&earlier);
    rig.receipt(waiting);
    assert_eq!(rig.closed, [(conns[0], CloseReason::GoneAway)]);
}

#[test]
fn a_second_go_away_is_a_failed_try() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    let address = format!("{}:1", first.field("n"));
    rig.answer(&first, ResponseCode::GO_AWAY, "please go away");
    rig.connect(&address);
    let second = rig.next_send().unwrap();
    assert_eq!(second.field("n"), first.field("n"));
    rig.answer(&second, ResponseCode::GO_AWAY, "please go away");
    let third = rig.next_send().unwrap();
    assert_ne!(third.field("n"), first.field("n"), "another broker");
    rig.confirm(&third);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn a_server_that_wants_us_gone_is_left_also_when_its_last_answer_never_comes() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.retries = 0;
        config.on_timeout = rocketmq_engine::OnTimeout::Keep;
    });
    let silent = rig.send(message("never answered"));
    let _ = rig.next_send().unwrap();
    rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::GO_AWAY, "please go away");
    rig.connect("a:1");
    rig.run_to(3_000);
    assert!(rig.error(silent).is_timeout());
    assert!(rig.closed.contains(&(conns[0], CloseReason::GoneAway)));
}

#[test]
fn an_answer_that_comes_too_late_is_counted_told_and_dropped() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.retries = 0;
        config.on_timeout = rocketmq_engine::OnTimeout::Keep;
    });
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.run_to(3_000);
    rig.error(op);
    rig.confirm(&sent);
    assert!(rig.outcome(op).is_none(), "nothing ends twice");
    assert_eq!(rig.engine.stats().late_replies, 1);
    assert!(matches!(rig.events.last(), Some(Event::LateReply { .. })));
    assert!(
        rig.engine.has_conn(conns[0]),
        "nor does it cost the connection"
    );
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(rig.engine.stats().sent, 1);
    assert_eq!(rig.engine.stats().late_replies, 1);
}

#[test]
fn an_answer_on_another_connection_is_nobodys() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let op = rig.send(message("x"));
    let mut sent = rig.next_send().unwrap();
    let right = sent.conn;
    sent.conn = conns[usize::from(right == conns[0])];
    rig.confirm(&sent);
    assert!(rig.outcome(op).is_none());
    sent.conn = right;
    rig.confirm(&sent);
    rig.receipt(op);
}

/// PROTOCOL A.7: one row a request that a broker may start.
#[test]
fn each_request_of_a_server_is_answered_as_java_answers_it() {
    let rows = [
        (RequestCode::CHECK_TRANSACTION_STATE, None),
        (RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, None),
        (RequestCode::RESET_CONSUMER_CLIENT_OFFSET, None),
        (RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT, Some((0, ""))),
        (
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            Some((1, "The Consumer Group <> not exist in this consumer")),
        ),
        (
            RequestCode::CONSUME_MESSAGE_DIRECTLY,
            Some((1, "The Consumer Group <> not exist in this consumer")),
        ),
        // This one has no header; see `requests` for those that have.
        (
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT,
            Some((1, "process reply message fail")),
        ),
        (
            RequestCode(4711),
            Some((3, " request type 4711 not supported")),
        ),
    ];
    for (code, answer) in rows {
        let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
        rig.forget_frames();
        rig.server_asks(conns[0], code.0, Flags::ONEWAY);
        assert_eq!(rig.frames().count(), 0, "{code}, oneway");
        rig.server_asks(conns[0], code.0, Flags::REQUEST);
        let given = rig.frames().next().map(|sent| {
            assert!(sent.command.flags.is_response());
            assert_eq!(sent.command.opaque, 900, "the server's own number");
            (
                sent.command.code,
                sent.command.remark.clone().unwrap_or_default(),
            )
        });
        let expected = answer.map(|(code, remark)| (code, remark.to_owned()));
        assert_eq!(given, expected, "{code}");
    }
}
