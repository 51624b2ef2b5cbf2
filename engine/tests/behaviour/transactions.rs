//! Half messages, their ends, and the brokers' questions (PROTOCOL G.1, G.2).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::header::{CheckTransactionStateRequest, SendMessageResponse};
use rocketmq_engine::proto::{
    Compression, Flags, FrameDecoder, GroupName, Message, Properties, RemotingCommand, RequestCode,
    ResponseCode, StoredMessage, StoredVersion, SysFlag, TopicName, TransactionKind, body_crc,
    compress, property,
};
use rocketmq_engine::{
    CheckDropped, ConnId, EndTransactionHook, EndedTransaction, Event, FrameSeq, Operation,
    Outcome, SendErrorKind, SendReceipt, TransactionState,
};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

const END: RequestCode = RequestCode::END_TRANSACTION;

#[test]
fn the_end_of_a_transaction_says_what_the_confirmation_said() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    let at = usize::from(&*receipt.queue.broker == "b");
    let op = rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conns[at], END);
    assert!(rig.outcome(op).is_none(), "it is not written yet");
    rig.flushed(conns[at], end.seq);
    assert!(matches!(rig.outcome(op), Some(Outcome::Done)));

    assert_eq!(end.command.flags, Flags::ONEWAY);
    assert_eq!(end.command.remark, None);
    let expected = [
        ("bname", &*receipt.queue.broker),
        ("commitLogOffset", "1024"),
        ("commitOrRollback", "8"),
        ("fromTransactionCheck", "false"),
        ("msgId", &receipt.message_id),
        ("producerGroup", "group"),
        ("topic", "T"),
        ("tranStateTableOffset", "17"),
        ("transactionId", "TX"),
    ];
    assert_eq!(fields(&end), owned(&expected));
    let stats = rig.engine.stats();
    assert_eq!((stats.sent, stats.transactions_ended), (1, 1));
    assert_eq!((stats.sent_oneway, stats.oneway_in_flight), (0, 0));
}

/// PROTOCOL G.6: servers know group and topic by longer names, the application does not.
#[test]
fn a_namespace_is_around_group_and_topic_on_the_wire_and_nowhere_else() {
    let ended = Arc::new(Ended::default());
    let hook = ended.clone();
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.namespace = Some("ns".into());
        config.hooks.end_transaction.push(hook);
    });
    rig.listen();
    let mut stored = half("ID", "ns%group");
    stored.topic = "ns%T".into();
    check(&mut rig, conns[0], &header(7), stored);
    let check = rig.take_check().unwrap();
    let op = check.op;
    assert_eq!(check.into_message().unwrap().topic, "T");
    rig.decide(op, TransactionState::Rollback);
    let end = rig.frame(conns[0], END);
    assert_eq!(end.field("producerGroup"), "ns%group");
    rig.flushed(conns[0], end.seq);
    let told = ended.0.lock().unwrap().pop().unwrap();
    assert_eq!((told.group.as_str(), told.topic.as_str()), ("group", "T"));
    assert_eq!(told.state, TransactionKind::Rollback);
    assert_eq!(told.address.as_str(), "a:1");
    assert!(told.from_check);
}

#[test]
fn a_failed_local_transaction_is_unknown_and_its_text_goes_along() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    rig.end(&receipt, Err::<TransactionState, _>("boom"));
    let end = rig.frame(conns[0], END);
    assert_eq!(end.field("commitOrRollback"), "0");
    let remark = "executeLocalTransactionBranch exception: boom";
    assert_eq!(end.command.remark.as_deref(), Some(remark));
}

