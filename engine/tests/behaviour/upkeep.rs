//! What changes by itself: routes, topics that nobody uses, clocks that jump (PROTOCOL C.5, I 18, I 39).

use std::time::Duration;

use rocketmq_engine::proto::{Message, RequestCode, ResponseCode};
use rocketmq_engine::{Outcome, SendStatus, ShutdownReport};

use crate::rig::{HOUR, Rig, Sent, message, route};

const ASK: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;

/// The questions for routes that nobody has looked at: topic and frame.
fn questions(rig: &mut Rig) -> Vec<(String, Sent)> {
    let asked = rig.frames().filter(|sent| sent.command.code == ASK.0);
    let asked = asked.map(|sent| (sent.field("topic").to_owned(), sent.clone()));
    let asked = asked.collect();
    rig.forget_frames();
    asked
}

/// Sends one message to each topic and learns its route.
fn learn(rig: &mut Rig, topics: &[&'static str]) {
    for topic in topics {
        let op = rig.send(Message::new(*topic, "x"));
        for (_, question) in questions(rig) {
            rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
        }
        let sent = rig.next_send().expect("a frame");
        rig.confirm(&sent);
        rig.receipt(op);
    }
    rig.forget_frames();
}

#[test]
fn a_topic_that_nobody_uses_is_asked_for_no_more() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.forget_topic_after = Duration::from_secs(70);
    });
    learn(&mut rig, &["U"]);
    let mut asked = Vec::new();
    for poll in 1..=4 {
        rig.run_to(poll * 30_000 - 1);
        let op = rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        rig.confirm(&sent);
        rig.receipt(op);
        rig.forget_frames();
        rig.run_to(poll * 30_000);
        let questions = questions(&mut rig);
        let mut topics: Vec<_> = questions.iter().map(|(topic, _)| topic.clone()).collect();
        topics.sort_unstable();
        asked.push(topics.concat());
        for (_, question) in questions {
            rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a"], 1));
        }
    }
    assert_eq!(asked, ["TU", "TU", "T", "T"]);
    assert_eq!(rig.engine.stats().topics, 1);
}

/// Found by review: it kept itself in use with each answer, and led to those of other clusters.
#[test]
fn a_topic_of_replies_is_asked_for_no_more_when_its_requests_are_over() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.forget_topic_after = Duration::from_secs(70);
    });
    // Answers all that is asked, and says for which topics that was.
    let serve = |rig: &mut Rig| {
        let mut topics = Vec::new();
        loop {
            let next = rig
                .frames()
                .next()
                .map(|sent| (sent.conn, sent.command.code));
            let Some((conn, code)) = next else {
                return topics;
            };
            let sent = rig.frame(conn, RequestCode(code));
            if code != ASK.0 {
                rig.answer(&sent, ResponseCode::SUCCESS, "");
                continue;
            }
            let topic = sent.field("topic").to_owned();
            let mut route = route(&["a"], 1);
            if topic == "c_REPLY_TOPIC" {
                route = route.replace(r#""cluster":"c""#, r#""cluster":"d""#);
            }
            rig.answer_body(&sent, ResponseCode::SUCCESS, route);
            topics.push(topic);
        }
    };
    rig.request(message("ping"), 1_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    assert_eq!(serve(&mut rig), ["c_REPLY_TOPIC"]);
    assert_eq!(rig.engine.stats().topics, 2);
    let polls: Vec<_> = (1..=10)
        .map(|poll| {
            rig.run_to(poll * 30_000);
            serve(&mut rig)
        })
        .collect();
    let both = ["T", "c_REPLY_TOPIC"];
    assert_eq!(polls[0], both);
    let last = polls.iter().rposition(|topics| !topics.is_empty());
    assert!(last.is_some_and(|last| last < 6), "{polls:?}");
    assert!(polls.concat().iter().all(|topic| both.contains(&&**topic)));
    assert_eq!(rig.engine.stats().topics, 0);
}

#[test]
fn one_topics_error_does_not_stop_the_poll_of_the_others() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    learn(&mut rig, &["U", "V"]);
    rig.run_to(30_000);
    let first = questions(&mut rig);
    assert_eq!(first.len(), 3);
    // The first fails; the others are answered, and bring a second queue.
    for (place, (_, question)) in first.iter().enumerate() {
        match place {
            0 => rig.answer(question, ResponseCode::SYSTEM_ERROR, "trouble"),
            _ => rig.answer_body(question, ResponseCode::SUCCESS, route(&["a"], 2)),
        }
    }
    let changed = rig.events.iter().filter(|event| {
        matches!(
            event,
            rocketmq_engine::Event::RouteChanged { queues: 2, .. }
        )
    });
    assert_eq!(changed.count(), 2);
    rig.forget_frames();
    rig.run_to(60_000);
    let mut again: Vec<_> = questions(&mut rig).into_iter().map(|(t, _)| t).collect();
    again.sort_unstable();
    assert_eq!(
        again.concat(),
        "TUV",
        "the failed one is asked for again as well"
    );
}

