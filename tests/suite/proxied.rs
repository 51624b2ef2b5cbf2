//! Connections through a SOCKS5 proxy (PROTOCOL H.4).

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use rocketmq_engine::{
    AttemptFailure, Certainty, Config, DialError, Endpoint, Event, ProxyFailure, ProxyRule,
};
use rocketmq_testkit::{Cluster, SocksProxy};

use super::support::{
    PATIENCE, assert_says, assert_works, cluster, is_at_rest, message, producer_with, within,
};
use super::{Events, Harness, Pending, Producer};

const EVERYWHERE: &str = "0.0.0.0/0";
/// The budget of a send that must fail.
const BUDGET: Duration = Duration::from_secs(3);

pub(crate) fn every_connection_of_a_range_goes_through_the_proxy<H: Harness>() {
    for range in [EVERYWHERE, "127.0.0.0/8"] {
        let cluster = cluster(1);
        let proxy = SocksProxy::start().unwrap();
        let harness = H::new();
        let producer = producer_with(&harness, &cluster, through(&[rule(range, &proxy)]));
        assert_works(&producer, &cluster);
        assert_eq!(proxy.targets(), addresses(&cluster));
        cluster.broker(0).restart().unwrap();
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn connections_outside_the_range_go_directly<H: Harness>() {
    let cluster = cluster(1);
    let proxy = SocksProxy::start().unwrap();
    let elsewhere = rule("10.0.0.0/8", &proxy);
    let harness = H::new();
    assert_works(
        &producer_with(&harness, &cluster, through(&[elsewhere])),
        &cluster,
    );
    assert!(proxy.targets().is_empty());
}

pub(crate) fn the_first_range_that_matches_counts<H: Harness>() {
    let cluster = cluster(1);
    let (first, second) = (SocksProxy::start().unwrap(), SocksProxy::start().unwrap());
    let rules = [rule("127.0.0.0/8", &first), rule(EVERYWHERE, &second)];
    let harness = H::new();
    assert_works(
        &producer_with(&harness, &cluster, through(&rules)),
        &cluster,
    );
    assert_eq!(first.targets().len(), 2);
    assert!(second.targets().is_empty());
}

pub(crate) fn the_proxy_looks_up_host_names<H: Harness>() {
    let cluster = cluster(1);
    let name_server = cluster.name_server(0).addr();
    let proxy = SocksProxy::builder()
        .name("only-the-proxy-knows.test", name_server)
        .start()
        .unwrap();
    let harness = H::new();
    let name_servers = "only-the-proxy-knows.test:9876";
    let rules = [rule(EVERYWHERE, &proxy)];
    let producer = harness.start("suite", name_servers, through(&rules));
    assert_works(&producer.unwrap(), &cluster);
    assert_eq!(proxy.targets()[0], name_servers);
}

pub(crate) fn user_and_password_are_given_and_checked<H: Harness>() {
    let cluster = cluster(1);
    let proxy = SocksProxy::builder().credentials("me", "secret");
    let proxy = proxy.start().unwrap();
    let rule = |password| {
        let rule = rule(EVERYWHERE, &proxy);
        rule.with_credentials("me", password).unwrap()
    };
    let harness = H::new();
    let right = producer_with(&harness, &cluster, through(&[rule("secret")]));
    assert_works(&right, &cluster);

    let wrong = producer_with(&harness, &cluster, through(&[rule("guess")]));
    let error = within(BUDGET, || wrong.send(message("lost"))).unwrap_err();
    assert_says(&error, &["does not accept user and password"]);
}

pub(crate) fn a_proxy_that_wants_a_password_says_so<H: Harness>() {
    let cluster = cluster(1);
    let proxy = SocksProxy::builder().credentials("me", "secret");
    let proxy = proxy.start().unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, through(&[rule(EVERYWHERE, &proxy)]));
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &["identification that is not configured"]);
}

pub(crate) fn a_target_that_the_proxy_refuses_is_an_error_until_it_is_not<H: Harness>() {
    let cluster = cluster(1);
    let proxy = SocksProxy::start().unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, through(&[rule(EVERYWHERE, &proxy)]));
    for (code, words) in [(2, "its rules forbid it"), (5, "connection refused")] {
        assert_works(&producer, &cluster);
        proxy.refuse(Some(code));
        cut(&producer, &proxy, &cluster);
        let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
        assert_says(&error, &["the proxy could not connect", words]);
        assert_eq!(error.certainty(), Certainty::NotSent, "{error:?}");
        let last = error.attempts().last().unwrap();
        assert_eq!(
            failure_of(&last.cause),
            Some(ProxyFailure::Refused(code)),
            "{error:?}"
        );
        assert!(is_at_rest(&producer), "{:?}", producer.stats());
        proxy.refuse(None);
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn a_dead_proxy_is_an_error_that_names_it<H: Harness>() {
    let cluster = cluster(1);
    let dead = SocksProxy::start().unwrap().addr();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, through(&[rule_at(EVERYWHERE, dead)]));
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &["the proxy cannot be reached"]);
}

