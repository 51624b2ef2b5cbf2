//! Answers to tries that were given up while their send goes on (DESIGN 6, retry).

use std::sync::{Arc, Mutex};

use rocketmq_engine::proto::trace::TraceRecords;
use rocketmq_engine::proto::{RequestCode, ResponseCode, TraceRecord};
use rocketmq_engine::{
    Certainty, CloseReason, Config, Event, OnTimeout, OpId, SendErrorKind, SendHook, SendStatus,
    SentMessage, TraceConfig,
};

use crate::rig::{Rig, Sent, message, route};

/// A send whose first try is overdue: the frames of its first and second try, to different brokers.
fn overdue(change: impl FnOnce(&mut Config)) -> (Rig, OpId, Sent, Sent) {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.retries = 1;
        config.on_timeout = OnTimeout::Keep;
        change(config);
    });
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.flushed(first.conn, first.seq);
    rig.run_to(1_500);
    let second = rig.next_send().unwrap();
    assert_ne!(first.conn, second.conn);
    (rig, op, first, second)
}

fn late_replies(rig: &Rig) -> usize {
    let is_late = |event: &&Event| matches!(event, Event::LateReply { .. });
    rig.events.iter().filter(is_late).count()
}

#[test]
fn a_success_for_an_earlier_try_completes_the_send_and_the_later_one_counts_no_more() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.flushed(second.conn, second.seq);
    rig.run_to(1_600);
    rig.confirm(&first);
    let receipt = rig.receipt(op);
    assert_eq!(&*receipt.queue.broker, first.field("n"));
    assert_eq!(receipt.attempts, 2);
    assert_eq!(late_replies(&rig), 0, "it was of use");
    rig.confirm(&second);
    assert!(rig.outcome(op).is_none());
    assert_eq!(late_replies(&rig), 1);
    let stats = rig.engine.stats();
    assert_eq!((stats.sent, stats.in_flight), (1, 0));
}

#[test]
fn a_success_for_the_later_try_counts_and_the_earlier_one_no_more() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.confirm(&second);
    assert_eq!(&*rig.receipt(op).queue.broker, second.field("n"));
    rig.confirm(&first);
    assert_eq!(late_replies(&rig), 1);
}

/// One row an answer to the earlier try: what it is, and whether the send is over with it.
#[test]
fn only_a_success_that_is_good_enough_ends_the_send() {
    let rows = [
        (ResponseCode::SUCCESS, false, true),
        (ResponseCode::FLUSH_DISK_TIMEOUT, false, true),
        (ResponseCode::SUCCESS, true, true),
        (ResponseCode::FLUSH_DISK_TIMEOUT, true, false),
        (ResponseCode::SYSTEM_ERROR, false, false),
        (ResponseCode::MESSAGE_ILLEGAL, false, false),
        (ResponseCode::GO_AWAY, false, false),
    ];
    for (code, wants_better, ends) in rows {
        let (mut rig, op, first, second) = overdue(|config| {
            config.retry_other_broker_when_not_stored = wants_better;
        });
        rig.confirm_as(&first, code);
        let is_over = rig.outcome(op).is_some();
        // Its second frame still waits for the socket and holds room, over or not.
        assert_eq!(rig.engine.stats().in_flight, 1);
        assert_eq!(is_over, ends, "{code}, {wants_better}");
        if !ends {
            rig.confirm(&second);
            assert_eq!(rig.receipt(op).status, SendStatus::SendOk);
        }
    }
}

#[test]
fn a_late_success_that_was_not_good_enough_is_better_than_an_error() {
    let (mut rig, op, first, second) = overdue(|config| {
        config.retry_other_broker_when_not_stored = true;
    });
    rig.confirm_as(&first, ResponseCode::SLAVE_NOT_AVAILABLE);
    assert!(rig.outcome(op).is_none());
    rig.answer(&second, ResponseCode::SYSTEM_ERROR, "broken");
    let receipt = rig.receipt(op);
    assert_eq!(receipt.status, SendStatus::SlaveNotAvailable);
    assert_eq!(&*receipt.queue.broker, first.field("n"));
}

#[test]
fn a_late_success_that_cannot_be_read_leaves_the_send_to_its_present_try() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.answer(&first, ResponseCode::SUCCESS, "without a header");
    assert!(rig.outcome(op).is_none());
    rig.confirm(&second);
    rig.receipt(op);
}

#[test]
fn the_later_frame_holds_room_until_it_is_written() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.confirm(&first);
    rig.receipt(op);
    assert_eq!(rig.engine.stats().in_flight, 1);
    rig.flushed(second.conn, second.seq);
    assert_eq!(rig.engine.stats().in_flight, 0);
}

#[test]
fn the_end_of_an_earlier_trys_connection_is_no_news_for_the_present_one() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.close(first.conn);
    assert!(rig.outcome(op).is_none());
    assert!(rig.next_send().is_none(), "no third try");
    rig.confirm(&second);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn a_send_that_ends_waits_for_none_of_its_answers() {
    let (mut rig, op, first, second) = overdue(|_| {});
    rig.flushed(second.conn, second.seq);
    rig.run_to(3_000);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(error.attempts().len(), 2);
    rig.confirm(&first);
    rig.confirm(&second);
    assert_eq!(late_replies(&rig), 2);
    assert_eq!(rig.engine.stats().sent, 0);
}

