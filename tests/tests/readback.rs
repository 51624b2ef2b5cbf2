//! What was sent is found again: by pull, by id, by key and by the methods of the testkit (PROTOCOL B.9 to B.11, D.7,
//! D.8, J.3).

mod common;

use common::{
    Client, batch_body, batch_header, code, field, header, remark, wire, with_properties,
};
use rocketmq_proto::{
    OffsetMessageId, RemotingCommand, RequestCode, ResponseCode, SerializeType, StoredMessage,
    StoredMessages, SysFlag,
    header::{
        GetEarliestMsgStoreTimeRequest, GetMaxOffsetRequest, GetMinOffsetRequest,
        PullMessageRequest, QueryMessageRequest, SearchOffsetRequest, SendMessageRequest,
        SendMessageRequestV1, ViewMessageRequest,
    },
};
use rocketmq_testkit::{Cluster, Flavour};

const BOTH: [Flavour; 2] = [Flavour::V4_9, Flavour::V5_3];

fn cluster(flavour: Flavour) -> Cluster {
    let builder = Cluster::builder().flavour(flavour).topic("T", 4);
    builder.start().unwrap()
}

fn pull(client: &mut Client, topic: &str, queue_id: i32, offset: i64) -> RemotingCommand {
    let request = PullMessageRequest {
        consumer_group: "readers".into(),
        topic: topic.into(),
        queue_id,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: 0,
        commit_offset: 0,
        suspend_timeout_millis: 0,
        subscription: Some("*".into()),
        sub_version: 0,
        expression_type: None,
        broker_name: None,
    };
    client.call(RequestCode::PULL_MESSAGE, &request, b"")
}

fn query(topic: &str, key: &str) -> QueryMessageRequest<'static> {
    QueryMessageRequest {
        topic: topic.to_owned().into(),
        key: key.to_owned().into(),
        max_num: 32,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
        unique_key: None,
    }
}

fn messages(answer: &RemotingCommand) -> Vec<StoredMessage> {
    StoredMessages::new(answer.body.clone())
        .map(Result::unwrap)
        .collect()
}

#[test]
fn a_message_is_stored_as_it_was_sent_with_what_the_broker_adds() {
    for flavour in BOTH {
        let cluster = cluster(flavour);
        let mut client = Client::connect(cluster.broker(0).addr());
        let pairs = [
            ("KEYS", "k1 k2"),
            ("TAGS", "A"),
            ("UNIQ_KEY", "7F01"),
            ("WAIT", "true"),
        ];
        let sent = SendMessageRequest {
            queue_id: 3,
            flag: -5,
            sys_flag: 0x301,
            ..with_properties("T", &pairs)
        };
        client.send(&header("T"), b"before it in the log");
        let answer = client.send(&sent, b"hello");
        assert_eq!(
            (code(&answer), remark(&answer)),
            (ResponseCode::SUCCESS, "")
        );
        assert_eq!(field(&answer, "queueId"), Some("3"));
        assert_eq!(field(&answer, "queueOffset"), Some("0"));
        assert_eq!(field(&answer, "MSG_REGION"), Some("DefaultRegion"));
        assert_eq!(field(&answer, "TRACE_ON"), Some("true"));
        let of_5 = (flavour == Flavour::V5_3).then_some("7F01");
        assert_eq!(field(&answer, "transactionId"), of_5);

        let pulled = pull(&mut client, "T", 3, 0);
        assert_eq!(
            (code(&pulled), remark(&pulled)),
            (ResponseCode::SUCCESS, "FOUND")
        );
        assert_eq!(field(&pulled, "nextBeginOffset"), Some("1"));
        let stored = messages(&pulled).remove(0);
        assert_eq!(cluster.broker(0).stored("T")[1], stored);
        assert_eq!(stored.topic, "T");
        assert_eq!(stored.body.as_ref(), b"hello");
        assert!(stored.is_body_intact());
        assert_eq!((stored.queue_id, stored.queue_offset), (3, 0));
        assert_eq!((stored.flag, stored.sys_flag), (-5, SysFlag(0x301)));
        assert_eq!(stored.born_timestamp, 1_700_000_000_000);
        assert_eq!(stored.born_host, client.local_addr());
        assert_eq!(stored.store_host, cluster.broker(0).addr());
        let added = match flavour {
            Flavour::V4_9 => &[("CLUSTER", "DefaultCluster")][..],
            _ => &[
                ("WAIT", "true"),
                ("CLUSTER", "DefaultCluster"),
                ("MSG_REGION", "DefaultRegion"),
                ("TRACE_ON", "true"),
            ],
        };
        let expected: Vec<_> = pairs[..3].iter().chain(added).copied().collect();
        assert_eq!(stored.properties.iter().collect::<Vec<_>>(), expected);

        let id: OffsetMessageId = field(&answer, "msgId").unwrap().parse().unwrap();
        assert_eq!(id.addr, cluster.broker(0).addr());
        assert_eq!(id.offset, stored.commit_log_offset);
        assert!(id.offset > 0, "the log goes on behind the first message");
        let view = ViewMessageRequest {
            offset: id.offset,
            topic: None,
        };
        let viewed = client.call(RequestCode::VIEW_MESSAGE_BY_ID, &view, b"");
        assert_eq!(messages(&viewed), std::slice::from_ref(&stored));
        for key in ["k1", "k2", "7F01"] {
            let found = client.call(RequestCode::QUERY_MESSAGE, &query("T", key), b"");
            assert_eq!(code(&found), ResponseCode::SUCCESS);
            assert_eq!(messages(&found), std::slice::from_ref(&stored));
            let last = stored.commit_log_offset.to_string();
            assert_eq!(
                field(&found, "indexLastUpdatePhyoffset"),
                Some(last.as_str())
            );
        }
    }
}

