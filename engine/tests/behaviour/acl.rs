//! Signed requests and what follows when a server does not let us (PROTOCOL G.5).

use std::time::Duration;

use rocketmq_engine::proto::{Credentials, RemotingCommand, RequestCode, ResponseCode, version};
use rocketmq_engine::{Certainty, Config, Operation, Question, SendErrorKind};

use crate::rig::{NAME_SERVER, Rig, Sent, message};

fn credentials() -> Credentials {
    Credentials::new("AK", "secret").with_security_token("token")
}

fn signed(config: &mut Config) {
    config.credentials = Some(credentials());
}

/// The signature that a frame must have: over all of its fields but the signature.
fn check(sent: &Sent) {
    let fields = sent.command.ext_fields.as_ref().unwrap();
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| *key != "Signature")
        .collect();
    assert_eq!(sent.field("AccessKey"), "AK");
    assert_eq!(sent.field("SecurityToken"), "token");
    let expected = credentials().sign(&(), &fields, &[&sent.command.body]);
    assert_eq!(sent.field("Signature"), expected);
}

#[test]
fn every_request_is_signed_and_every_try_anew() {
    let mut rig = Rig::new(signed);
    let op = rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    check(&question);
    let route = crate::rig::route(&["a", "b"], 1);
    rig.answer_body(&question, ResponseCode::SUCCESS, route);
    let broker = rig.dial("a:1").map_or("b:1", |conn| {
        rig.input(rocketmq_engine::Input::Connected(conn));
        "a:1"
    });
    if broker == "b:1" {
        rig.connect("b:1");
    }
    let first = rig.next_send().unwrap();
    let beat = rig.frame(first.conn, RequestCode::HEART_BEAT);
    check(&beat);
    check(&first);
    rig.answer(&first, ResponseCode::SYSTEM_ERROR, "try another");
    rig.connect(if broker == "a:1" { "b:1" } else { "a:1" });
    let second = rig.next_send().unwrap();
    check(&second);
    assert_ne!(first.field("Signature"), second.field("Signature"));
    rig.confirm(&second);
    rig.receipt(op);
    rig.oneway(message("y"));
    check(&rig.next_send().unwrap());
    rig.forget_frames();
    rig.submit(Operation::Shutdown {
        grace: Duration::from_millis(10),
    });
    rig.run_to(10);
    check(&rig.frame(second.conn, RequestCode::UNREGISTER_CLIENT));
}

/// PROTOCOL G.5: 4.9 brokers leave `_UNIQUE_KEY_QUERY` out of what they check.
#[test]
fn the_first_answer_on_a_connection_says_for_which_release_to_sign() {
    let mut rig = Rig::new(signed);
    rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    let route = crate::rig::route(&["a"], 1);
    rig.answer_body(&question, ResponseCode::SUCCESS, route);
    let broker = rig.connect("a:1");
    let sent = rig.frame(broker, RequestCode::SEND_MESSAGE_V2);
    let mut answer =
        RemotingCommand::response(sent.command.opaque, ResponseCode::SYSTEM_ERROR, None);
    answer.version = version::V4_9_3;
    rig.receive(broker, &answer);
    // The heartbeat is not answered yet.
    let request = Question::view_by_unique_id("T", "U")
        .into_request()
        .unwrap();
    rig.submit(Operation::Admin {
        request: Box::new(request),
        timeout: Duration::from_secs(3),
    });
    let query = rig.frame(broker, RequestCode::QUERY_MESSAGE);
    let fields = query.command.ext_fields.as_ref().unwrap();
    assert_eq!(fields["_UNIQUE_KEY_QUERY"], "true");
    let signed = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let left_out = ["Signature", "_UNIQUE_KEY_QUERY"];
    let signed: Vec<_> = signed.filter(|(key, _)| !left_out.contains(key)).collect();
    let expected = credentials().sign(&(), &signed, &[&query.command.body]);
    assert_eq!(query.field("Signature"), expected);
}

#[test]
fn a_denial_is_final_although_its_code_is_worth_another_try() {
    let rows = [
        (
            ResponseCode::SYSTEM_ERROR,
            "org.apache.rocketmq.acl.common.AclException: No acl config for AK",
        ),
        (ResponseCode::NO_PERMISSION, "check signature failed."),
    ];
    for (code, remark) in rows {
        let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, signed);
        let op = rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        rig.answer(&sent, code, remark);
        let error = rig.error(op);
        assert_eq!(error.kind(), SendErrorKind::Denied);
        assert_eq!(error.certainty(), Certainty::Rejected);
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.attempts().len(), 1);
        assert!(!error.is_retryable());
        assert!(error.to_string().contains(remark), "{error}");
    }
}

#[test]
fn a_broker_that_forbids_everybody_to_send_is_no_denial() {
    let (mut rig, _) = Rig::with_brokers(&["a", "b"], 1, signed);
    let op = rig.send(message("x"));
    let first = rig.next_send().unwrap();
    let remark = "the broker[10.0.0.1] sending message is forbidden";
    rig.answer(&first, ResponseCode::NO_PERMISSION, remark);
    let second = rig.next_send().unwrap();
    assert_ne!(first.field("n"), second.field("n"));
    rig.confirm(&second);
    assert_eq!(rig.receipt(op).attempts, 2);
}

#[test]
fn a_name_server_that_denies_is_an_error_that_says_so() {
    let mut rig = Rig::new(signed);
    let op = rig.send(message("x"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    rig.answer(&question, ResponseCode::NO_PERMISSION, "user not found");
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Denied);
    assert!(error.to_string().contains("user not found"), "{error}");
}

#[test]
fn room_for_the_signature_is_kept_when_a_frame_is_judged() {
    let limit = 2048;
    let fits = |signs: bool, body: usize| {
        let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
            config.frame_limits.max_frame_len = limit;
            config.compress_over = None;
            if signs {
                signed(config);
            }
        });
        let op = rig.send(rocketmq_engine::proto::Message::new("T", vec![b'x'; body]));
        match rig.next_send() {
            Some(sent) => {
                rig.confirm(&sent);
                rig.receipt(op);
                true
            }
            None => {
                assert_eq!(rig.error(op).kind(), SendErrorKind::InvalidMessage);
                assert!(rig.closed.is_empty());
                false
            }
        }
    };
    let largest = (0..limit).rev().find(|body| fits(false, *body)).unwrap();
    assert!(
        !fits(true, largest),
        "unsigned it just fits, signed it cannot"
    );
    assert!(fits(true, largest - 300));
}
