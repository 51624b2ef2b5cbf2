//! The message trace (PROTOCOL G.4).

use std::time::Duration;

use bytes::BytesMut;
use rocketmq_engine::proto::header::{
    CheckTransactionStateRequest, RecallMessageResponse, SendMessageResponse, SendResponseExtras,
};
use rocketmq_engine::proto::trace::{PublishTrace, TraceKind, TraceRecords};
use rocketmq_engine::proto::{
    Flags, Message, Properties, RecallHandle, RemotingCommand, RequestCode, ResponseCode,
    StoredMessage, StoredVersion, SysFlag, TopicName, TraceRecord, body_crc,
};
use rocketmq_engine::{
    AutoBatch, Config, ConnId, OpId, Operation, Outcome, Question, SendReceipt, TraceConfig,
    TraceTopic, TransactionState,
};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;
const ROUTE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
const LINGER: u64 = 500;
const END: RequestCode = RequestCode::END_TRANSACTION;
const RECALL: RequestCode = RequestCode::RECALL_MESSAGE;
const OFFSET_ID: &str = "0A00000100002A9F0000000000000400";

/// One broker, and a trace of everything.
fn traced(change: impl FnOnce(&mut Config)) -> (Rig, ConnId) {
    let (rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.trace = Some(TraceConfig::default());
        config.poll_interval = Duration::from_secs(600);
        config.heartbeat_interval = Duration::from_secs(600);
        change(config);
    });
    (rig, conns[0])
}

/// Sends a message, and confirms it `took` ms later.
fn sent(rig: &mut Rig, conn: ConnId, message: Message, now_ms: u64, took: u64) {
    rig.send(message);
    rig.run_to(now_ms + took);
    let request = rig.frame(conn, SEND);
    rig.confirm(&request);
}

/// Answers the question for the trace topic's route, if it is asked.
fn give_route(rig: &mut Rig) {
    let name_server = rig
        .frames()
        .find(|sent| sent.command.code == ROUTE.0)
        .map(|sent| sent.conn);
    if let Some(name_server) = name_server {
        let question = rig.frame(name_server, ROUTE);
        rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    }
}

