//! Connections under TLS (PROTOCOL H.3): what works, and what each failure is called.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::driver::{TlsBuilder, TlsConfig};
use rocketmq_engine::{
    AttemptFailure, Certainty, CloseCause, Config, DialError, Discovery, Event, SendError,
    SendErrorKind, TlsFailure,
};
use rocketmq_proto::{Batch, Message};
use rocketmq_testkit::{
    AddressAnswer, AddressServer, Cluster, Listening, SocksProxy, Tls, TlsMode, TlsVersion,
};

use super::certificates::{Authority, Identity};
use super::proxied::{cut, rule, through};
use super::support::{
    PATIENCE, TOPIC, assert_says, assert_works, bodies, cluster_with, eventually, is_at_rest,
    message, producer, producer_with, within,
};
use super::{Events, Harness, Pending, Producer};

/// What every scenario's servers are called.
const HERE: &[&str] = &["127.0.0.1"];
/// The budget of a send that must fail.
const BUDGET: Duration = Duration::from_secs(3);
const VERSIONS: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

pub(crate) fn every_kind_of_send_gets_through<H: Harness>() {
    for version in VERSIONS {
        let authority = Authority::new("root");
        let tls = tls(&authority.server(HERE)).only(version).unwrap();
        let cluster = encrypted(2, tls.mode(TlsMode::Enforcing));
        let harness = H::new();
        let producer = producer_with(&harness, &cluster, trusting(&authority));

        let pending: Vec<_> = (0..1000)
            .map(|at| producer.enqueue(message(format!("one of many {at}"))))
            .collect();
        for pending in pending {
            pending.unwrap().wait().unwrap();
        }
        for at in 0..100 {
            let message = message(format!("oneway {at}"));
            producer.send_oneway(message).unwrap();
        }
        producer.flush();
        let batch = (0..50).map(|at| message(format!("member {at}")));
        producer
            .send_batch(Batch::new(batch.collect()).unwrap())
            .unwrap();
        eventually("all of them are stored", || {
            let mut stored = bodies(&cluster, TOPIC);
            stored.sort_unstable();
            stored.dedup();
            stored.len() == 1150
        });
        assert!(is_at_rest(&producer), "{:?}", producer.stats());
    }
}

pub(crate) fn bodies_of_four_mib_get_through<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(1, tls(&authority.server(HERE)));
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.compress_over = None;
        config.send_timeout = PATIENCE;
        trusting(&authority)(config);
    });
    // Room for the properties, which count as well.
    let size = 4 * 1024 * 1024 - 4096;
    let body = |at: u8| Bytes::from((0..size).map(|n| at ^ (n % 251) as u8).collect::<Vec<_>>());
    let pending: Vec<_> = (0..4)
        .map(|at| producer.enqueue(Message::new(TOPIC, body(at))).unwrap())
        .collect();
    for pending in pending {
        pending.wait().unwrap();
    }
    let stored = cluster.broker(0).stored(TOPIC);
    for at in 0..4 {
        assert!(stored.iter().any(|stored| stored.body == body(at)));
    }
}

pub(crate) fn name_servers_are_asked_for_in_the_clear<H: Harness>() {
    let authority = Authority::new("root");
    let tls = tls(&authority.server(HERE)).mode(TlsMode::Enforcing);
    let cluster = encrypted(1, tls);
    let list = AddressAnswer::List(cluster.name_server_list());
    let addresses = AddressServer::start(list).unwrap();
    let url = format!("http://{}/rocketmq/nsaddr", addresses.addr());
    let harness = H::new();
    let producer = harness.start("suite", "", |config| {
        config.discovery = Some(Discovery::new(&url).unwrap());
        trusting(&authority)(config);
    });
    assert_works(&producer.unwrap(), &cluster);
}

pub(crate) fn a_restarted_server_is_reached_again<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(1, tls(&authority.server(HERE)));
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, trusting(&authority));
    for _ in 0..3 {
        assert_works(&producer, &cluster);
        cluster.broker(0).restart().unwrap();
        cluster.name_server(0).restart().unwrap();
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn a_name_may_be_expected_instead_of_the_address<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(1, tls(&authority.server(&["mq.example.com"])));
    let harness = H::new();
    let named = client(&authority, |tls| tls.server_name("mq.example.com"));
    assert_works(&producer_with(&harness, &cluster, using(&named)), &cluster);

    let other = client(&authority, |tls| tls.server_name("mq.example.org"));
    let error = refused::<H>(&cluster, &other);
    assert_says(&error, &["another name"]);
}

