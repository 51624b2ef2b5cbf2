//! Name servers that fail, alone and together (PROTOCOL E.6).

use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::{Certainty, SendErrorKind};
use rocketmq_proto::ResponseCode;
use rocketmq_testkit::{Cluster, Fault, FaultRule, Handle, Listening, NameServer};

use super::support::{
    TOPIC, assert_says, assert_works, cluster_with, message, producer, producer_with, within,
};
use super::{Harness, Producer};

const BUDGET: Duration = Duration::from_secs(3);
/// Producers ask in an order of their own: so many try both of two orders all but surely.
const PRODUCERS: usize = 7;

pub(crate) fn one_that_refuses_is_passed_over<H: Harness>() {
    with_one_bad::<H>(BUDGET, |server| server.listen(Listening::Refuse).unwrap());
}

pub(crate) fn one_that_never_answers_is_passed_over<H: Harness>() {
    with_one_bad::<H>(BUDGET, |server| server.listen(Listening::Silent).unwrap());
}

pub(crate) fn one_that_never_answers_is_passed_over_within_a_short_budget<H: Harness>() {
    with_one_bad::<H>(Duration::from_millis(600), |server| server.pause());
}

pub(crate) fn one_that_answers_garbage_is_passed_over<H: Harness>() {
    let garbage = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    with_one_bad::<H>(BUDGET, |server| inject(server, Fault::Garbage(garbage)));
}

pub(crate) fn one_that_claims_two_gib_is_passed_over<H: Harness>() {
    with_one_bad::<H>(BUDGET, |server| inject(server, Fault::OversizedFrame));
}

pub(crate) fn one_that_answers_errors_is_passed_over<H: Harness>() {
    let code = ResponseCode::SYSTEM_ERROR;
    let remark = Some("name server not ready".to_owned());
    with_one_bad::<H>(BUDGET, |server| {
        inject(server, Fault::Answer { code, remark });
    });
}

/// Two name servers, one of them bad: every producer gets through, whichever it asks first.
fn with_one_bad<H: Harness>(budget: Duration, spoil: impl FnOnce(&Handle<NameServer>)) {
    let cluster = two_name_servers();
    spoil(&cluster.name_server(0));
    let harness = H::new();
    for _ in 0..PRODUCERS {
        let producer = producer_with(&harness, &cluster, |config| config.send_timeout = budget);
        let receipt = within(budget, || producer.send(message("found its way")));
        assert_eq!(receipt.unwrap().attempts, 1);
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn when_all_refuse_the_error_names_them_in_time<H: Harness>() {
    let cluster = two_name_servers();
    all_listen(&cluster, Listening::Refuse);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let by_send = within(BUDGET, || producer.send(message("nowhere"))).unwrap_err();
    let by_oneway = producer.send_oneway(message("nowhere")).unwrap_err();
    let by_queues = producer.publish_queues(TOPIC).unwrap_err();
    let by_ready = producer.ready(TOPIC).unwrap_err();
    for error in [by_send, by_oneway, by_queues, by_ready] {
        assert_eq!(error.kind(), SendErrorKind::NameServer, "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(error.is_retryable());
        for server in cluster.name_servers() {
            assert_says(&error, &[&server.to_string(), "refused", TOPIC]);
        }
    }
}

pub(crate) fn when_none_answers_the_error_names_them_in_time<H: Harness>() {
    let cluster = two_name_servers();
    all_listen(&cluster, Listening::Silent);
    let harness = H::new();
    let budget = Duration::from_millis(900);
    let producer = producer_with(&harness, &cluster, |config| config.send_timeout = budget);
    let error = within(budget, || producer.send(message("nowhere"))).unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.is_retryable());
    for server in cluster.name_servers() {
        assert_says(&error, &[&server.to_string(), TOPIC]);
    }
}

pub(crate) fn when_they_come_back_everything_works_again<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for away in [Listening::Refuse, Listening::Silent] {
        all_listen(&cluster, away);
        for server in 0..2 {
            cluster.name_server(server).close_connections();
        }
        let topic = super::support::fresh("unknown");
        producer.publish_queues(&topic).unwrap_err();
        all_listen(&cluster, Listening::Open);
        assert_eq!(producer.publish_queues(&topic).unwrap().len(), 4);
        assert_works(&producer, &cluster);
    }
}

pub(crate) fn a_known_route_outlives_them<H: Harness>() {
    let cluster = two_name_servers();
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    producer.send(message("warm")).unwrap();
    cluster.name_server(0).stop();
    cluster.name_server(1).stop();
    for _ in 0..20 {
        assert_works(&producer, &cluster);
    }
}

fn two_name_servers() -> Cluster {
    cluster_with(1, |builder| builder.name_servers(2))
}

fn all_listen(cluster: &Cluster, how: Listening) {
    for server in 0..2 {
        cluster.name_server(server).listen(how).unwrap();
    }
}

fn inject(server: &Handle<NameServer>, fault: Fault) {
    server.inject(FaultRule::new(fault)).unwrap();
}