fn records(message: &Sent) -> Vec<PublishTrace<'_>> {
    let body = std::str::from_utf8(&message.command.body).unwrap();
    TraceRecords::new(body)
        .map(|record| match record.unwrap() {
            TraceRecord::Publish(publish) => publish,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn is_done(rig: &mut Rig, op: OpId) -> bool {
    matches!(rig.outcome(op), Some(Outcome::Done))
}

#[test]
fn a_confirmed_send_leaves_a_record_byte_for_byte() {
    let (mut rig, conn) = traced(|_| {});
    let op = rig.send(message("body").tag("blue").key("k1").key("k2"));
    rig.run_to(30);
    let request = rig.frame(conn, SEND);
    let id = Properties::from_wire(request.field("i"))
        .get("UNIQ_KEY")
        .unwrap()
        .to_owned();
    rig.confirm(&request);
    rig.receipt(op);
    rig.run_to(30 + LINGER - 1);
    assert!(rig.frames().next().is_none(), "it waits for others");
    rig.run_to(30 + LINGER);
    give_route(&mut rig);
    let trace = rig.frame(conn, SEND);
    assert_eq!(trace.field("a"), "_INNER_TRACE_PRODUCER-group-PRODUCE-1");
    assert_eq!(trace.field("b"), "RMQ_SYS_TRACE_TOPIC");
    assert_eq!(trace.field("f"), "0");
    let expected = [
        "Pub",
        "1750000000000",
        "DefaultRegion",
        "group",
        "T",
        &id,
        "blue",
        "k1 k2",
        "a:1",
        "4",
        "30",
        "0",
        "0A00000100002A9F0000000000000000",
        "true",
    ];
    let expected = format!("{}\u{2}", expected.join("\u{1}"));
    assert_eq!(String::from_utf8_lossy(&trace.command.body), expected);
    let properties = Properties::from_wire(trace.field("i"));
    assert_eq!(properties.get("KEYS"), Some(&*format!("{id} k1 k2")));
    assert_eq!(properties.get("WAIT"), Some("true"));
    assert_eq!(properties.get("TAGS"), None);
    assert_ne!(
        properties.get("UNIQ_KEY").unwrap(),
        id,
        "it has an id of its own"
    );
    rig.confirm(&trace);
    let stats = rig.engine.stats();
    assert_eq!((stats.traced, stats.trace_dropped, stats.sent), (1, 0, 1));
    rig.run_to(10_000);
    assert!(
        rig.frames().next().is_none(),
        "a trace message is not traced"
    );
    assert_eq!(
        rig.next_deadline(),
        Some(Duration::from_secs(600)),
        "no timer is left"
    );
}

/// What the trace message says that leaves at the end of the linger, which begins at the start.
fn told(rig: &mut Rig, conn: ConnId) -> String {
    rig.run_to(LINGER);
    give_route(rig);
    let trace = rig.frame(conn, SEND);
    String::from_utf8(trace.command.body.to_vec()).unwrap()
}

fn line(fields: &[&str]) -> String {
    format!("{}\u{2}", fields.join("\u{1}"))
}

/// Sends a half message, which a broker of this region confirms.
fn half(
    rig: &mut Rig,
    conn: ConnId,
    message: Message,
    extras: SendResponseExtras<'_>,
) -> SendReceipt {
    let op = rig.half(message);
    let request = rig.frame(conn, SEND);
    let answer = RemotingCommand::response(request.command.opaque, ResponseCode::SUCCESS, None);
    let fields = SendMessageResponse {
        msg_id: OFFSET_ID.into(),
        queue_id: 0,
        queue_offset: 17,
        transaction_id: Some("TX".into()),
        batch_uniq_id: None,
        recall_handle: None,
    };
    rig.receive(conn, &answer.with_fields(&fields).with_fields(&extras));
    rig.receipt(op)
}

/// The same, and its transaction ends so 20 ms later.
fn ended(rig: &mut Rig, conn: ConnId, message: Message, state: TransactionState) -> SendReceipt {
    let receipt = half(rig, conn, message, SendResponseExtras::default());
    rig.run_to(20);
    let op = rig.end(&receipt, state);
    let end = rig.frame(conn, END);
    rig.flushed(conn, end.seq);
    assert!(is_done(rig, op));
    receipt
}

/// A broker asks about a half message with these properties; gives the operation that answers.
fn asked(rig: &mut Rig, conn: ConnId, properties: &str) -> OpId {
    let host = ([10, 0, 0, 1], 10911).into();
    let stored = StoredMessage {
        version: StoredVersion::V1,
        topic: "T".into(),
        queue_id: 0,
        queue_offset: 0,
        commit_log_offset: 0,
        flag: 0,
        sys_flag: SysFlag::default(),
        body_crc: body_crc(b"paid"),
        born_timestamp: 0,
        born_host: host,
        store_timestamp: 0,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        properties: Properties::from_wire(properties),
        body: "paid".into(),
    };
    let mut body = BytesMut::new();
    stored.encode(&mut body).unwrap();
    let header = CheckTransactionStateRequest {
        topic: Some("RMQ_SYS_TRANS_HALF_TOPIC".into()),
        tran_state_table_offset: 7,
        commit_log_offset: 7,
        msg_id: None,
        transaction_id: Some("TX".into()),
        offset_msg_id: None,
        broker_name: Some("a".into()),
    };
    let mut request = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE, 1, &header);
    request.flags = Flags::ONEWAY;
    rig.receive(conn, &request.with_body(body.freeze()));
    rig.take_check().unwrap().op
}

/// Recalls a message; the broker answers so.
fn recalled(rig: &mut Rig, conn: ConnId, code: ResponseCode, region: Option<&str>) {
    let handle = RecallHandle {
        topic: "T".to_owned(),
        broker: "a".to_owned(),
        deliver_at_ms: 5,
        unique_id: "ID".to_owned(),
    };
    let question = Question::recall("T", &handle.encode());
    let op = rig.submit(Operation::Admin {
        request: Box::new(question.into_request().unwrap()),
        timeout: Duration::from_secs(3),
    });
    let request = rig.frame(conn, RECALL);
    let answer = RemotingCommand::response(request.command.opaque, code, None);
    let answer = answer.with_fields(&RecallMessageResponse {
        msg_id: "ID".into(),
    });
    let region = region.map(|region| SendResponseExtras {
        region: Some(region.into()),
        trace_on: true,
    });
    match region {
        Some(region) => rig.receive(conn, &answer.with_fields(&region)),
        None => rig.receive(conn, &answer),
    }
    assert!(rig.outcome(op).is_some());
}

#[test]
fn the_end_of_a_transaction_leaves_a_record_byte_for_byte() {
    let rows = [
        (TransactionState::Commit, "COMMIT_MESSAGE"),
        (TransactionState::Rollback, "ROLLBACK_MESSAGE"),
        (TransactionState::Unknown, "UNKNOW"),
    ];
    for (state, name) in rows {
        let (mut rig, conn) = traced(|_| {});
        let paid = message("paid").tag("blue").key("k1").key("k2");
        let id = ended(&mut rig, conn, paid, state).message_id;
        rig.run_to(LINGER);
        give_route(&mut rig);
        let trace = rig.frame(conn, SEND);
        let sent = line(&[
            "Pub",
            "1750000000000",
            "DefaultRegion",
            "group",
            "T",
            &id,
            "blue",
            "k1 k2",
            "a:1",
            "4",
            "0",
            "1",
            OFFSET_ID,
            "true",
        ]);
        let end = line(&[
            "EndTransaction",
            "1750000000020",
            "DefaultRegion",
            "group",
            "T",
            &id,
            "blue",
            "k1 k2",
            "a:1",
            "2",
            &id,
            name,
            "false",
        ]);
        let body = String::from_utf8_lossy(&trace.command.body);
        assert_eq!(body, format!("{sent}{end}"));
        let properties = Properties::from_wire(trace.field("i"));
        assert_eq!(properties.get("KEYS"), Some(&*format!("{id} {id} k1 k2")));
        rig.confirm(&trace);
        let stats = rig.engine.stats();
        assert_eq!((stats.traced, stats.trace_dropped), (2, 0));
    }
}

#[test]
fn an_end_names_what_is_not_there_as_java_does_and_the_region_of_its_half_message() {
    let (mut rig, conn) = traced(|config| config.namespace = Some("ns".into()));
    let extras = SendResponseExtras {
        region: Some("north".into()),
        trace_on: true,
    };
    // The first one asks for the route of the longer name.
    let plain = message("paid");
    rig.half(plain.clone());
    give_route(&mut rig);
    let request = rig.frame(conn, SEND);
    rig.confirm(&request);
    let receipt = half(&mut rig, conn, plain, extras);
    rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conn, END);
    assert_eq!(end.field("producerGroup"), "ns%group");
    rig.flushed(conn, end.seq);
    let body = told(&mut rig, conn);
    let id = &receipt.message_id;
    let expected = line(&[
        "EndTransaction",
        "1750000000000",
        "north",
        "group",
        "T",
        id,
        "null",
        "null",
        "a:1",
        "2",
        id,
        "COMMIT_MESSAGE",
        "false",
    ]);
    assert!(body.ends_with(&expected), "{body:?}");
}

