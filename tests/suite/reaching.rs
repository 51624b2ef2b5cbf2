//! Servers that are dialled elsewhere than they say: the address map and VIP ports (PROTOCOL C.6, I 35).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_engine::{AddressMap, Certainty, Config, Endpoint, Event};

use super::support::{
    PATIENCE, assert_says, assert_works, cluster, eventually, message, producer_with, within,
};
use super::{Events, Harness, Producer};

const NOWHERE: &str = "name-server.invalid:9876";

pub(crate) fn servers_are_dialled_where_the_table_says<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let server = endpoint(&cluster.name_server(0).addr().to_string());
    let table = AddressMap::table([(endpoint(NOWHERE), server.clone())]);
    let producer = harness.start("suite", NOWHERE, |config| config.address_map = Some(table));
    let producer = producer.unwrap();
    let mut events = producer.events();
    assert_works(&producer, &cluster);
    let mut seen = std::iter::from_fn(|| events.next_within(PATIENCE));
    let named = seen.find_map(|event| match event {
        Event::Connected { address, mapped } if address.as_str() == NOWHERE => Some(mapped),
        _ => None,
    });
    assert_eq!(named, Some(Some(server)));
}

pub(crate) fn an_error_names_what_was_said_and_what_was_dialled<H: Harness>() {
    let harness = H::new();
    let table = AddressMap::table([(endpoint(NOWHERE), endpoint("127.0.0.1:1"))]);
    let change = |config: &mut Config| config.address_map = Some(table);
    let producer = harness.start("suite", NOWHERE, change).unwrap();
    let error = producer.send(message("nowhere")).unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &[NOWHERE, "127.0.0.1:1", "refused"]);
}

pub(crate) fn a_map_that_panics_is_an_error_that_says_so<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let panics = Arc::new(Mutex::new(true));
    let asked = panics.clone();
    let map = AddressMap::by(move |_| {
        let panics = *asked.lock().unwrap();
        assert!(!panics, "as this test wants");
        None
    });
    let producer = producer_with(&harness, &cluster, |config| config.address_map = Some(map));
    let error = within(Duration::from_secs(3), || producer.send(message("nowhere")));
    assert_says(&error.unwrap_err(), &["the address map panicked"]);
    *panics.lock().unwrap() = false;
    assert_works(&producer, &cluster);
}

/// The test's broker has no VIP port; the map leads from there to its own.
pub(crate) fn sends_go_to_the_vip_port_and_heartbeats_do_not<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let plain = cluster.broker(0).addr();
    let vip = format!("{}:{}", plain.ip(), plain.port() - 2);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, from, to) = (asked.clone(), vip.clone(), endpoint(&plain.to_string()));
    let map = AddressMap::by(move |address| {
        seen.lock().unwrap().push(address.to_string());
        (address.as_str() == from).then(|| to.clone())
    });
    let producer = producer_with(&harness, &cluster, |config| {
        config.vip_channel = true;
        config.address_map = Some(map);
        config.heartbeat_interval = Duration::from_millis(200);
    });
    assert_works(&producer, &cluster);
    assert!(asked.lock().unwrap().contains(&vip));
    assert!(!asked.lock().unwrap().contains(&plain.to_string()));
    eventually("the heartbeat goes to the plain port", || {
        asked.lock().unwrap().contains(&plain.to_string())
    });
    cluster.broker(0).close_connections();
    assert_works(&producer, &cluster);
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::new(text).unwrap()
}