/// What Java 4.9.8 wrote, field by field; the topic is what 5.x adds.
#[test]
fn ends_are_those_of_java() {
    for (name, state) in [
        ("end-transaction-commit", TransactionState::Commit),
        ("end-transaction-rollback", TransactionState::Rollback),
    ] {
        let golden = golden(&format!("{name}.json.bin"), 0);
        let java = golden.ext_fields.unwrap();
        let (mut rig, conns) = Rig::with_brokers(&["broker-a"], 1, |config| {
            config.group = GroupName::new(&java["producerGroup"]).unwrap();
        });
        let mut message = message("paid");
        let id = java["msgId"].as_str();
        message
            .properties_mut()
            .set(property::UNIQ_KEY, id)
            .unwrap();
        let op = rig.half(message);
        let half = rig.next_send().unwrap();
        confirm(&mut rig, &half, "7F00000100002A9F0000001CBE991A14", 17, id);
        let receipt = rig.receipt(op);
        rig.end(&receipt, state);
        let end = rig.frame(conns[0], END);
        assert_eq!(end.command.flags, golden.flags);
        let mut ours = fields(&end);
        assert_eq!(ours.remove("topic").as_deref(), Some("T"));
        // The second sample is of a check.
        ours.insert(
            "fromTransactionCheck".into(),
            java["fromTransactionCheck"].clone(),
        );
        assert_eq!(ours, java, "{name}");
    }
}

/// The bytes of a Java broker's questions go in; what comes out is what the Java client answered.
#[test]
fn answers_to_a_java_brokers_checks_are_those_of_java() {
    let (mut rig, conns) = Rig::with_brokers(&["broker-a"], 1, |config| {
        config.group = GroupName::new("PID_cap_tx").unwrap();
    });
    rig.listen();
    for (asked, answered, state, body) in [
        (1062, 3547, TransactionState::Commit, "tx unknown"),
        (1742, 3944, TransactionState::Rollback, "tx exception"),
    ] {
        let file = "stream-transaction-json-broker1-s2c.bin";
        rig.receive(conns[0], &golden(file, asked));
        let check = rig.take_check().unwrap();
        let op = check.op;
        let half = check.into_message().unwrap();
        assert_eq!((&*half.topic, &*half.body), ("CapTopic", body.as_bytes()));
        assert_eq!(half.properties.get(property::TRAN_MSG), Some("true"));
        rig.decide(op, state);
        let end = rig.frame(conns[0], END);
        let java = golden("stream-transaction-json-broker1-c2s.bin", answered);
        assert_eq!(fields(&end), java.ext_fields.unwrap());
        assert_eq!(end.command.flags, java.flags);
        assert_eq!(end.command.remark, None);
    }
    assert_eq!(rig.engine.stats().checks, 2);
    assert!(
        rig.frames().next().is_none(),
        "a check is not answered otherwise"
    );
}

#[test]
fn a_5x_check_gets_its_topic_and_broker_back() {
    let (mut rig, conns) = listening();
    let mut header = header(7);
    header.topic = Some("RMQ_SYS_TRANS_HALF_TOPIC".into());
    header.broker_name = Some("a".into());
    check(&mut rig, conns[0], &header, half("ID", "group"));
    let op = rig.take_check().unwrap().op;
    rig.decide(op, TransactionState::Commit);
    let end = rig.frame(conns[0], END);
    let expected = [
        ("bname", "a"),
        ("commitLogOffset", "7"),
        ("commitOrRollback", "8"),
        ("fromTransactionCheck", "true"),
        ("msgId", "ID"),
        ("producerGroup", "group"),
        ("topic", "RMQ_SYS_TRANS_HALF_TOPIC"),
        ("tranStateTableOffset", "7"),
        ("transactionId", "TX"),
    ];
    assert_eq!(fields(&end), owned(&expected));
}

