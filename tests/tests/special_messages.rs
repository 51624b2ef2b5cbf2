//! Half messages, delayed messages, timers and their recall, replies, heartbeats, topics made by request (PROTOCOL
//! B.3 to B.8, B.14, J.4, J.5). Under a clock of the test's own.

mod common;

use std::net::SocketAddr;

use bytes::BytesMut;
use common::{code, field, header, remark, with_properties};
use rocketmq_proto::{
    Flags, FrameDecoder, RecallHandle, RemotingCommand, RequestCode, ResponseCode, SerializeType,
    StoredMessage, SysFlag,
    header::{
        CreateTopicRequest, EndTransactionRequest, Fields, HeartbeatData, RecallMessageRequest,
        SendMessageRequest, UnregisterClientRequest,
    },
};
use rocketmq_testkit::{
    Action, Broker, BrokerConfig, Flavour, HalfState, PeerId, Server, ServerNow, TopicConfig,
};

const BOTH: [Flavour; 2] = [Flavour::V4_9, Flavour::V5_3];
const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const START: u64 = 1_700_000_000_000;

/// A broker, its clock, and a client on connection 1.
struct Bench {
    broker: Broker,
    now: ServerNow,
    out: Vec<Action>,
}

impl Bench {
    fn new(flavour: Flavour) -> Self {
        let address: SocketAddr = "10.0.1.1:10911".parse().unwrap();
        let mut config = BrokerConfig::new("broker-a", address);
        config.flavour = flavour;
        let mut broker = Broker::new(config);
        broker.create_topic("T", TopicConfig::new(4));
        let now = ServerNow { unix_ms: START };
        let out = Vec::new();
        Self { broker, now, out }
    }

    fn give(&mut self, conn: u64, command: &RemotingCommand) -> Option<RemotingCommand> {
        let mut bytes = BytesMut::new();
        command.encode(SerializeType::Json, &mut bytes).unwrap();
        let frame = FrameDecoder::default()
            .next_frame(&mut bytes)
            .unwrap()
            .unwrap();
        let peer = "10.0.0.9:40000".parse().unwrap();
        self.out.clear();
        self.broker
            .on_frame(self.now, PeerId(conn), peer, &frame, &mut self.out);
        self.written_to(conn)
    }

    fn written_to(&self, to: u64) -> Option<RemotingCommand> {
        self.out.iter().find_map(|action| match action {
            Action::Write { conn, bytes, .. } if conn.0 == to => {
                let mut bytes = BytesMut::from(&bytes[..]);
                let frame = FrameDecoder::default()
                    .next_frame(&mut bytes)
                    .unwrap()
                    .unwrap();
                Some(RemotingCommand::from_frame(&frame).unwrap())
            }
            _ => None,
        })
    }

    fn call(&mut self, code: RequestCode, fields: &impl Fields, body: &[u8]) -> RemotingCommand {
        let command = RemotingCommand::request(code, 1, fields).with_body(body.to_vec());
        self.give(1, &command).expect("an answer")
    }

    fn send(&mut self, pairs: &[(&str, &str)], body: &[u8]) -> RemotingCommand {
        let mut header = with_properties("T", pairs);
        header.queue_id = 2;
        header.sys_flag = 4 * i32::from(pairs.contains(&("TRAN_MSG", "true")));
        self.call(RequestCode::SEND_MESSAGE_V2, &header, body)
    }

    fn heartbeat(&mut self, conn: u64, client_id: &str) -> RemotingCommand {
        let data = HeartbeatData {
            client_id: client_id.to_owned(),
            producer_groups: vec!["group".to_owned(), "other".to_owned()],
        };
        let mut body = BytesMut::new();
        data.encode(&mut body);
        let command = RemotingCommand::request(RequestCode::HEART_BEAT, 1, &());
        self.give(conn, &command.with_body(body.freeze()))
            .expect("an answer")
    }

    fn half(&mut self) -> RemotingCommand {
        let pairs = [
            ("TRAN_MSG", "true"),
            ("PGROUP", "group"),
            ("UNIQ_KEY", "ID"),
            ("TAGS", "A"),
        ];
        self.send(&pairs, b"half")
    }