#[test]
fn the_answer_to_a_check_back_leaves_a_record_byte_for_byte() {
    let (mut rig, conn) = traced(|_| {});
    rig.listen();
    let properties = "UNIQ_KEY\u{1}ID\u{2}PGROUP\u{1}group\u{2}TAGS\u{1}blue\u{2}KEYS\u{1}k1 k2";
    let regional = format!("{properties}\u{2}MSG_REGION\u{1}north\u{2}TRACE_ON\u{1}true");
    for properties in [properties, &regional] {
        let op = asked(&mut rig, conn, properties);
        rig.decide(op, TransactionState::Rollback);
        let end = rig.frame(conn, END);
        rig.flushed(conn, end.seq);
    }
    let record = |region: &str| {
        line(&[
            "EndTransaction",
            "1750000000000",
            region,
            "group",
            "T",
            "ID",
            "blue",
            "k1 k2",
            "a:1",
            "2",
            "ID",
            "ROLLBACK_MESSAGE",
            "true",
        ])
    };
    let expected = record("DefaultRegion") + &record("north");
    assert_eq!(told(&mut rig, conn), expected);
}

#[test]
fn an_end_that_was_not_written_and_one_the_broker_wants_untraced_leave_no_record() {
    let (mut rig, conn) = traced(|_| {});
    rig.listen();
    let untraced = SendResponseExtras {
        region: None,
        trace_on: false,
    };
    let receipt = half(&mut rig, conn, message("untraced"), untraced);
    rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conn, END);
    rig.flushed(conn, end.seq);
    let untraced = "UNIQ_KEY\u{1}ID\u{2}PGROUP\u{1}group\u{2}TRACE_ON\u{1}false";
    let op = asked(&mut rig, conn, untraced);
    rig.decide(op, TransactionState::Commit);
    let end = rig.frame(conn, END);
    rig.flushed(conn, end.seq);
    assert_eq!(rig.engine.stats().transactions_ended, 2);

    let lost = asked(&mut rig, conn, "UNIQ_KEY\u{1}ID2\u{2}PGROUP\u{1}group");
    rig.close(conn);
    rig.decide(lost, TransactionState::Commit);
    assert_eq!(rig.engine.stats().transactions_left_open, 1);
    assert!(rig.try_frame(conn, END).is_none());
    let stats = rig.engine.stats();
    assert_eq!((stats.traced, stats.trace_dropped), (0, 0));
    rig.run_to(LINGER + 1_000);
    let sends = rig.frames().filter(|sent| sent.command.code == SEND.0);
    assert_eq!(sends.count(), 0, "nothing to tell");
}

