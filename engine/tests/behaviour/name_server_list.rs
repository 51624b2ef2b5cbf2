//! The list of name servers, replaced at run time (PROTOCOL E.6, I 16).

use rocketmq_engine::proto::{RequestCode, ResponseCode};
use rocketmq_engine::{CloseReason, Endpoint, Event, Input};

use crate::rig::{NAME_SERVER, Rig, message, route};

const ASK: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

fn listed(addresses: &[&str]) -> Vec<Endpoint> {
    let endpoint = |address: &&str| Endpoint::new(address).unwrap();
    addresses.iter().map(endpoint).collect()
}

fn replace(rig: &mut Rig, addresses: &[&str]) {
    let now = rig.now();
    rig.engine.set_name_servers(now, listed(addresses)).unwrap();
    rig.input(Input::Tick);
}

/// Goes on with whichever of these is dialled.
fn connect_any(rig: &mut Rig, addresses: &[&str]) -> rocketmq_engine::ConnId {
    let conn = addresses.iter().find_map(|address| rig.dial(address));
    let conn = conn.expect("one of them is dialled");
    rig.input(Input::Connected(conn));
    conn
}

#[test]
fn a_question_under_way_goes_to_the_new_list_at_once_and_the_old_connection_is_closed() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let old = rig.connect(NAME_SERVER);
    rig.frame(old, ASK);
    replace(&mut rig, &["new:1"]);
    assert_eq!(rig.closed, [(old, CloseReason::NotListed)]);
    let new = rig.connect("new:1");
    let question = rig.frame(new, ASK);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
}

#[test]
fn a_question_that_waits_for_a_dial_goes_to_the_new_list_at_once() {
    let mut rig = Rig::new(|_| {});
    rig.send(message("x"));
    let old = rig.dial(NAME_SERVER).unwrap();
    replace(&mut rig, &["new:1"]);
    assert_eq!(rig.closed, [(old, CloseReason::NotListed)]);
    let new = rig.connect("new:1");
    rig.frame(new, ASK);
}

#[test]
fn a_question_that_waits_for_the_end_of_a_pause_goes_to_the_new_list_at_once() {
    let mut rig = Rig::new(|_| {});
    rig.send(message("x"));
    rig.refuse(NAME_SERVER);
    rig.send(message("y"));
    assert!(rig.dial(NAME_SERVER).is_none(), "it was refused just now");
    replace(&mut rig, &["new:1"]);
    let new = rig.connect("new:1");
    rig.frame(new, ASK);
    rig.run_to(2_500);
    assert!(rig.dial(NAME_SERVER).is_none(), "nobody wants it any more");
}

#[test]
fn who_stays_in_the_list_keeps_its_connection_and_its_question() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let kept = rig.connect(NAME_SERVER);
    let question = rig.frame(kept, ASK);
    replace(&mut rig, &["new:1", NAME_SERVER]);
    assert!(rig.closed.is_empty());
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    rig.send(rocketmq_engine::proto::Message::new("other", "x"));
    rig.frame(kept, ASK);
}

#[test]
fn a_name_server_that_failed_and_is_listed_again_is_asked_again() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    let first = rig.connect(NAME_SERVER);
    rig.frame(first, ASK);
    replace(&mut rig, &["new:1"]);
    replace(&mut rig, &[NAME_SERVER]);
    let again = rig.connect(NAME_SERVER);
    let question = rig.frame(again, ASK);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
}

#[test]
fn when_the_new_ones_fail_too_the_error_names_old_and_new() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    rig.connect(NAME_SERVER);
    replace(&mut rig, &["new:1"]);
    rig.refuse("new:1");
    let error = rig.error(op).to_string();
    for part in [NAME_SERVER, "no longer in the list", "new:1", "refused"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_equal_list_changes_nothing_and_an_empty_one_is_refused() {
    let mut rig = Rig::new(|config| config.name_servers = listed(&["ns:1", "ns:2"]));
    rig.send(message("x"));
    connect_any(&mut rig, &["ns:1", "ns:2"]);
    rig.events.clear();
    replace(&mut rig, &["ns:2", "ns:1", "ns:2"]);
    assert!(rig.closed.is_empty() && rig.events.is_empty());
    let now = rig.now();
    let refused = rig.engine.set_name_servers(now, Vec::new()).unwrap_err();
    assert_eq!(refused.field, "name_servers");
    assert_eq!(rig.engine.name_servers().len(), 2);
}

#[test]
fn a_new_list_is_told() {
    let mut rig = Rig::new(|_| {});
    replace(&mut rig, &["new:1"]);
    let servers = listed(&["new:1"]).into();
    assert_eq!(rig.events, [Event::NameServersChanged { servers }]);
}

#[test]
fn a_broker_that_was_listed_as_a_name_server_stays_connected() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    replace(&mut rig, &["a:1", "new:1"]);
    rig.closed.clear();
    replace(&mut rig, &["new:1"]);
    assert!(rig.closed.is_empty());
    assert!(rig.engine.has_conn(conns[0]));
}

#[test]
fn a_list_that_comes_after_a_shutdown_opens_nothing() {
    let mut rig = Rig::new(|_| {});
    rig.submit(rocketmq_engine::Operation::Shutdown {
        grace: std::time::Duration::ZERO,
    });
    replace(&mut rig, &["new:1"]);
    assert_eq!(rig.engine.stats().connections, 0);
    assert_eq!(rig.next_deadline(), None);
}

#[test]
fn lists_that_change_all_the_time_do_not_pile_up_in_a_question() {
    let mut rig = Rig::new(|_| {});
    let op = rig.send(message("x"));
    for n in 0..10_000 {
        replace(&mut rig, &[&format!("new{n}:1")]);
    }
    rig.refuse("new9999:1");
    let error = rig.error(op).to_string();
    assert!(error.len() < 500, "{} bytes", error.len());
}
