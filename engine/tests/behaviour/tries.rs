//! How a send's budget is divided, and what is known when it fails (DESIGN 6: deadline, certainty).

use std::time::Duration;

use rocketmq_engine::proto::{MessageQueue, RequestCode, ResponseCode, TopicName};
use rocketmq_engine::{
    Answer, AttemptFailure, AttemptTimeout, Certainty, CloseReason, OnTimeout, Retry, SendErrorKind,
};

use crate::rig::{Rig, message, route};

const A: &str = "a:1";

#[test]
fn a_silent_broker_leaves_equal_shares_of_the_budget_to_the_tries_that_are_left() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.run_to(999);
    assert!(rig.next_send().is_none(), "a third of three seconds");
    rig.run_to(1_000);
    let second = rig.next_send().unwrap();
    assert_ne!(first.conn, second.conn, "another broker");
    assert!(conns.contains(&second.conn));
    rig.confirm(&second);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn three_silent_tries_end_with_the_budget_and_each_is_told() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b", "c"], 1, |_| {});
    let op = rig.send(message("x"));
    let mut at = 0;
    while let Some(sent) = rig.next_send() {
        rig.flushed(sent.conn, sent.seq);
        at += 1_000;
        rig.run_to(at);
    }
    assert_eq!(at, 3_000);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Timeout);
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(error.attempts().len(), 3);
    for attempt in error.attempts() {
        assert_eq!(attempt.elapsed, Duration::from_secs(1));
    }
}

#[test]
fn with_the_whole_budget_for_each_try_the_first_silence_ends_the_send() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |c| {
        c.attempt_timeout = AttemptTimeout::Whole
    });
    let op = rig.send(message("x"));
    rig.run_to(2_999);
    assert!(rig.outcome(op).is_none());
    rig.run_to(3_000);
    assert_eq!(rig.error(op).attempts().len(), 1);
}

#[test]
fn a_try_gets_no_more_than_it_is_allowed() {
    let at = AttemptTimeout::At(Duration::from_millis(200));
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |c| c.attempt_timeout = at);
    let op = rig.send(message("x"));
    rig.run_to(600);
    let error = rig.error(op);
    assert_eq!(error.attempts().len(), 3);
    assert_eq!(error.attempts()[0].elapsed, Duration::from_millis(200));
}

/// One row a cause: what is known of a message after its only try.
#[test]
fn each_cause_says_what_is_known_of_the_message() {
    type Cause = fn(&mut Rig);
    let rows: [(&str, Certainty, SendErrorKind, Cause); 8] = [
        (
            "refused by the broker",
            Certainty::Rejected,
            SendErrorKind::Broker,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.answer(
                    &sent,
                    ResponseCode::MESSAGE_ILLEGAL,
                    "the message is illegal",
                );
            },
        ),
        (
            "lost when written",
            Certainty::Unknown,
            SendErrorKind::Connection,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.flushed(sent.conn, sent.seq);
                rig.close(sent.conn);
            },
        ),
        (
            "lost before it was written",
            Certainty::NotSent,
            SendErrorKind::Connection,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.close(sent.conn);
            },
        ),
        (
            "never answered",
            Certainty::Unknown,
            SendErrorKind::Timeout,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.flushed(sent.conn, sent.seq);
                rig.run_to(3_000);
            },
        ),
        (
            "never written",
            Certainty::NotSent,
            SendErrorKind::Timeout,
            |rig| {
                rig.run_to(3_000);
            },
        ),
        (
            "answered with what cannot be read",
            Certainty::Unknown,
            SendErrorKind::Broker,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.answer(&sent, ResponseCode::SUCCESS, "without a header");
            },
        ),
        (
            "sent away twice",
            Certainty::Rejected,
            SendErrorKind::Broker,
            |rig| {
                let sent = rig.next_send().unwrap();
                rig.answer(&sent, ResponseCode::GO_AWAY, "please go away");
                rig.connect(A);
                let again = rig.next_send().unwrap();
                rig.answer(&again, ResponseCode::GO_AWAY, "please go away");
            },
        ),
        (
            "given up at the end",
            Certainty::Unknown,
            SendErrorKind::Closed,
            |rig| {
                let now = rig.now();
                rig.engine.abort(now);
                rig.run_to(0);
            },
        ),
    ];
    for (name, certainty, kind, cause) in rows {
        let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.retries = 0);
        let op = rig.send(message("x"));
        cause(&mut rig);
        let error = rig.error(op);
        assert_eq!(
            (error.certainty(), error.kind()),
            (certainty, kind),
            "{name}: {error}"
        );
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn who_never_got_a_connection_was_not_sent_and_the_refusal_is_named() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| config.retries = 0);
    rig.close(conns[0]);
    let op = rig.send(message("x"));
    rig.run_to(100);
    rig.refuse(A);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn one_unknown_try_keeps_the_whole_unknown_whatever_the_others_say() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| config.retries = 1);
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.flushed(first.conn, first.seq);
    rig.run_to(1_500);
    let second = rig.next_send().unwrap();
    rig.answer(&second, ResponseCode::MESSAGE_ILLEGAL, "no");
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(error.code(), Some(ResponseCode::MESSAGE_ILLEGAL));
}