pub(crate) fn a_proxy_that_never_answers_is_given_up_in_time<H: Harness>() {
    let cluster = cluster(1);
    // It listens, and nobody accepts.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let rule = rule_at(EVERYWHERE, silent.local_addr().unwrap());
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.connect_timeout = Duration::from_millis(300);
        through(&[rule])(config);
    });
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &["the proxy did not connect us in time"]);
}

pub(crate) fn what_is_no_proxy_is_an_error_that_says_so<H: Harness>() {
    let cluster = cluster(1);
    let rows: [(&'static [u8], &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS5"),
        (b"", "the proxy closed the connection"),
    ];
    for (answer, words) in rows {
        let rule = rule_at(EVERYWHERE, answering(answer));
        let harness = H::new();
        let producer = producer_with(&harness, &cluster, through(&[rule]));
        let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
        assert_says(&error, &[words]);
    }
}

/// A proxy that others wrote, when `tests/scripts/real-proxy.sh` runs one.
pub(crate) fn a_real_proxy_connects_us_if_there_is_one<H: Harness>() {
    let Ok(address) = env::var("ROCKETMQ_SOCKS") else {
        println!(
            "left out: no ROCKETMQ_SOCKS in the environment; run it through \
             tests/scripts/real-proxy.sh"
        );
        return;
    };
    let credentials = ["ROCKETMQ_SOCKS_USER", "ROCKETMQ_SOCKS_PASSWORD"];
    let [user, password] = credentials.map(|name| env::var(name).unwrap());
    let rule = |password| {
        let rule = rule_at(EVERYWHERE, address.parse().unwrap());
        rule.with_credentials(&user, password).unwrap()
    };
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, through(&[rule(&password)]));
    assert_works(&producer, &cluster);
    let pending: Vec<_> = (0..1000)
        .map(|at| producer.enqueue(message(format!("one of many {at}"))))
        .collect();
    for pending in pending {
        pending.unwrap().wait().unwrap();
    }

    cluster.broker(0).stop();
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(
        &error,
        &["the proxy could not connect", "connection refused"],
    );
    cluster.broker(0).restart().unwrap();
    assert_works(&producer, &cluster);

    let wrong = producer_with(&harness, &cluster, through(&[rule("guess")]));
    let error = within(BUDGET, || wrong.send(message("lost"))).unwrap_err();
    assert_says(&error, &["does not accept user and password"]);
}

/// Cuts all connections; the producer knows it when this returns.
pub(crate) fn cut<P: Producer>(producer: &P, proxy: &SocksProxy, cluster: &Cluster) {
    let mut events = producer.events();
    let broker = cluster.broker(0).addr().to_string();
    proxy.close_connections();
    let is_over = |event: Event| matches!(event, Event::Disconnected { address, .. } if address.as_str() == broker);
    while !is_over(events.next_within(PATIENCE).unwrap()) {}
}

fn failure_of(cause: &AttemptFailure) -> Option<ProxyFailure> {
    match cause {
        AttemptFailure::Connect(DialError::Proxy(failure)) => Some(*failure),
        _ => None,
    }
}

/// A server that reads something, answers this and hangs up.
fn answering(answer: &'static [u8]) -> SocketAddr {
    use std::io::{Read, Write};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

/// In the order in which a producer gets to know them.
fn addresses(cluster: &Cluster) -> Vec<String> {
    let servers = [cluster.name_server(0).addr(), cluster.broker(0).addr()];
    servers.map(|address| address.to_string()).into()
}

pub(crate) fn rule(range: &str, proxy: &SocksProxy) -> ProxyRule {
    rule_at(range, proxy.addr())
}

pub(crate) fn rule_at(range: &str, proxy: SocketAddr) -> ProxyRule {
    let proxy = Endpoint::new(proxy.to_string()).unwrap();
    ProxyRule::new(range, proxy).unwrap()
}

pub(crate) fn through(rules: &[ProxyRule]) -> impl FnOnce(&mut Config) + use<> {
    let rules = rules.to_vec();
    |config| config.proxies = rules
}
