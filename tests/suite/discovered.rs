//! Name servers that are asked for over HTTP (PROTOCOL H.1, H.2).

use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::{Certainty, Config, Discovery, SendErrorKind};
use rocketmq_testkit::{AddressAnswer, AddressServer, Cluster};

use super::support::{assert_says, assert_works, cluster, eventually, message, within};
use super::{Harness, Producer};

const BUDGET: Duration = Duration::from_secs(3);

pub(crate) fn the_first_send_finds_the_name_servers_by_itself<H: Harness>() {
    let (cluster, addresses) = servers();
    addresses.answer(AddressAnswer::List(cluster.name_server_list() + "\n"));
    let harness = H::new();
    let producer = start(&harness, &addresses, |_| {});
    assert_eq!(
        addresses.questions().len(),
        0,
        "nothing is asked at the start"
    );
    within(BUDGET, || producer.send(message("found"))).unwrap();
    assert_works(&producer, &cluster);
    let questions = addresses.questions();
    assert_eq!(questions.len(), 1);
    let [question] = &questions[..] else { return };
    assert!(
        question.starts_with("GET /rocketmq/nsaddr HTTP/1.0\r\n"),
        "{question}"
    );
    assert!(
        question.contains("\r\nClient-Version: V5_3_3\r\n"),
        "{question}"
    );
    eventually("its connection is closed", || addresses.connections() == 0);
}

pub(crate) fn a_list_that_changes_is_followed<H: Harness>() {
    let (first, addresses) = servers();
    let second = cluster(1);
    addresses.answer(AddressAnswer::List(first.name_server_list()));
    let harness = H::new();
    let producer = start(&harness, &addresses, |discovery| {
        discovery.interval = Duration::from_millis(100);
    });
    assert_works(&producer, &first);
    addresses.answer(AddressAnswer::Raw("HTTP/1.0 500 Trouble\r\n\r\n".into()));
    let asked = addresses.questions().len();
    eventually("it was asked in vain", || {
        addresses.questions().len() > asked + 2
    });
    assert_works(&producer, &first);
    addresses.answer(AddressAnswer::List(second.name_server_list()));
    eventually("the new name server is asked", || {
        let _ = producer.publish_queues(&super::support::fresh("unheard"));
        second.name_server(0).connections() == 1 && first.name_server(0).connections() == 0
    });
}

pub(crate) fn each_wrong_answer_is_an_error_that_says_so_in_time<H: Harness>() {
    let (cluster, addresses) = servers();
    let harness = H::new();
    let raw = |text: &'static str| AddressAnswer::Raw(Bytes::from_static(text.as_bytes()));
    let huge = Bytes::from(format!("HTTP/1.0 200 OK\r\n\r\n{}", "a:1;".repeat(1 << 20)));
    let slow = Bytes::from_static(b"HTTP/1.0 200 OK\r\n\r\n127.0.0.1:1");
    let rows = [
        (raw("\0\0\0\x10what is this"), "not HTTP"),
        (raw("HTTP/1.0 200 OK\r\n\r\n"), "names no address"),
        (raw("HTTP/1.0 200 OK\r\n\r\n<html>"), "<html>"),
        (raw("HTTP/1.0 404 Not Found\r\n\r\n"), "404"),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na:1"),
            "complete",
        ),
        (AddressAnswer::Raw(huge), "longer than"),
        (
            AddressAnswer::Slow(slow, Duration::from_millis(200)),
            "no answer within",
        ),
        (AddressAnswer::Never, "no answer within"),
    ];
    for (answer, why) in rows {
        addresses.answer(answer);
        let producer = start(&harness, &addresses, |discovery| {
            discovery.timeout = Duration::from_secs(1);
        });
        let error = within(BUDGET, || producer.send(message("nowhere"))).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::NameServer, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_says(&error, &["http://127.0.0.1:", "/rocketmq/nsaddr", why]);
        addresses.answer(AddressAnswer::List(cluster.name_server_list()));
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn when_nobody_is_there_the_error_says_so_in_time<H: Harness>() {
    let (_cluster, addresses) = servers();
    let url = url(&addresses);
    drop(addresses);
    let harness = H::new();
    let change = |config: &mut Config| config.discovery = Some(Discovery::new(&url).unwrap());
    let producer = harness.start("suite", "", change).unwrap();
    let error = within(BUDGET, || producer.send(message("nowhere"))).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NameServer);
    assert_says(&error, &[&url, "connecting failed", "refused"]);
}

pub(crate) fn without_name_servers_and_discovery_there_is_no_producer<H: Harness>() {
    let error = H::new().start("suite", "", |_| {}).err().unwrap();
    for word in ["name_servers", "discovery"] {
        assert!(error.contains(word), "{error}");
    }
}

fn servers() -> (Cluster, AddressServer) {
    let addresses = AddressServer::start(AddressAnswer::Never).unwrap();
    (cluster(1), addresses)
}

fn url(addresses: &AddressServer) -> String {
    format!("http://{}/rocketmq/nsaddr", addresses.addr())
}

fn start<H: Harness>(
    harness: &H,
    addresses: &AddressServer,
    change: impl FnOnce(&mut Discovery),
) -> H::Producer {
    let mut discovery = Discovery::new(&url(addresses)).unwrap();
    change(&mut discovery);
    harness
        .start("suite", "", |config| config.discovery = Some(discovery))
        .unwrap()
}