#[test]
fn offsets_in_the_log_follow_the_bytes_stored() {
    let cluster = cluster(Flavour::V4_9);
    let mut client = Client::connect(cluster.broker(0).addr());
    for size in [1, 100, 7] {
        client.send(&header("T"), &vec![b'x'; size]);
    }
    let mut expected = 0;
    for message in cluster.broker(0).messages() {
        assert_eq!(message.commit_log_offset, expected);
        expected += message.encoded_len() as i64;
    }
}

#[test]
fn a_5_broker_makes_a_unique_key_when_there_is_none() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    let answer = client.send(&header("T"), b"x");
    let stored = cluster.broker(0).stored("T");
    let made = stored[0].properties.get("UNIQ_KEY").unwrap();
    assert_eq!(made.len(), 32);
    assert_eq!(field(&answer, "transactionId"), Some(made));
}

#[test]
fn the_long_names_of_the_first_send_code_are_understood() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    let long = SendMessageRequestV1(with_properties("T", &[("TAGS", "A")]));
    let answer = client.call(RequestCode::SEND_MESSAGE, &long, b"x");
    assert_eq!(code(&answer), ResponseCode::SUCCESS);
    assert_eq!(
        cluster.broker(0).stored("T")[0].properties.get("TAGS"),
        Some("A")
    );
}

#[test]
fn a_batch_is_split_and_each_member_gets_the_properties_of_the_batch() {
    for flavour in BOTH {
        let cluster = cluster(flavour);
        let mut client = Client::connect(cluster.broker(0).addr());
        client.send(&header("T"), b"first in its queue");
        let body = batch_body(&[
            (b"one", &wire(&[("UNIQ_KEY", "ID1")])),
            (
                b"two",
                &(wire(&[("UNIQ_KEY", "ID2"), ("TAGS", "A")]) + "\u{2}"),
            ),
            (b"", ""),
        ]);
        let answer = client.call(RequestCode::SEND_BATCH_MESSAGE, &batch_header("T"), &body);
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        assert_eq!(field(&answer, "queueOffset"), Some("1"));
        assert_eq!(field(&answer, "transactionId"), None);

        let stored = cluster.broker(0).stored("T");
        let ids: Vec<_> = stored[1..]
            .iter()
            .map(|m| m.offset_message_id().to_string())
            .collect();
        assert_eq!(field(&answer, "msgId").unwrap(), ids.join(","));
        let bodies: Vec<_> = stored.iter().map(|m| m.body.to_vec()).collect();
        assert_eq!(bodies[1..], [b"one".to_vec(), b"two".to_vec(), vec![]]);
        let offsets: Vec<_> = stored.iter().map(|m| m.queue_offset).collect();
        assert_eq!(offsets, [0, 1, 2, 3]);
        assert_eq!(stored[2].properties.get("UNIQ_KEY"), Some("ID2"));
        assert_eq!(stored[2].properties.get("TAGS"), Some("A"));
        for member in &stored[1..] {
            assert_eq!(member.properties.get("WAIT"), Some("true"));
            assert_eq!(member.properties.get("CLUSTER"), Some("DefaultCluster"));
        }
        let found = client.call(RequestCode::QUERY_MESSAGE, &query("T", "ID1"), b"");
        assert_eq!(messages(&found), [stored[1].clone()]);
    }
}

