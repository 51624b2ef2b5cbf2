//! A try that failed is followed by another one, on another broker (PROTOCOL E.10, E.12; DESIGN 6, retry).

use rocketmq_engine::{
    AttemptFailure, AttemptTimeout, Certainty, Retry, SendErrorKind, SendStatus,
};
use rocketmq_proto::{ResponseCode, SerializeType};
use rocketmq_testkit::{Cluster, Fault, FaultRule};

use super::support::{
    TOPIC, assert_says, assert_works, bodies, cluster, is_at_rest, message, producer,
    producer_with, unique_id,
};
use super::{Harness, Producer};

/// So many sends in a row begin on each of two brokers more than once.
const ROUND: usize = 8;

pub(crate) fn each_retryable_code_leads_to_the_other_broker<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let codes = [
        ResponseCode::SYSTEM_ERROR,
        ResponseCode::SYSTEM_BUSY,
        ResponseCode::SERVICE_NOT_AVAILABLE,
        ResponseCode::NO_PERMISSION,
        ResponseCode::TOPIC_NOT_EXIST,
        ResponseCode::NO_BUYER_ID,
        ResponseCode::NOT_IN_CURRENT_UNIT,
    ];
    let mut sent = 0;
    for code in codes {
        cluster.broker(0).clear_faults();
        refuse_all(&cluster, 0, code);
        let tries = send_round(&producer, "broker-b");
        assert!(
            tries.contains(&2),
            "no send began on the bad broker: {code}"
        );
        assert!(tries.iter().all(|&tries| tries <= 2), "{code}: {tries:?}");
        sent += ROUND;
        assert_eq!(cluster.broker(1).stored(TOPIC).len(), sent, "{code}");
    }
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 0);
    assert!(is_at_rest(&producer));
}

pub(crate) fn a_code_that_is_final_ends_it<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for broker in [0, 1] {
        refuse_all(&cluster, broker, ResponseCode::MESSAGE_ILLEGAL);
    }
    let error = producer.send(message("refused")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Broker);
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert_eq!(error.code(), Some(ResponseCode::MESSAGE_ILLEGAL));
    assert_eq!(error.attempts().len(), 1);
    assert!(!error.is_retryable());
    assert_says(&error, &["MESSAGE_ILLEGAL", "sending message is forbidden"]);
    cluster.brokers().iter().for_each(|b| b.clear_faults());
    assert_works(&producer, &cluster);
}

pub(crate) fn a_reset_before_the_message_was_handled_leads_to_the_other_broker<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    fault(&cluster, 0, Fault::ResetBeforeProcessing);
    send_round(&producer, "broker-b");
    assert_eq!(bodies(&cluster, TOPIC).len(), ROUND, "no duplicates");
}

pub(crate) fn a_reset_instead_of_the_answer_leads_to_the_other_broker_with_the_same_id<
    H: Harness,
>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let rule = FaultRule::new(Fault::ResetAfterProcessing).sends().times(1);
    cluster.broker(0).inject(rule).unwrap();
    send_round_anywhere(&producer);
    // Stored by the one and, since its answer was lost, by the other: consumers can tell by the id.
    let twice = cluster.broker(0).stored(TOPIC).remove(0);
    let again = cluster.broker(1).stored(TOPIC);
    let again = again.iter().find(|m| unique_id(m) == unique_id(&twice));
    assert_eq!(again.unwrap().body, twice.body);
    assert_eq!(bodies(&cluster, TOPIC).len(), ROUND + 1);
}

pub(crate) fn without_retry_after_write_a_lost_answer_is_an_error<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.retry = Retry::NotAfterWrite;
    });
    for broker in [0, 1] {
        fault(&cluster, broker, Fault::ResetAfterProcessing);
    }
    let error = producer.send(message("perhaps")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connection);
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(bodies(&cluster, TOPIC), ["perhaps"]);
    cluster.brokers().iter().for_each(|b| b.clear_faults());
    assert_works(&producer, &cluster);
}

pub(crate) fn a_message_for_one_queue_is_retried_there<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let queue = producer.publish_queues(TOPIC).unwrap().remove(0);
    let broker = cluster.broker_named(&queue.broker).unwrap();
    let rule = FaultRule::new(Fault::overload()).sends().times(2);
    broker.inject(rule).unwrap();
    let receipt = producer.send(message("there").to(queue.clone())).unwrap();
    assert_eq!((receipt.queue, receipt.attempts), (queue, 3));
    assert_eq!(broker.stored(TOPIC).len(), 1);
}