/// Its listener may still run when the trace is sent and brokers are told that the group goes.
#[test]
fn an_end_after_the_last_trace_message_is_counted_as_dropped() {
    let (mut rig, conn) = traced(|_| {});
    rig.listen();
    let op = asked(&mut rig, conn, "UNIQ_KEY\u{1}ID\u{2}PGROUP\u{1}group");
    let shutdown = rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    let bye = rig.frame(conn, RequestCode::UNREGISTER_CLIENT);
    rig.decide(op, TransactionState::Commit);
    let end = rig.frame(conn, END);
    rig.flushed(conn, end.seq);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    assert!(matches!(rig.outcome(shutdown), Some(Outcome::Shutdown(_))));
    let stats = rig.engine.stats();
    assert_eq!((stats.traced, stats.trace_dropped), (0, 1));
    assert_eq!(rig.next_deadline(), None);
}

#[test]
fn a_recall_leaves_a_record_byte_for_byte_if_that_is_wanted() {
    let (mut rig, conn) = traced(|config| config.trace.as_mut().unwrap().recalls = true);
    recalled(&mut rig, conn, ResponseCode::SUCCESS, Some("north"));
    rig.run_to(20);
    let refused = ResponseCode::ILLEGAL_OPERATION;
    recalled(&mut rig, conn, refused, Some("DefaultRegion"));
    // A broker that does not know recalls names no region.
    recalled(
        &mut rig,
        conn,
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        None,
    );
    let north = line(&[
        "Recall",
        "1750000000000",
        "north",
        "group",
        "T",
        "ID",
        "true",
    ]);
    let refused = [
        "Recall",
        "1750000000020",
        "DefaultRegion",
        "group",
        "T",
        "ID",
        "false",
    ];
    assert_eq!(told(&mut rig, conn), north + &line(&refused));
}

#[test]
fn recalls_are_not_traced_unless_that_is_wanted() {
    let (mut rig, conn) = traced(|_| {});
    recalled(&mut rig, conn, ResponseCode::SUCCESS, Some("north"));
    rig.run_to(LINGER);
    assert!(rig.frames().next().is_none());
}

#[test]
fn records_of_one_linger_share_a_message_and_a_full_one_leaves_at_once() {
    let (mut rig, conn) = traced(|config| config.trace.as_mut().unwrap().max_records = 3);
    for _ in 0..3 {
        sent(&mut rig, conn, message("x"), 0, 0);
    }
    give_route(&mut rig);
    assert_eq!(records(&rig.frame(conn, SEND)).len(), 3);
    for _ in 0..2 {
        sent(&mut rig, conn, message("x"), 0, 0);
    }
    assert!(rig.try_frame(conn, SEND).is_none());
    rig.run_to(LINGER);
    assert_eq!(records(&rig.frame(conn, SEND)).len(), 2);
}

#[test]
fn a_message_leaves_when_it_has_bytes_enough() {
    let (mut rig, conn) = traced(|config| config.trace.as_mut().unwrap().max_bytes = 300);
    for _ in 0..2 {
        sent(&mut rig, conn, message("x").key("k".repeat(100)), 0, 0);
    }
    give_route(&mut rig);
    assert_eq!(records(&rig.frame(conn, SEND)).len(), 2);
}