#[test]
fn a_broken_batch_stores_nothing() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    let mut body = batch_body(&[(b"one", ""), (b"two", "")]);
    body.truncate(body.len() - 1);
    let answer = client.call(RequestCode::SEND_BATCH_MESSAGE, &batch_header("T"), &body);
    assert_eq!(code(&answer), ResponseCode::SYSTEM_ERROR);
    assert!(remark(&answer).starts_with("java.nio.BufferUnderflowException"));
    assert!(cluster.broker(0).messages().is_empty());
}

#[test]
fn a_queue_is_pulled_to_its_end_in_steps() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    for at in 0..100 {
        client.send(&header("T"), format!("message {at}").as_bytes());
    }
    let mut next = 0;
    let mut bodies = Vec::new();
    loop {
        let answer = pull(&mut client, "T", 0, next);
        assert_eq!(field(&answer, "minOffset"), Some("0"));
        assert_eq!(field(&answer, "maxOffset"), Some("100"));
        next = field(&answer, "nextBeginOffset").unwrap().parse().unwrap();
        if code(&answer) != ResponseCode::SUCCESS {
            assert_eq!(code(&answer), ResponseCode::PULL_NOT_FOUND);
            break;
        }
        bodies.extend(messages(&answer).into_iter().map(|m| m.body));
    }
    assert_eq!(next, 100);
    let expected: Vec<_> = (0..100).map(|at| format!("message {at}")).collect();
    assert_eq!(bodies, expected);
}

#[test]
fn pulls_outside_a_queue_say_where_to_go() {
    let cluster = cluster(Flavour::V4_9);
    let mut client = Client::connect(cluster.broker(0).addr());
    client.send(&header("T"), b"x");
    let mut expect = |queue_id, offset, code: ResponseCode, text: &str, next: &str| {
        let answer = pull(&mut client, "T", queue_id, offset);
        assert_eq!(common::code(&answer), code);
        assert_eq!(remark(&answer), text);
        assert_eq!(field(&answer, "nextBeginOffset"), Some(next));
        assert!(answer.body.is_empty());
    };
    expect(
        0,
        1,
        ResponseCode::PULL_NOT_FOUND,
        "OFFSET_OVERFLOW_ONE",
        "1",
    );
    expect(
        0,
        9,
        ResponseCode::PULL_OFFSET_MOVED,
        "OFFSET_OVERFLOW_BADLY",
        "1",
    );
    expect(
        0,
        -1,
        ResponseCode::PULL_OFFSET_MOVED,
        "OFFSET_TOO_SMALL",
        "0",
    );
    expect(
        1,
        0,
        ResponseCode::PULL_NOT_FOUND,
        "NO_MESSAGE_IN_QUEUE",
        "0",
    );
    expect(
        1,
        5,
        ResponseCode::PULL_OFFSET_MOVED,
        "NO_MESSAGE_IN_QUEUE",
        "0",
    );
    let unknown = pull(&mut client, "Nope", 0, 0);
    assert_eq!(code(&unknown), ResponseCode::TOPIC_NOT_EXIST);
    let beyond = pull(&mut client, "T", 4, 0);
    assert_eq!(code(&beyond), ResponseCode::SYSTEM_ERROR);
}

