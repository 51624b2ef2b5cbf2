//! Static topics: logical queues that move from broker to broker (PROTOCOL C.7).

use rocketmq_engine::proto::{MessageQueue, RequestCode, ResponseCode, TopicName};
use rocketmq_engine::{Certainty, ConnId, OpId, SendErrorKind};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

const MOCK: &str = "__syslo__global__";

/// The route of `T` with one logical queue for each holder, in their order.
fn static_route(holders: &[&str], epoch: i64) -> String {
    let mut brokers = vec!["a", "b"];
    brokers.retain(|name| holders.contains(name));
    let total = holders.len();
    let mappings: Vec<_> = brokers
        .iter()
        .map(|name| {
            let held = holders.iter().enumerate().filter(|(_, held)| *held == name);
            let ids: Vec<_> = held.map(|(id, _)| format!("\"{id}\":7")).collect();
            format!(
                r#""{name}":{{"bname":"{name}","currIdMap":{{{}}},"epoch":{epoch},"totalQueues":{total}}}"#,
                ids.join(",")
            )
        })
        .collect();
    let mapping = format!(
        r#""topicQueueMappingByBroker":{{{}}},"queueDatas""#,
        mappings.join(",")
    );
    route(&["a", "b"], 1).replace("\"queueDatas\"", &mapping)
}

/// A producer that knows such a route, and its name server.
fn rig(holders: &[&str]) -> (Rig, ConnId) {
    let mut rig = Rig::new(|_| {});
    let first = rig.send(message("first").to(queue(0)));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer_body(&question, ResponseCode::SUCCESS, static_route(holders, 1));
    rig.connect(&format!("{}:1", holders[0]));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(first);
    (rig, name_server)
}

fn queue(id: i32) -> MessageQueue {
    MessageQueue::new(TopicName::new("T").unwrap(), MOCK, id)
}

fn refuse(rig: &mut Rig, sent: &Sent) {
    let text = "T-0 does not exit in request process of current broker a";
    rig.answer(sent, ResponseCode::NOT_LEADER_FOR_QUEUE, text);
}

/// The same send, refused by its broker; the question for the new route.
fn moved(rig: &mut Rig, name_server: ConnId) -> (OpId, Sent) {
    let op = rig.send(message("x").to(queue(0)));
    let sent = rig.next_send().unwrap();
    assert_eq!((sent.field("n"), sent.field("e")), ("a", "0"));
    refuse(rig, &sent);
    assert!(rig.next_send().is_none(), "not before the new route");
    (
        op,
        rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC),
    )
}

#[test]
fn a_logical_queue_goes_out_under_its_own_number_and_its_holders_name() {
    let (mut rig, _) = rig(&["a", "a", "a"]);
    let op = rig.send(message("x").to(queue(2)));
    let sent = rig.next_send().unwrap();
    assert_eq!((sent.field("n"), sent.field("e")), ("a", "2"));
    rig.confirm(&sent);
    assert_eq!(&*rig.receipt(op).queue.broker, "a", "whoever took it");
}

#[test]
fn a_queue_that_has_moved_is_followed_as_the_same_try() {
    let (mut rig, name_server) = rig(&["a", "b"]);
    let (op, question) = moved(&mut rig, name_server);
    rig.answer_body(
        &question,
        ResponseCode::SUCCESS,
        static_route(&["b", "b"], 2),
    );
    if let Some(conn) = rig.dial("b:1") {
        rig.input(rocketmq_engine::Input::Connected(conn));
    }
    let sent = rig.next_send().unwrap();
    assert_eq!((sent.field("n"), sent.field("e")), ("b", "0"));
    rig.confirm(&sent);
    assert_eq!(rig.receipt(op).attempts, 1);
}

#[test]
fn a_queue_is_followed_once_then_the_refusal_counts() {
    let (mut rig, name_server) = rig(&["a", "b"]);
    let (op, question) = moved(&mut rig, name_server);
    rig.answer_body(
        &question,
        ResponseCode::SUCCESS,
        static_route(&["a", "b"], 1),
    );
    let again = rig.next_send().unwrap();
    assert_eq!(again.field("n"), "a", "the name server does not know yet");
    refuse(&mut rig, &again);
    let error = rig.error(op);
    assert_eq!(error.code(), Some(ResponseCode::NOT_LEADER_FOR_QUEUE));
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Broker, Certainty::Rejected)
    );
    assert_eq!(error.attempts().len(), 1);
}

#[test]
fn a_queue_that_has_moved_is_still_sent_for_when_no_name_server_answers() {
    let (mut rig, name_server) = rig(&["a", "b"]);
    let (op, question) = moved(&mut rig, name_server);
    rig.answer(&question, ResponseCode::SYSTEM_ERROR, "not ready");
    let again = rig.next_send().unwrap();
    assert_eq!(again.field("n"), "a", "by the route that was known");
    rig.confirm(&again);
    assert_eq!(rig.receipt(op).attempts, 1);
}

#[test]
fn a_queue_that_nobody_holds_is_an_error_that_names_it() {
    let (mut rig, _) = rig(&["a", "nobody"]);
    let op = rig.send(message("x").to(queue(1)));
    rig.run_to(3_000);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::NotSent);
    let text = error.to_string();
    assert!(
        text.contains("__syslo__none__") && text.contains("no master"),
        "{text}"
    );
}

#[test]
fn messages_for_any_queue_pass_over_those_that_nobody_holds() {
    let (mut rig, _) = rig(&["a", "nobody", "a"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        assert_eq!(sent.field("n"), "a");
        seen.push(sent.field("e").to_owned());
    }
    assert!(seen.contains(&"0".to_owned()) && seen.contains(&"2".to_owned()));
    assert!(!seen.contains(&"1".to_owned()));
}
