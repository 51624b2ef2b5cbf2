//! Passing over brokers that are slow or fail (PROTOCOL F.2), and what is told of brokers.

use std::time::Duration;

use rocketmq_engine::proto::{MessageQueue, RequestCode, ResponseCode, TopicName};
use rocketmq_engine::{AttemptTimeout, Config, ConnId, Event, FaultTolerance, OpId};

use crate::rig::{Rig, Sent, message, route};

const MS: Duration = Duration::from_millis(1);

fn v4_9(config: &mut Config) {
    config.fault_tolerance = Some(FaultTolerance::v4_9());
}

fn v5_1(config: &mut Config) {
    config.fault_tolerance = Some(FaultTolerance::v5_1());
    // The tests look at probes between two beats.
    config.heartbeat_interval = 600_000 * MS;
    config.poll_interval = 600_000 * MS;
}

/// Sends one message and gives the frame.
fn next(rig: &mut Rig) -> (OpId, Sent) {
    let op = rig.send(message("x"));
    let sent = rig.next_send().expect("a frame");
    (op, sent)
}

/// Sends until one goes to this broker, confirming the others.
fn one_to(rig: &mut Rig, conn: ConnId) -> (OpId, Sent) {
    for _ in 0..10 {
        let (op, sent) = next(rig);
        if sent.conn == conn {
            return (op, sent);
        }
        rig.confirm(&sent);
        rig.receipt(op);
    }
    panic!("nothing goes to {conn}");
}

/// Which brokers so many messages go to, each confirmed at once.
fn brokers_of(rig: &mut Rig, count: usize) -> String {
    let mut names = String::new();
    for _ in 0..count {
        let (op, sent) = next(rig);
        names.push_str(sent.field("n"));
        rig.confirm(&sent);
        rig.receipt(op);
    }
    names
}

/// What was told of brokers since the last time: `-a` isolated, `+a` reachable again.
fn told(rig: &mut Rig) -> String {
    let events = std::mem::take(&mut rig.events);
    let texts = events.into_iter().filter_map(|event| match event {
        Event::BrokerIsolated { broker, lasting } => {
            Some(format!("-{broker} {}", lasting.as_millis()))
        }
        Event::BrokerReachable { broker } => Some(format!("+{broker}")),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[test]
fn without_fault_tolerance_a_slow_broker_gets_its_turn_as_any_other() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.run_to(900);
    rig.confirm(&sent);
    rig.receipt(op);
    let names = brokers_of(&mut rig, 4);
    assert_eq!(names.matches('a').count(), 2, "{names}");
    assert_eq!(told(&mut rig), "");
    assert_eq!(rig.engine.broker_stats()[0].isolated_until, None);
}

#[test]
fn a_slow_broker_is_passed_over_for_as_long_as_the_table_of_4_9_says() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 2, v4_9);
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.run_to(600);
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(told(&mut rig), "-a 30000");
    assert_eq!(brokers_of(&mut rig, 4), "bbbb");
    rig.run_to(30_599);
    assert_eq!(told(&mut rig), "");
    rig.run_to(30_600);
    assert_eq!(
        told(&mut rig),
        "+a",
        "told in time, with no message to send"
    );
    let names = brokers_of(&mut rig, 4);
    assert_eq!(names.matches('a').count(), 2, "{names}");
}

#[test]
fn a_failed_try_isolates_by_4_9_for_ten_minutes_and_a_success_there_ends_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, v4_9);
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
    let again = rig.next_send().unwrap();
    assert_eq!(again.field("n"), "b");
    rig.confirm(&again);
    rig.receipt(op);
    assert_eq!(told(&mut rig), "-a 600000");
    assert_eq!(brokers_of(&mut rig, 3), "bbb");

    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
    let op = rig.send(message("x").to(queue));
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    assert_eq!(told(&mut rig), "+a");
    assert!(brokers_of(&mut rig, 2).contains('a'));
}

