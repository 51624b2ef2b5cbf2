//! Name servers that are asked for over HTTP (PROTOCOL H.1, H.2).

use std::time::Duration;

use bytes::BytesMut;
use rocketmq_engine::proto::{Message, RequestCode, ResponseCode};
use rocketmq_engine::{
    Certainty, CloseReason, ConnId, Discovery, Endpoint, Event, Input, Operation, SendErrorKind,
};

use crate::rig::{Rig, message, route};

const ASK: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
const SERVER: &str = "mq.example:8080";

fn rig() -> Rig {
    Rig::new(|config| {
        config.name_servers.clear();
        config.discovery = Some(Discovery::of_domain("mq.example", "nsaddr").unwrap());
    })
}

/// Connects to the server and takes its question.
fn asked(rig: &mut Rig) -> ConnId {
    let conn = rig.connect(SERVER);
    let (asked, question) = rig.http.pop().expect("a question in HTTP");
    assert_eq!(asked, conn);
    assert!(question.starts_with("GET /rocketmq/nsaddr HTTP/1.0\r\n"));
    conn
}

fn receive(rig: &mut Rig, conn: ConnId, bytes: &str) {
    rig.input(Input::Received(conn, &mut BytesMut::from(bytes)));
}

fn list(rig: &mut Rig, conn: ConnId, servers: &str) {
    let length = servers.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{servers}");
    receive(rig, conn, &answer);
}

/// Answers the route question of this name server, and confirms the message that follows.
fn carry_on(rig: &mut Rig, name_server: &str) {
    let conn = rig.connect(name_server);
    let question = rig.frame(conn, ASK);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
}

#[test]
fn the_first_send_waits_for_the_list_and_then_goes_on() {
    let mut rig = rig();
    let op = rig.send(message("x"));
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7\n");
    assert_eq!(rig.closed, [(conn, CloseReason::Answered)]);
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
    assert_eq!(rig.engine.name_servers(), [Endpoint::new("ns:7").unwrap()]);
    assert_eq!(rig.engine.stats().connections_lost, 0);
}

#[test]
fn an_answer_may_come_byte_by_byte_and_end_with_the_connection() {
    let mut rig = rig();
    let op = rig.send(message("x"));
    let conn = asked(&mut rig);
    for byte in "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nns:7".chars() {
        receive(&mut rig, conn, &byte.to_string());
    }
    rig.close(conn);
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
    assert_eq!(rig.engine.stats().connections_lost, 0);
}

#[test]
fn a_thousand_sends_ask_once() {
    let mut rig = rig();
    for n in 0..1_000 {
        rig.send(Message::new(format!("topic{}", n % 7), "x"));
    }
    asked(&mut rig);
    assert!(rig.dial(SERVER).is_none() && rig.http.is_empty());
}