#[test]
fn what_failed_what_was_oneway_and_what_the_broker_wants_untraced_leaves_no_record() {
    let (mut rig, conn) = traced(|_| {});
    let failed = rig.send(message("failed"));
    let request = rig.frame(conn, SEND);
    rig.answer(&request, ResponseCode::MESSAGE_ILLEGAL, "no");
    rig.error(failed);
    rig.oneway(message("oneway"));
    let request = rig.frame(conn, SEND);
    rig.flushed(conn, request.seq);
    rig.send(message("untraced"));
    let request = rig.frame(conn, SEND);
    let answer = RemotingCommand::response(request.command.opaque, ResponseCode::SUCCESS, None);
    let untraced = SendResponseExtras {
        region: None,
        trace_on: false,
    };
    let fields = SendMessageResponse {
        msg_id: "A".into(),
        queue_id: 0,
        queue_offset: 0,
        transaction_id: None,
        batch_uniq_id: None,
        recall_handle: None,
    };
    rig.receive(conn, &answer.with_fields(&fields).with_fields(&untraced));
    rig.run_to(LINGER);
    assert!(rig.frames().next().is_none());
    assert_eq!(rig.engine.stats().sent, 1);
}

#[test]
fn messages_to_the_trace_topic_are_not_traced() {
    let (mut rig, conn) = traced(|config| {
        let trace = config.trace.as_mut().unwrap();
        trace.topic = TraceTopic::Named(TopicName::new("T").unwrap());
    });
    sent(&mut rig, conn, message("x"), 0, 0);
    rig.run_to(LINGER);
    assert!(rig.frames().next().is_none());
}

#[test]
fn the_region_names_the_topic_on_the_cloud_channel() {
    let (mut rig, conn) =
        traced(|config| config.trace.as_mut().unwrap().topic = TraceTopic::OfRegion);
    sent(&mut rig, conn, message("x"), 0, 0);
    rig.run_to(LINGER);
    give_route(&mut rig);
    let trace = rig.frame(conn, SEND);
    assert_eq!(trace.field("b"), "rmq_sys_TRACE_DATA_DefaultRegion");
}

#[test]
fn records_without_room_are_dropped_and_counted_and_cost_no_send() {
    let (mut rig, conn) = traced(|config| {
        let trace = config.trace.as_mut().unwrap();
        trace.max_waiting = 5;
        trace.max_records = 2;
    });
    for _ in 0..9 {
        sent(&mut rig, conn, message("x"), 0, 0);
    }
    let stats = rig.engine.stats();
    assert_eq!((stats.sent, stats.traced, stats.trace_dropped), (9, 0, 4));
    give_route(&mut rig);
    let first = rig.frame(conn, SEND);
    let _unanswered = rig.frame(conn, SEND);
    rig.confirm(&first);
    sent(&mut rig, conn, message("x"), 0, 0);
    let stats = rig.engine.stats();
    assert_eq!(
        (stats.traced, stats.trace_dropped),
        (2, 4),
        "there is room again"
    );
}

#[test]
fn records_take_no_more_than_8_mib_however_few_they_are() {
    const SENDS: usize = 250;
    let (mut rig, conn) = traced(|config| config.trace.as_mut().unwrap().max_waiting = 1_000_000);
    for n in 0..SENDS {
        let key = format!("{n:0>30000}");
        sent(&mut rig, conn, message("x").key(key), 0, 0);
    }
    let dropped = rig.engine.stats().trace_dropped as usize;
    assert_eq!(rig.engine.stats().sent as usize, SENDS);
    rig.run_to(LINGER);
    give_route(&mut rig);
    let (mut count, mut bytes) = (0, 0);
    while let Some(trace) = rig.try_frame(conn, SEND) {
        count += records(&trace).len();
        bytes += trace.command.body.len() + 30_000;
        rig.confirm(&trace);
    }
    assert_eq!(count + dropped, SENDS);
    let most = 8 * 1024 * 1024;
    assert!((most - 70_000..=most).contains(&bytes), "{bytes} bytes");
    sent(&mut rig, conn, message("x"), LINGER, 0);
    assert_eq!(
        rig.engine.stats().trace_dropped as usize,
        dropped,
        "room again"
    );
}

#[test]
fn a_trace_that_cannot_be_sent_is_counted_after_its_own_five_seconds() {
    let (mut rig, conn) = traced(|config| config.retries = 0);
    sent(&mut rig, conn, message("x"), 0, 0);
    rig.run_to(LINGER);
    give_route(&mut rig);
    rig.frame(conn, SEND);
    rig.run_to(LINGER + 4_999);
    assert_eq!(rig.engine.stats().trace_dropped, 0);
    rig.run_to(LINGER + 5_000);
    assert_eq!(rig.engine.stats().trace_dropped, 1);
}