#[test]
fn a_retry_follows_a_route_that_changed_since_its_first_try() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.poll_interval = Duration::from_millis(500);
    });
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    assert_eq!(first.conn, conns[0]);
    rig.forget_frames();
    rig.run_to(500);
    // The topic moves to b while a is silent.
    for (_, question) in questions(&mut rig) {
        rig.answer_body(&question, ResponseCode::SUCCESS, route(&["b"], 3));
    }
    rig.run_to(1_000);
    let conn = rig.connect("b:1");
    let second = rig.next_send().unwrap();
    assert_eq!((second.conn, second.field("n")), (conn, "b"));
    rig.confirm(&second);
    assert_eq!(rig.receipt(op).attempts, 2);
}

/// One row a status other than OK (PROTOCOL E.10): tried elsewhere when asked for, and the last
/// result is kept and given in the end.
#[test]
fn each_status_that_is_not_ok_leads_to_another_broker_and_the_last_result_is_kept() {
    let rows = [
        (
            ResponseCode::FLUSH_DISK_TIMEOUT,
            SendStatus::FlushDiskTimeout,
        ),
        (
            ResponseCode::SLAVE_NOT_AVAILABLE,
            SendStatus::SlaveNotAvailable,
        ),
        (
            ResponseCode::FLUSH_SLAVE_TIMEOUT,
            SendStatus::FlushSlaveTimeout,
        ),
    ];
    for (code, status) in rows {
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| {
            config.retry_other_broker_when_not_stored = true;
            config.retries = 1;
        });
        let op = rig.send(message("x"));
        let first = rig.next_send().unwrap();
        rig.confirm_as(&first, ResponseCode::SLAVE_NOT_AVAILABLE);
        let second = rig.next_send().unwrap();
        assert_ne!(first.conn, second.conn);
        rig.confirm_as(&second, code);
        let receipt = rig.receipt(op);
        assert_eq!((receipt.status, receipt.attempts), (status, 2));
        assert_eq!(&*receipt.queue.broker, second.field("n"));

        // Not asked for: the first result is the result.
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
        let op = rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        rig.confirm_as(&sent, code);
        assert_eq!(rig.receipt(op).status, status);
    }
}

#[test]
fn an_error_after_a_status_that_was_not_ok_gives_that_result() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |config| {
        config.retry_other_broker_when_not_stored = true;
    });
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.confirm_as(&first, ResponseCode::FLUSH_DISK_TIMEOUT);
    let second = rig.next_send().unwrap();
    rig.answer(
        &second,
        ResponseCode::MESSAGE_ILLEGAL,
        "the message is illegal",
    );
    assert_eq!(rig.receipt(op).status, SendStatus::FlushDiskTimeout);
}

#[test]
fn an_hours_jump_of_the_wall_clock_changes_born_times_and_nothing_else() {
    for hours in [-1, 1] {
        let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
        let before = rig.send(message("x"));
        let first = rig.next_send().unwrap();
        rig.jump(0, hours);
        assert_eq!(rig.next_deadline(), Some(Duration::from_secs(1)));
        let after = rig.send(message("y"));
        let second = rig.next_send().unwrap();
        let born = |sent: &Sent| sent.field("g").parse::<i64>().unwrap();
        assert_eq!(born(&second) - born(&first), hours * 3_600_000);
        rig.confirm(&second);
        rig.confirm(&first);
        rig.receipt(before);
        rig.receipt(after);
    }
}

#[test]
fn an_hours_jump_ahead_of_the_other_clock_ends_what_is_overdue_and_no_more() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.flushed(sent.conn, sent.seq);
    rig.jump(1, 0);
    assert_eq!(rig.error(op).attempts().len(), 1);
    // As far ahead, everything works.
    let op = rig.send(message("y"));
    rig.run_to(100);
    let conn = rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    assert_eq!(sent.conn, conn);
    rig.confirm(&sent);
    rig.receipt(op);
}

#[test]
fn an_hours_jump_back_of_the_other_clock_loses_nothing() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    let waits = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    rig.jump(-1, 0);
    assert!(rig.outcome(waits).is_none());
    let op = rig.send(message("y"));
    let sent = rig.next_send().unwrap();
    rig.run_to(1_000);
    rig.confirm(&sent);
    rig.receipt(op);
    // Its answer still counts; and one that never comes ends when the clock is where it was.
    rig.confirm(&first);
    rig.receipt(waits);
    let late = rig.send(message("z"));
    rig.next_send().unwrap();
    rig.jump(-1, 0);
    rig.run_to(HOUR.as_millis() as u64 + 5_000);
    rig.error(late);
}

#[test]
fn a_goodbye_that_no_broker_confirms_is_over_within_a_second() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b", "c"], 1, |_| {});
    let end = rig.submit(rocketmq_engine::Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    for conn in conns {
        let bye = rig.frame(conn, RequestCode::UNREGISTER_CLIENT);
        assert_eq!(bye.field("producerGroup"), "group");
    }
    rig.run_to(1_000);
    let Some(Outcome::Shutdown(report)) = rig.outcome(end) else {
        panic!("not over");
    };
    assert_eq!(report, ShutdownReport::default());
}
