//! Requests and their replies (PROTOCOL G.3, B.7).

use bytes::Bytes;
use rocketmq_engine::proto::header::ReplyMessageRequest;
use rocketmq_engine::proto::{
    Compression, Message, Properties, RemotingCommand, RequestCode, ResponseCode, StoredMessage,
    SysFlag, compress,
};
use rocketmq_engine::{
    Certainty, CloseReason, ConnId, CorrelationId, Event, OnTimeout, OpId, Operation, Outcome,
    SendErrorKind,
};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

/// The reply to a request, pushed by a broker; what the broker is told.
fn push(rig: &mut Rig, conn: ConnId, id: CorrelationId, body: &'static str) -> (i32, String) {
    push_as(rig, conn, &header(&id.to_string()), body.into())
}

fn header(correlation_id: &str) -> ReplyMessageRequest<'static> {
    let properties = format!("MSG_TYPE\u{1}reply\u{2}CORRELATION_ID\u{1}{correlation_id}");
    ReplyMessageRequest {
        producer_group: "repliers".into(),
        topic: "c_REPLY_TOPIC".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        properties: Some(properties.into()),
        born_host: "/10.0.0.7:4711".into(),
        store_host: "broker-a/10.0.0.2:10911".into(),
        store_timestamp: 1_750_000_000_042,
        ..Default::default()
    }
}

fn push_as(
    rig: &mut Rig,
    conn: ConnId,
    header: &ReplyMessageRequest<'_>,
    body: Bytes,
) -> (i32, String) {
    let code = RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT;
    let request = RemotingCommand::request(code, 77, header).with_body(body);
    rig.forget_frames();
    rig.receive(conn, &request);
    let answer = rig.frames().find(|sent| sent.command.opaque == 77);
    let answer = &answer.expect("a push is always answered").command;
    assert!(answer.flags.is_response());
    (answer.code, answer.remark.clone().unwrap_or_default())
}

const TAKEN: (i32, String) = (0, String::new());

fn reply_of(rig: &mut Rig, op: OpId) -> StoredMessage {
    let outcome = rig.outcome(op).expect("the request has completed");
    outcome.into_reply().unwrap()
}

fn properties_of(sent: &Sent) -> Properties {
    Properties::from_wire(sent.field("i"))
}

/// Java 5.3.1 to 5.3.3 (I 24, #8272): the waiter was released by the confirmation.
#[test]
fn the_confirmation_of_a_request_alone_completes_nothing() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.run_to(4_999);
    assert!(rig.outcome(op).is_none());
    assert_eq!(push(&mut rig, conns[0], id, "pong"), TAKEN);
    assert_eq!(reply_of(&mut rig, op).body, "pong");
    assert_eq!(rig.engine.stats().replied, 1);
}

/// Java 4.9.4 and later (I 24, #4313): the callback ran with nothing at the confirmation, and again
/// at the reply. The rig fails a test in which an operation ends twice.
#[test]
fn a_request_ends_once_and_with_the_reply_whatever_comes_after_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    push(&mut rig, conns[0], id, "pong");
    assert!(matches!(rig.outcome(op), Some(Outcome::Replied(_))));
    assert_eq!(push(&mut rig, conns[0], id, "pong"), TAKEN, "pushed twice");
    rig.confirm(&sent);
    rig.run_to(60_000);
    assert!(rig.outcome(op).is_none());
    assert_eq!(rig.engine.stats().unmatched_replies, 1);
}

#[test]
fn a_reply_that_overtakes_the_answer_ends_the_request_and_the_answer_is_dropped_quietly() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    push(&mut rig, conns[0], id, "pong");
    assert_eq!(reply_of(&mut rig, op).body, "pong");
    assert_eq!(rig.engine.stats().in_flight, 0);
    rig.confirm(&sent);
    assert_eq!(rig.engine.stats().late_replies, 0);
    rig.confirm(&sent);
    assert_eq!(rig.engine.stats().late_replies, 1, "but once only");
}

#[test]
fn no_reply_in_time_is_an_error_that_says_that_the_request_was_stored() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, _) = rig.request(message("ping"), 400);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.run_to(399);
    assert!(rig.outcome(op).is_none());
    rig.run_to(400);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NoReply);
    assert_eq!(error.certainty(), Certainty::Stored);
    assert!(error.is_timeout());
    let text = error.to_string();
    assert!(text.contains("no reply came within 400.0ms"), "{text}");
    assert_eq!(rig.engine.stats().failed_stored, 1);
}

#[test]
fn a_request_that_cannot_be_sent_fails_as_any_send_does() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, _) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::MESSAGE_ILLEGAL, "too long");
    let error = rig.error(op);
    let known = (error.kind(), error.certainty(), error.attempts().len());
    assert_eq!(known, (SendErrorKind::Broker, Certainty::Rejected, 1));

    let (op, _) = rig.request(message("ping"), 900);
    rig.run_to(900);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Timeout, Certainty::Unknown)
    );
}

