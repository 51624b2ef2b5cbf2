//! The message trace (PROTOCOL G.4).

use std::time::Duration;

use rocketmq_engine::proto::header::{SendMessageResponse, SendResponseExtras};
use rocketmq_engine::proto::trace::{PublishTrace, TraceKind, TraceRecords};
use rocketmq_engine::proto::{
    Message, Properties, RemotingCommand, RequestCode, ResponseCode, TopicName, TraceRecord,
};
use rocketmq_engine::{AutoBatch, Config, ConnId, Operation, Outcome, TraceConfig, TraceTopic};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;
const ROUTE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
const LINGER: u64 = 500;

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

fn is_done(rig: &mut Rig, op: rocketmq_engine::OpId) -> bool {
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
