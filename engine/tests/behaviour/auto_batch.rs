//! Sends that share a frame (PROTOCOL D.8, auto-batching).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_engine::proto::header::SendMessageResponse;
use rocketmq_engine::proto::{
    BatchMembers, Message, MessageQueue, Properties, RemotingCommand, RequestCode, ResponseCode,
    TopicName, property,
};
use rocketmq_engine::{
    AutoBatch, Certainty, CloseCause, Config, ConnId, Input, OpId, Operation, Outcome,
    SendErrorKind, SendHook, SentMessage,
};

use crate::rig::{Rig, Sent, message};

const BATCH: RequestCode = RequestCode::SEND_BATCH_MESSAGE;

/// One broker, one queue; up to 1000 bytes gathered for up to 10 ms.
fn gathering(change: impl FnOnce(&mut Config)) -> (Rig, ConnId) {
    let (rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.auto_batch = Some(AutoBatch {
            max_bytes: 1_000,
            ..AutoBatch::default()
        });
        change(config);
    });
    (rig, conns[0])
}

/// Bodies and ids of a batch's members.
fn members(batch: &Sent) -> Vec<(String, String)> {
    let members = BatchMembers::new(&batch.command.body).map(Result::unwrap);
    members
        .map(|member| {
            let body = String::from_utf8(member.body.to_vec()).unwrap();
            let properties = Properties::from_wire(member.properties);
            (body, properties.get(property::UNIQ_KEY).unwrap().to_owned())
        })
        .collect()
}

fn bodies(batch: &Sent) -> Vec<String> {
    members(batch).into_iter().map(|(body, _)| body).collect()
}

/// Answers as a broker that stored the batch from offset 40 on.
fn confirm(
    rig: &mut Rig,
    batch: &Sent,
    status: ResponseCode,
    offset_ids: &str,
    inner: Option<&str>,
) {
    let answer = RemotingCommand::response(batch.command.opaque, status, None);
    let answer = answer.with_fields(&SendMessageResponse {
        msg_id: offset_ids.into(),
        queue_id: 0,
        queue_offset: 40,
        transaction_id: None,
        batch_uniq_id: inner.map(Into::into),
        recall_handle: None,
    });
    rig.receive(batch.conn, &answer);
}

fn is_done(rig: &mut Rig, op: OpId) -> bool {
    matches!(rig.outcome(op), Some(Outcome::Done))
}

#[test]
fn sends_that_come_together_share_a_frame_and_each_gets_its_own_receipt() {
    let (mut rig, conn) = gathering(|_| {});
    let ops: Vec<_> = ["one", "two", "three"]
        .map(|body| rig.send(message(body)))
        .into();
    rig.run_to(9);
    assert!(rig.frames().next().is_none(), "they wait for company");
    assert_eq!(
        rig.engine.stats().in_flight,
        3,
        "each under a permit of its own"
    );
    rig.run_to(10);
    let batch = rig.frame(conn, BATCH);
    assert_eq!(bodies(&batch), ["one", "two", "three"]);
    assert_eq!(batch.field("i"), "WAIT\u{1}true", "and nothing else (I 29)");
    assert_eq!((batch.field("f"), batch.field("m")), ("0", "true"));
    confirm(&mut rig, &batch, ResponseCode::SUCCESS, "A,B,C", None);
    let ids = members(&batch);
    for (index, op) in ops.into_iter().enumerate() {
        let receipt = rig.receipt(op);
        assert_eq!(receipt.message_id, ids[index].1);
        assert_eq!(receipt.offset_message_id, ["A", "B", "C"][index]);
        assert_eq!(receipt.queue_offset, 40 + index as i64);
    }
    let stats = rig.engine.stats();
    assert_eq!(
        (stats.in_flight, stats.in_flight_bytes, stats.sent),
        (0, 0, 3)
    );
    assert_eq!((stats.auto_batches, stats.auto_batched), (1, 3));
}

#[test]
fn a_lone_message_waits_for_the_linger_and_is_sent_as_it_would_have_been() {
    let (mut rig, conn) = gathering(|_| {});
    let op = rig.send(message("lone"));
    rig.run_to(9);
    assert!(rig.frames().next().is_none());
    rig.run_to(10);
    let sent = rig.frame(conn, RequestCode::SEND_MESSAGE_V2);
    assert_eq!(&sent.command.body[..], b"lone");
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(rig.engine.stats().auto_batches, 0);
}

#[test]
fn a_batch_leaves_when_the_next_message_does_not_fit_it() {
    let (mut rig, conn) = gathering(|_| {});
    let large = |letter: &str| Message::new("T", letter.repeat(400));
    rig.send(large("a"));
    rig.send(large("b"));
    assert!(rig.frames().next().is_none());
    rig.send(large("c"));
    let batch = rig.frame(conn, BATCH);
    assert!(batch.command.body.len() <= 1_000);
    assert_eq!(bodies(&batch), ["a".repeat(400), "b".repeat(400)]);
    assert!(rig.frames().next().is_none(), "the third waits for others");
}