#[test]
fn what_may_be_stored_is_not_sent_again_when_that_was_asked_for() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |c| c.retry = Retry::NotAfterWrite);
    let written = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    let unwritten = rig.send(message("y"));
    let other = rig.next_send().unwrap();
    rig.flushed(sent.conn, sent.seq);
    rig.close(sent.conn);
    assert_eq!(rig.error(written).attempts().len(), 1);
    rig.close(other.conn);
    assert!(rig.outcome(unwritten).is_none(), "that one is tried again");
}

#[test]
fn a_retry_goes_to_another_broker_with_the_same_unique_key_and_its_own_queue() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.answer(&first, ResponseCode::SYSTEM_ERROR, "trouble");
    let second = rig.next_send().unwrap();
    assert_eq!(
        first.field("i"),
        second.field("i"),
        "the properties, UNIQ_KEY among them"
    );
    assert!(first.field("i").contains("UNIQ_KEY"));
    assert_ne!(
        first.field("n"),
        second.field("n"),
        "the broker (PROTOCOL I 1)"
    );
    assert_ne!(first.command.opaque, second.command.opaque);
}

#[test]
fn a_busy_broker_is_given_time_before_the_next_try() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.answer(&first, ResponseCode::SYSTEM_BUSY, "[OVERLOAD]");
    rig.run_to(49);
    assert!(rig.next_send().is_none());
    rig.run_to(50);
    assert!(rig.next_send().is_some());
}

#[test]
fn a_queue_that_was_named_is_kept_for_all_tries() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "b", 3);
    let op = rig.send(message("x").to(queue));
    for _ in 0..3 {
        let sent = rig.next_send().unwrap();
        assert_eq!((sent.field("n"), sent.field("e")), ("b", "3"));
        rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "trouble");
    }
    assert_eq!(rig.error(op).attempts().len(), 3);
}

#[test]
fn a_closure_is_asked_once_and_its_choice_is_kept() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 2, |_| {});
    let op = rig.send(message("x").select(|_, _| None));
    assert_eq!(rig.asked, [op]);
    rig.reply(op, Answer::Queue(Some(2)));
    let sent = rig.next_send().unwrap();
    assert_eq!((sent.field("n"), sent.field("e")), ("b", "0"));
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "trouble");
    let again = rig.next_send().unwrap();
    assert_eq!((again.field("n"), again.field("e")), ("b", "0"));
    assert_eq!(rig.asked.len(), 1);
}

#[test]
fn a_closure_that_panics_finds_nothing_or_goes_astray_fails_the_send_unsent() {
    for answer in [
        Answer::Panicked,
        Answer::Queue(None),
        Answer::Queue(Some(4)),
    ] {
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 2, |_| {});
        let op = rig.send(message("x").select(|_, _| None));
        rig.reply(op, answer);
        let error = rig.error(op);
        assert_eq!(error.kind(), SendErrorKind::Selector, "{answer:?}");
        assert_eq!(error.certainty(), Certainty::NotSent);
    }
}

#[test]
fn a_closure_that_is_asked_again_and_panics_does_not_unsend_the_try_before() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 2, |_| {});
    let op = rig.send(message("x").select(|_, _| None));
    rig.reply(op, Answer::Queue(Some(1)));
    let sent = rig.next_send().unwrap();
    rig.run_to(500);
    rig.forget_frames();
    rig.answer(&sent, ResponseCode::TOPIC_NOT_EXIST, "deleted");
    let again = rig.next_send().unwrap();
    rig.flushed(again.conn, again.seq);
    let question = rig
        .frames()
        .find(|sent| sent.field("topic") == "T")
        .cloned()
        .unwrap();
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.close(conns[0]);
    assert_eq!(rig.asked, [op, op], "there is no queue 1 any more");
    rig.reply(op, Answer::Panicked);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Selector, Certainty::Unknown)
    );
}

