//! Namespaces (PROTOCOL G.6) and what else every request says of its client (B.1, E.1, E.3).

use std::thread;

use rocketmq_engine::Config;
use rocketmq_proto::{Batch, Message};

use super::support::{
    PATIENCE, TOPIC, cluster, cluster_with, eventually, message, producer_with, text,
};
use super::{Harness, Producer};

pub(crate) fn a_namespace_is_seen_by_the_servers_only<H: Harness>() {
    let wire = format!("space%{TOPIC}");
    let cluster = cluster_with(1, |builder| builder.topic(&wire, 2));
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, in_space);
    let queues = producer.publish_queues(TOPIC).unwrap();
    assert_eq!(queues.len(), 2);
    assert!(queues.iter().all(|queue| queue.topic.as_str() == TOPIC));
    let original = message("first").to(queues[0].clone());
    let receipt = producer.send(original.clone()).unwrap();
    assert_eq!(receipt.queue, queues[0]);
    assert_eq!(original.topic().as_str(), TOPIC);
    assert!(original.properties().is_empty());
    // A name that is in the namespace already is the same topic.
    let again = producer.send(Message::new(&*wire, "second")).unwrap();
    assert_eq!(again.queue.topic.as_str(), TOPIC);
    let batch = Batch::new(vec![message("third"), message("fourth")]).unwrap();
    producer.send_batch(batch).unwrap();
    let broker = cluster.broker(0);
    let stored = broker.stored(&wire);
    assert_eq!(stored.len(), 4);
    for message in &stored {
        assert_eq!(message.properties.get("INSTANCE_ID"), Some("space"));
    }
    assert!(broker.stored(TOPIC).is_empty());
    let clients = broker.clients();
    assert_eq!(clients[0].producer_groups, ["space%suite"]);
    producer.shutdown(std::time::Duration::from_secs(5));
    assert!(broker.clients().is_empty());
}

/// Who asks and who replies are in a namespace, what carries the reply is not.
pub(crate) fn replies_come_back_into_a_namespace<H: Harness>() {
    let wire = format!("space%{TOPIC}");
    let cluster = cluster_with(1, |builder| builder.topic(&wire, 2));
    let harness = H::new();
    let asking = producer_with(&harness, &cluster, in_space);
    let replying = producer_with(&harness, &cluster, |config| {
        in_space(config);
        config.client_id = "10.0.0.9@replier".into();
    });
    let asked = {
        let asking = asking.clone();
        thread::spawn(move || asking.request(message("ping"), PATIENCE))
    };
    let broker = cluster.broker(0);
    eventually("the request is stored", || !broker.stored(&wire).is_empty());
    let receipt = replying.reply(&broker.stored(&wire)[0], "pong").unwrap();
    assert_eq!(&*receipt.queue.topic, "DefaultCluster_REPLY_TOPIC");
    assert_eq!(text(&asked.join().unwrap().unwrap()), "pong");
    assert!(broker.stored("space%DefaultCluster_REPLY_TOPIC").is_empty());
}

pub(crate) fn the_second_kind_of_namespace_changes_no_name<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.namespace_v2 = Some("second".into());
        config.zone_name = Some("zone".into());
        config.zone_mode = true;
        config.stream_requests = true;
        config.unit_name = Some("unit".into());
    });
    let receipt = producer.send(message("body")).unwrap();
    assert_eq!(receipt.queue.topic.as_str(), TOPIC);
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 1);
    let expected = [
        ("ns", "second"),
        ("nsd", "true"),
        ("__ZONE_NAME", "zone"),
        ("__ZONE_MODE", "true"),
        ("ReqT", "0"),
    ];
    for server in [
        cluster.broker(0).requests(),
        cluster.name_server(0).requests(),
    ] {
        assert!(!server.is_empty());
        for seen in server {
            for (key, value) in expected {
                assert_eq!(seen.field(key), Some(value), "{seen:?}");
            }
        }
    }
    let clients = cluster.broker(0).clients();
    assert!(
        clients[0].client_id.ends_with("@unit@STREAM"),
        "{clients:?}"
    );
}

fn in_space(config: &mut Config) {
    config.namespace = Some("space".into());
}