#[test]
fn a_flush_takes_the_trace_along() {
    let (mut rig, conn) = traced(|_| {});
    rig.send(message("x"));
    let flush = rig.submit(Operation::Flush);
    let request = rig.frame(conn, SEND);
    rig.confirm(&request);
    give_route(&mut rig);
    let trace = rig.frame(conn, SEND);
    assert!(!is_done(&mut rig, flush), "the record is on its way");
    rig.confirm(&trace);
    assert!(is_done(&mut rig, flush));
    let flush = rig.submit(Operation::Flush);
    assert!(is_done(&mut rig, flush), "nothing is left to wait for");
}

#[test]
fn a_shutdown_takes_the_trace_along() {
    let (mut rig, conn) = traced(|_| {});
    rig.send(message("x"));
    let end = rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    let request = rig.frame(conn, SEND);
    rig.confirm(&request);
    assert!(
        rig.try_frame(conn, RequestCode::UNREGISTER_CLIENT)
            .is_none()
    );
    give_route(&mut rig);
    let trace = rig.frame(conn, SEND);
    rig.confirm(&trace);
    let bye = rig.frame(conn, RequestCode::UNREGISTER_CLIENT);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    let report = rig.outcome(end).unwrap().into_report();
    assert_eq!(
        (report.delivered, report.failed, report.abandoned),
        (1, 0, 0)
    );
    assert_eq!(rig.engine.stats().traced, 1);
}

#[test]
fn a_shutdown_waits_for_the_trace_no_longer_than_its_grace() {
    let (mut rig, conn) = traced(|_| {});
    sent(&mut rig, conn, message("x"), 0, 0);
    let end = rig.submit(Operation::Shutdown {
        grace: Duration::from_millis(100),
    });
    rig.run_to(100);
    let bye = rig.frame(conn, RequestCode::UNREGISTER_CLIENT);
    rig.answer(&bye, ResponseCode::SUCCESS, "");
    let report = rig.outcome(end).unwrap().into_report();
    assert_eq!((report.delivered, report.abandoned), (0, 0));
    assert_eq!(rig.engine.stats().trace_dropped, 1);
    assert_eq!(rig.next_deadline(), None);
}

#[test]
fn each_member_of_a_gathered_batch_has_a_record_of_its_own() {
    let (mut rig, conn) = traced(|config| config.auto_batch = Some(AutoBatch::default()));
    for body in ["one", "three"] {
        rig.send(message(body).key(body));
    }
    rig.run_to(10);
    let batch = rig.frame(conn, RequestCode::SEND_BATCH_MESSAGE);
    let answer = RemotingCommand::response(batch.command.opaque, ResponseCode::SUCCESS, None);
    rig.receive(
        conn,
        &answer.with_fields(&SendMessageResponse {
            msg_id: "A,B".into(),
            queue_id: 0,
            queue_offset: 0,
            transaction_id: None,
            batch_uniq_id: None,
            recall_handle: None,
        }),
    );
    rig.run_to(10 + LINGER);
    give_route(&mut rig);
    let trace = rig.frame(conn, SEND);
    let records = records(&trace);
    let seen: Vec<_> = records
        .iter()
        .map(|r| {
            (
                r.keys.as_deref(),
                r.body_len,
                r.offset_message_id.as_deref(),
                r.store_host.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some("one"), 3, Some("A"), Some("a:1")),
            (Some("three"), 5, Some("B"), Some("a:1")),
        ]
    );
}

#[test]
fn a_delayed_message_is_called_one() {
    let (mut rig, conn) = traced(|_| {});
    sent(&mut rig, conn, message("x").delay_level(3), 0, 0);
    rig.run_to(LINGER);
    give_route(&mut rig);
    assert_eq!(records(&rig.frame(conn, SEND))[0].kind, TraceKind::Delay);
}

#[test]
fn without_a_route_for_it_the_trace_harms_nobody() {
    let (mut rig, conn) = traced(|config| config.retries = 0);
    sent(&mut rig, conn, message("x"), 0, 0);
    rig.run_to(LINGER);
    for _ in 0..4 {
        let Some(name_server) = rig
            .frames()
            .find(|sent| sent.command.code == ROUTE.0)
            .map(|s| s.conn)
        else {
            break;
        };
        let question = rig.frame(name_server, ROUTE);
        rig.answer(&question, ResponseCode::TOPIC_NOT_EXIST, "no such topic");
    }
    assert_eq!(
        rig.engine.stats().trace_dropped,
        1,
        "{NAME_SERVER} knows no such topic"
    );
    sent(&mut rig, conn, message("y"), LINGER, 0);
    assert_eq!(rig.engine.stats().sent, 2);
}