#[test]
fn a_late_reply_is_answered_counted_and_told() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 400);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.run_to(400);
    rig.error(op);
    assert_eq!(push(&mut rig, conns[0], id, "pong"), TAKEN);
    assert_eq!(rig.engine.stats().unmatched_replies, 1);
    let Some(Event::UnmatchedReply { correlation_id, .. }) = rig.events.last() else {
        panic!("{:?}", rig.events);
    };
    assert_eq!(*correlation_id, id.to_string());
}

#[test]
fn a_reply_for_somebody_else_is_answered_and_counted() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    for id in ["", "not ours", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(push_as(&mut rig, conns[0], &header(id), "x".into()), TAKEN);
    }
    assert_eq!(rig.engine.stats().unmatched_replies, 3);
}

#[test]
fn a_push_that_cannot_be_read_is_refused_as_java_refuses_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let code = RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT;
    let mut push = RemotingCommand::request(code, 77, &header(&id.to_string()));
    let fields = push.ext_fields.as_mut().unwrap();
    fields.insert("queueId".into(), "many".into());
    rig.forget_frames();
    rig.receive(conns[0], &push);
    let answer = &rig.frames().next().unwrap().command;
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (1, Some("process reply message fail"))
    );
    assert!(rig.outcome(op).is_none());
}

/// The text forms of 4.9, compression, ARRIVE_TIME; and it is the reply, not the request (I 25).
#[test]
fn a_reply_is_read_as_its_sender_made_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let body = "pong ".repeat(1_000);
    let small = compress(Compression::Zlib, 5, body.as_bytes()).unwrap();
    let mut header = header(&id.to_string());
    header.sys_flag = Compression::Zlib.sys_flag().with(SysFlag::COMPRESSED).0;
    header.flag = 7;
    push_as(&mut rig, conns[0], &header, small.into());
    let arrived = rig.now().unix_ms.to_string();
    let reply = reply_of(&mut rig, op);
    assert_eq!(reply.body, body);
    assert!(!reply.sys_flag.is_compressed() && reply.is_body_intact());
    assert_eq!(reply.topic, "c_REPLY_TOPIC");
    assert_eq!(reply.born_host.to_string(), "10.0.0.7:4711");
    assert_eq!(reply.store_host.to_string(), "10.0.0.2:10911");
    assert_eq!((reply.flag, reply.store_timestamp), (7, 1_750_000_000_042));
    assert_eq!(reply.properties.get("ARRIVE_TIME"), Some(&*arrived));
    assert_eq!(reply.properties.get("MSG_TYPE"), Some("reply"));
}

#[test]
fn a_reply_whose_body_is_garbage_is_an_error_and_no_panic() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let mut header = header(&id.to_string());
    header.sys_flag = SysFlag::COMPRESSED.0;
    header.store_host = "nowhere".into();
    assert_eq!(push_as(&mut rig, conns[0], &header, "plain".into()), TAKEN);
    let error = rig.outcome(op).unwrap().into_reply().unwrap_err();
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::NoReply, Certainty::Stored)
    );
}

/// The budget goes out in milliseconds (Go 2: in seconds).
#[test]
fn a_request_says_who_asks_which_and_for_how_many_milliseconds() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let (_, id) = rig.request(message("ping").key("k"), 1_500);
    let sent = rig.next_send().unwrap();
    let properties = properties_of(&sent);
    assert_eq!(properties.get("CORRELATION_ID"), Some(&*id.to_string()));
    assert_eq!(properties.get("REPLY_TO_CLIENT"), Some("client"));
    assert_eq!(properties.get("TTL"), Some("1500"));
    assert_eq!(properties.get("KEYS"), Some("k"));
}

#[test]
fn a_reply_travels_under_its_own_code() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.request(message("ping"), 1_500);
    let asked = rig.next_send().unwrap();
    let is_question = |sent: &&Sent| sent.command.code == RequestCode::GET_ROUTEINFO_BY_TOPIC.0;
    let question = rig.frames().find(is_question).unwrap().clone();
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    let (op, id) = rig.request(message("ping"), 5_000);
    push(&mut rig, conns[0], id, "any message that has been stored");
    let mut request = reply_of(&mut rig, op);
    request.properties = properties_of(&asked);
    request.properties.set("CLUSTER", "c").unwrap();
    let reply = Message::in_reply_to(&request, "pong").unwrap();
    rig.forget_frames();
    rig.send(reply);
    let sent = rig.frame(conns[0], RequestCode::SEND_REPLY_MESSAGE_V2);
    let (sent, asked) = (properties_of(&sent), properties_of(&asked));
    for name in ["CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"] {
        assert_eq!(sent.get(name), asked.get(name));
    }
    assert_eq!(sent.get("MSG_TYPE"), Some("reply"));
}

