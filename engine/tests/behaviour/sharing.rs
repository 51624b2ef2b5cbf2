//! Several producers on one client (PROTOCOL E.3).

use std::sync::Arc;
use std::time::Duration;

use rocketmq_engine::proto::{GroupName, MessageQueue, RequestCode, TopicName};
use rocketmq_engine::{
    AttemptTimeout, Config, Input, Operation, Outcome, ProducerId, SendErrorKind,
};

use crate::rig::{Rig, message};

const BYE: RequestCode = RequestCode::UNREGISTER_CLIENT;

/// A second producer, whose settings are the first one's but for its group and number of retries.
fn join(rig: &mut Rig, group: &str, retries: u32) -> ProducerId {
    join_with(rig, group, |config| config.retries = retries)
}

fn join_with(rig: &mut Rig, group: &str, change: impl FnOnce(&mut Config)) -> ProducerId {
    let mut config = rig.config().clone();
    config.group = GroupName::new(group).unwrap();
    change(&mut config);
    let now = rig.now();
    rig.engine.join(now, Arc::new(config)).unwrap()
}

fn with(rig: &mut Rig, producer: ProducerId, operation: Operation) -> rocketmq_engine::OpId {
    let first = std::mem::replace(&mut rig.producer, producer);
    let op = rig.submit(operation);
    rig.producer = first;
    op
}

fn shutdown() -> Operation {
    let grace = Duration::from_millis(500);
    Operation::Shutdown { grace }
}

#[test]
fn a_producer_that_joins_is_made_known_to_connected_brokers_at_once() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    join(&mut rig, "second", 0);
    rig.input(Input::Tick);
    let beat = rig.frame(conns[0], RequestCode::HEART_BEAT);
    let body = String::from_utf8(beat.command.body.to_vec()).unwrap();
    assert!(body.contains("group") && body.contains("second"), "{body}");
}

#[test]
fn each_producer_has_its_own_group_and_settings() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| config.retries = 5);
    let second = join(&mut rig, "second", 0);
    let prepared = rig.prepare(message("mine"));
    let op = with(&mut rig, second, Operation::Send(prepared));
    let sent = rig.next_send().unwrap();
    assert_eq!(sent.field("a"), "second");
    rig.answer(
        &sent,
        rocketmq_engine::proto::ResponseCode::SYSTEM_ERROR,
        "no",
    );
    assert_eq!(rig.error(op).attempts().len(), 1, "it has no retries");
}

/// The client's tries share the budget, and stay with a broker that gets on; the second producer's
/// end after their own time. One row each: until when is looked, and how many copies went out by then.
#[test]
fn each_producer_has_its_own_patience_with_a_busy_broker() {
    let own = Duration::from_millis(500);
    for (is_second, until, copies) in [(false, 1_100, 1), (true, 600, 2)] {
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, |_| {});
        let second = join_with(&mut rig, "second", |config| {
            config.attempt_timeout = AttemptTimeout::At(own);
        });
        let producer = if is_second { second } else { rig.producer };
        let queue = MessageQueue::new(TopicName::new("T").unwrap(), "a", 0);
        let early = rig.prepare(message("early").to(queue.clone()));
        with(&mut rig, producer, Operation::Send(early));
        let early = rig.next_send().unwrap();
        rig.run_to(10);
        let late = rig.prepare(message("late").to(queue));
        with(&mut rig, producer, Operation::Send(late));
        rig.run_to(400);
        rig.confirm(&early);
        rig.run_to(until);
        let sent = std::iter::from_fn(|| rig.next_send()).count();
        assert_eq!(sent, copies, "second: {is_second}");
    }
}

#[test]
fn one_producer_flushes_and_leaves_without_the_other() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let second = join(&mut rig, "second", 0);
    rig.input(Input::Tick);
    rig.forget_frames();
    let op = rig.send(message("of the first"));
    let sent = rig.next_send().unwrap();
    let flush = with(&mut rig, second, Operation::Flush);
    assert!(matches!(rig.outcome(flush), Some(Outcome::Done)));

    let end = with(&mut rig, second, shutdown());
    let bye = rig.frame(conns[0], BYE);
    assert_eq!(bye.field("producerGroup"), "second");
    rig.answer(&bye, rocketmq_engine::proto::ResponseCode::SUCCESS, "");
    assert!(matches!(rig.outcome(end), Some(Outcome::Shutdown(_))));
    assert!(!rig.engine.is_closed());
    rig.confirm(&sent);
    rig.receipt(op);

    let refused = rig.prepare(message("too late"));
    let now = rig.now();
    let rejected = rig.engine.submit(now, second, Operation::Send(refused));
    assert_eq!(rejected.unwrap_err().error.kind(), SendErrorKind::Closed);
}

#[test]
fn the_last_one_out_closes_unless_the_client_is_held_open() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.engine.hold_open(true);
    let end = rig.submit(shutdown());
    let bye = rig.frame(conns[0], BYE);
    rig.answer(&bye, rocketmq_engine::proto::ResponseCode::SUCCESS, "");
    assert!(matches!(rig.outcome(end), Some(Outcome::Shutdown(_))));
    assert_eq!(rig.engine.stats().connections, 0);
    assert!(!rig.engine.is_closed());
    assert_eq!(rig.engine.next_deadline(), None, "and it is quite idle");

    let third = join(&mut rig, "third", 0);
    let prepared = rig.prepare(message("again"));
    let op = with(&mut rig, third, Operation::Send(prepared));
    rig.connect("a:1");
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    rig.receipt(op);
    rig.engine.hold_open(false);
    assert!(!rig.engine.is_closed());
    let grace = Duration::ZERO;
    with(&mut rig, third, Operation::Shutdown { grace });
    rig.run_to(2_000);
    assert!(rig.engine.is_closed());
}

#[test]
fn a_setting_of_the_client_cannot_differ_and_a_group_joins_once() {
    let mut rig = Rig::new(|_| {});
    let now = rig.now();
    let mut config = rig.config().clone();
    let taken = rig.engine.join(now, Arc::new(config.clone())).unwrap_err();
    assert_eq!(taken.field, "group");
    config.group = GroupName::new("second").unwrap();
    config.max_oneway = 7;
    let differs = rig.engine.join(now, Arc::new(config)).unwrap_err();
    assert_eq!((differs.field, &*differs.value), ("max_oneway", "7"));
}