#[test]
fn what_does_not_fit_a_batch_goes_by_itself_after_what_came_before_it() {
    for odd in [
        Message::new("T", vec![b'x'; 990]),
        Message::new("T", "y".repeat(5_000)),
    ] {
        let (mut rig, _) = gathering(|config| config.compress_over = Some(4_096));
        rig.send(message("first"));
        rig.send(message("second"));
        rig.send(odd);
        let codes: Vec<_> = rig
            .frames()
            .map(|sent| RequestCode(sent.command.code))
            .collect();
        assert_eq!(codes, [BATCH, RequestCode::SEND_MESSAGE_V2]);
    }
}

#[test]
fn messages_that_differ_in_topic_queue_tag_or_wait_do_not_meet() {
    let (mut rig, conn) = gathering(|_| {});
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
    for round in ["1", "2"] {
        rig.send(message("plain").key(round));
        rig.send(message("tagged").tag("a"));
        rig.send(message("hasty").wait_store_ok(false));
        rig.send(message("placed").to(queue.clone()));
    }
    rig.run_to(10);
    for body in ["plain", "tagged", "hasty", "placed"] {
        let batch = rig.frame(conn, BATCH);
        assert_eq!(
            bodies(&batch),
            [body, body],
            "in the order in which they began"
        );
        let wait = if body == "hasty" {
            "WAIT\u{1}false"
        } else {
            "WAIT\u{1}true"
        };
        assert_eq!(batch.field("i"), wait);
    }
}

#[test]
fn what_has_to_go_by_itself_does_so_at_once() {
    let (mut rig, _) = gathering(|_| {});
    rig.send(message("late").delay_level(3));
    rig.send(message("hurried").timeout(Duration::from_secs(1)));
    rig.send(message("keyed").by("key"));
    rig.oneway(message("oneway"));
    let bodies: Vec<_> = std::iter::from_fn(|| rig.next_send())
        .map(|sent| sent.command.body)
        .collect();
    assert_eq!(
        bodies,
        ["late", "hurried", "keyed", "oneway"].map(|b| b.as_bytes())
    );
}

#[test]
fn when_too_many_bytes_wait_the_next_message_does_not() {
    let (mut rig, conn) = gathering(|config| {
        let batch = config.auto_batch.as_mut().unwrap();
        batch.max_held_bytes = 200;
    });
    rig.send(message("held").tag("a"));
    rig.send(message("held").tag("b"));
    rig.send(message("not held").tag("c"));
    let sent = rig.frame(conn, RequestCode::SEND_MESSAGE_V2);
    assert_eq!(&sent.command.body[..], b"not held");
    rig.run_to(10);
    rig.forget_frames();
    rig.send(message("held again").tag("c"));
    assert!(
        rig.frames().next().is_none(),
        "what has left is not counted"
    );
}

#[test]
fn a_flush_sends_what_waits_and_waits_for_it() {
    let (mut rig, conn) = gathering(|_| {});
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    let flush = rig.submit(Operation::Flush);
    let batch = rig.frame(conn, BATCH);
    assert!(!is_done(&mut rig, flush));
    confirm(&mut rig, &batch, ResponseCode::SUCCESS, "A,B", None);
    assert!(is_done(&mut rig, flush));
    for op in ops {
        rig.receipt(op);
    }
}

#[test]
fn a_shutdown_sends_what_waits_and_counts_each() {
    let (mut rig, conn) = gathering(|_| {});
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    let end = rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(1),
    });
    let batch = rig.frame(conn, BATCH);
    confirm(&mut rig, &batch, ResponseCode::SUCCESS, "A,B", None);
    for op in ops {
        rig.receipt(op);
    }
    let bye = rig.frame(conn, RequestCode::UNREGISTER_CLIENT);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    let report = rig.outcome(end).unwrap().into_report();
    assert_eq!(
        (report.delivered, report.failed, report.abandoned),
        (2, 0, 0)
    );
}

#[test]
fn a_shutdown_that_gives_up_says_of_each_member_what_is_known() {
    let (mut rig, _) = gathering(|_| {});
    let written = [rig.send(message("one")), rig.send(message("two"))];
    let end = rig.submit(Operation::Shutdown {
        grace: Duration::from_millis(50),
    });
    rig.run_to(50);
    for op in written {
        let error = rig.error(op);
        assert_eq!(
            (error.kind(), error.certainty()),
            (SendErrorKind::Closed, Certainty::Unknown)
        );
    }
    rig.run_to(1_050);
    assert_eq!(rig.outcome(end).unwrap().into_report().abandoned, 2);
}

#[test]
fn what_is_still_gathered_when_the_world_ends_was_not_sent() {
    let (mut rig, _) = gathering(|_| {});
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    let now = rig.now();
    rig.engine.abort(now);
    rig.input(Input::Tick);
    for op in ops {
        assert_eq!(rig.error(op).certainty(), Certainty::NotSent);
    }
}