#[test]
fn a_request_keeps_its_permit_until_it_ends() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| config.max_in_flight = 1);
    let (_, id) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    let (second, _) = rig.request(message("ping"), 5_000);
    assert!(rig.admitted.is_empty());
    push(&mut rig, conns[0], id, "pong");
    assert_eq!(rig.admitted, [second]);
}

#[test]
fn a_flush_waits_for_the_reply() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let (_, id) = rig.request(message("ping"), 5_000);
    let flush = rig.submit(Operation::Flush);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    assert!(rig.outcome(flush).is_none());
    push(&mut rig, conns[0], id, "pong");
    assert!(matches!(rig.outcome(flush), Some(Outcome::Done)));
}

#[test]
fn a_shutdown_gives_up_a_request_and_says_that_it_was_stored() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let (op, _) = rig.request(message("ping"), 60_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    let grace = std::time::Duration::from_millis(300);
    rig.submit(Operation::Shutdown { grace });
    rig.run_to(300);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Closed, Certainty::Stored)
    );
}

#[test]
fn a_reply_may_come_by_another_broker_after_the_connection_was_lost() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 5_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.close(sent.conn);
    assert!(rig.outcome(op).is_none());
    let other = conns[usize::from(sent.conn == conns[0])];
    push(&mut rig, other, id, "pong");
    assert_eq!(reply_of(&mut rig, op).body, "pong");
}

#[test]
fn a_reply_to_an_earlier_try_counts() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let (op, id) = rig.request(message("ping"), 3_000);
    let first = rig.next_send().unwrap();
    rig.run_to(1_000);
    let second = rig.next_send().unwrap();
    assert_ne!(first.conn, second.conn);
    let (a, b) = (properties_of(&first), properties_of(&second));
    assert_eq!(a.get("CORRELATION_ID"), b.get("CORRELATION_ID"));
    push(&mut rig, second.conn, id, "pong");
    assert_eq!(reply_of(&mut rig, op).body, "pong");
    rig.flushed(second.conn, second.seq);
    rig.confirm(&second);
    let stats = rig.engine.stats();
    assert_eq!((stats.in_flight, stats.late_replies), (0, 0));
}

/// A frame that may not be written yet takes memory although its request is over.
#[test]
fn an_unwritten_frame_of_a_request_that_is_over_keeps_a_permit() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let (_, id) = rig.request(message("ping"), 3_000);
    let first = rig.next_send().unwrap();
    rig.flushed(first.conn, first.seq);
    rig.run_to(1_000);
    let second = rig.next_send().unwrap();
    push(&mut rig, second.conn, id, "pong");
    assert_eq!(rig.engine.stats().in_flight, 1);
    rig.flushed(second.conn, second.seq);
    assert_eq!(rig.engine.stats().in_flight, 0);
}

#[test]
fn stored_but_not_flushed_is_stored_and_a_request_waits_for_its_reply() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.retry_other_broker_when_not_stored = true;
        config.retries = 1;
    });
    let (op, id) = rig.request(message("ping"), 3_000);
    for _ in 0..2 {
        let sent = rig.next_send().unwrap();
        rig.confirm_as(&sent, ResponseCode::FLUSH_DISK_TIMEOUT);
    }
    assert!(rig.next_send().is_none() && rig.outcome(op).is_none());
    push(&mut rig, conns[0], id, "pong");
    assert_eq!(reply_of(&mut rig, op).body, "pong");
}

#[test]
fn a_server_that_wants_us_gone_is_left_when_the_reply_overtakes_its_last_answer() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.on_timeout = OnTimeout::Keep;
    });
    let (op, id) = rig.request(message("ping"), 3_000);
    let _unanswered = rig.next_send().unwrap();
    rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::GO_AWAY, "please go away");
    rig.connect("a:1");
    push(&mut rig, conns[0], id, "pong");
    reply_of(&mut rig, op);
    assert!(rig.closed.is_empty(), "not before the push was answered");
    let written = rig.frames().map(|sent| sent.seq).max().unwrap();
    rig.flushed(conns[0], written);
    assert!(rig.closed.contains(&(conns[0], CloseReason::GoneAway)));
}

/// The replier may go by any master of the cluster, also one that the request's topic is not on.
#[test]
fn a_request_makes_us_known_at_once_to_every_master_that_its_reply_may_come_by() {
    let mut rig = Rig::new(|_| {});
    rig.request(message("ping"), 3_000);
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_eq!(question.field("topic"), "T");
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a", "b"], 1));
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_eq!(question.field("topic"), "c_REPLY_TOPIC");
    let everywhere = route(&["a", "b", "d"], 1);
    rig.answer_body(&question, ResponseCode::SUCCESS, everywhere);
    for broker in ["a:1", "b:1", "d:1"] {
        let conn = rig.connect(broker);
        rig.frame(conn, RequestCode::HEART_BEAT);
    }
    assert!(rig.next_send().is_some());
}