#[test]
fn offsets_and_times_are_answered_as_a_broker_does() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    for _ in 0..3 {
        client.send(&header("T"), b"x");
    }
    let stored = cluster.broker(0).stored("T");
    let mut max = |queue_id| {
        let request = GetMaxOffsetRequest {
            topic: "T".into(),
            queue_id,
            committed: None,
            broker_name: None,
        };
        let answer = client.call(RequestCode::GET_MAX_OFFSET, &request, b"");
        field(&answer, "offset").unwrap().to_owned()
    };
    assert_eq!(max(0), "3");
    assert_eq!(max(77), "0", "a queue that does not exist (PROTOCOL L 11)");
    let request = GetMinOffsetRequest {
        topic: "T".into(),
        queue_id: 0,
        broker_name: None,
    };
    let answer = client.call(RequestCode::GET_MIN_OFFSET, &request, b"");
    assert_eq!(field(&answer, "offset"), Some("0"));
    let request = GetEarliestMsgStoreTimeRequest {
        topic: "T".into(),
        queue_id: 0,
        broker_name: None,
    };
    let answer = client.call(RequestCode::GET_EARLIEST_MSG_STORETIME, &request, b"");
    let first = stored[0].store_timestamp.to_string();
    assert_eq!(field(&answer, "timestamp"), Some(first.as_str()));
    let mut search = |timestamp| {
        let request = SearchOffsetRequest {
            topic: "T".into(),
            queue_id: 0,
            timestamp,
            boundary_type: None,
            broker_name: None,
        };
        let answer = client.call(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &request, b"");
        field(&answer, "offset").unwrap().to_owned()
    };
    assert_eq!(search(0), "0");
    assert_eq!(
        search(i64::MAX),
        "2",
        "in the future: the last one (PROTOCOL L 11)"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let cluster = cluster(Flavour::V4_9);
    let mut client = Client::connect(cluster.broker(0).addr());
    let view = ViewMessageRequest {
        offset: 5,
        topic: None,
    };
    let answer = client.call(RequestCode::VIEW_MESSAGE_BY_ID, &view, b"");
    assert_eq!(code(&answer), ResponseCode::SYSTEM_ERROR);
    assert_eq!(remark(&answer), "can not find message by the offset, 5");
    let answer = client.call(RequestCode::QUERY_MESSAGE, &query("T", "no"), b"");
    assert_eq!(code(&answer), ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(
        remark(&answer),
        "can not find message, maybe time range not correct"
    );
    assert_eq!(field(&answer, "indexLastUpdateTimestamp"), Some("0"));
}

#[test]
fn a_oneway_send_is_stored_and_never_answered() {
    let cluster = cluster(Flavour::V5_3);
    let mut client = Client::connect(cluster.broker(0).addr());
    client.oneway(RequestCode::SEND_MESSAGE_V2, &header("T"), b"quiet");
    client.oneway(
        RequestCode::SEND_MESSAGE_V2,
        &header("bad name!"),
        b"refused, quietly",
    );
    // The first answer is that of the last request.
    let answer = client.send(&header("T"), b"loud");
    assert_eq!(field(&answer, "queueOffset"), Some("1"));
}

#[test]
fn answers_mirror_the_serialize_type_in_4_and_are_json_in_5() {
    for flavour in BOTH {
        let cluster = cluster(flavour);
        let mut client = Client::connect(cluster.broker(0).addr());
        client.serialize_type = SerializeType::Binary;
        client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
        let (of_success, answer) = client.receive_typed();
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        client.request(RequestCode(999), &(), b"");
        let (off_path, _) = client.receive_typed();
        let view = ViewMessageRequest {
            offset: 0,
            topic: None,
        };
        client.request(RequestCode::VIEW_MESSAGE_BY_ID, &view, b"");
        let (of_view, answer) = client.receive_typed();
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        let mirrored = match flavour {
            Flavour::V4_9 => SerializeType::Binary,
            _ => SerializeType::Json,
        };
        assert_eq!(of_success, mirrored);
        assert_eq!(
            (off_path, of_view),
            (SerializeType::Json, SerializeType::Json)
        );
    }
}

#[test]
fn discarding_keeps_the_counts_and_nothing_else() {
    let cluster = Cluster::builder()
        .discard(true)
        .topic("T", 1)
        .start()
        .unwrap();
    let broker = cluster.broker(0);
    let mut client = Client::connect(broker.addr());
    for at in 0..10 {
        let answer = client.send(&header("T"), &[0; 1024]);
        assert_eq!(field(&answer, "queueOffset"), Some(at.to_string().as_str()));
    }
    let body = batch_body(&[(b"one", ""), (b"two", "")]);
    client.call(RequestCode::SEND_BATCH_MESSAGE, &batch_header("T"), &body);
    assert_eq!(broker.max_offset("T", 0), 12);
    assert!(broker.messages().is_empty());
    assert!(broker.requests().is_empty());
    assert_eq!(broker.count(RequestCode::SEND_MESSAGE_V2), 10);
    assert_eq!(
        code(&pull(&mut client, "T", 0, 0)),
        ResponseCode::PULL_NOT_FOUND
    );
}