pub(crate) fn when_every_try_fails_the_error_lists_them<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.retries = 3;
        config.serialize_type = SerializeType::Binary;
        config.attempt_timeout = AttemptTimeout::Whole;
    });
    refuse_all(&cluster, 0, ResponseCode::SYSTEM_ERROR);
    fault(&cluster, 1, Fault::ResetBeforeProcessing);
    let error = producer.send(message("never")).unwrap_err();
    assert_eq!(error.attempts().len(), 4);
    for attempt in error.attempts() {
        let broker = cluster.broker_named(&attempt.broker).unwrap();
        let address = attempt.address.as_ref().unwrap().to_string();
        assert_eq!(address, broker.addr().to_string());
        match &*attempt.broker {
            "broker-a" => assert!(matches!(
                attempt.cause,
                AttemptFailure::Answered {
                    code: ResponseCode::SYSTEM_ERROR,
                    ..
                }
            )),
            _ => assert!(matches!(
                attempt.cause,
                AttemptFailure::Lost { .. } | AttemptFailure::Connect(_)
            )),
        }
    }
    let brokers: Vec<_> = error.attempts().iter().map(|a| &*a.broker).collect();
    assert!(brokers.contains(&"broker-a") && brokers.contains(&"broker-b"));
    assert_ne!(brokers[0], brokers[1], "the second try goes elsewhere");
    let last = error.attempts().last().unwrap();
    assert_says(
        &error,
        &[TOPIC, "4 tries", &last.broker, &last.cause.to_string()],
    );
    assert_eq!(error.code(), Some(ResponseCode::SYSTEM_ERROR));
    assert!(error.is_retryable());
    cluster.brokers().iter().for_each(|b| b.clear_faults());
    assert_works(&producer, &cluster);
}

pub(crate) fn stored_but_not_flushed_is_a_receipt_that_says_so<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let rows = [
        (
            ResponseCode::FLUSH_DISK_TIMEOUT,
            SendStatus::FlushDiskTimeout,
        ),
        (
            ResponseCode::SLAVE_NOT_AVAILABLE,
            SendStatus::SlaveNotAvailable,
        ),
        (
            ResponseCode::FLUSH_SLAVE_TIMEOUT,
            SendStatus::FlushSlaveTimeout,
        ),
    ];
    for (code, status) in rows {
        let rule = FaultRule::new(Fault::Answer { code, remark: None });
        cluster.broker(0).inject(rule.sends().times(1)).unwrap();
        let receipt = producer.send(message(status.name())).unwrap();
        assert_eq!((receipt.status, receipt.attempts), (status, 1));
    }
    assert_eq!(bodies(&cluster, TOPIC).len(), 3);
    assert_eq!(producer.stats().not_stored_ok, 3);
}

pub(crate) fn stored_but_not_flushed_may_lead_to_the_other_broker<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.retry_other_broker_when_not_stored = true;
    });
    let code = ResponseCode::FLUSH_DISK_TIMEOUT;
    fault(&cluster, 0, Fault::Answer { code, remark: None });
    send_round(&producer, "broker-b");
    fault(&cluster, 1, Fault::Answer { code, remark: None });
    // Nobody does better: the receipt that there is, is the answer.
    let receipt = producer.send(message("so be it")).unwrap();
    assert_eq!(receipt.status, SendStatus::FlushDiskTimeout);
}

/// Sends a round, all of which must end on this broker. Tells how many tries each took.
fn send_round(producer: &impl Producer, ends_on: &str) -> Vec<u32> {
    let one = |at: usize| {
        let receipt = producer.send(message(format!("round {at}"))).unwrap();
        assert_eq!(&*receipt.queue.broker, ends_on);
        receipt.attempts
    };
    (0..ROUND).map(one).collect()
}

fn send_round_anywhere(producer: &impl Producer) {
    for at in 0..ROUND {
        producer.send(message(format!("round {at}"))).unwrap();
    }
}

fn refuse_all(cluster: &Cluster, broker: usize, code: ResponseCode) {
    // Words by which a broker refuses everybody (PROTOCOL J.2 row 2).
    let remark = Some("the broker[10.0.0.1] sending message is forbidden".to_owned());
    fault(cluster, broker, Fault::Answer { code, remark });
}

fn fault(cluster: &Cluster, broker: usize, fault: Fault) {
    let rule = FaultRule::new(fault).sends();
    cluster.broker(broker).inject(rule).unwrap();
}