#[test]
fn a_batch_is_tried_again_elsewhere_and_its_failure_is_that_of_each() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.auto_batch = Some(AutoBatch::default());
        config.retries = 1;
    });
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    rig.run_to(10);
    let first = rig
        .frames()
        .find(|sent| sent.command.code == BATCH.0)
        .unwrap()
        .conn;
    let second = conns[usize::from(first == conns[0])];
    let batch = rig.frame(first, BATCH);
    rig.answer(&batch, ResponseCode::SYSTEM_BUSY, "busy");
    rig.run_to(100);
    let again = rig.frame(second, BATCH);
    assert_eq!(members(&again), members(&batch), "the same ids");
    rig.input(Input::Flushed(second, again.seq));
    rig.input(Input::Closed(second, CloseCause::PeerClosed));
    for op in ops {
        let error = rig.error(op);
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.attempts().len(), 2);
    }
    assert_eq!(rig.engine.stats().in_flight, 0);
}

#[test]
fn one_members_fault_does_not_cost_the_others() {
    let (mut rig, conn) = gathering(|_| {});
    let ops = [rig.send(message("good")), rig.send(message("bad"))];
    rig.run_to(10);
    let batch = rig.frame(conn, BATCH);
    rig.answer(
        &batch,
        ResponseCode::MESSAGE_ILLEGAL,
        "one of them is illegal",
    );
    let alone: Vec<_> = std::iter::from_fn(|| rig.next_send()).collect();
    assert_eq!(alone.len(), 2);
    rig.confirm(&alone[0]);
    rig.answer(&alone[1], ResponseCode::MESSAGE_ILLEGAL, "it is illegal");
    rig.receipt(ops[0]);
    assert_eq!(rig.error(ops[1]).certainty(), Certainty::Rejected);
}

#[test]
fn a_batch_stored_as_one_gives_each_member_the_same_receipt() {
    let (mut rig, conn) = gathering(|_| {});
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    rig.run_to(10);
    let batch = rig.frame(conn, BATCH);
    confirm(&mut rig, &batch, ResponseCode::SUCCESS, "A", Some("INNER"));
    for op in ops {
        let receipt = rig.receipt(op);
        assert_eq!((&*receipt.message_id, receipt.queue_offset), ("INNER", 40));
    }
}

#[test]
fn the_budget_is_not_spent_on_waiting_for_company() {
    let (mut rig, conn) = gathering(|config| {
        config.auto_batch.as_mut().unwrap().linger = Duration::from_secs(30);
        config.send_timeout = Duration::from_millis(600);
        config.retries = 0;
    });
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    rig.run_to(300);
    rig.frame(conn, BATCH);
    rig.run_to(599);
    assert_eq!(rig.engine.stats().in_flight, 2);
    rig.run_to(600);
    for op in ops {
        assert!(rig.error(op).is_timeout());
    }
}

#[test]
fn nobody_waits_for_company_that_has_no_room_to_come_in() {
    let (mut rig, conn) = gathering(|config| config.max_in_flight = 2);
    let ops = [rig.send(message("one")), rig.send(message("two"))];
    assert!(rig.frames().next().is_none());
    let third = rig.send(message("three"));
    let batch = rig.frame(conn, BATCH);
    confirm(&mut rig, &batch, ResponseCode::SUCCESS, "A,B", None);
    for op in ops {
        rig.receipt(op);
    }
    assert_eq!(rig.admitted, [third]);
    rig.run_to(10);
    rig.frame(conn, RequestCode::SEND_MESSAGE_V2);
}

#[test]
fn a_gathered_send_cannot_be_withdrawn() {
    let (mut rig, conn) = gathering(|_| {});
    let op = rig.send(message("one"));
    rig.send(message("two"));
    let now = rig.now();
    assert!(rig.engine.abandon(now, op).is_none());
    rig.run_to(10);
    assert_eq!(bodies(&rig.frame(conn, BATCH)).len(), 2);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl SendHook for Heard {
    fn after(&self, sent: &SentMessage) {
        self.0.lock().unwrap().push(sent.message_id.to_string());
    }
}

#[test]
fn hooks_hear_each_members_own_id_also_when_the_broker_stores_the_batch_under_one() {
    let heard = Arc::new(Heard::default());
    let hook = heard.clone();
    let (mut rig, conn) = gathering(|config| config.hooks.send.push(hook));
    let ops = ["one", "two"].map(|body| rig.send(message(body)));
    rig.run_to(10);
    let batch = rig.frame(conn, BATCH);
    let own: Vec<_> = members(&batch).into_iter().map(|(_, id)| id).collect();
    confirm(
        &mut rig,
        &batch,
        ResponseCode::SUCCESS,
        "A,B",
        Some("INNER"),
    );
    for op in ops {
        assert_eq!(rig.receipt(op).message_id, "INNER");
    }
    assert_eq!(*heard.0.lock().unwrap(), own);
}
