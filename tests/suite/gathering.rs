//! Sends that are gathered into batches (PROTOCOL D.8, auto-batching).

use std::time::{Duration, Instant};

use rocketmq_engine::{AutoBatch, Config};
use rocketmq_proto::{Message, RequestCode};
use rocketmq_testkit::Cluster;

use super::support::{
    PATIENCE, Servers, TOPIC, bodies, cluster, eventually, fresh, is_at_rest, message, on_time,
    producer_with, text, unique_id,
};
use super::{Harness, Pending, Producer};

/// Longer than any test: nothing leaves by itself.
const EVER: Duration = Duration::from_secs(30);

fn lingering(linger: Duration) -> impl FnOnce(&mut Config) {
    move |config| {
        config.send_timeout = 4 * PATIENCE;
        config.auto_batch = Some(AutoBatch {
            linger,
            ..AutoBatch::default()
        });
    }
}

fn batches(cluster: &Cluster) -> u64 {
    let brokers = cluster.brokers().into_iter();
    brokers
        .map(|broker| broker.count(RequestCode::SEND_BATCH_MESSAGE))
        .sum()
}

pub(crate) fn each_caller_gets_the_receipt_of_its_own_message<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, lingering(Duration::from_millis(50)));
    let topic = servers.make_topic(&producer, "gathered");
    let first = producer.publish_queues(&topic).unwrap().len();
    let messages = (0..200).map(|at| Message::new(&*topic, at.to_string()).key(at.to_string()));
    let sent = producer.send_at_once(messages.collect());

    let stored = servers.read(&topic, first + 200);
    assert_eq!(sent.len(), 200);
    for (at, outcome) in sent.into_iter().enumerate() {
        let receipt = outcome.unwrap();
        let mut own = stored.iter().filter(|m| unique_id(m) == receipt.message_id);
        let own = own.next().unwrap();
        assert_eq!(text(own), at.to_string());
        assert_eq!(own.properties.get("KEYS"), Some(&*at.to_string()));
        assert_eq!(own.queue_offset, receipt.queue_offset);
        assert_eq!(own.queue_id, receipt.queue.id);
        assert_eq!(
            own.offset_message_id().to_string(),
            receipt.offset_message_id
        );
    }
    let stats = producer.stats();
    assert!(
        stats.auto_batches > 0 && stats.auto_batched > stats.auto_batches,
        "{stats:?}"
    );
    assert!(is_at_rest(&producer));
}

pub(crate) fn a_lone_message_is_held_for_the_linger_and_no_longer<H: Harness>() {
    const LINGER: Duration = Duration::from_millis(150);
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, lingering(LINGER));
    producer.ready(TOPIC).unwrap();
    on_time(LINGER, || producer.send(message("lone")).unwrap());
    assert_eq!(batches(&cluster), 0, "it leaves as it would have");
}

pub(crate) fn a_full_batch_does_not_wait<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, lingering(EVER));
    let start = Instant::now();
    let large = || message("x".repeat(3_000));
    // Eleven of them are more than 32 KiB; the last one waits.
    let deliveries: Vec<_> = (0..11)
        .map(|_| producer.enqueue(large()).unwrap())
        .collect();
    for delivery in deliveries.into_iter().take(10) {
        delivery.wait().unwrap();
    }
    assert!(start.elapsed() < EVER);
    assert_eq!(batches(&cluster), 1);
}

pub(crate) fn a_flush_sends_what_is_gathered<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, lingering(EVER));
    let deliveries: Vec<_> = (0..10)
        .map(|at: i32| producer.enqueue(message(at.to_string())).unwrap())
        .collect();
    producer.flush();
    assert_eq!(
        bodies(&cluster, TOPIC),
        (0..10).map(|at: i32| at.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(batches(&cluster), 1);
    for delivery in deliveries {
        delivery
            .wait_within(Duration::from_secs(1))
            .expect("the flush was over before")
            .unwrap();
    }
}

pub(crate) fn a_shutdown_sends_what_is_gathered<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, lingering(EVER));
    let enqueue = |at: i32| {
        producer
            .enqueue(message(at.to_string()).tag((at % 2).to_string()))
            .unwrap()
    };
    let deliveries: Vec<_> = (0..20).map(enqueue).collect();
    let report = producer.shutdown(PATIENCE);
    assert_eq!(
        (report.delivered, report.failed, report.abandoned),
        (20, 0, 0)
    );
    assert_eq!(bodies(&cluster, TOPIC).len(), 20);
    assert_eq!(batches(&cluster), 2, "one for each tag");
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
}

pub(crate) fn dropped_while_it_is_gathered_it_is_sent_all_the_same<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, lingering(Duration::from_millis(100)));
    producer.ready(TOPIC).unwrap();
    let body = fresh("dropped");
    drop(producer.enqueue(message(&*body)).unwrap());
    drop(producer.enqueue(message("beside it")).unwrap());
    eventually("both are stored", || {
        bodies(&cluster, TOPIC) == [&*body, "beside it"]
    });
    eventually("nothing is left", || is_at_rest(&producer));
}