#[test]
fn a_checked_message_is_handed_out_decompressed() {
    let (mut rig, conns) = listening();
    let plain = "o".repeat(5000);
    let mut stored = half("ID", "group");
    stored.body = compress(Compression::Zlib, 5, plain.as_bytes())
        .unwrap()
        .into();
    stored.sys_flag = SysFlag::ZLIB.with(SysFlag::COMPRESSED);
    check(&mut rig, conns[0], &header(7), stored);
    let message = rig.take_check().unwrap().into_message().unwrap();
    assert_eq!(message.body, plain);
    assert!(!message.sys_flag.is_compressed());

    let mut broken = half("ID2", "group");
    broken.sys_flag = SysFlag::ZLIB.with(SysFlag::COMPRESSED);
    check(&mut rig, conns[0], &header(8), broken);
    let check = rig.take_check().unwrap();
    let op = check.op;
    let decision = check.into_message().unwrap_err();
    rig.decide(op, decision);
    let end = rig.frame(conns[0], END);
    assert_eq!(end.field("commitOrRollback"), "0");
    let remark = end.command.remark.unwrap();
    assert!(
        remark.starts_with("checkLocalTransactionState Exception: "),
        "{remark}"
    );
}

#[test]
fn an_end_is_tried_again_as_long_as_no_byte_of_it_left() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    let op = rig.end(&receipt, TransactionState::Commit);
    rig.frame(conns[0], END);
    rig.close(conns[0]);
    assert!(rig.outcome(op).is_none());
    rig.run_to(200);
    let again = rig.connect("a:1");
    let end = rig.frame(again, END);
    rig.flushed(again, end.seq);
    assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
    assert_eq!(rig.engine.stats().transactions_ended, 1);
}

#[test]
fn hooks_hear_once_of_an_end_and_only_when_it_was_written() {
    let ended = Arc::new(Ended::default());
    let hook = ended.clone();
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.hooks.end_transaction.push(hook);
    });
    let told = || std::mem::take(&mut *ended.0.lock().unwrap());
    let receipt = confirmed(&mut rig, message("paid"));
    rig.end(&receipt, TransactionState::Commit);
    rig.frame(conns[0], END);
    rig.close(conns[0]);
    rig.run_to(200);
    let again = rig.connect("a:1");
    let end = rig.frame(again, END);
    assert!(told().is_empty(), "it may yet fail");
    rig.flushed(again, end.seq);
    let [told_of] = &told()[..] else {
        panic!("it is told once")
    };
    assert_eq!(told_of.message_id, receipt.message_id);
    assert_eq!(told_of.state, TransactionKind::Commit);
    assert!(!told_of.from_check);

    let op = rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(again, END);
    rig.input(rocketmq_engine::Input::Offered(again, end.seq));
    rig.close(again);
    rig.error(op);
    assert!(told().is_empty(), "it was not written");
}

#[test]
fn an_end_that_may_have_been_written_is_an_error_and_is_not_repeated() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    let op = rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conns[0], END);
    rig.input(rocketmq_engine::Input::Offered(conns[0], end.seq));
    rig.close(conns[0]);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Connection);
    assert_eq!(error.attempts().len(), 1);
    let left_open = |event: &Event| matches!(event, Event::TransactionLeftOpen { message_id, .. } if *message_id == receipt.message_id);
    assert!(rig.events.iter().any(left_open), "{:?}", rig.events);
    assert_eq!(rig.engine.stats().transactions_left_open, 1);
}

/// PROTOCOL G.1 step 4: Java would send it to a name server.
#[test]
fn an_end_whose_broker_has_no_address_is_an_error_and_goes_nowhere() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let mut receipt = confirmed(&mut rig, message("paid"));
    receipt.queue.broker = "gone".into();
    let op = rig.end(&receipt, TransactionState::Commit);
    rig.run_to(3_000);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Connection);
    assert!(error.to_string().contains("no master"), "{error}");
    let ends = rig.frames().filter(|frame| frame.command.code == END.0);
    assert_eq!(ends.count(), 0);
    assert!(rig.try_frame(conns[0], END).is_none());
}