pub(crate) fn each_wrong_certificate_has_its_own_error<H: Harness>() {
    let authority = Authority::new("root");
    let stranger = Authority::new("stranger");
    let rows = [
        (
            authority.server(&["10.9.8.7"]),
            TlsFailure::WrongName,
            "another name",
        ),
        (stranger.server(HERE), TlsFailure::UnknownRoot, "no root"),
        (
            authority.server_valid(HERE, 2001, 2002),
            TlsFailure::Expired,
            "expired",
        ),
        (
            authority.server_valid(HERE, 3001, 3002),
            TlsFailure::NotYetValid,
            "not valid yet",
        ),
    ];
    let right = tls(&authority.server(HERE));
    for (wrong, failure, words) in rows {
        let wrong = tls(&wrong);
        let cluster = encrypted(1, right.clone());
        cluster.broker(0).set_tls(Some(wrong));
        let harness = H::new();
        let producer = producer_with(&harness, &cluster, trusting(&authority));
        broker_refuses(&producer, failure, words);
        cluster.broker(0).set_tls(Some(right.clone()));
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn a_wrong_certificate_of_a_name_server_is_named_too<H: Harness>() {
    let authority = Authority::new("root");
    let stranger = Authority::new("stranger");
    let cluster = encrypted(1, tls(&stranger.server(HERE)));
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, trusting(&authority));
    let mut events = producer.events();
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NameServer, "{error:?}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &["no root", &cluster.name_server_list()]);
    let unknown = DialError::Tls(TlsFailure::UnknownRoot);
    let is_named =
        |event: &Event| matches!(event, Event::ConnectFailed { error, .. } if *error == unknown);
    assert!(next(&mut events, is_named));

    let right = tls(&authority.server(HERE));
    cluster.name_server(0).set_tls(Some(right.clone()));
    cluster.broker(0).set_tls(Some(right));
    assert_works(&producer, &cluster);
}

pub(crate) fn clients_show_a_certificate_when_they_have_to<H: Harness>() {
    let authority = Authority::new("root");
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let (known, unknown) = (clients.client("me"), strangers.client("me"));
    for version in VERSIONS {
        let open = tls(&authority.server(HERE)).only(version).unwrap();
        let strict = open.clone().client_ca(clients.pem()).unwrap();

        let right = client(&authority, |tls| {
            tls.client_certificate_pem(&*known.chain, &*known.key)
        });
        let harness = H::new();
        let cluster = encrypted(1, strict.clone());
        assert_works(&producer_with(&harness, &cluster, using(&right)), &cluster);

        let wrong = client(&authority, |tls| {
            tls.client_certificate_pem(&*unknown.chain, &*unknown.key)
        });
        let none = client(&authority, |tls| tls);
        let rows = [
            (
                wrong,
                TlsFailure::ClientCertificateRefused,
                "refuses the client certificate",
            ),
            (
                none,
                TlsFailure::ClientCertificateRequired,
                "requires a client certificate",
            ),
        ];
        for (client, failure, words) in rows {
            let cluster = encrypted(1, open.clone());
            cluster.broker(0).set_tls(Some(strict.clone()));
            let harness = H::new();
            let producer = producer_with(&harness, &cluster, using(&client));
            broker_refuses(&producer, failure, words);
            assert!(bodies(&cluster, TOPIC).is_empty());
            cluster.broker(0).set_tls(Some(open.clone()));
            assert_works(&producer, &cluster);
        }
    }
}

pub(crate) fn a_plain_server_is_an_error_that_says_so<H: Harness>() {
    let authority = Authority::new("root");
    let right = tls(&authority.server(HERE));
    let cluster = encrypted(1, right.clone());
    cluster.broker(0).set_tls(None);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, trusting(&authority));
    broker_refuses(&producer, TlsFailure::Closed, "does not speak TLS");
    cluster.broker(0).set_tls(Some(right));
    assert_works(&producer, &cluster);

    let answers = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let client = client(&authority, |tls| tls);
    let producer = harness.start("suite", &answers, using(&client)).unwrap();
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &["does not speak TLS", &answers]);
}

pub(crate) fn a_handshake_without_an_answer_ends_in_time<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(1, tls(&authority.server(HERE)));
    cluster.broker(0).listen(Listening::Silent).unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.connect_timeout = Duration::from_millis(300);
        trusting(&authority)(config);
    });
    broker_refuses(&producer, TlsFailure::TimedOut, "in time");
    cluster.broker(0).listen(Listening::Open).unwrap();
    assert_works(&producer, &cluster);
}

pub(crate) fn garbage_under_tls_ends_the_connection<H: Harness>() {
    let authority = Authority::new("root");
    let garbage = answering_for_ever(b"\x16\x03\x03\x40\x00");
    let harness = H::new();
    let client = client(&authority, |tls| tls);
    let producer = harness.start("suite", &garbage, using(&client)).unwrap();
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &["TLS", &garbage]);
}

pub(crate) fn each_mode_serves_whom_it_should<H: Harness>() {
    let authority = Authority::new("root");
    let tls = tls(&authority.server(HERE));
    let harness = H::new();
    let rows = [
        (TlsMode::Disabled, true, false),
        (TlsMode::Permissive, true, true),
        (TlsMode::Enforcing, false, true),
    ];
    for (mode, serves_plain, serves_tls) in rows {
        let cluster = encrypted(1, tls.clone().mode(mode));
        let plain = producer(&harness, &cluster);
        let secure = producer_with(&harness, &cluster, trusting(&authority));
        for (producer, is_served) in [(&plain, serves_plain), (&secure, serves_tls)] {
            if is_served {
                assert_works(producer, &cluster);
            } else {
                let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
                assert_says(&error, &["closed"]);
            }
        }
    }
}

