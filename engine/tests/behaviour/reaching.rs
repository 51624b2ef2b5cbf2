//! Where servers are dialled: VIP ports (PROTOCOL C.6, I 35), the address map, topics at the start.

use std::time::Duration;

use rocketmq_engine::proto::{MessageQueue, RequestCode, ResponseCode, TopicName};
use rocketmq_engine::{
    Config, ConnId, DialError, Endpoint, Event, Input, NewTopic, Operation, Outcome, Question,
};

use crate::rig::{NAME_SERVER, Rig, message, route};

fn at_usual_ports(brokers: &[&str]) -> String {
    route(brokers, 1).replace(":1\"", ":10911\"")
}

/// A producer whose route names these brokers at port 10911, with a send under way.
fn sending(brokers: &[&str], change: impl FnOnce(&mut Config)) -> Rig {
    let mut rig = Rig::new(|config| {
        config.vip_channel = true;
        change(config);
    });
    rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer_body(&question, ResponseCode::SUCCESS, at_usual_ports(brokers));
    rig
}

fn mapped(rig: &mut Rig, conn: ConnId, to: &str) {
    rig.input(Input::Mapped(conn, Endpoint::new(to).unwrap()));
}

#[test]
fn sends_go_to_the_vip_port_and_stay_there_when_they_are_tried_again() {
    let mut rig = sending(&["a", "b"], |_| {});
    let first = ["a:10909", "b:10909"].iter().find_map(|at| rig.dial(at));
    rig.input(Input::Connected(first.unwrap()));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "elsewhere, please");
    let second = ["a:10909", "b:10909"].iter().find_map(|at| rig.dial(at));
    rig.input(Input::Connected(second.unwrap()));
    let sent = rig.next_send().unwrap();
    assert_eq!(Some(sent.conn), second);
    rig.confirm(&sent);
    for plain in ["a:10911", "b:10911"] {
        assert!(rig.dial(plain).is_none());
    }
}

#[test]
fn heartbeats_go_to_the_plain_port_and_keep_vip_connections_alive() {
    let mut rig = sending(&["a"], |_| {});
    let vip = rig.connect("a:10909");
    let beat = rig.frame(vip, RequestCode::HEART_BEAT);
    rig.answer(&beat, ResponseCode::SUCCESS, "");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.run_to(30_000);
    let plain = rig.connect("a:10911");
    for conn in [vip, plain] {
        let beat = rig.frame(conn, RequestCode::HEART_BEAT);
        rig.answer(&beat, ResponseCode::SUCCESS, "");
    }
    rig.run_to(60_000);
    assert!(rig.engine.has_conn(vip), "no route names it, and it stays");
    rig.frame(vip, RequestCode::HEART_BEAT);
    rig.frame(plain, RequestCode::HEART_BEAT);
}

#[test]
fn a_port_that_has_no_vip_port_is_used_as_it_is() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| config.vip_channel = true);
    rig.send(message("x"));
    assert_eq!(rig.next_send().unwrap().conn, conns[0]);
}

#[test]
fn readiness_means_the_vip_port() {
    let mut rig = sending(&["a"], |_| {});
    let ready = rig.submit(Operation::Ready {
        topic: TopicName::new("T").unwrap(),
        timeout: Duration::from_secs(3),
    });
    rig.connect("a:10909");
    assert!(rig.outcome(ready).is_some());
}

#[test]
fn events_and_errors_name_both_addresses() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let conn = rig.dial(NAME_SERVER).unwrap();
    mapped(&mut rig, conn, "10.9.9.9:7");
    let refused = DialError::Io(std::io::ErrorKind::ConnectionRefused);
    rig.input(Input::ConnectFailed(conn, refused));
    let error = rig.error(op).to_string();
    assert!(
        error.contains("ns:1: connecting to 10.9.9.9:7 failed"),
        "{error}"
    );
    let event = rig.events[0].to_string();
    assert!(event.contains("ns:1 (dialled as 10.9.9.9:7)"), "{event}");
    let Event::ConnectFailed { mapped, .. } = &rig.events[0] else {
        panic!("{event}");
    };
    assert_eq!(mapped.as_ref().unwrap().as_str(), "10.9.9.9:7");
}