/// PROTOCOL I 35: VIP for sends, the broker's own port for ends.
#[test]
fn an_end_goes_to_the_brokers_own_port_whatever_the_half_message_took() {
    let mut rig = Rig::new(|config| config.vip_channel = true);
    let op = rig.half(message("paid"));
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    let route = route(&["a"], 1).replace("a:1", "a:10911");
    rig.answer_body(&question, ResponseCode::SUCCESS, route);
    let vip = rig.connect("a:10909");
    let half = rig.next_send().unwrap();
    assert_eq!(half.conn, vip);
    confirm(&mut rig, &half, OFFSET_ID, 17, "TX");
    let receipt = rig.receipt(op);
    rig.end(&receipt, TransactionState::Commit);
    assert!(rig.try_frame(vip, END).is_none());
    let own = rig.connect("a:10911");
    rig.frame(own, END);
}

#[test]
fn an_end_finds_a_route_that_was_forgotten_meanwhile() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let mut receipt = confirmed(&mut rig, message("paid"));
    receipt.queue.topic = TopicName::new("U").unwrap();
    rig.forget_frames();
    let op = rig.end(&receipt, TransactionState::Commit);
    let question = rig.frames().next().cloned().unwrap();
    assert_eq!(question.field("topic"), "U");
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["b", "a"], 1));
    let end = rig.frame(conns[0], END);
    rig.flushed(conns[0], end.seq);
    assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
}

#[test]
fn an_end_is_taken_while_a_shutdown_drains_and_not_later() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    let other = rig.send(message("under way"));
    let other_frame = rig.next_send().unwrap();
    rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    let op = rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conns[0], END);
    rig.flushed(conns[0], end.seq);
    assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
    confirm(&mut rig, &other_frame, OFFSET_ID, 1, "TX");
    rig.receipt(other);
    let end = rocketmq_engine::Prepared::end_of(
        &rig.engine.config().clone(),
        &receipt,
        TransactionState::Commit.into(),
    );
    let operation = Operation::EndTransaction(Box::new(end.unwrap()));
    let error = rig.try_accept(operation, true).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
}

#[test]
fn a_shutdown_waits_for_open_transactions_within_its_grace_and_a_flush_does_not() {
    let grace = Duration::from_secs(5);
    for told in [true, false] {
        let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
        rig.engine.transaction_begun(rig.producer);
        let receipt = confirmed(&mut rig, message("paid"));
        let flush = rig.submit(Operation::Flush);
        assert!(matches!(rig.outcome(flush), Some(Outcome::Done)));
        let shutdown = rig.submit(Operation::Shutdown { grace });
        rig.run_to(4_999);
        assert!(rig.outcome(shutdown).is_none());
        if told {
            let op = rig.end(&receipt, TransactionState::Commit);
            let end = rig.frame(conns[0], END);
            rig.flushed(conns[0], end.seq);
            assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
            let goodbye = RequestCode::UNREGISTER_CLIENT;
            assert!(
                rig.try_frame(conns[0], goodbye).is_none(),
                "it may not be over"
            );
            let now = rig.now();
            rig.engine.transaction_over(now, rig.producer);
            rig.input(rocketmq_engine::Input::Tick);
        } else {
            rig.run_to(5_000);
        }
        let goodbye = rig.frame(conns[0], RequestCode::UNREGISTER_CLIENT);
        rig.answer(&goodbye, ResponseCode::SUCCESS, "");
        assert!(matches!(rig.outcome(shutdown), Some(Outcome::Shutdown(_))));
        let now = rig.now();
        rig.engine.transaction_over(now, rig.producer);
    }
}

