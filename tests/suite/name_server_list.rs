//! The list of name servers, replaced while the producer runs (PROTOCOL E.6, I 16).

use rocketmq_testkit::Cluster;

use super::support::{
    TOPIC, assert_works, cluster_with, eventually, fresh, message, producer_with,
};
use super::{Harness, Pending, Producer};

pub(crate) fn a_new_list_is_used_at_once_and_old_connections_are_closed<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let producer = first_alone(&harness, &cluster);
    assert_works(&producer, &cluster);
    let (old, new) = (cluster.name_server(0), cluster.name_server(1));
    assert_eq!((old.connections(), new.connections()), (1, 0));
    producer.set_name_servers(&new.addr().to_string()).unwrap();
    eventually("the old connection is closed", || old.connections() == 0);
    old.stop();
    assert_eq!(producer.publish_queues(&fresh("unheard")).unwrap().len(), 4);
    assert_eq!(new.connections(), 1);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_send_that_waits_for_a_silent_one_goes_on_with_the_new_list<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let (old, new) = (cluster.name_server(0), cluster.name_server(1));
    old.pause();
    let producer = first_alone(&harness, &cluster);
    let waiting = producer.begin(message("moved on"));
    eventually("the silent one is asked", || old.connections() == 1);
    producer.set_name_servers(&new.addr().to_string()).unwrap();
    assert_eq!(waiting.wait().unwrap().attempts, 1);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_wrong_list_is_refused_and_the_old_one_stays<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let producer = first_alone(&harness, &cluster);
    for (wrong, named) in [("ns-without-port", "ns-without-port"), (" ; ", "[]")] {
        let error = producer.set_name_servers(wrong).unwrap_err();
        assert_eq!((error.field, &*error.value), ("name_servers", named));
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn a_host_name_is_looked_up_at_each_connect<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let producer = first_alone(&harness, &cluster);
    let server = cluster.name_server(0);
    let named = format!("localhost:{}", server.addr().port());
    producer.set_name_servers(&named).unwrap();
    for _ in 0..2 {
        let queues = producer.publish_queues(TOPIC).unwrap();
        assert_eq!(queues.len(), 4);
        assert_eq!(producer.publish_queues(&fresh("unheard")).unwrap().len(), 4);
        server.close_connections();
        eventually("it is cut", || server.connections() == 0);
    }
}

fn two_name_servers() -> Cluster {
    cluster_with(1, |builder| builder.name_servers(2))
}

fn first_alone<H: Harness>(harness: &H, cluster: &Cluster) -> H::Producer {
    let first = cluster.name_server(0).addr().to_string();
    producer_with(harness, cluster, |config| {
        config
            .name_servers
            .retain(|server| server.as_str() == first);
    })
}
