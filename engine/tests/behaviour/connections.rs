//! Connections: heartbeats, back-off, and what an idle producer does (PROTOCOL E.3, E.7; DESIGN 6).

use std::time::Duration;

use rocketmq_engine::CloseReason;
use rocketmq_engine::proto::{RequestCode, ResponseCode};

use crate::rig::{NAME_SERVER, Rig, message, route};

const BEAT: RequestCode = RequestCode::HEART_BEAT;
const ASK: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

#[test]
fn a_heartbeat_is_the_first_frame_to_a_broker_and_follows_every_interval() {
    let mut rig = Rig::new(|config| config.poll_interval = Duration::from_secs(3_600));
    rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, ASK);
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    let conn = rig.connect("a:1");
    let codes: Vec<_> = rig
        .frames()
        .map(|sent| (sent.seq.0, sent.command.code))
        .collect();
    assert_eq!(codes, [(1, BEAT.0), (2, RequestCode::SEND_MESSAGE_V2.0)]);
    let body = rig.frame(conn, BEAT);
    rig.answer(&body, ResponseCode::SUCCESS, "");
    let send = rig.next_send().unwrap();
    rig.confirm(&send);
    for turn in 1..4 {
        rig.run_to(30_000 * turn - 1);
        assert!(rig.try_frame(conn, BEAT).is_none());
        rig.run_to(30_000 * turn);
        let beat = rig.frame(conn, BEAT);
        rig.answer(&beat, ResponseCode::SUCCESS, "");
    }
}

#[test]
fn a_broker_that_answers_no_heartbeat_for_an_interval_is_dialled_anew() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.run_to(30_000);
    rig.frame(conns[0], BEAT);
    rig.run_to(59_999);
    assert!(rig.engine.has_conn(conns[0]));
    rig.run_to(60_000);
    assert!(rig.closed.contains(&(conns[0], CloseReason::Silent)));
    rig.run_to(60_100);
    assert!(rig.dial("a:1").is_some());
}

#[test]
fn a_fresh_connection_is_not_taken_for_half_open_at_the_next_beat() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.run_to(29_800);
    rig.close(conns[0]);
    rig.run_to(29_900);
    let fresh = rig.connect("a:1");
    rig.run_to(30_000);
    assert!(
        rig.engine.has_conn(fresh),
        "its first heartbeat is 100 ms old"
    );
}

#[test]
fn dials_that_fail_are_further_and_further_apart_and_an_answer_starts_over() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.close(conns[0]);
    let mut at = 0;
    for pause in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
        rig.run_to(at + pause - 1);
        assert!(rig.dial("a:1").is_none(), "too soon: {pause} ms");
        at += pause;
        rig.run_to(at);
        rig.refuse("a:1");
    }
    rig.run_to(at + 2_000);
    let conn = rig.connect("a:1");
    let beat = rig.frame(conn, BEAT);
    rig.answer(&beat, ResponseCode::SUCCESS, "");
    rig.close(conn);
    rig.run_to(at + 2_100);
    assert!(rig.dial("a:1").is_some(), "the first pause again");
}

#[test]
fn a_dial_that_nobody_answers_is_called_off() {
    let mut rig = Rig::new(|config| config.connect_timeout = Duration::from_millis(500));
    rig.send(message("x"));
    let conn = rig.dial(NAME_SERVER).unwrap();
    rig.run_to(500);
    assert_eq!(rig.closed, [(conn, CloseReason::DialTimeout)]);
}

#[test]
fn an_idle_producer_wakes_for_poll_and_heartbeat_alone() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    rig.forget_frames();
    let mut wakes = Vec::new();
    while let Some(at) = rig
        .next_deadline()
        .filter(|at| *at <= Duration::from_secs(120))
    {
        wakes.push(at.as_secs());
        rig.run_to(at.as_millis() as u64);
        let mut open: Vec<_> = rig.frames().cloned().collect();
        rig.forget_frames();
        for request in open.drain(..) {
            match RequestCode(request.command.code) {
                ASK => rig.answer_body(&request, ResponseCode::SUCCESS, route(&["a"], 1)),
                _ => rig.answer(&request, ResponseCode::SUCCESS, ""),
            }
        }
    }
    assert_eq!(wakes, [30, 60, 90, 120], "poll and heartbeat fall together");
}

#[test]
fn a_broker_that_no_route_names_any_more_is_let_go() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.poll_interval = Duration::from_secs(10);
    });
    rig.forget_frames();
    rig.run_to(10_000);
    let question = rig
        .frames()
        .find(|sent| sent.command.code == ASK.0)
        .cloned()
        .unwrap();
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
    rig.run_to(30_000);
    assert!(rig.closed.contains(&(conns[1], CloseReason::Unused)));
    assert!(rig.engine.has_conn(conns[0]));
}

#[test]
fn garbage_ends_the_connection_and_what_waited_on_it_is_tried_elsewhere() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.flushed(first.conn, first.seq);
    let mut claim = bytes::BytesMut::from(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 16][..]);
    rig.input(rocketmq_engine::Input::Received(first.conn, &mut claim));
    assert!(rig.closed.contains(&(first.conn, CloseReason::Garbage)));
    let second = rig.next_send().unwrap();
    rig.confirm(&second);
    assert_eq!(rig.receipt(op).attempts, 2);
}
