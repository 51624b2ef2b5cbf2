//! Asking for routes (PROTOCOL C.5, E.6).

use std::time::Duration;

use rocketmq_engine::proto::{Message, RequestCode, ResponseCode, TopicName};
use rocketmq_engine::{Certainty, Config, Endpoint, Operation, Outcome, SendErrorKind};

use crate::rig::{NAME_SERVER, Rig, message, route};

const ASK: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

fn three(config: &mut Config) {
    config.name_servers = ["ns:1", "ns:2", "ns:3"]
        .map(|address| Endpoint::new(address).unwrap())
        .into();
}

/// The name server that is dialled now.
fn dialled(rig: &mut Rig) -> Option<&'static str> {
    ["ns:1", "ns:2", "ns:3"]
        .into_iter()
        .find(|address| match rig.dial(address) {
            Some(conn) => {
                let refused = rocketmq_engine::DialError::Io(std::io::ErrorKind::ConnectionRefused);
                rig.input(rocketmq_engine::Input::ConnectFailed(conn, refused));
                true
            }
            None => false,
        })
}

#[test]
fn name_servers_that_refuse_are_passed_over_at_once_and_each_is_named_in_the_end() {
    let mut rig = Rig::new(three);
    let op = rig.send(message("x"));
    let mut asked: Vec<_> = std::iter::from_fn(|| dialled(&mut rig)).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["ns:1", "ns:2", "ns:3"], "each once");
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NameServer);
    assert_eq!(error.certainty(), Certainty::NotSent);
    for address in asked {
        assert!(error.to_string().contains(address), "{error}");
    }
}

#[test]
fn a_silent_name_server_leaves_time_for_the_others_and_for_the_send() {
    let mut rig = Rig::new(three);
    let op = rig.send(message("x"));
    let mut connected = Vec::new();
    for _ in 0..3 {
        let address = ["ns:1", "ns:2", "ns:3"];
        let conn = address
            .into_iter()
            .find_map(|address| rig.dial(address))
            .unwrap();
        rig.input(rocketmq_engine::Input::Connected(conn));
        connected.push(conn);
        if connected.len() < 3 {
            let next = rig.next_deadline().unwrap();
            rig.run_to(next.as_millis() as u64 + 1);
        }
    }
    let spent = rig.now().unix_ms - 1_750_000_000_000;
    assert!(
        spent <= 2_000,
        "two silent name servers cost {spent} ms of 3 000"
    );
    let question = rig.frame(connected[2], ASK);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
}

#[test]
fn a_name_server_that_failed_later_than_another_answered_is_asked_second_next_time() {
    let mut rig = Rig::new(three);
    rig.send(message("x"));
    let first = dialled(&mut rig).unwrap();
    let second = ["ns:1", "ns:2", "ns:3"].into_iter().find(|address| {
        *address != first
            && rig
                .dial(address)
                .map(|conn| {
                    rig.input(rocketmq_engine::Input::Connected(conn));
                    let question = rig.frame(conn, ASK);
                    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
                })
                .is_some()
    });
    assert!(second.is_some());
    rig.forget_frames();
    rig.send(Message::new("other", "x"));
    let asked: Vec<_> = rig
        .frames()
        .filter(|sent| sent.command.code == ASK.0)
        .collect();
    assert_eq!(asked.len(), 1, "the one that answered, at once");
}

#[test]
fn a_thousand_sends_of_one_topic_ask_one_question() {
    let mut rig = Rig::new(|_| {});
    let ops: Vec<_> = (0..1_000).map(|_| rig.send(message("x"))).collect();
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, ASK);
    assert!(rig.try_frame(name_server, ASK).is_none());
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let mut sent = 0;
    while let Some(send) = rig.next_send() {
        rig.confirm(&send);
        sent += 1;
    }
    assert_eq!(sent, 1_000);
    for op in ops {
        rig.receipt(op);
    }
}

#[test]
fn a_topic_that_nobody_knows_takes_the_default_topics_route_with_no_more_queues_than_it_gets() {
    let mut rig = Rig::new(|config| config.default_topic_queues = 3);
    let op = rig.submit(Operation::PublishQueues {
        topic: TopicName::new("new").unwrap(),
        timeout: Duration::from_secs(3),
    });
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, ASK);
    assert_eq!(question.field("topic"), "new");
    rig.answer(
        &question,
        ResponseCode::TOPIC_NOT_EXIST,
        "No topic route info",
    );
    let second = rig.frame(name_server, ASK);
    assert_eq!(second.field("topic"), "TBW102");
    rig.answer_body(&second, ResponseCode::SUCCESS, route(&["a", "b"], 8));
    let Some(Outcome::Queues(queues)) = rig.outcome(op) else {
        panic!("no queues");
    };
    let names: Vec<_> = queues
        .iter()
        .map(|q| format!("{}{}", q.broker, q.id))
        .collect();
    assert_eq!(names, ["a0", "a1", "a2", "b0", "b1", "b2"]);
}

#[test]
fn a_topic_that_cannot_be_made_either_is_no_route_and_says_what_the_name_server_said() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    for _ in 0..2 {
        let question = rig.frame(name_server, ASK);
        rig.answer(
            &question,
            ResponseCode::TOPIC_NOT_EXIST,
            "No topic route info",
        );
    }
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NoRoute);
    assert!(error.to_string().contains("No topic route info"), "{error}");
}

#[test]
fn a_name_server_that_accepts_and_never_answers_fails_the_send_in_time_and_is_dialled_anew() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let silent = rig.connect(NAME_SERVER);
    rig.run_to(2_999);
    assert!(rig.outcome(op).is_none());
    rig.run_to(3_000);
    let error = rig.error(op);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains(NAME_SERVER), "{error}");
    assert!(!rig.engine.has_conn(silent), "half-open for all we know");
}

#[test]
fn a_name_server_that_closes_the_connection_as_it_is_asked_is_asked_once_more_and_no_third_time() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let idle = rig.connect(NAME_SERVER);
    let question = rig.frame(idle, ASK);
    rig.flushed(idle, question.seq);
    rig.close(idle);
    assert!(rig.outcome(op).is_none());
    rig.run_to(rig.config().reconnect_min.as_millis() as u64);
    let anew = rig.connect(NAME_SERVER);
    rig.frame(anew, ASK);
    rig.close(anew);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NameServer);
    assert_eq!(error.certainty(), Certainty::NotSent);
}

#[test]
fn with_another_name_server_to_ask_it_is_asked_at_once() {
    let mut rig = Rig::new(three);
    let op = rig.send(message("x"));
    for _ in 0..3 {
        let address = ["ns:1", "ns:2", "ns:3"]
            .into_iter()
            .find_map(|address| rig.dial(address));
        let conn = address.unwrap();
        rig.input(rocketmq_engine::Input::Connected(conn));
        rig.frame(conn, ASK);
        rig.close(conn);
    }
    assert!(rig.outcome(op).is_none(), "the last one is asked again");
}

#[test]
fn a_route_that_is_lost_keeps_the_queues_that_were_known() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.forget_frames();
    rig.run_to(30_000);
    let question = rig
        .frames()
        .find(|sent| sent.command.code == ASK.0)
        .cloned()
        .unwrap();
    rig.answer(&question, ResponseCode::SYSTEM_ERROR, "trouble");
    rig.send(message("x"));
    assert!(rig.next_send().is_some());
}