#[test]
fn a_busy_broker_keeps_its_requests_as_long_as_earlier_ones_are_answered() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
    for _ in 0..4 {
        rig.send(message("early").to(queue.clone()));
    }
    let early: Vec<_> = std::iter::from_fn(|| rig.next_send()).collect();
    rig.run_to(10);
    let late = rig.send(message("late").to(queue));
    let sent = rig.next_send().unwrap();
    for (turn, request) in early.iter().enumerate() {
        rig.run_to(500 * (turn as u64 + 1));
        rig.confirm(request);
    }
    rig.run_to(2_400);
    assert!(
        rig.next_send().is_none(),
        "no second copy while the broker gets on"
    );
    rig.confirm(&sent);
    assert_eq!(rig.receipt(late).attempts, 1);
}

#[test]
fn a_request_that_much_younger_ones_overtook_is_tried_on_another_broker_in_time() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let op = rig.send(message("overtaken"));
    let overtaken = rig.next_send().unwrap();
    rig.run_to(600);
    rig.send(message("younger"));
    rig.send(message("younger"));
    while let Some(younger) = rig.next_send() {
        rig.confirm(&younger);
    }
    rig.run_to(999);
    assert!(rig.next_send().is_none());
    rig.run_to(1_000);
    let again = rig.next_send().expect("another try after its share");
    assert_eq!(again.field("i"), overtaken.field("i"));
    assert_ne!(again.conn, overtaken.conn);
    rig.confirm(&again);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn a_request_that_times_out_closes_its_connection_only_when_nothing_arrived_since() {
    for (on_timeout, something_arrives, closes) in [
        (OnTimeout::CloseIfSilent, false, Some(CloseReason::Silent)),
        (OnTimeout::CloseIfSilent, true, None),
        (OnTimeout::Close, true, Some(CloseReason::Timeout)),
        (OnTimeout::Keep, false, None),
    ] {
        let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |c| {
            c.on_timeout = on_timeout;
            c.retries = 0;
        });
        rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        rig.flushed(sent.conn, sent.seq);
        rig.run_to(1_000);
        if something_arrives {
            rig.server_asks(conns[0], 40, rocketmq_engine::proto::Flags::ONEWAY);
        }
        rig.run_to(3_000);
        let closed = rig.closed.iter().find(|(conn, _)| *conn == conns[0]);
        assert_eq!(closed.map(|(_, why)| *why), closes, "{on_timeout:?}");
    }
}

#[test]
fn a_neighbour_survives_a_request_that_timed_out() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.retries = 0);
    let short = rig.send(message("short").timeout(Duration::from_millis(100)));
    let long = rig.send(message("long"));
    let _unanswered = rig.next_send().unwrap();
    let sent = rig.next_send().unwrap();
    rig.server_asks(sent.conn, 40, rocketmq_engine::proto::Flags::ONEWAY);
    rig.run_to(50);
    rig.server_asks(sent.conn, 40, rocketmq_engine::proto::Flags::ONEWAY);
    rig.run_to(100);
    assert!(rig.error(short).is_timeout());
    rig.confirm(&sent);
    rig.receipt(long);
}

#[test]
fn a_connection_that_cannot_be_made_gets_a_share_of_the_budget_like_any_try() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    for conn in conns {
        rig.close(conn);
    }
    rig.run_to(100);
    let op = rig.send(message("x"));
    rig.run_to(3_100);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::NotSent);
    let causes = error.attempts().iter().map(|attempt| &attempt.cause);
    for cause in causes {
        let expected = matches!(
            cause,
            AttemptFailure::ConnectTimeout(_) | AttemptFailure::Connect(_)
        );
        assert!(expected, "{cause}");
    }
}

#[test]
fn a_route_with_a_broker_that_has_no_master_fails_that_try_and_never_goes_elsewhere() {
    let mut rig = Rig::new(|config| config.retries = 0);
    let op = rig.send(message("x").to(MessageQueue::new(TopicName::new("T").unwrap(), "ghost", 0)));
    let name_server = rig.connect(crate::rig::NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    let error = rig.error(op);
    assert!(matches!(
        error.attempts()[0].cause,
        AttemptFailure::NoAddress
    ));
    assert_eq!(error.certainty(), Certainty::NotSent);
}