pub(crate) fn nobody_is_trusted_unless_that_was_asked_for_by_name<H: Harness>() {
    let stranger = Authority::new("stranger");
    let wrong = stranger.server_valid(&["elsewhere"], 2001, 2002);
    let cluster = encrypted(1, tls(&wrong));
    let insecure = TlsConfig::builder()
        .dangerously_accept_any_server()
        .build()
        .unwrap();
    let harness = H::new();
    assert_works(
        &producer_with(&harness, &cluster, using(&insecure)),
        &cluster,
    );

    let authority = Authority::new("root");
    refused::<H>(&cluster, &client(&authority, |tls| tls));
}

pub(crate) fn a_broker_killed_under_load_costs_no_message<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(2, tls(&authority.server(HERE)));
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, trusting(&authority));
    let mut pending = Vec::new();
    for at in 0..2000 {
        if at == 1000 {
            cluster.broker(0).stop();
        }
        pending.push(producer.enqueue(message(format!("load {at}"))).unwrap());
    }
    for pending in pending {
        pending.wait().unwrap();
    }
    let mut stored = bodies(&cluster, TOPIC);
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), 2000);
}

pub(crate) fn a_proxy_may_be_on_the_way<H: Harness>() {
    let authority = Authority::new("root");
    let cluster = encrypted(1, tls(&authority.server(HERE)).mode(TlsMode::Enforcing));
    let proxy = SocksProxy::builder().credentials("me", "secret");
    let proxy = proxy.start().unwrap();
    let rule = rule("127.0.0.0/8", &proxy);
    let rule = rule.with_credentials("me", "secret").unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        trusting(&authority)(config);
        through(&[rule])(config);
    });
    assert_works(&producer, &cluster);
    assert_eq!(proxy.targets().len(), 2);

    let stranger = Authority::new("stranger");
    cluster.broker(0).set_tls(Some(tls(&stranger.server(HERE))));
    cut(&producer, &proxy, &cluster);
    broker_refuses(&producer, TlsFailure::UnknownRoot, "no root");
    assert!(proxy.targets().len() > 2);
}

/// Sends to the only broker, which must be refused for this reason, in time, with nothing stored.
fn broker_refuses<P: Producer>(producer: &P, failure: TlsFailure, words: &str) {
    let error = within(BUDGET, || producer.send(message("lost"))).unwrap_err();
    assert_says(&error, &[words, "broker-a"]);
    assert_eq!(error.certainty(), Certainty::NotSent, "{error:?}");
    for attempt in error.attempts() {
        assert_eq!(failure_of(&attempt.cause), Some(failure), "{error:?}");
    }
    assert!(is_at_rest(producer), "{:?}", producer.stats());
}

fn failure_of(cause: &AttemptFailure) -> Option<TlsFailure> {
    match cause {
        AttemptFailure::Connect(DialError::Tls(failure)) => Some(*failure),
        // In TLS 1.3 a server looks at our certificate when the connection already stands for us.
        AttemptFailure::Lost {
            cause: CloseCause::Tls(failure),
            ..
        } => Some(*failure),
        _ => None,
    }
}

/// The error of a send to a cluster that a client does not trust.
fn refused<H: Harness>(cluster: &Cluster, client: &TlsConfig) -> SendError {
    let harness = H::new();
    let producer = producer_with(&harness, cluster, using(client));
    within(BUDGET, || producer.send(message("lost"))).unwrap_err()
}

/// Brokers and name servers that speak TLS.
fn encrypted(brokers: usize, tls: Tls) -> Cluster {
    cluster_with(brokers, |builder| builder.tls(tls))
}

fn tls(identity: &Identity) -> Tls {
    Tls::new(&identity.chain, &identity.key).unwrap()
}

fn client(trusts: &Authority, change: impl FnOnce(TlsBuilder) -> TlsBuilder) -> TlsConfig {
    let builder = TlsConfig::builder().roots_pem(trusts.pem());
    change(builder).build().unwrap()
}

fn trusting(authority: &Authority) -> impl FnOnce(&mut Config) + use<> {
    using(&client(authority, |tls| tls))
}

fn using(tls: &TlsConfig) -> impl FnOnce(&mut Config) + use<> {
    let tls = tls.clone();
    |config| config.tls = Some(tls)
}

fn next(events: &mut impl Events, mut is_it: impl FnMut(&Event) -> bool) -> bool {
    while let Some(event) = events.next_within(PATIENCE) {
        if is_it(&event) {
            return true;
        }
    }
    false
}

/// A server that answers this to whatever it reads first.
fn answering(answer: &'static [u8]) -> String {
    serving(move |stream| {
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Write);
    })
}

/// A server that writes this again and again.
fn answering_for_ever(answer: &'static [u8]) -> String {
    serving(move |stream| while stream.write_all(answer).is_ok() {})
}

fn serving(serve: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            serve(&mut stream);
        }
    });
    address
}