#[test]
fn each_kind_of_failure_ends_the_send_and_is_named() {
    type Failing = fn(&mut Rig);
    let rows: [(Failing, &str, Option<CloseReason>); 6] = [
        (|rig| rig.refuse(SERVER), "refused", None),
        (
            |rig| {
                let conn = asked(rig);
                rig.close(conn);
            },
            "before its answer was complete",
            None,
        ),
        (
            |rig| {
                let conn = asked(rig);
                receive(rig, conn, "HTTP/1.1 503 Busy\r\n\r\n");
            },
            "it answered 503 Busy",
            Some(CloseReason::Garbage),
        ),
        (
            |rig| {
                let conn = asked(rig);
                receive(rig, conn, "\0\0\0\u{9}what is this");
            },
            "not HTTP",
            Some(CloseReason::Garbage),
        ),
        (
            |rig| {
                asked(rig);
                rig.run_to(3_000);
            },
            "no answer within 3s",
            Some(CloseReason::Timeout),
        ),
        (
            |rig| rig.run_to(3_000),
            "no answer within 3s",
            Some(CloseReason::DialTimeout),
        ),
    ];
    for (failing, why, closed) in rows {
        let mut rig = rig();
        let op = rig.send(message("x"));
        failing(&mut rig);
        let error = rig.error(op);
        assert_eq!(error.kind(), SendErrorKind::NameServer, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        for part in ["http://mq.example:8080/rocketmq/nsaddr", why] {
            assert!(error.to_string().contains(part), "no {part} in: {error}");
        }
        let told = |event: &Event| matches!(event, Event::DiscoveryFailed { error, .. } if error.contains(why));
        assert!(rig.events.iter().any(told), "{:?}", rig.events);
        let reasons: Vec<_> = rig.closed.iter().map(|(_, reason)| *reason).collect();
        assert_eq!(reasons, Vec::from_iter(closed), "{why}");
        assert_eq!(rig.engine.stats().connections, 0);
    }
}

#[test]
fn a_send_with_less_time_than_the_server_takes_says_what_it_waited_for() {
    let mut rig = rig();
    let op = rig.send(message("x").timeout(Duration::from_millis(200)));
    asked(&mut rig);
    rig.run_to(200);
    let error = rig.error(op);
    assert!(error.is_timeout());
    assert!(
        error
            .to_string()
            .contains("http://mq.example:8080/rocketmq/nsaddr"),
        "{error}"
    );
}

#[test]
fn an_answer_that_drips_is_given_up_in_time() {
    let mut rig = rig();
    let op = rig.send(message("x").timeout(Duration::from_secs(60)));
    let conn = asked(&mut rig);
    receive(&mut rig, conn, "HTTP/1.0 200 OK\r\n");
    for second in 1..=3 {
        receive(&mut rig, conn, "X: y\r\n");
        rig.run_to(second * 1_000);
    }
    assert!(!rig.engine.has_conn(conn));
    // The send has time left, so it goes on asking.
    rig.run_to(3_100);
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7");
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
}

#[test]
fn an_endless_answer_is_cut_off() {
    let mut rig = rig();
    rig.send(message("x"));
    let conn = asked(&mut rig);
    receive(&mut rig, conn, "HTTP/1.0 200 OK\r\n\r\n");
    for _ in 0..70 {
        receive(&mut rig, conn, &"a:1;".repeat(256));
    }
    assert!(!rig.engine.has_conn(conn));
}

#[test]
fn it_is_asked_again_every_120_s_and_a_failure_keeps_the_old_list() {
    let mut rig = rig();
    let op = rig.send(message("x"));
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7");
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
    rig.run_to(119_999);
    assert!(rig.dial(SERVER).is_none());
    rig.run_to(120_000);
    rig.refuse(SERVER);
    assert_eq!(rig.engine.name_servers().len(), 1);
    rig.run_to(239_999);
    assert!(rig.dial(SERVER).is_none());
    rig.run_to(240_000);
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:8");
    assert_eq!(rig.engine.name_servers(), [Endpoint::new("ns:8").unwrap()]);
}

#[test]
fn as_long_as_it_never_answered_it_is_asked_every_10_s_and_at_once_for_a_send() {
    let mut rig = rig();
    rig.send(message("x"));
    rig.refuse(SERVER);
    rig.run_to(9_999);
    assert!(rig.dial(SERVER).is_none());
    rig.run_to(10_000);
    rig.refuse(SERVER);
    rig.run_to(12_000);
    let op = rig.send(message("y"));
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7");
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
}

#[test]
fn a_send_right_after_a_refusal_waits_for_the_pause_and_not_longer() {
    let mut rig = rig();
    rig.send(message("x"));
    rig.refuse(SERVER);
    let op = rig.send(message("y"));
    assert!(rig.dial(SERVER).is_none());
    rig.run_to(100);
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7");
    carry_on(&mut rig, "ns:7");
    rig.receipt(op);
}

#[test]
fn configured_name_servers_leave_it_unasked() {
    let mut rig = Rig::new(|config| config.discovery = Some(Discovery::java()));
    rig.send(message("x"));
    assert!(rig.dial("jmenv.tbsite.net:8080").is_none());
}

#[test]
fn a_list_that_the_application_sets_ends_it() {
    let mut rig = rig();
    let op = rig.send(message("x"));
    let conn = asked(&mut rig);
    let now = rig.now();
    let servers = vec![Endpoint::new("own:1").unwrap()];
    rig.engine.set_name_servers(now, servers).unwrap();
    rig.input(Input::Tick);
    assert!(!rig.engine.has_conn(conn));
    carry_on(&mut rig, "own:1");
    rig.receipt(op);
    rig.run_to(400_000);
    assert!(rig.dial(SERVER).is_none());
}

#[test]
fn a_shutdown_in_the_midst_of_it_leaves_nothing_behind() {
    let mut rig = rig();
    let op = rig.send(message("x"));
    asked(&mut rig);
    let end = rig.submit(Operation::Shutdown {
        grace: Duration::from_millis(100),
    });
    rig.run_to(100);
    assert_eq!(rig.error(op).kind(), SendErrorKind::Closed);
    assert!(rig.outcome(end).is_some());
    assert_eq!(rig.engine.stats().connections, 0);
    assert_eq!(rig.next_deadline(), None);
}

#[test]
fn a_broker_at_the_same_address_has_a_connection_of_its_own() {
    let mut rig = rig();
    rig.send(message("x"));
    let conn = asked(&mut rig);
    list(&mut rig, conn, "ns:7");
    let name_server = rig.connect("ns:7");
    let question = rig.frame(name_server, ASK);
    let here = route(&["a"], 1).replace("a:1", SERVER);
    rig.answer_body(&question, ResponseCode::SUCCESS, here);
    let broker = rig.connect(SERVER);
    rig.frame(broker, RequestCode::HEART_BEAT);
    rig.run_to(120_000);
    let conn = asked(&mut rig);
    assert_ne!(conn, broker);
}