    /// Ends the half message, not oneway, so that the broker says what it thinks.
    fn end(
        &mut self,
        change: impl FnOnce(&mut EndTransactionRequest<'_>),
    ) -> Option<RemotingCommand> {
        let half = self.broker.halves().next().expect("a half message").clone();
        let mut header = EndTransactionRequest {
            topic: None,
            producer_group: "group".into(),
            tran_state_table_offset: half.queue_offset,
            commit_log_offset: half.commit_log_offset,
            commit_or_rollback: 8,
            from_transaction_check: Some(false),
            msg_id: "ID".into(),
            transaction_id: None,
            broker_name: None,
        };
        change(&mut header);
        let command = RemotingCommand::request(RequestCode::END_TRANSACTION, 1, &header);
        self.give(1, &command)
    }

    /// What the client on connection 2 is asked when the half message has this age.
    fn check(&mut self, age_ms: u64) -> Option<RemotingCommand> {
        let came = self.broker.halves().next().expect("a half message").unix_ms;
        let now = ServerNow {
            unix_ms: came + age_ms,
        };
        self.out.clear();
        self.broker.check_halves(now, &mut self.out);
        self.written_to(2)
    }

    fn state(&self) -> HalfState {
        self.broker.halves().next().unwrap().state
    }
}

#[test]
fn an_old_half_message_is_asked_about_and_the_answer_to_its_latest_copy_counts() {
    for flavour in BOTH {
        let mut bench = Bench::new(flavour);
        bench.half();
        bench.heartbeat(2, "a client");
        assert_eq!(bench.check(5_999), None, "too young");
        let check = bench.check(6_000).expect("a question");
        assert_eq!(check.flags, Flags::ONEWAY);
        let of_5x = flavour != Flavour::V4_9;
        assert_eq!(field(&check, "bname").is_some(), of_5x);
        assert_eq!(field(&check, "topic").is_some(), of_5x);
        assert_eq!(field(&check, "msgId"), Some("ID"));
        let (message, _) = StoredMessage::decode(&check.body).unwrap();
        assert_eq!((&*message.topic, message.queue_id), ("T", 2));
        assert_eq!(message.properties.get("TRANSACTION_CHECK_TIMES"), Some("1"));
        let offset = message.commit_log_offset.to_string();
        assert_eq!(field(&check, "commitLogOffset"), Some(&*offset));

        let first = bench.broker.stored("RMQ_SYS_TRANS_HALF_TOPIC")[0].clone();
        bench.end(|header| {
            header.commit_log_offset = first.commit_log_offset;
            header.tran_state_table_offset = first.queue_offset;
        });
        assert_eq!(bench.state(), HalfState::Open, "an earlier copy was ended");
        bench.end(|header| header.from_transaction_check = Some(true));
        assert_eq!(bench.state(), HalfState::Committed);
        assert_eq!(bench.check(60_000), None);
        assert_eq!(bench.broker.stored("T").len(), 2, "once for each end");
    }
}

#[test]
fn a_half_message_may_ask_for_time_before_its_first_check() {
    let mut bench = Bench::new(Flavour::V5_3);
    bench.heartbeat(2, "a client");
    let pairs = [
        ("TRAN_MSG", "true"),
        ("PGROUP", "group"),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS", "20"),
    ];
    bench.send(&pairs, b"half");
    assert_eq!(bench.check(19_999), None);
    assert!(bench.check(20_000).is_some());
}

#[test]
fn a_half_message_that_nobody_ends_is_given_up() {
    let mut bench = Bench::new(Flavour::V4_9);
    bench.half();
    for _ in 0..15 {
        assert_eq!(bench.check(6_000), None, "nobody of its group is here");
    }
    bench.heartbeat(2, "a client");
    assert_eq!(bench.state(), HalfState::Open);
    bench.check(6_000);
    assert_eq!(bench.state(), HalfState::GivenUp);
    assert_eq!(bench.broker.stored("TRANS_CHECK_MAX_TIME_TOPIC").len(), 1);
}

#[test]
fn a_half_message_waits_in_its_own_topic() {
    for flavour in BOTH {
        let mut bench = Bench::new(flavour);
        let answer = bench.half();
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        assert_eq!(field(&answer, "queueId"), Some("2"), "that of the request");
        assert_eq!(
            field(&answer, "queueOffset"),
            Some("0"),
            "that of the half topic"
        );
        assert!(bench.broker.stored("T").is_empty());
        let half = bench.broker.stored(HALF_TOPIC).remove(0);
        assert_eq!((half.queue_id, half.sys_flag), (0, SysFlag(0)));
        assert_eq!(half.properties.get("REAL_TOPIC"), Some("T"));
        assert_eq!(half.properties.get("REAL_QID"), Some("2"));
        assert_eq!(bench.state(), HalfState::Open);
    }
}

#[test]
fn a_commit_delivers_the_message_as_it_was_sent() {
    let mut bench = Bench::new(Flavour::V5_3);
    bench.half();
    assert_eq!(bench.end(|_| ()).unwrap().code, 0);
    assert_eq!(bench.state(), HalfState::Committed);
    let half = bench.broker.stored(HALF_TOPIC).remove(0);
    let delivered = bench.broker.stored("T").remove(0);
    assert_eq!(delivered.body.as_ref(), b"half");
    assert_eq!((delivered.queue_id, delivered.queue_offset), (2, 0));
    assert_eq!(delivered.sys_flag, SysFlag(8));
    assert_eq!(
        delivered.prepared_transaction_offset,
        half.commit_log_offset
    );
    assert_eq!(delivered.properties.get("UNIQ_KEY"), Some("ID"));
    assert_eq!(delivered.properties.get("TAGS"), Some("A"));
    for gone in ["TRAN_MSG", "REAL_TOPIC", "REAL_QID"] {
        assert_eq!(delivered.properties.get(gone), None);
    }
}

#[test]
fn a_rollback_delivers_nothing_and_an_unknown_state_is_never_answered() {
    let mut bench = Bench::new(Flavour::V4_9);
    bench.half();
    assert!(bench.end(|header| header.commit_or_rollback = 0).is_none());
    assert_eq!(bench.state(), HalfState::Open);
    assert_eq!(
        bench
            .end(|header| header.commit_or_rollback = 12)
            .unwrap()
            .code,
        0
    );
    assert_eq!(bench.state(), HalfState::RolledBack);
    assert!(bench.broker.stored("T").is_empty());
}

#[test]
fn an_end_that_does_not_fit_is_refused_with_its_reason() {
    let mut bench = Bench::new(Flavour::V5_3);
    bench.half();
    let mut refused = |change: fn(&mut EndTransactionRequest<'_>), text: &str| {
        let answer = bench.end(change).unwrap();
        assert_eq!((answer.code, remark(&answer)), (1, text));
        assert_eq!(bench.state(), HalfState::Open);
    };
    refused(
        |h| h.producer_group = "thief".into(),
        "The producer group wrong",
    );
    refused(
        |h| h.tran_state_table_offset = 9,
        "The transaction state table offset wrong",
    );
    refused(
        |h| h.commit_log_offset = 9,
        "Find prepared transaction message failed",
    );
}

#[test]
fn a_message_with_a_delay_level_arrives_when_its_time_has_come() {
    for flavour in BOTH {
        let mut bench = Bench::new(flavour);
        let answer = bench.send(&[("DELAY", "2"), ("TAGS", "A")], b"later");
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        assert_eq!(field(&answer, "queueId"), Some("2"));
        assert_eq!(bench.broker.stored("SCHEDULE_TOPIC_XXXX")[0].queue_id, 1);
        assert_eq!(bench.broker.next_delivery(), Some(START + 5000));
        bench.now.unix_ms += 4999;
        bench.send(&[], b"meanwhile");
        assert_eq!(bench.broker.stored("T").len(), 1);
        bench.now.unix_ms += 1;
        bench.broker.deliver_due(bench.now);
        let delivered = bench.broker.stored("T").remove(1);
        assert_eq!(delivered.body.as_ref(), b"later");
        assert_eq!(delivered.queue_id, 2);
        assert_eq!(delivered.properties.get("DELAY"), None);
        assert_eq!(delivered.properties.get("TAGS"), Some("A"));
        assert_eq!(bench.broker.next_delivery(), None);
    }
}

#[test]
fn delay_levels_beyond_the_last_are_the_last() {
    let mut bench = Bench::new(Flavour::V4_9);
    bench.send(&[("DELAY", "99")], b"x");
    assert_eq!(bench.broker.next_delivery(), Some(START + 7_200_000));
}

#[test]
fn a_timer_is_for_5_and_4_delivers_at_once() {
    let timed = [("TIMER_DELAY_SEC", "10"), ("UNIQ_KEY", "ID")];
    let mut old = Bench::new(Flavour::V4_9);
    let answer = old.send(&timed, b"x");
    assert_eq!(field(&answer, "recallHandle"), None);
    assert_eq!(old.broker.stored("T").len(), 1);

    let mut new = Bench::new(Flavour::V5_3);
    let answer = new.send(&timed, b"x");
    assert_eq!(new.broker.next_delivery(), Some(START + 10_000));
    assert!(new.broker.stored("T").is_empty());
    let handle = RecallHandle::decode(field(&answer, "recallHandle").unwrap()).unwrap();
    assert_eq!(
        (handle.topic.as_str(), handle.broker.as_str()),
        ("T", "broker-a")
    );
    assert_eq!(handle.unique_id, "ID");
    new.now.unix_ms += 10_000;
    new.broker.deliver_due(new.now);
    assert_eq!(new.broker.stored("T").len(), 1);
}

#[test]
fn the_first_timer_property_by_precedence_counts_and_the_past_is_now() {
    let mut bench = Bench::new(Flavour::V5_3);
    let deliver = (START + 60_000).to_string();
    bench.send(
        &[("TIMER_DELIVER_MS", &deliver), ("TIMER_DELAY_MS", "1500")],
        b"x",
    );
    assert_eq!(bench.broker.next_delivery(), Some(START + 1500));
    bench.send(&[("TIMER_DELIVER_MS", "1")], b"y");
    assert_eq!(bench.broker.stored("T").len(), 1);
}

#[test]
fn a_recalled_message_is_never_delivered() {
    let mut bench = Bench::new(Flavour::V5_3);
    let answer = bench.send(&[("TIMER_DELAY_SEC", "10"), ("UNIQ_KEY", "ID")], b"x");
    let handle = field(&answer, "recallHandle").unwrap().to_owned();
    let recall = |handle: &str, topic: &str| RecallMessageRequest {
        producer_group: None,
        topic: topic.to_owned().into(),
        recall_handle: handle.to_owned().into(),
        broker_name: None,
    };
    let mut refused = |handle: &str, topic: &str, expected: i32, text: &str| {
        let answer = bench.call(RequestCode::RECALL_MESSAGE, &recall(handle, topic), b"");
        assert_eq!((answer.code, remark(&answer)), (expected, text));
    };
    refused("nonsense", "T", 604, "recall handle is invalid");
    refused(
        &handle,
        "SELF_TEST_TOPIC",
        604,
        "recall failed, topic not match",
    );
    let answer = bench.call(RequestCode::RECALL_MESSAGE, &recall(&handle, "T"), b"");
    assert_eq!((answer.code, field(&answer, "msgId")), (0, Some("ID")));
    bench.now.unix_ms += 20_000;
    bench.broker.deliver_due(bench.now);
    assert!(bench.broker.stored("T").is_empty());
    let answer = bench.call(RequestCode::RECALL_MESSAGE, &recall(&handle, "T"), b"");
    assert_eq!(remark(&answer), "recall failed, timestamp invalid");
    let mut old = Bench::new(Flavour::V4_9);
    assert_eq!(
        old.call(RequestCode::RECALL_MESSAGE, &recall(&handle, "T"), b"")
            .code,
        3
    );
}

#[test]
fn a_reply_is_pushed_to_the_requester_and_stored() {
    for flavour in BOTH {
        let mut bench = Bench::new(flavour);
        bench.heartbeat(5, "requester@1");
        let topic = "DefaultCluster_REPLY_TOPIC";
        let pairs = [
            ("REPLY_TO_CLIENT", "requester@1"),
            ("CORRELATION_ID", "c"),
            ("MSG_TYPE", "reply"),
        ];
        let reply = with_properties(topic, &pairs);
        let answer = bench.call(RequestCode::SEND_REPLY_MESSAGE_V2, &reply, b"pong");
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        assert_eq!(bench.broker.stored(topic).len(), 1);
        let pushed = bench
            .written_to(5)
            .expect("a push on the requester's connection");
        assert_eq!(pushed.code, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT.0);
        assert_eq!(pushed.flags, Flags::REQUEST);
        assert_eq!(pushed.body.as_ref(), b"pong");
        let slash = if flavour == Flavour::V4_9 { "/" } else { "" };
        assert_eq!(
            field(&pushed, "bornHost").unwrap(),
            format!("{slash}10.0.0.9:40000")
        );
        assert!(
            field(&pushed, "properties")
                .unwrap()
                .contains("PUSH_REPLY_TIME")
        );

        // The client's answer to the push is remembered and not answered.
        let thanks = RemotingCommand::response(pushed.opaque, ResponseCode::SUCCESS, None);
        assert!(bench.give(5, &thanks).is_none());
        assert_eq!(bench.broker.requests().answers().count(), 1);
    }
}

#[test]
fn a_reply_that_cannot_be_pushed_is_refused_with_its_reason() {
    let mut bench = Bench::new(Flavour::V5_3);
    let topic = "DefaultCluster_REPLY_TOPIC";
    let mut refused = |pairs: &[(&str, &str)], text: &str| {
        let reply = with_properties(topic, pairs);
        let answer = bench.call(RequestCode::SEND_REPLY_MESSAGE_V2, &reply, b"pong");
        assert_eq!((answer.code, remark(&answer)), (1, text));
    };
    refused(&[], "reply message properties[REPLY_TO_CLIENT] is null");
    let text = "push reply message fail, channel of <nobody> not found.";
    refused(&[("REPLY_TO_CLIENT", "nobody")], text);
    assert!(bench.broker.stored(topic).is_empty());
}

#[test]
fn clients_are_known_until_they_leave_fall_silent_or_hang_up() {
    for flavour in BOTH {
        let mut bench = Bench::new(flavour);
        let answer = bench.heartbeat(1, "client@1");
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        let of_5 = (flavour == Flavour::V5_3).then_some("true");
        assert_eq!(field(&answer, "IS_SUPPORT_HEART_BEAT_V2"), of_5);
        bench.heartbeat(2, "client@2");
        bench.heartbeat(3, "client@3");
        assert_eq!(bench.broker.heartbeats().count(), 3);
        let known = |bench: &Bench| {
            let clients = bench.broker.clients(bench.now);
            clients
                .into_iter()
                .map(|client| client.client_id)
                .collect::<Vec<_>>()
        };
        assert_eq!(known(&bench), ["client@1", "client@2", "client@3"]);

        for group in ["group", "other"] {
            assert_eq!(known(&bench).len(), 3);
            let leave = UnregisterClientRequest {
                client_id: "client@1".into(),
                producer_group: Some(group.into()),
                consumer_group: None,
            };
            let answer = bench.call(RequestCode::UNREGISTER_CLIENT, &leave, b"");
            assert_eq!(code(&answer), ResponseCode::SUCCESS);
        }
        assert_eq!(known(&bench), ["client@2", "client@3"]);
        bench.broker.on_closed(PeerId(2));
        assert_eq!(known(&bench), ["client@3"]);
        bench.now.unix_ms += 120_000;
        assert!(known(&bench).is_empty());
    }
}

#[test]
fn topics_are_created_by_request() {
    let create = |topic: &str| CreateTopicRequest {
        topic: topic.to_owned().into(),
        default_topic: "TBW102".into(),
        read_queue_nums: 5,
        write_queue_nums: 6,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        topic_sys_flag: Some(0),
        order: true,
        attributes: Some("+message.type=FIFO,+cleanup.policy=COMPACTION".into()),
        force: None,
    };
    let rows = [
        (Flavour::V4_9, 1, "not set any response code"),
        (Flavour::V5_3, 29, ""),
    ];
    for (flavour, refusal, success) in rows {
        let mut bench = Bench::new(flavour);
        let answer = bench.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &create("New"), b"");
        assert_eq!((answer.code, remark(&answer)), (0, success));
        let announced = bench
            .out
            .iter()
            .any(|action| matches!(action, Action::Register(_)));
        assert!(announced, "the name servers are told");
        let topic = bench.broker.topic("New").unwrap();
        assert_eq!(
            (topic.read_queues, topic.write_queues, topic.order),
            (5, 6, true)
        );
        assert_eq!(topic.attributes["message.type"], "FIFO");
        for bad in ["TBW102", "bad name!", ""] {
            let answer = bench.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &create(bad), b"");
            assert_eq!(answer.code, refusal, "{bad:?}");
        }
        // The header's own default is not touched.
        assert_eq!(
            bench
                .call(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x")
                .code,
            0
        );
    }
}

#[test]
fn a_logical_queue_is_taken_by_its_holder_and_refused_by_others() {
    let mut bench = Bench::new(Flavour::V5_3);
    let config = TopicConfig::new(4).logical(2, 1, [(1, 3)]);
    bench.broker.create_topic("static", config);
    let mut to = |queue_id| {
        let header = SendMessageRequest {
            queue_id,
            ..header("static")
        };
        bench.call(RequestCode::SEND_MESSAGE_V2, &header, b"x")
    };
    let taken = to(1);
    assert_eq!((taken.code, field(&taken, "queueId")), (0, Some("1")));
    let refused = to(0);
    assert_eq!(code(&refused), ResponseCode::NOT_LEADER_FOR_QUEUE);
    let text = "static-0 does not exit in request process of current broker broker-a";
    assert_eq!(remark(&refused), text);
    assert_eq!(bench.broker.stored("static")[0].queue_id, 3);
}