#[test]
fn each_try_names_both_addresses() {
    let mut rig = sending(&["a"], |config| {
        config.vip_channel = false;
        config.retries = 0;
    });
    let conn = rig.dial("a:10911").unwrap();
    mapped(&mut rig, conn, "127.0.0.1:20911");
    rig.input(Input::Connected(conn));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::MESSAGE_ILLEGAL, "no");
    let told = rig
        .events
        .iter()
        .any(|event| event.to_string() == "connected to a:10911 (dialled as 127.0.0.1:20911)");
    assert!(told, "{:?}", rig.events);
}

#[test]
fn topics_are_asked_for_at_the_start_and_in_vain_is_no_error() {
    let mut rig = Rig::new(|config| {
        config.topics = ["T", "other"]
            .map(|name| TopicName::new(name).unwrap())
            .into();
    });
    rig.input(Input::Tick);
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_eq!(question.field("topic"), "T");
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    let other = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer(&other, ResponseCode::SYSTEM_ERROR, "trouble");
    rig.send(message("x"));
    assert!(rig.dial("a:1").is_some(), "its route is known");
}

#[test]
fn admin_calls_go_to_the_vip_port() {
    let mut rig = sending(&["a"], |_| {});
    let vip = rig.connect("a:10909");
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
    let request = Question::max_offset(&queue).into_request().unwrap();
    rig.submit(Operation::Admin {
        request: Box::new(request),
        timeout: Duration::from_secs(3),
    });
    rig.frame(vip, RequestCode::GET_MAX_OFFSET);
}

#[test]
fn the_error_of_an_admin_call_names_where_its_broker_was_dialled() {
    let mut rig = sending(&["a"], |_| {});
    let conn = rig.dial("a:10909").unwrap();
    mapped(&mut rig, conn, "127.0.0.1:20909");
    rig.input(Input::Connected(conn));
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
    let request = Question::max_offset(&queue).into_request().unwrap();
    let op = rig.submit(Operation::Admin {
        request: Box::new(request),
        timeout: Duration::from_secs(3),
    });
    let asked = rig.frame(conn, RequestCode::GET_MAX_OFFSET);
    rig.answer(&asked, ResponseCode::SYSTEM_ERROR, "broken");
    let error = rig.error(op);
    let [report] = error.attempts() else {
        panic!("{error}")
    };
    let address = |address: &Option<Endpoint>| address.as_ref().unwrap().to_string();
    assert_eq!(address(&report.address), "a:10909");
    assert_eq!(address(&report.mapped), "127.0.0.1:20909");
    let named = "a at a:10909 (dialled as 127.0.0.1:20909)";
    assert!(error.to_string().contains(named), "{error}");
}

#[test]
fn an_admin_call_stays_at_the_vip_port_when_it_is_tried_again_or_asked_to_go_away() {
    let mut rig = sending(&["a"], |_| {});
    rig.connect("a:10909");
    let request = Question::create_topic(NewTopic::new("new", 4).key_topic("T"));
    let op = rig.submit(Operation::Admin {
        request: Box::new(request.into_request().unwrap()),
        timeout: Duration::from_secs(3),
    });
    let first = rig.take_frame(RequestCode::UPDATE_AND_CREATE_TOPIC);
    rig.answer(&first, ResponseCode::SYSTEM_ERROR, "not now");
    let second = rig.take_frame(RequestCode::UPDATE_AND_CREATE_TOPIC);
    rig.answer(&second, ResponseCode::GO_AWAY, "elsewhere");
    let again = rig.connect("a:10909");
    let third = rig.frame(again, RequestCode::UPDATE_AND_CREATE_TOPIC);
    rig.answer(&third, ResponseCode::SUCCESS, "");
    assert!(matches!(rig.outcome(op), Some(Outcome::Admin(_))));
}