#[test]
fn a_server_that_wants_us_gone_is_left_when_the_send_it_owes_an_answer_is_over() {
    let (mut rig, op, first, second) = overdue(|_| {});
    let other = rig.send(message("y"));
    let refused = rig.next_send().unwrap();
    let (leaving, ends_with) = (
        refused.conn,
        if refused.conn == first.conn {
            &second
        } else {
            &first
        },
    );
    rig.answer(&refused, ResponseCode::GO_AWAY, "please go away");
    assert!(rig.closed.is_empty(), "an answer is still owed");
    rig.confirm(ends_with);
    rig.receipt(op);
    assert_eq!(rig.closed, [(leaving, CloseReason::GoneAway)]);
    assert!(rig.outcome(other).is_none());
}

#[test]
fn a_request_that_an_earlier_try_brought_to_its_broker_waits_for_its_reply_and_is_not_sent_again() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.retries = 2;
        config.on_timeout = OnTimeout::Keep;
    });
    let (op, _) = rig.request(message("ping"), 3_000);
    let first = rig.next_send().unwrap();
    rig.flushed(first.conn, first.seq);
    rig.run_to(1_000);
    let second = rig.next_send().unwrap();
    rig.flushed(second.conn, second.seq);
    rig.run_to(1_100);
    rig.confirm(&first);
    assert!(rig.outcome(op).is_none());
    rig.run_to(2_999);
    assert!(rig.next_send().is_none(), "no third try");
    // The answer to the later try changes nothing.
    rig.confirm(&second);
    assert!(rig.outcome(op).is_none());
    rig.run_to(3_000);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::Stored);
    assert_eq!(error.kind(), SendErrorKind::NoReply);
}

/// One row a way in which another try than the last one brings a message to its broker: what the
/// first and the second try's broker answer, and when the send is over.
#[test]
fn hooks_and_trace_name_the_broker_that_stored_the_message_and_not_that_of_the_last_try() {
    let poor = ResponseCode::SLAVE_NOT_AVAILABLE;
    let rows = [
        (ResponseCode::SUCCESS, None, 1_500),
        (poor, Some(ResponseCode::MESSAGE_ILLEGAL), 1_500),
        (poor, None, 3_000),
    ];
    for (stored, refused, ends_at) in rows {
        let diary = Arc::new(Diary::default());
        let (mut rig, op, first, second) = overdue(|config| {
            config.retry_other_broker_when_not_stored = true;
            config.hooks.send.push(diary.clone());
            config.trace = Some(TraceConfig::default());
        });
        rig.confirm_as(&first, stored);
        if let Some(code) = refused {
            rig.answer(&second, code, "not here");
        }
        rig.run_to(ends_at);
        let stored_by = rig.receipt(op).queue.broker;
        assert_eq!(&*stored_by, first.field("n"));
        assert_eq!(diary.take(), [format!("{stored_by} at {stored_by}:1")],);
        assert_eq!(traced_at(&mut rig, ends_at), format!("{stored_by}:1"),);
    }
}

#[test]
fn hooks_and_trace_name_the_broker_whose_poor_success_was_kept() {
    let diary = Arc::new(Diary::default());
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.retries = 1;
        config.retry_other_broker_when_not_stored = true;
        config.hooks.send.push(diary.clone());
        config.trace = Some(TraceConfig::default());
    });
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.confirm_as(&first, ResponseCode::FLUSH_SLAVE_TIMEOUT);
    let second = rig.next_send().unwrap();
    rig.answer(&second, ResponseCode::SYSTEM_ERROR, "broken");
    let stored_by = rig.receipt(op).queue.broker;
    assert_eq!(&*stored_by, first.field("n"));
    assert_ne!(&*stored_by, second.field("n"));
    assert_eq!(diary.take(), [format!("{stored_by} at {stored_by}:1")]);
    assert_eq!(traced_at(&mut rig, 0), format!("{stored_by}:1"));
}

/// Who was told to have stored which message.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl SendHook for Diary {
    fn after(&self, sent: &SentMessage) {
        let (broker, address) = (
            sent.broker.as_ref().unwrap(),
            sent.address.as_ref().unwrap(),
        );
        self.0
            .lock()
            .unwrap()
            .push(format!("{broker} at {address}"));
    }
}

/// The address in the only record of the trace, which was made at this time.
fn traced_at(rig: &mut Rig, ms: u64) -> String {
    rig.forget_frames();
    rig.run_to(ms + 500);
    let question = rig.take_frame(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a", "b"], 1));
    let trace = rig.next_send().unwrap();
    let body = std::str::from_utf8(&trace.command.body).unwrap();
    let mut records = TraceRecords::new(body);
    let record = records.next().unwrap().unwrap();
    assert!(records.next().is_none());
    match record {
        TraceRecord::Publish(publish) => publish.store_host.unwrap().into_owned(),
        other => panic!("{other:?}"),
    }
}