#[test]
fn a_shutdown_counts_sends_and_not_the_ends_of_transactions() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    let receipt = confirmed(&mut rig, message("paid"));
    rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conns[0], END);
    let shutdown = rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    assert!(
        rig.try_frame(conns[0], RequestCode::UNREGISTER_CLIENT)
            .is_none()
    );
    rig.flushed(conns[0], end.seq);
    let goodbye = rig.frame(conns[0], RequestCode::UNREGISTER_CLIENT);
    rig.answer(&goodbye, ResponseCode::SUCCESS, "");
    match rig.outcome(shutdown) {
        Some(Outcome::Shutdown(report)) => {
            assert_eq!(
                (report.delivered, report.failed, report.abandoned),
                (0, 0, 0)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn checks_of_other_groups_are_ignored_and_counted() {
    let (mut rig, conns) = listening();
    check(&mut rig, conns[0], &header(7), half("ID", "strangers"));
    assert!(rig.take_check().is_none());
    assert_eq!(
        dropped(&rig),
        [("strangers".into(), CheckDropped::OtherGroup)]
    );
    let stats = rig.engine.stats();
    assert_eq!(
        (stats.checks, stats.checks_ignored, stats.checks_dropped),
        (0, 1, 0)
    );
    rig.run_to(60_000);
    assert!(rig.try_frame(conns[0], END).is_none());
}

#[test]
fn checks_without_a_listener_are_ignored_and_counted() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    check(&mut rig, conns[0], &header(7), half("ID", "group"));
    assert_eq!(dropped(&rig), [("group".into(), CheckDropped::NoListener)]);
    rig.listen();
    assert!(rig.take_check().is_none(), "the broker asks again");
    assert_eq!(rig.engine.stats().checks_ignored, 1);
}

#[test]
fn checks_that_cannot_be_read_are_dropped_and_counted() {
    let (mut rig, conns) = listening();
    let empty = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE, 1, &header(7));
    rig.receive(conns[0], &empty);
    rig.receive(conns[0], &empty.clone().with_body("no message"));
    let code = RequestCode::CHECK_TRANSACTION_STATE.0;
    rig.server_asks(conns[0], code, Flags::ONEWAY);
    assert_eq!(rig.engine.stats().checks_dropped, 3);
    assert!(rig.take_check().is_none());
    assert!(rig.closed.is_empty(), "the connection stays");
}

#[test]
fn of_2001_checks_the_last_is_dropped() {
    let (mut rig, conns) = listening();
    for number in 0..2001 {
        let id = format!("ID{number}");
        check(&mut rig, conns[0], &header(number), half(&id, "group"));
    }
    assert_eq!(dropped(&rig), [("group".into(), CheckDropped::Full)]);
    let stats = rig.engine.stats();
    assert_eq!(
        (stats.checks_waiting, stats.checks, stats.checks_dropped),
        (2000, 2000, 1)
    );
    for number in 0..2000 {
        let check = rig.take_check().unwrap();
        let op = check.op;
        let half = check.into_message().unwrap();
        assert_eq!(half.message_id(), format!("ID{number}"), "in their order");
        rig.decide(op, TransactionState::Rollback);
        assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
    }
    assert!(rig.take_check().is_none());
    assert_eq!(rig.engine.stats().checks_waiting, 0);
    rig.flushed(conns[0], FrameSeq(u64::MAX));
    assert_eq!(rig.engine.stats().transactions_ended, 2000);
}

#[test]
fn the_bytes_of_waiting_checks_are_bounded() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.max_in_flight_bytes = 10_000;
    });
    rig.listen();
    for number in 0..4 {
        let mut stored = half(&format!("ID{number}"), "group");
        stored.body = Bytes::from(vec![b'x'; 4_000]);
        check(&mut rig, conns[0], &header(number), stored);
    }
    assert_eq!(rig.engine.stats().checks_waiting, 2);
    assert_eq!(rig.engine.stats().checks_dropped, 2);
}

/// The broker stored the half message anew and wants that one ended (PROTOCOL L 5).
#[test]
fn asked_twice_for_one_message_the_answer_is_one_to_the_later_question() {
    let (mut rig, conns) = listening();
    check(&mut rig, conns[0], &header(7), half("ID", "group"));
    check(&mut rig, conns[0], &header(8), half("ID", "group"));
    let op = rig.take_check().unwrap().op;
    assert!(rig.take_check().is_none());
    rig.decide(op, TransactionState::Commit);
    assert_eq!(rig.frame(conns[0], END).field("commitLogOffset"), "8");
}

