//! Several producers, several clusters, several threads: nothing is shared that was not meant to be.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, fs, thread};

use rocketmq_engine::SendErrorKind;
use rocketmq_proto::RequestCode;
use rocketmq_testkit::Cluster;

use super::support::{
    PATIENCE, TOPIC, assert_works, bodies, cluster, message, producer, unique_id,
};
use super::{Harness, Pending, Producer};

pub(crate) fn two_producers_in_one_process_do_not_meet<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let other_runtime = H::new();
    let first = producer(&harness, &cluster);
    let second = producer(&harness, &cluster);
    let third = producer(&other_runtime, &cluster);
    for at in 0..100 {
        for producer in [&first, &second, &third] {
            producer.send(message(at.to_string())).unwrap();
        }
    }
    let broker = cluster.broker(0);
    assert_eq!(broker.clients().len(), 3, "each is a client of its own");
    let stored = broker.stored(TOPIC);
    let ids: HashSet<_> = stored.iter().map(unique_id).collect();
    assert_eq!(ids.len(), 300, "no unique id was given twice");

    first.shutdown(PATIENCE);
    assert_eq!(broker.count(RequestCode::UNREGISTER_CLIENT), 1);
    assert_works(&second, &cluster);
    other_runtime.abort();
    assert_works(&second, &cluster);
    assert_eq!(second.stats().sent, 102);
}

pub(crate) fn producers_on_two_clusters_do_not_meet<H: Harness>() {
    let (left, right) = (cluster(1), cluster(1));
    let harness = H::new();
    let to_left = producer(&harness, &left);
    let to_right = producer(&harness, &right);
    for _ in 0..10 {
        to_left.send(message("left")).unwrap();
        to_right.send(message("right")).unwrap();
    }
    assert_eq!(bodies(&left, TOPIC), ["left"; 10]);
    assert_eq!(bodies(&right, TOPIC), ["right"; 10]);
    right.broker(0).stop();
    right.name_server(0).stop();
    assert_works(&to_left, &left);
    to_right.send(message("gone")).unwrap_err();
}

/// No process is started, and what a process has but once stays as the program wants it.
pub(crate) fn nothing_of_the_process_is_touched<H: Harness>() {
    let cluster = cluster(2);
    let before = Process::now();
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for at in 0..10 {
        producer.send(message(at.to_string())).unwrap();
    }
    assert_eq!(Process::now(), before, "while it runs");
    producer.shutdown(PATIENCE);
    harness.abort();
    assert_eq!(Process::now(), before, "after its end");
}

/// What all threads of a process share.
#[derive(Debug, Eq, PartialEq)]
struct Process {
    /// Which signals have handlers, and which are ignored.
    signals: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    children: Vec<String>,
}

impl Process {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kept = ["SigIgn", "SigCgt"];
        let signals = status
            .lines()
            .filter(|line| kept.iter().any(|name| line.starts_with(name)));
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
        let children = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
        Self {
            signals: signals.map(str::to_owned).collect(),
            environment: env::vars_os().collect(),
            folder: env::current_dir().unwrap(),
            children: children.filter(|list| !list.is_empty()).collect(),
        }
    }
}

/// Java: an explicit instance name shares one client instance (PROTOCOL E.3).
pub(crate) fn producers_of_one_client_share_its_connections<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producers = on_one_client(&harness, &cluster, &["orders", "bills"]).unwrap();
    for producer in &producers {
        producer.send(message("shared")).unwrap();
    }
    let broker = cluster.broker(0);
    let clients = broker.clients();
    assert_eq!(clients.len(), 1, "one client for both: {clients:?}");
    let mut groups = clients[0].producer_groups.clone();
    groups.sort();
    assert_eq!(groups, ["bills", "orders"]);
    assert_eq!(
        producers[0].stats().connections,
        2,
        "name server and broker"
    );
}

pub(crate) fn the_last_producer_of_a_client_closes_its_connections<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let mut producers = on_one_client(&harness, &cluster, &["orders", "bills"]).unwrap();
    for producer in &producers {
        producer.send(message("shared")).unwrap();
    }
    let broker = cluster.broker(0);
    let (first, second) = (producers.remove(0), producers.remove(0));
    first.shutdown(PATIENCE);
    let error = first.send(message("too late")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    assert_eq!(broker.count(RequestCode::UNREGISTER_CLIENT), 1);
    assert_eq!(
        broker.clients()[0].producer_groups,
        ["bills"],
        "its fellow is still there"
    );
    second.send(message("goes on")).unwrap();
    second.shutdown(PATIENCE);
    assert_eq!(broker.count(RequestCode::UNREGISTER_CLIENT), 2);
    assert_eq!(second.stats().connections, 0);
}

pub(crate) fn a_group_has_one_producer_on_a_client<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let refused = on_one_client(&harness, &cluster, &["orders", "orders"]).map(drop);
    let error = refused.unwrap_err();
    assert!(error.contains("group = orders"), "{error}");
    assert!(error.contains("has been created before"), "{error}");
}

fn on_one_client<H: Harness>(
    harness: &H,
    cluster: &Cluster,
    groups: &[&str],
) -> Result<Vec<H::Producer>, String> {
    harness.start_on_one_client(groups, &cluster.name_server_list())
}

pub(crate) fn a_producer_is_used_from_any_thread<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let in_a_thread = |number: i32| {
        let producer = producer.clone();
        thread::spawn(move || {
            for at in 0..50 {
                let body = format!("{number}:{at}");
                producer.begin(message(body)).wait().unwrap();
            }
        })
    };
    let threads: Vec<_> = (0..8).map(in_a_thread).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let stored: HashSet<_> = bodies(&cluster, TOPIC).into_iter().collect();
    assert_eq!(stored.len(), 400);
}