#[test]
fn with_both_brokers_isolated_a_send_still_goes_out() {
    for tolerance in [FaultTolerance::v4_9(), FaultTolerance::v5_1()] {
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 2, |c| {
            c.fault_tolerance = Some(tolerance.clone());
            c.retries = 1;
        });
        let op = rig.send(message("x"));
        let mut tried = Vec::new();
        while let Some(sent) = rig.next_send() {
            tried.push(sent.field("n").to_owned());
            rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
        }
        rig.error(op);
        tried.sort_unstable();
        assert_eq!(tried, ["a", "b"]);
        let isolated = |rig: &Rig| {
            let now = rig.now().mono;
            let stats = rig.engine.broker_stats();
            let is_out = |until: Option<_>| until.is_some_and(|until| until > now);
            stats.iter().filter(|s| is_out(s.isolated_until)).count()
        };
        assert_eq!(isolated(&rig), 2);
        let (op, sent) = next(&mut rig);
        rig.confirm(&sent);
        assert_eq!(rig.receipt(op).attempts, 1);
    }
}

#[test]
fn a_broker_whose_connection_failed_is_passed_over_beside_those_that_are_isolated() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b", "c"], 1, v4_9);
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.run_to(600);
    rig.confirm(&sent);
    rig.receipt(op);
    // a was slow; b goes, with nothing under way.
    rig.close(conns[1]);
    assert_eq!(brokers_of(&mut rig, 3), "ccc");
    // c goes as well: the slow one is better than those that are gone.
    rig.close(conns[2]);
    let (op, sent) = next(&mut rig);
    assert_eq!(sent.field("n"), "a");
    rig.confirm(&sent);
    rig.receipt(op);
}

#[test]
fn a_retry_for_a_better_status_goes_to_another_broker_although_this_one_is_fast() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 4, |c| {
        v4_9(c);
        c.retry_other_broker_when_not_stored = true;
    });
    for _ in 0..4 {
        let (op, first) = next(&mut rig);
        rig.confirm_as(&first, ResponseCode::SLAVE_NOT_AVAILABLE);
        let second = rig.next_send().unwrap();
        assert_ne!(first.conn, second.conn);
        rig.confirm(&second);
        rig.receipt(op);
    }
}

#[test]
fn a_broker_that_refused_is_probed_until_any_answer_shows_that_it_is_there() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, v5_1);
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
    let again = rig.next_send().unwrap();
    rig.confirm(&again);
    rig.receipt(op);
    assert_eq!(told(&mut rig), "-a 10000");
    let probe = RequestCode::GET_MAX_OFFSET;
    rig.run_to(2_999);
    assert!(rig.try_frame(conns[0], probe).is_none());
    rig.run_to(3_000);
    let first = rig.frame(conns[0], probe);
    assert_eq!((first.field("topic"), first.field("queueId")), ("T", "0"));
    assert_eq!(first.field("bname"), "a");
    // An answer after 200 ms is too late.
    rig.run_to(3_201);
    rig.answer(&first, ResponseCode::SUCCESS, "");
    assert!(!rig.engine.broker_stats()[0].reachable);
    rig.run_to(6_000);
    let second = rig.frame(conns[0], probe);
    rig.run_to(6_150);
    // It does not have the topic: it is there all the same.
    rig.answer(&second, ResponseCode::TOPIC_NOT_EXIST, "topic[T] not exist");
    assert!(rig.engine.broker_stats()[0].reachable);
    assert_eq!(told(&mut rig), "", "its ten seconds are not over");
    rig.run_to(9_999);
    assert_eq!(told(&mut rig), "");
    rig.run_to(10_000);
    assert_eq!(told(&mut rig), "+a");
    assert!(rig.try_frame(conns[0], probe).is_none(), "probed no more");
    assert!(rig.try_frame(conns[1], probe).is_none(), "b never was");
}

#[test]
fn no_broker_is_probed_more_often_than_allowed() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |c| {
        v5_1(c);
        let tolerance = c.fault_tolerance.as_mut().unwrap();
        tolerance.probe_interval = 7_000 * MS;
    });
    let (_, sent) = one_to(&mut rig, conns[0]);
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
    let again = rig.next_send().unwrap();
    rig.confirm(&again);
    rig.run_to(21_000);
    let mut probes = 0;
    while rig
        .try_frame(conns[0], RequestCode::GET_MAX_OFFSET)
        .is_some()
    {
        probes += 1;
    }
    // At 3, 12 and 21 s: the first rounds after 7 s have passed.
    assert_eq!(probes, 3);
}