#[test]
fn a_listener_that_takes_too_long_is_unknown_and_its_late_answer_is_ignored() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |config| {
        config.check_timeout = Duration::from_secs(4);
    });
    rig.listen();
    check(&mut rig, conns[0], &header(7), half("ID", "group"));
    let op = rig.take_check().unwrap().op;
    rig.run_to(3_999);
    assert!(rig.outcome(op).is_none());
    rig.run_to(4_000);
    assert!(matches!(rig.outcome(op), Some(Outcome::Done)));
    let end = rig.frame(conns[0], END);
    assert_eq!(end.field("commitOrRollback"), "0");
    let remark = end.command.remark.unwrap();
    assert!(remark.contains("took more than 4s"), "{remark}");
    rig.decide(op, TransactionState::Commit);
    assert!(rig.try_frame(conns[0], END).is_none());
    assert_eq!(rig.engine.stats().transactions_left_open, 1);
}

#[test]
fn an_answer_goes_to_the_connection_of_the_question_or_nowhere() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 1, |_| {});
    rig.listen();
    check(&mut rig, conns[1], &header(7), half("ID", "group"));
    let op = rig.take_check().unwrap().op;
    rig.close(conns[1]);
    rig.run_to(200);
    let again = rig.connect("b:1");
    rig.decide(op, TransactionState::Commit);
    rig.run_to(5_000);
    assert!(rig.try_frame(conns[0], END).is_none());
    assert!(rig.try_frame(again, END).is_none());
    assert_eq!(rig.engine.stats().transactions_left_open, 1);
    assert_eq!(rig.engine.stats().oneway_in_flight, 0);
}

#[test]
fn checks_come_and_are_answered_while_the_local_transaction_runs() {
    let (mut rig, conns) = listening();
    let receipt = confirmed(&mut rig, message("paid"));
    check(
        &mut rig,
        conns[0],
        &header(9),
        half(&receipt.message_id, "group"),
    );
    let op = rig.take_check().unwrap().op;
    rig.decide(op, TransactionState::Unknown);
    assert_eq!(rig.frame(conns[0], END).field("commitLogOffset"), "9");
    rig.end(&receipt, TransactionState::Commit);
    let end = rig.frame(conns[0], END);
    assert_eq!(end.field("commitLogOffset"), "1024");
    assert_eq!(end.field("fromTransactionCheck"), "false");
}

#[test]
fn at_a_shutdown_what_waits_is_dropped_and_nothing_hangs() {
    let (mut rig, conns) = listening();
    for number in 0..3 {
        let id = format!("ID{number}");
        check(&mut rig, conns[0], &header(number), half(&id, "group"));
    }
    let running = rig.take_check().unwrap().op;
    let shutdown = rig.submit(Operation::Shutdown {
        grace: Duration::from_secs(5),
    });
    assert_eq!(rig.engine.stats().checks_waiting, 0);
    assert!(rig.take_check().is_none());
    check(&mut rig, conns[0], &header(9), half("ID9", "group"));
    assert_eq!(rig.engine.stats().checks_ignored, 1);
    let goodbye = rig.frame(conns[0], RequestCode::UNREGISTER_CLIENT);
    rig.answer(&goodbye, ResponseCode::SUCCESS, "");
    assert!(matches!(rig.outcome(shutdown), Some(Outcome::Shutdown(_))));
    assert_eq!(rig.error(running).kind(), SendErrorKind::Closed);
    rig.decide(running, TransactionState::Commit);
    assert!(rig.try_frame(conns[0], END).is_none());
}

/// Found by the simulation, seed 5816.
#[test]
fn nothing_waits_after_an_abort() {
    let (mut rig, conns) = listening();
    check(&mut rig, conns[0], &header(7), half("ID", "group"));
    let now = rig.now();
    rig.engine.abort(now);
    assert_eq!(rig.engine.stats().checks_waiting, 0);
    assert!(rig.take_check().is_none());
}

const OFFSET_ID: &str = "0A00000100002A9F0000000000000400";

