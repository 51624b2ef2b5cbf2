//! What others got wrong (PROTOCOL I) and no other file here shows.

use rocketmq_engine::proto::header::SendMessageResponse;
use rocketmq_engine::proto::{RemotingCommand, ResponseCode};
use rocketmq_engine::{Certainty, SendErrorKind};

use crate::rig::{Rig, message};

#[test]
fn a_oneway_send_whose_broker_cannot_be_reached_says_so() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| config.retries = 0);
    rig.close(conns[0]);
    let op = rig.oneway(message("x"));
    rig.run_to(100);
    rig.refuse("a:1");
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Connection);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn every_send_says_whether_it_is_a_batch_and_in_unit_mode() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.send(message("x"));
    rig.oneway(message("y"));
    for _ in 0..2 {
        let sent = rig.next_send().unwrap();
        assert_eq!((sent.field("k"), sent.field("m")), ("false", "false"));
    }
}

#[test]
fn an_answer_that_says_nothing_of_tracing_means_on() {
    for (said, traced) in [(None, true), (Some("true"), true), (Some("false"), false)] {
        let (mut rig, _) = Rig::with_brokers(&["a"], 1, |_| {});
        let op = rig.send(message("x"));
        let sent = rig.next_send().unwrap();
        let opaque = sent.command.opaque;
        let answer = RemotingCommand::response(opaque, ResponseCode::SUCCESS, None);
        let mut answer = answer.with_fields(&SendMessageResponse {
            msg_id: "0A00000100002A9F0000000000000000".into(),
            queue_id: 0,
            queue_offset: 0,
            transaction_id: None,
            batch_uniq_id: None,
            recall_handle: None,
        });
        if let Some(said) = said {
            let fields = answer.ext_fields.get_or_insert_default();
            fields.insert("TRACE_ON".to_owned(), said.to_owned());
        }
        rig.receive(sent.conn, &answer);
        assert_eq!(rig.receipt(op).trace_on, traced, "{said:?}");
    }
}
