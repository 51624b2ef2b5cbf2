//! Brokers that are slow or fail are passed over for a while (PROTOCOL F.2).

use std::time::Duration;

use rocketmq_engine::{Config, Event, FaultTolerance};
use rocketmq_proto::ResponseCode;
use rocketmq_testkit::{Fault, FaultRule};

use super::support::{PATIENCE, TOPIC, assert_works, cluster, message, producer, producer_with};
use super::{Events, Harness, Producer};

const SLOW: Duration = Duration::from_millis(400);

fn tolerant(config: &mut Config) {
    let mut tolerance = FaultTolerance::v5_1();
    tolerance.steps = vec![(SLOW * 3 / 4, Duration::from_secs(60))];
    config.fault_tolerance = Some(tolerance);
}

pub(crate) fn a_slow_broker_is_passed_over_and_that_is_told<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, tolerant);
    let mut events = producer.events();
    let rule = FaultRule::new(Fault::Delay(SLOW)).sends().times(1);
    cluster.broker(0).inject(rule).unwrap();
    let isolated = |event: Event| matches!(event, Event::BrokerIsolated { broker, .. } if &*broker == "broker-a");
    while cluster.broker(0).stored(TOPIC).is_empty() {
        producer.send(message("one of the first")).unwrap();
    }
    assert!(std::iter::from_fn(|| events.next_within(PATIENCE)).any(isolated));
    let before = cluster.broker(0).stored(TOPIC).len();
    for n in 0..8 {
        let receipt = producer.send(message(n.to_string())).unwrap();
        assert_eq!(&*receipt.queue.broker, "broker-b");
    }
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), before);
    let stats = producer.broker_stats();
    assert_eq!(&*stats[0].broker, "broker-a");
    assert!(stats[0].latency.max >= SLOW, "{stats:?}");
    assert!(stats[0].isolated_until.is_some() && stats[1].isolated_until.is_none());
}

pub(crate) fn with_every_broker_isolated_messages_still_go_out<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    for tolerance in [FaultTolerance::v4_9(), FaultTolerance::v5_1()] {
        let producer = producer_with(&harness, &cluster, |config| {
            config.fault_tolerance = Some(tolerance);
        });
        refuse_all(&cluster, ResponseCode::SYSTEM_ERROR);
        producer.send(message("refused by all")).unwrap_err();
        cluster.brokers().iter().for_each(|b| b.clear_faults());
        let stats = producer.broker_stats();
        assert!(
            stats.iter().all(|s| s.isolated_until.is_some()),
            "{stats:?}"
        );
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn a_broker_that_failed_is_probed_and_told_to_be_back<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        let mut tolerance = FaultTolerance::v5_1();
        // Only the note that it cannot be reached counts.
        tolerance.steps.clear();
        config.fault_tolerance = Some(tolerance);
    });
    let mut events = producer.events();
    refuse_all(&cluster, ResponseCode::SYSTEM_ERROR);
    producer.send(message("refused")).unwrap_err();
    assert!(!producer.broker_stats()[0].reachable);
    let back = |event: Event| matches!(event, Event::BrokerReachable { .. });
    assert!(std::iter::from_fn(|| events.next_within(PATIENCE)).any(back));
    assert!(producer.broker_stats()[0].reachable);
}

pub(crate) fn each_broker_has_numbers_of_its_own<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    refuse_all(&cluster, ResponseCode::SYSTEM_ERROR);
    cluster.broker(1).clear_faults();
    for n in 0..8 {
        producer.send(message(n.to_string())).unwrap();
    }
    let stats = producer.broker_stats();
    let [a, b] = &stats[..] else {
        panic!("{stats:?}")
    };
    assert_eq!((&*a.broker, &*b.broker), ("broker-a", "broker-b"));
    assert_eq!((a.latency.count, b.latency.count), (0, 8));
    assert!(a.failures > 0 && a.failures == b.retries, "{stats:?}");
    assert!(b.p50 <= b.p99 && b.p99 <= b.latency.max, "{stats:?}");
    assert_eq!(producer.stats().retries, b.retries);
}

fn refuse_all(cluster: &rocketmq_testkit::Cluster, code: ResponseCode) {
    for broker in cluster.brokers() {
        let rule = FaultRule::new(Fault::Answer {
            code,
            remark: Some("no, thank you".to_owned()),
        });
        broker.inject(rule.sends()).unwrap();
    }
}