/// One broker, somebody who takes checks.
fn listening() -> (Rig, Vec<ConnId>) {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 1, |_| {});
    rig.listen();
    (rig, conns)
}

/// Sends a half message, which a broker confirms.
fn confirmed(rig: &mut Rig, message: Message) -> SendReceipt {
    let op = rig.half(message);
    let half = rig.next_send().unwrap();
    let properties = Properties::from_wire(half.field("i"));
    assert_eq!(properties.get(property::TRAN_MSG), Some("true"));
    assert_eq!(properties.get(property::PGROUP), Some("group"));
    assert_eq!(half.field("f"), "4", "the prepared bit");
    confirm(rig, &half, OFFSET_ID, 17, "TX");
    rig.receipt(op)
}

fn confirm(rig: &mut Rig, half: &Sent, id: &str, queue_offset: i64, transaction_id: &str) {
    let answer = RemotingCommand::response(half.command.opaque, ResponseCode::SUCCESS, None);
    let answer = answer.with_fields(&SendMessageResponse {
        msg_id: id.into(),
        queue_id: 0,
        queue_offset,
        transaction_id: Some(transaction_id.into()),
        batch_uniq_id: None,
        recall_handle: None,
    });
    rig.receive(half.conn, &answer);
}

fn check(
    rig: &mut Rig,
    conn: ConnId,
    header: &CheckTransactionStateRequest<'_>,
    stored: StoredMessage,
) {
    let mut body = BytesMut::new();
    stored.encode(&mut body).unwrap();
    let mut request = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE, 1, header);
    request.flags = Flags::ONEWAY;
    rig.receive(conn, &request.with_body(body.freeze()));
}

fn header(offset: i64) -> CheckTransactionStateRequest<'static> {
    CheckTransactionStateRequest {
        topic: None,
        tran_state_table_offset: offset,
        commit_log_offset: offset,
        msg_id: None,
        transaction_id: Some("TX".into()),
        offset_msg_id: None,
        broker_name: None,
    }
}

fn half(id: &str, group: &str) -> StoredMessage {
    let host = SocketAddr::from(([10, 0, 0, 1], 10911));
    let mut properties = Properties::new();
    for (name, value) in [
        (property::UNIQ_KEY, id),
        (property::PGROUP, group),
        (property::TRAN_MSG, "true"),
    ] {
        properties.set(name, value).unwrap();
    }
    StoredMessage {
        version: StoredVersion::V1,
        topic: "T".into(),
        queue_id: 0,
        queue_offset: 0,
        commit_log_offset: 0,
        flag: 0,
        sys_flag: SysFlag::default(),
        body_crc: body_crc(b"paid"),
        born_timestamp: 0,
        born_host: host,
        store_timestamp: 0,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        properties,
        body: "paid".into(),
    }
}

#[derive(Default)]
struct Ended(Mutex<Vec<EndedTransaction>>);

impl EndTransactionHook for Ended {
    fn ended(&self, end: &EndedTransaction) {
        self.0.lock().unwrap().push(end.clone());
    }
}

fn dropped(rig: &Rig) -> Vec<(String, CheckDropped)> {
    let reason = |event: &Event| match event {
        Event::CheckDropped { group, reason, .. } => Some((group.clone(), reason.clone())),
        _ => None,
    };
    rig.events.iter().filter_map(reason).collect()
}

fn fields(sent: &Sent) -> BTreeMap<String, String> {
    sent.command.ext_fields.clone().unwrap()
}

fn owned(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    fields.iter().map(owned).collect()
}

/// A frame that Java wrote, at this place of a golden file.
fn golden(file: &str, at: usize) -> RemotingCommand {
    let path = format!("{}/../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = BytesMut::from(&std::fs::read(path).unwrap()[at..]);
    let frame = FrameDecoder::default().next_frame(&mut bytes);
    RemotingCommand::from_frame(&frame.unwrap().unwrap()).unwrap()
}
