//! Static topics of 5.x: queues that keep their numbers while they move between brokers (PROTOCOL C.7).

use rocketmq_engine::{Certainty, SendErrorKind};
use rocketmq_proto::{Message, MessageQueue, ResponseCode};
use rocketmq_testkit::{Cluster, TopicConfig};

use super::support::{assert_says, cluster, is_at_rest, producer, text};
use super::{Harness, Producer};

const LOGICAL: &str = "logical";

/// Which logical queues a broker holds from now on, each as its own queue 3 less the number.
fn hold(cluster: &Cluster, broker: usize, epoch: i64, queues: &[i32]) {
    let held = queues.iter().map(|id| (*id, 3 - id));
    let config = TopicConfig::new(4).logical(3, epoch, held);
    cluster.broker(broker).create_topic(LOGICAL, config);
}

fn queue(producer: &impl Producer, id: usize) -> MessageQueue {
    producer.publish_queues(LOGICAL).unwrap()[id].clone()
}

pub(crate) fn messages_go_to_the_logical_queues_of_a_static_topic<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(2);
    hold(&cluster, 0, 1, &[0, 2]);
    hold(&cluster, 1, 1, &[1]);
    let producer = producer(&harness, &cluster);
    let queues = producer.publish_queues(LOGICAL).unwrap();
    let named: Vec<_> = queues.iter().map(|q| (&*q.broker, q.id)).collect();
    let mock = "__syslo__global__";
    assert_eq!(named, [(mock, 0), (mock, 1), (mock, 2)]);
    for (queue, holder) in queues.iter().zip([0, 1, 0]) {
        let body = format!("for {}", queue.id);
        let receipt = producer
            .send(Message::new(LOGICAL, body.clone()).to(queue.clone()))
            .unwrap();
        let holder = cluster.broker(holder);
        assert_eq!(
            (&*receipt.queue.broker, receipt.queue.id),
            (holder.name(), queue.id)
        );
        let stored = holder.stored(LOGICAL);
        let stored = stored.iter().find(|message| text(message) == body);
        assert_eq!(stored.unwrap().queue_id, 3 - queue.id);
    }
}

pub(crate) fn a_logical_queue_that_moves_is_followed<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(2);
    hold(&cluster, 0, 1, &[0, 1, 2]);
    hold(&cluster, 1, 1, &[]);
    let producer = producer(&harness, &cluster);
    let queue = queue(&producer, 1);
    producer
        .send(Message::new(LOGICAL, "before").to(queue.clone()))
        .unwrap();
    hold(&cluster, 1, 2, &[1]);
    hold(&cluster, 0, 2, &[0, 2]);
    let receipt = producer
        .send(Message::new(LOGICAL, "after").to(queue))
        .unwrap();
    assert_eq!((receipt.attempts, receipt.queue.id), (1, 1));
    assert_eq!(&*receipt.queue.broker, cluster.broker(1).name());
    assert_eq!(text(&cluster.broker(1).stored(LOGICAL)[0]), "after");
    assert_eq!(cluster.broker(0).stored(LOGICAL).len(), 1);
}

pub(crate) fn a_logical_queue_that_stays_refused_is_an_error<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    hold(&cluster, 0, 1, &[0, 1, 2]);
    let producer = producer(&harness, &cluster);
    let queue = queue(&producer, 1);
    // The broker has given the queue up, and every name server still says that it has it.
    let name_server = cluster.name_server(0);
    let old = cluster.broker(0).with(|broker| broker.registration());
    hold(&cluster, 0, 1, &[0, 2]);
    name_server.with(|server| {
        let mut old = old;
        old.version = u64::MAX;
        server.register(old);
    });
    let error = producer
        .send(Message::new(LOGICAL, "x").to(queue))
        .unwrap_err();
    assert_eq!(error.code(), Some(ResponseCode::NOT_LEADER_FOR_QUEUE));
    let known = (error.kind(), error.certainty());
    assert_eq!(known, (SendErrorKind::Broker, Certainty::Rejected));
    assert_says(&error, &["does not exit in request process"]);
    assert!(is_at_rest(&producer));
}
