//! Servers that let only those in who sign (PROTOCOL G.5).

use std::time::Duration;

use rocketmq_engine::{Certainty, Config, SendErrorKind};
use rocketmq_proto::{Batch, Credentials, RequestCode, ResponseCode, SerializeType};
use rocketmq_testkit::{Accounts, Cluster, Flavour};

use super::support::{
    TOPIC, assert_says, assert_works, cluster_with, eventually, is_at_rest, message, producer_with,
};
use super::{Harness, Producer};

const ACCESS_KEY: &str = "suite";
const SECRET: &str = "the suite's secret";
const FLAVOURS: [Flavour; 2] = [Flavour::V4_9, Flavour::V5_3];

pub(crate) fn every_kind_of_send_is_signed_as_each_release_checks_it<H: Harness>() {
    for flavour in FLAVOURS {
        for ty in [SerializeType::Json, SerializeType::Binary] {
            let cluster = guarded(flavour);
            let harness = H::new();
            let producer = producer_with(&harness, &cluster, |config| {
                signing(SECRET)(config);
                config.serialize_type = ty;
            });
            producer.send(message("single")).unwrap();
            let batch = Batch::new(vec![message("first"), message("second")]).unwrap();
            producer.send_batch(batch).unwrap();
            producer.send(message("x".repeat(100_000))).unwrap();
            producer.send_oneway(message("oneway")).unwrap();
            let broker = cluster.broker(0);
            eventually("all of it is stored", || broker.stored(TOPIC).len() == 5);
            assert_eq!(broker.heartbeats().len(), 1, "the broker knows us");
            producer.shutdown(Duration::from_secs(5));
            let goodbyes = broker.requests();
            let goodbye = goodbyes
                .iter()
                .find(|seen| seen.code() == RequestCode::UNREGISTER_CLIENT);
            assert!(goodbye.unwrap().field("Signature").is_some());
            assert!(broker.clients().is_empty(), "the goodbye was signed, too");
        }
    }
}

pub(crate) fn bodies_of_four_mib_are_signed<H: Harness>() {
    let cluster = guarded(Flavour::V5_3);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        signing(SECRET)(config);
        config.compress_over = None;
        // A slow machine takes its time for 16 MiB; a second try would be stored as well.
        config.send_timeout = Duration::from_secs(60);
    });
    let body = |n: u8| vec![b'a' + n; 4 * 1024 * 1024];
    let messages = (0..4).map(|n| rocketmq_proto::Message::new(TOPIC, body(n)));
    for sent in producer.send_at_once(messages.collect()) {
        sent.unwrap();
    }
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 4);
    assert!(is_at_rest(&producer));
}

pub(crate) fn a_try_on_another_broker_is_signed_anew<H: Harness>() {
    let cluster = cluster_with(2, |builder| builder.account(ACCESS_KEY, SECRET));
    let busy = rocketmq_testkit::Fault::Answer {
        code: ResponseCode::SYSTEM_BUSY,
        remark: None,
    };
    let rule = rocketmq_testkit::FaultRule::new(busy).sends();
    cluster.broker(0).inject(rule).unwrap();
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, signing(SECRET));
    // So many in a row begin on each of the two brokers, with four queues each.
    let tries: Vec<_> = (0..8)
        .map(|n| producer.send(message(n.to_string())).unwrap().attempts)
        .collect();
    assert!(tries.contains(&2), "{tries:?}");
    assert_eq!(cluster.broker(1).stored(TOPIC).len(), 8);
}

pub(crate) fn whoever_signs_wrongly_is_denied_at_once_by_the_broker<H: Harness>() {
    for flavour in FLAVOURS {
        let cluster = guarded(flavour);
        // Name servers of 4.9 let everybody ask.
        cluster
            .name_server(0)
            .with(|server| server.set_accounts(Accounts::new()));
        let wrong_key = (signing("another secret"), "ignature failed");
        let unknown = (known_as("stranger"), "stranger");
        for (credentials, words) in [wrong_key, unknown] {
            let harness = H::new();
            let producer = producer_with(&harness, &cluster, credentials);
            let error = producer.send(message("denied")).unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::Denied);
            assert_eq!(error.certainty(), Certainty::Rejected);
            assert_eq!(error.attempts().len(), 1, "{error:?}");
            assert!(!error.is_retryable());
            assert_says(&error, &[words]);
            assert!(is_at_rest(&producer));
        }
        let harness = H::new();
        let error = producer_with(&harness, &cluster, |_| {}).send(message("unsigned"));
        assert_eq!(error.unwrap_err().kind(), SendErrorKind::Denied);
        assert!(cluster.broker(0).stored(TOPIC).is_empty());
        assert_works(
            &producer_with(&harness, &cluster, signing(SECRET)),
            &cluster,
        );
    }
}

pub(crate) fn whoever_signs_wrongly_is_denied_by_the_name_server<H: Harness>() {
    let cluster = guarded(Flavour::V5_3);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, known_as("stranger"));
    let error = producer.send(message("denied")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Denied);
    assert_eq!(error.certainty(), Certainty::NotSent);
    let address = cluster.name_server(0).addr().to_string();
    assert_says(&error, &["stranger", &address]);
}

pub(crate) fn temporary_credentials_send_their_token<H: Harness>() {
    let cluster = guarded(Flavour::V4_9);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        let credentials = Credentials::new(ACCESS_KEY, SECRET).with_security_token("a token");
        config.credentials = Some(credentials);
    });
    assert_works(&producer, &cluster);
    for seen in cluster.broker(0).requests() {
        assert_eq!(seen.field("SecurityToken"), Some("a token"));
    }
}

fn guarded(flavour: Flavour) -> Cluster {
    cluster_with(1, |builder| {
        builder.flavour(flavour).account(ACCESS_KEY, SECRET)
    })
}

fn signing(secret: &'static str) -> Box<dyn FnOnce(&mut Config)> {
    Box::new(move |config| config.credentials = Some(Credentials::new(ACCESS_KEY, secret)))
}

fn known_as(access_key: &'static str) -> Box<dyn FnOnce(&mut Config)> {
    Box::new(move |config| config.credentials = Some(Credentials::new(access_key, SECRET)))
}