#[test]
fn a_broker_that_is_gone_is_probed_over_a_new_connection() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, v5_1);
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.close(conns[0]);
    let again = rig.next_send().unwrap();
    assert_eq!((sent.field("n"), again.field("n")), ("a", "b"));
    rig.confirm(&again);
    rig.receipt(op);
    rig.run_to(2_000);
    let conn = rig.connect("a:1");
    rig.run_to(3_000);
    let probe = rig.frame(conn, RequestCode::GET_MAX_OFFSET);
    // The connection goes while the probe is under way: the next one is the next round's.
    rig.close(conn);
    rig.run_to(5_000);
    let conn = rig.connect("a:1");
    assert_eq!(probe.field("bname"), "a");
    rig.run_to(6_000);
    let probe = rig.frame(conn, RequestCode::GET_MAX_OFFSET);
    rig.answer(&probe, ResponseCode::SUCCESS, "");
    assert!(rig.engine.broker_stats()[0].reachable);
}

#[test]
fn a_producer_whose_brokers_are_well_wakes_no_more_with_fault_tolerance_than_without() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |c| {
        c.fault_tolerance = Some(FaultTolerance::v5_1());
    });
    rig.run_to(100);
    brokers_of(&mut rig, 4);
    assert_eq!(rig.next_deadline(), Some(30_000 * MS));
    let (op, sent) = one_to(&mut rig, conns[0]);
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
    let again = rig.next_send().unwrap();
    rig.confirm(&again);
    rig.receipt(op);
    assert_eq!(rig.next_deadline(), Some(3_100 * MS), "a round of probes");
}

#[test]
fn what_is_known_of_a_broker_goes_with_the_last_route_that_names_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |c| {
        c.fault_tolerance = Some(FaultTolerance::v5_1());
    });
    let (_, sent) = one_to(&mut rig, conns[0]);
    rig.answer(&sent, ResponseCode::SYSTEM_ERROR, "broken");
    let again = rig.next_send().unwrap();
    rig.confirm(&again);
    assert_eq!(rig.engine.broker_stats().len(), 2);
    rig.run_to(30_000);
    let code = RequestCode::GET_ROUTEINFO_BY_TOPIC.0;
    let question = rig.frames().find(|sent| sent.command.code == code);
    let question = question.expect("the poll").clone();
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["b"], 1));
    rig.run_to(60_000);
    let stats = rig.engine.broker_stats();
    assert_eq!(stats.len(), 1, "{stats:?}");
    assert_eq!(&*stats[0].broker, "b");
    // And a made-up name leaves nothing behind.
    let queue = MessageQueue::new(TopicName::new("T").unwrap(), "nowhere", 0);
    let op = rig.send(message("x").to(queue));
    rig.error(op);
    assert_eq!(rig.engine.broker_stats().len(), 1);
}

#[test]
fn each_broker_has_its_numbers() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |c| {
        c.attempt_timeout = AttemptTimeout::At(200 * MS);
    });
    let (op, sent) = one_to(&mut rig, conns[0]);
    let confirmed_before = rig.engine.broker_stats();
    let confirmed_by_b: u64 = confirmed_before.iter().map(|s| s.latency.count).sum();
    rig.run_to(200);
    let again = rig.next_send().unwrap();
    rig.run_to(250);
    rig.confirm(&again);
    rig.receipt(op);
    assert_eq!((sent.field("n"), again.field("n")), ("a", "b"));
    let stats = rig.engine.broker_stats();
    let [a, b] = &stats[..] else {
        panic!("{stats:?}")
    };
    assert_eq!((&*a.broker, &*b.broker), ("a", "b"));
    assert_eq!((a.failures, a.retries, a.latency.count), (1, 0, 0));
    assert_eq!((b.failures, b.retries), (0, 1));
    assert_eq!(b.latency.count, confirmed_by_b + 1);
    assert_eq!(b.latency.max, 50 * MS);
    assert_eq!(b.p99, 50 * MS, "never above the longest");
    assert!(a.reachable && a.isolated_until.is_none());
}
