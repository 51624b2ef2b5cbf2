//! Requests that are not sends (PROTOCOL B.8 to B.14).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::proto::header::{
    OffsetResponse, QueryMessageResponse, RecallMessageResponse, TimestampResponse,
};
use rocketmq_engine::proto::{
    FrameDecoder, MessageQueue, OffsetMessageId, Properties, RecallHandle, RemotingCommand,
    RequestCode, ResponseCode, StoredMessage, StoredVersion, SysFlag, TopicName, body_crc,
};
use rocketmq_engine::{
    AdminAnswer, AdminRequest, Certainty, CloseReason, ConnId, CreatedTopic, Endpoint,
    MAX_QUESTIONS, NewTopic, OpId, Operation, Outcome, QueryResult, Question, SendErrorKind,
};

use crate::rig::{NAME_SERVER, Rig, Sent, message, route};

const QUERY: RequestCode = RequestCode::QUERY_MESSAGE;
const CREATE: RequestCode = RequestCode::UPDATE_AND_CREATE_TOPIC;
const VIEW: RequestCode = RequestCode::VIEW_MESSAGE_BY_ID;
const ROUTE: RequestCode = RequestCode::GET_ROUTEINFO_BY_TOPIC;
const MAX_OFFSET: RequestCode = RequestCode::GET_MAX_OFFSET;

fn queue(broker: &str, id: i32) -> MessageQueue {
    MessageQueue::new(TopicName::new("T").unwrap(), broker, id)
}

fn ask(rig: &mut Rig, request: AdminRequest, ms: u64) -> OpId {
    rig.submit(Operation::Admin {
        request: Box::new(request),
        timeout: Duration::from_millis(ms),
    })
}

fn put<T>(rig: &mut Rig, question: Question<T>, ms: u64) -> OpId {
    let request = question.into_request().unwrap();
    ask(rig, request, ms)
}

fn answer(rig: &mut Rig, op: OpId) -> AdminAnswer {
    match rig.outcome(op) {
        Some(Outcome::Admin(answer)) => *answer,
        other => panic!("{op} has no answer but {other:?}"),
    }
}

fn created(rig: &mut Rig, op: OpId) -> CreatedTopic {
    match answer(rig, op) {
        AdminAnswer::Created(created) => created,
        other => panic!("{other:?}"),
    }
}

fn found(rig: &mut Rig, op: OpId) -> QueryResult {
    match answer(rig, op) {
        AdminAnswer::Messages(found) => found,
        other => panic!("{other:?}"),
    }
}

fn number(rig: &mut Rig, op: OpId) -> i64 {
    match answer(rig, op) {
        AdminAnswer::Number(number) => number,
        other => panic!("{other:?}"),
    }
}

fn reply(request: &Sent, code: ResponseCode) -> RemotingCommand {
    RemotingCommand::response(request.command.opaque, code, None)
}

fn stored(key: &str, unique_id: &str, store_timestamp: i64) -> StoredMessage {
    let body = Bytes::from_static(b"body");
    let host: SocketAddr = "127.0.0.1:10911".parse().unwrap();
    let properties = format!("KEYS\u{1}{key}\u{2}UNIQ_KEY\u{1}{unique_id}");
    StoredMessage {
        version: StoredVersion::V1,
        topic: "T".to_owned(),
        queue_id: 0,
        queue_offset: 0,
        commit_log_offset: 77,
        flag: 0,
        sys_flag: SysFlag(0),
        body_crc: body_crc(&body),
        born_timestamp: 1,
        born_host: host,
        store_timestamp,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        properties: Properties::from_wire(properties),
        body,
    }
}

fn encoded(messages: &[StoredMessage]) -> Bytes {
    let mut bytes = BytesMut::new();
    for message in messages {
        message.encode(&mut bytes).unwrap();
    }
    bytes.freeze()
}

/// Answers a query with these messages.
fn tell(rig: &mut Rig, request: &Sent, messages: &[StoredMessage], index_updated: i64) {
    let answer = reply(request, ResponseCode::SUCCESS)
        .with_fields(&QueryMessageResponse {
            index_last_update_timestamp: index_updated,
            index_last_update_phyoffset: 1,
        })
        .with_body(encoded(messages));
    rig.receive(request.conn, &answer);
}

fn learn_key_topic(rig: &mut Rig, brokers: &[&str]) -> ConnId {
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, ROUTE);
    assert_eq!(question.field("topic"), "TBW102");
    rig.answer_body(&question, ResponseCode::SUCCESS, route(brokers, 4));
    name_server
}

#[test]
fn questions_about_a_queue_go_to_its_master() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let rows = [
        (Question::max_offset(&queue("b", 2)), MAX_OFFSET),
        (
            Question::min_offset(&queue("b", 2)),
            RequestCode::GET_MIN_OFFSET,
        ),
        (
            Question::search_offset(&queue("b", 2), 5),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP,
        ),
    ];
    for (question, code) in rows {
        let op = put(&mut rig, question, 6_000);
        let asked = rig.frame(conns[1], code);
        assert_eq!(asked.field("topic"), "T");
        assert_eq!(asked.field("queueId"), "2");
        assert_eq!(asked.field("bname"), "b");
        let told = reply(&asked, ResponseCode::SUCCESS).with_fields(&OffsetResponse { offset: 7 });
        rig.receive(asked.conn, &told);
        assert_eq!(number(&mut rig, op), 7);
    }
    let op = put(
        &mut rig,
        Question::earliest_store_time(&queue("b", 2)),
        6_000,
    );
    let asked = rig.frame(conns[1], RequestCode::GET_EARLIEST_MSG_STORETIME);
    let told = TimestampResponse { timestamp: -1 };
    rig.receive(
        conns[1],
        &reply(&asked, ResponseCode::SUCCESS).with_fields(&told),
    );
    assert_eq!(number(&mut rig, op), -1);
}

#[test]
fn a_broker_that_the_route_does_not_name_is_asked_for_once() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 4, |_| {});
    let name_server = rig.frames().count();
    assert_eq!(name_server, 0, "nothing under way");
    let op = put(&mut rig, Question::max_offset(&queue("z", 0)), 6_000);
    let asked = rig.frames().next().cloned().unwrap();
    assert_eq!(asked.command.code, ROUTE.0);
    rig.answer_body(&asked, ResponseCode::SUCCESS, route(&["a"], 4));
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NoRoute);
    assert!(
        error.to_string().starts_with("The broker[z] not exist"),
        "{error}"
    );

    rig.forget_frames();
    let op = put(&mut rig, Question::max_offset(&queue("z", 0)), 6_000);
    let asked = rig.frames().next().cloned().unwrap();
    rig.answer_body(&asked, ResponseCode::SUCCESS, route(&["a", "z"], 4));
    let z = rig.connect("z:1");
    let asked = rig.frame(z, MAX_OFFSET);
    rig.receive(
        z,
        &reply(&asked, ResponseCode::SUCCESS).with_fields(&OffsetResponse { offset: 3 }),
    );
    assert_eq!(number(&mut rig, op), 3);
}

#[test]
fn an_unknown_topic_has_no_route() {
    let mut rig = Rig::new(|_| {});
    let op = put(&mut rig, Question::query_message("T", "k", 32, 0..9), 6_000);
    let name_server = rig.connect(NAME_SERVER);
    let own = rig.frame(name_server, ROUTE);
    rig.answer(&own, ResponseCode::TOPIC_NOT_EXIST, "No topic route info");
    let default = rig.frame(name_server, ROUTE);
    rig.answer_body(&default, ResponseCode::SUCCESS, route(&["a"], 4));
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NoRoute);
    assert!(
        error
            .to_string()
            .contains("The topic[T] not matched route info"),
        "{error}"
    );
}

#[test]
fn name_servers_that_cannot_be_asked_are_named() {
    let mut rig = Rig::new(|_| {});
    let op = put(&mut rig, Question::max_offset(&queue("a", 0)), 6_000);
    rig.refuse(NAME_SERVER);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NameServer);
    assert!(error.to_string().contains(NAME_SERVER), "{error}");
}

#[test]
fn a_topic_is_made_on_every_master_with_five_tries_each() {
    let mut rig = Rig::new(|_| {});
    let topic = NewTopic::new("new", 8)
        .attribute("message.type", "FIFO")
        .order(true);
    let op = put(&mut rig, Question::create_topic(topic), 6_000);
    learn_key_topic(&mut rig, &["a", "b"]);
    let (a, b) = (rig.connect("a:1"), rig.connect("b:1"));
    let of_b = rig.frame(b, CREATE);
    let expected = [
        ("topic", "new"),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", "8"),
        ("writeQueueNums", "8"),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
        ("topicSysFlag", "0"),
        ("order", "true"),
        ("attributes", "+message.type=FIFO"),
    ];
    for (name, value) in expected {
        assert_eq!(of_b.field(name), value, "{name}");
    }
    for try_number in 1..=5 {
        let of_a = rig.frame(a, CREATE);
        rig.answer(&of_a, ResponseCode::SYSTEM_ERROR, "disk full");
        assert!(
            rig.outcome(op).is_none(),
            "b has not answered, {try_number}"
        );
    }
    assert!(rig.try_frame(a, CREATE).is_none(), "a sixth try");
    rig.answer(&of_b, ResponseCode::SUCCESS, "not set any response code");
    let created = created(&mut rig, op);
    assert_eq!(
        created.brokers.iter().map(|b| &**b).collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(created.failures.len(), 1);
    assert_eq!(&*created.failures[0].broker, "a");
    assert!(created.failures[0].to_string().contains("disk full"));
}

#[test]
fn a_topic_that_no_broker_makes_is_an_error_in_the_brokers_words() {
    let mut rig = Rig::new(|_| {});
    let op = put(
        &mut rig,
        Question::create_topic(NewTopic::new("new", 8)),
        6_000,
    );
    learn_key_topic(&mut rig, &["a", "b"]);
    let (a, b) = (rig.connect("a:1"), rig.connect("b:1"));
    // One that would say the same again is asked once.
    let of_a = rig.frame(a, CREATE);
    rig.answer(&of_a, ResponseCode::INVALID_PARAMETER, "bad topic");
    assert!(rig.try_frame(a, CREATE).is_none());
    for _ in 0..5 {
        let of_b = rig.frame(b, CREATE);
        rig.answer(&of_b, ResponseCode::SYSTEM_ERROR, "disk full");
    }
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Broker);
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert_eq!(error.code(), Some(ResponseCode::SYSTEM_ERROR));
    assert_eq!(error.attempts().len(), 2);
    assert_eq!(error.attempts()[0].address, Endpoint::new("a:1").ok());
    for words in ["create new topic failed", "disk full", "b at b:1"] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn a_broker_that_is_away_for_a_moment_gets_the_topic_all_the_same() {
    let mut rig = Rig::new(|_| {});
    let op = put(
        &mut rig,
        Question::create_topic(NewTopic::new("new", 8)),
        6_000,
    );
    learn_key_topic(&mut rig, &["a"]);
    rig.refuse("a:1");
    assert!(rig.dial("a:1").is_none(), "not before the pause is over");
    rig.run_to(100);
    let a = rig.connect("a:1");
    let asked = rig.frame(a, CREATE);
    rig.close(a);
    rig.run_to(1_000);
    assert_eq!(asked.conn, a);
    let a = rig.connect("a:1");
    let asked = rig.frame(a, CREATE);
    rig.answer(&asked, ResponseCode::SUCCESS, "");
    assert_eq!(created(&mut rig, op).failures.len(), 0);
}

#[test]
fn a_key_topic_without_masters_is_an_error_that_says_so() {
    let mut rig = Rig::new(|_| {});
    let op = put(
        &mut rig,
        Question::create_topic(NewTopic::new("new", 8)),
        6_000,
    );
    let name_server = rig.connect(NAME_SERVER);
    let slaves =
        r#"{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"1":"a:1"}}],"queueDatas":[]}"#;
    let question = rig.frame(name_server, ROUTE);
    rig.answer_body(&question, ResponseCode::SUCCESS, slaves);
    let error = rig.error(op);
    assert!(
        error
            .to_string()
            .contains("Not found broker, maybe key is wrong"),
        "{error}"
    );
}

#[test]
fn of_several_name_servers_the_first_that_answers_counts() {
    let servers = ["ns:1", "ns:2"].map(|address| Endpoint::new(address).unwrap());
    let mut rig = Rig::new(|config| config.name_servers = servers.into());
    let op = ask(&mut rig, AdminRequest::TopicList, 6_000);
    let first = if rig.dial("ns:1").is_some() {
        "ns:1"
    } else {
        "ns:2"
    };
    let other = if first == "ns:1" { "ns:2" } else { "ns:1" };
    // The first does not answer the dial: half of the time is the other's.
    rig.run_to(2_999);
    assert!(rig.dial(other).is_none());
    rig.run_to(3_000);
    let conn = rig.connect(other);
    let asked = rig.frame(conn, RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
    rig.answer_body(
        &asked,
        ResponseCode::SUCCESS,
        r#"{"topicList":["T","TBW102"]}"#,
    );
    match answer(&mut rig, op) {
        AdminAnswer::Topics(topics) => assert_eq!(topics, ["T", "TBW102"]),
        other => panic!("{other:?}"),
    }
    // The next question begins with the one that is well.
    let op = ask(&mut rig, AdminRequest::ClusterInfo, 6_000);
    let asked = rig.frame(conn, RequestCode::GET_BROKER_CLUSTER_INFO);
    let quirky = r#"{"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1"},"brokerName":"a","cluster":"c"}},"clusterAddrTable":{"c":["a"]}}"#;
    rig.answer_body(&asked, ResponseCode::SUCCESS, quirky);
    match answer(&mut rig, op) {
        AdminAnswer::Cluster(info) => assert_eq!(info.brokers["a"].addrs[&0], "a:1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_server_that_does_not_know_the_question_is_quoted() {
    let mut rig = Rig::new(|_| {});
    let op = ask(&mut rig, AdminRequest::ClusterInfo, 6_000);
    let conn = rig.connect(NAME_SERVER);
    let asked = rig.frame(conn, RequestCode::GET_BROKER_CLUSTER_INFO);
    rig.answer(
        &asked,
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        "no such thing",
    );
    let error = rig.error(op);
    assert_eq!(error.code(), Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED));
    assert!(error.to_string().contains("no such thing"), "{error}");
}

#[test]
fn a_query_joins_what_all_brokers_found_and_leaves_out_what_only_looks_alike() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b", "c"], 4, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 3..9),
        18_000,
    );
    let [a, b, c] = [0, 1, 2].map(|n| rig.frame(conns[n], QUERY));
    let expected = [
        ("topic", "T"),
        ("key", "k1"),
        ("maxNum", "32"),
        ("beginTimestamp", "3"),
        ("endTimestamp", "9"),
        ("_UNIQUE_KEY_QUERY", "false"),
    ];
    for (name, value) in expected {
        assert_eq!(a.field(name), value, "{name}");
    }
    let mut of_other_topic = stored("k1", "U4", 1);
    of_other_topic.topic = "Other".to_owned();
    tell(
        &mut rig,
        &a,
        &[stored("k0 k1", "U1", 30), stored("k11", "U2", 20)],
        500,
    );
    tell(&mut rig, &b, &[stored("k1", "U3", 10), of_other_topic], 400);
    rig.answer(&c, ResponseCode::SYSTEM_ERROR, "index broken");
    let found = found(&mut rig, op);
    let ids: Vec<_> = found
        .messages
        .iter()
        .map(StoredMessage::message_id)
        .collect();
    assert_eq!(ids, ["U3", "U1"], "by the time of storing");
    assert_eq!(found.index_updated_at_ms, 400);
    assert_eq!(found.failures.len(), 1);
    assert!(found.failures[0].to_string().contains("index broken"));
}

#[test]
fn a_query_that_finds_nothing_is_not_found() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 0..9),
        18_000,
    );
    let a = rig.frame(conns[0], QUERY);
    rig.answer(
        &a,
        ResponseCode::QUERY_NOT_FOUND,
        "can not find message, maybe time range not correct",
    );
    let b = rig.frame(conns[1], QUERY);
    tell(&mut rig, &b, &[stored("other", "U1", 10)], 1);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .starts_with("query message by key finished, but no message."),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[test]
fn nothing_found_where_some_could_not_be_asked_is_their_failure() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 0..9),
        18_000,
    );
    let a = rig.frame(conns[0], QUERY);
    rig.answer(&a, ResponseCode::QUERY_NOT_FOUND, "");
    rig.frame(conns[1], QUERY);
    rig.close(conns[1]);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Connection);
    assert!(error.to_string().contains("b at b:1"), "{error}");
}

#[test]
fn a_silent_broker_costs_a_query_its_time_but_not_what_others_found() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 0..9),
        2_000,
    );
    let a = rig.frame(conns[0], QUERY);
    tell(&mut rig, &a, &[stored("k1", "U1", 10)], 1);
    rig.run_to(1_999);
    assert!(rig.outcome(op).is_none());
    rig.run_to(2_000);
    let found = found(&mut rig, op);
    assert_eq!((found.messages.len(), found.failures.len()), (1, 1));
    assert_eq!(rig.closed, [(conns[1], CloseReason::Silent)]);
}

#[test]
fn a_query_of_many_brokers_asks_sixteen_at_a_time() {
    let names: Vec<String> = (10..50).map(|n| format!("b{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut rig, conns) = Rig::with_brokers(&names, 1, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 0..9),
        18_000,
    );
    let mut most = 0;
    let mut asked = 0;
    while rig.outcome(op).is_none() {
        let out: Vec<_> = rig
            .frames()
            .filter(|f| f.command.code == QUERY.0)
            .cloned()
            .collect();
        most = most.max(out.len());
        let next = rig.frame(out[0].conn, QUERY);
        asked += 1;
        rig.answer(&next, ResponseCode::QUERY_NOT_FOUND, "");
        if asked == names.len() {
            break;
        }
    }
    assert_eq!((asked, most, conns.len()), (40, 16, 40));
    assert_eq!(rig.error(op).kind(), SendErrorKind::NotFound);
}

#[test]
fn a_query_holds_no_more_than_64_mib_of_answers() {
    let names = ["a", "b", "c", "d", "e"];
    let (mut rig, conns) = Rig::with_brokers(&names, 1, |_| {});
    let op = put(
        &mut rig,
        Question::query_message("T", "k1", 32, 0..9),
        18_000,
    );
    let mut large = stored("k1", "U1", 10);
    large.body = Bytes::from(vec![0; 15 * 1024 * 1024]);
    for conn in &conns {
        let asked = rig.frame(*conn, QUERY);
        tell(&mut rig, &asked, std::slice::from_ref(&large), 1);
    }
    let found = found(&mut rig, op);
    assert_eq!((found.messages.len(), found.failures.len()), (4, 1));
    assert!(found.failures[0].to_string().contains("67108864"));
}

#[test]
fn a_message_is_viewed_where_its_id_says() {
    let mut rig = Rig::new(|_| {});
    let id = OffsetMessageId::new("127.0.0.1:10911".parse().unwrap(), 77);
    let op = put(&mut rig, Question::view_message(&id.to_string()), 6_000);
    let conn = rig.connect("127.0.0.1:10911");
    let asked = rig.frame(conn, VIEW);
    assert_eq!(asked.field("offset"), "77");
    rig.answer_body(
        &asked,
        ResponseCode::SUCCESS,
        encoded(&[stored("k", "U", 1)]),
    );
    match answer(&mut rig, op) {
        AdminAnswer::Message(message) => assert_eq!(message.message_id(), "U"),
        other => panic!("{other:?}"),
    }
    assert!(
        rig.try_frame(conn, RequestCode::HEART_BEAT).is_none(),
        "may be a slave"
    );

    let op = put(&mut rig, Question::view_message(&id.to_string()), 6_000);
    let asked = rig.frame(conn, VIEW);
    rig.answer(
        &asked,
        ResponseCode::SYSTEM_ERROR,
        "can not find message by the offset, 77",
    );
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("can not find message by the offset, 77"),
        "{error}"
    );

    let op = put(&mut rig, Question::view_message(&id.to_string()), 6_000);
    let asked = rig.frame(conn, VIEW);
    rig.answer(&asked, ResponseCode::SYSTEM_ERROR, "store broken");
    assert_eq!(rig.error(op).kind(), SendErrorKind::Broker);
}

#[test]
fn a_message_not_in_the_store_is_looked_up_by_its_unique_id() {
    let store: SocketAddr = "127.0.0.1:10911".parse().unwrap();
    let id = OffsetMessageId::new(store, 77).to_string();
    let mut rig = Rig::new(|_| {});
    let op = put(&mut rig, Question::find_message("T", &id), 18_000);
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, ROUTE);
    let own = route(&["a"], 4).replace("a:1", "127.0.0.1:10911");
    rig.answer_body(&question, ResponseCode::SUCCESS, own);
    let conn = rig.connect("127.0.0.1:10911");
    let asked = rig.frame(conn, VIEW);
    assert_eq!((asked.field("offset"), asked.field("topic")), ("77", "T"));
    rig.answer(
        &asked,
        ResponseCode::SYSTEM_ERROR,
        "can not find message by the offset, 77",
    );
    let asked = rig.frame(conn, QUERY);
    assert_eq!(
        (asked.field("key"), asked.field("_UNIQUE_KEY_QUERY")),
        (&*id, "true")
    );
    tell(
        &mut rig,
        &asked,
        &[stored("k", "other", 1), stored("k", &id, 2)],
        1,
    );
    assert_eq!(found(&mut rig, op).messages.len(), 1);

    // What is there is there at the first question.
    let op = put(&mut rig, Question::find_message("T", &id), 18_000);
    let asked = rig.frame(conn, VIEW);
    rig.answer_body(
        &asked,
        ResponseCode::SUCCESS,
        encoded(&[stored("k", "U", 1)]),
    );
    assert!(matches!(answer(&mut rig, op), AdminAnswer::Message(_)));
    assert!(rig.try_frame(conn, QUERY).is_none());
}

#[test]
fn a_unique_id_is_no_address_to_dial() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    // It reads as an offset id of 10.0.0.9:10911.
    let id = OffsetMessageId::new("10.0.0.9:10911".parse().unwrap(), 77).to_string();
    let op = put(&mut rig, Question::find_message("T", &id), 18_000);
    assert!(rig.dial("10.0.0.9:10911").is_none());
    let asked = rig.frame(conns[0], QUERY);
    tell(&mut rig, &asked, &[stored("k", &id, 2)], 1);
    assert_eq!(found(&mut rig, op).messages.len(), 1);
}

#[test]
fn a_handle_goes_back_to_the_broker_that_gave_it() {
    let (mut rig, conns) = Rig::with_brokers(&["a", "b"], 4, |_| {});
    let handle = |broker: &str| {
        let handle = RecallHandle {
            topic: "T".to_owned(),
            broker: broker.to_owned(),
            deliver_at_ms: 5,
            unique_id: "U".to_owned(),
        };
        handle.encode()
    };
    let op = put(&mut rig, Question::recall("T", &handle("b")), 3_000);
    let asked = rig.frame(conns[1], RequestCode::RECALL_MESSAGE);
    assert_eq!(asked.field("producerGroup"), "group");
    assert_eq!((asked.field("topic"), asked.field("bname")), ("T", "b"));
    assert_eq!(asked.field("recallHandle"), handle("b"));
    let told = RecallMessageResponse { msg_id: "U".into() };
    rig.receive(
        conns[1],
        &reply(&asked, ResponseCode::SUCCESS).with_fields(&told),
    );
    match answer(&mut rig, op) {
        AdminAnswer::Recalled(id) => assert_eq!(id, "U"),
        other => panic!("{other:?}"),
    }
    // A broker that no route knows: any other may know what to do.
    let op = put(&mut rig, Question::recall("T", &handle("gone")), 3_000);
    let question = rig.frames().next().cloned().unwrap();
    rig.answer_body(&question, ResponseCode::SUCCESS, route(&["a", "b"], 4));
    let asked = rig.frame(conns[0], RequestCode::RECALL_MESSAGE);
    assert_eq!(asked.field("bname"), "gone");
    rig.answer(
        &asked,
        ResponseCode::ILLEGAL_OPERATION,
        "recall failed, timestamp invalid",
    );
    let error = rig.error(op);
    assert_eq!(error.code(), Some(ResponseCode::ILLEGAL_OPERATION));
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert!(
        error
            .to_string()
            .contains("recall failed, timestamp invalid"),
        "{error}"
    );
}

#[test]
fn going_away_once_goes_unnoticed() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let op = put(&mut rig, Question::max_offset(&queue("a", 0)), 6_000);
    let asked = rig.frame(conns[0], MAX_OFFSET);
    rig.answer(&asked, ResponseCode::GO_AWAY, "");
    assert_eq!(rig.closed, [(conns[0], CloseReason::GoneAway)]);
    let again = rig.connect("a:1");
    let asked = rig.frame(again, MAX_OFFSET);
    rig.answer(&asked, ResponseCode::GO_AWAY, "");
    let error = rig.error(op);
    assert_eq!(error.code(), Some(ResponseCode::GO_AWAY));
}

#[test]
fn a_lost_connection_ends_the_question_once_and_at_once() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let op = put(&mut rig, Question::max_offset(&queue("a", 0)), 6_000);
    let asked = rig.frame(conns[0], MAX_OFFSET);
    rig.flushed(conns[0], asked.seq);
    rig.close(conns[0]);
    let error = rig.error(op);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Connection, Certainty::Unknown)
    );
    rig.answer(&asked, ResponseCode::SUCCESS, "");
    assert!(
        rig.outcome(op).is_none(),
        "an answer that comes too late is nobody's"
    );
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_that_says_so() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let rows = [
        (
            Question::max_offset(&queue("a", 0)).into_request(),
            MAX_OFFSET,
        ),
        (
            Question::query_message("T", "k", 1, 0..9).into_request(),
            QUERY,
        ),
    ];
    for (request, code) in rows {
        let op = ask(&mut rig, request.unwrap(), 6_000);
        let asked = rig.frame(conns[0], code);
        rig.answer_body(&asked, ResponseCode::SUCCESS, &b"\0\0\0\x09junk"[..]);
        let error = rig.error(op);
        assert_eq!(error.kind(), SendErrorKind::Broker, "{error}");
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}

#[test]
fn a_question_ends_at_its_deadline_wherever_it_is() {
    let mut rig = Rig::new(|_| {});
    let op = put(&mut rig, Question::max_offset(&queue("a", 0)), 500);
    rig.run_to(499);
    assert!(rig.outcome(op).is_none());
    rig.run_to(500);
    assert_eq!(
        rig.error(op).kind(),
        SendErrorKind::Timeout,
        "no name server"
    );

    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let op = put(&mut rig, Question::max_offset(&queue("a", 0)), 500);
    rig.run_to(500);
    let error = rig.error(op);
    assert_eq!(error.kind(), SendErrorKind::Timeout, "no answer");
    assert!(
        error
            .to_string()
            .contains("a at a:1 after 500.0ms: no reply"),
        "{error}"
    );
    let asked = rig.frame(conns[0], MAX_OFFSET);
    rig.answer(&asked, ResponseCode::SUCCESS, "");
    assert!(rig.outcome(op).is_none());
}

#[test]
fn a_shutdown_ends_questions_at_once() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let out = put(
        &mut rig,
        Question::create_topic(NewTopic::new("T2", 1).key_topic("T")),
        6_000,
    );
    let waiting = put(&mut rig, Question::max_offset(&queue("z", 0)), 6_000);
    rig.frame(conns[0], CREATE);
    let grace = Duration::from_secs(5);
    rig.submit(Operation::Shutdown { grace });
    let error = rig.error(out);
    assert_eq!(
        (error.kind(), error.certainty()),
        (SendErrorKind::Closed, Certainty::Unknown)
    );
    assert_eq!(rig.error(waiting).certainty(), Certainty::NotSent);
}

#[test]
fn no_more_than_1024_questions_are_under_way() {
    let (mut rig, conns) = Rig::with_brokers(&["a"], 4, |_| {});
    let first = put(&mut rig, Question::max_offset(&queue("a", 0)), 6_000);
    for _ in 1..MAX_QUESTIONS {
        put(&mut rig, Question::max_offset(&queue("a", 0)), 6_000);
    }
    let one_more = |rig: &mut Rig| {
        let (topic, timeout) = (TopicName::new("other").unwrap(), Duration::from_secs(6));
        rig.try_accept(Operation::Ready { topic, timeout }, true)
    };
    let error = one_more(&mut rig).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
    assert!(error.to_string().contains("1024 questions"), "{error}");
    let send = rig.send(message("sends have room of their own"));
    assert!(rig.next_send().is_some() && rig.outcome(send).is_none());
    let asked = rig.frame(conns[0], MAX_OFFSET);
    rig.answer(&asked, ResponseCode::SYSTEM_ERROR, "");
    assert_eq!(rig.error(first).kind(), SendErrorKind::Broker);
    assert!(one_more(&mut rig).is_ok());
}

#[test]
fn what_cannot_be_asked_is_refused_before_anybody_is() {
    let long = "k".repeat(40_000);
    let recall = RecallHandle {
        topic: "T".to_owned(),
        broker: "a".to_owned(),
        deliver_at_ms: 5,
        unique_id: "U".to_owned(),
    };
    let handle = recall.encode();
    let new = NewTopic::new;
    let refused = [
        (
            Question::create_topic(new("TBW102", 4)).into_request(),
            "The topic[TBW102] is conflict with system topic.",
        ),
        (
            Question::create_topic(new("rmq_sys_x", 4)).into_request(),
            "is conflict with system topic.",
        ),
        (
            Question::create_topic(new("bad name!", 4)).into_request(),
            "The specified topic[bad name!] contains illegal characters",
        ),
        (
            Question::create_topic(new("t", 4).key_topic(" ")).into_request(),
            "The specified topic is blank",
        ),
        (
            Question::create_topic(new("t", 0)).into_request(),
            "0 queues",
        ),
        (
            Question::create_topic(new("t", 4).perm(16)).into_request(),
            "16 is no permission",
        ),
        (
            Question::create_topic(new("t", 4).attribute("a", "b,+c=d,e")).into_request(),
            "attributes",
        ),
        (
            Question::create_topic(new("t", 4).attribute("", "b")).into_request(),
            "attributes",
        ),
        (
            Question::query_message("T", " ", 1, 0..9).into_request(),
            "a key of 1 bytes",
        ),
        (
            Question::query_message("T", &long, 1, 0..9).into_request(),
            "a key of 40000 bytes",
        ),
        (
            Question::query_message("T", "k", 0, 0..9).into_request(),
            "0 messages",
        ),
        (
            Question::query_message("T", "k", 1025, 0..9).into_request(),
            "1 to 1024",
        ),
        (
            Question::view_message("nonsense").into_request(),
            "`nonsense` is no offset message id",
        ),
        (
            Question::find_message("", "x").into_request(),
            "The specified topic is blank",
        ),
        (
            Question::recall("T", "nonsense").into_request(),
            "recall handle is invalid",
        ),
        (
            Question::recall("%RETRY%g", &handle).into_request(),
            "topic is not supported",
        ),
        (
            Question::recall("%DLQ%g", &handle).into_request(),
            "topic is not supported",
        ),
    ];
    for (request, words) in refused {
        let error = request.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

/// What Java's client 4.9.8 sent for the same calls (`tests/golden`).
#[test]
fn the_requests_are_those_that_java_sends() {
    let mut requests = Vec::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    for file in ["stream-admin-json-broker1-c2s.bin"] {
        let mut bytes = BytesMut::from(&fs::read(golden.join(file)).unwrap()[..]);
        let mut decoder = FrameDecoder::default();
        while let Some(frame) = decoder.next_frame(&mut bytes).unwrap() {
            requests.push(RemotingCommand::from_frame(&frame).unwrap());
        }
    }
    let codes = [17, 29, 30, 31, 32, 33, 12];
    let mut compared = 0;
    for java in requests.iter().filter(|r| codes.contains(&r.code)) {
        let mut expected = java.ext_fields.clone().unwrap();
        let field = |name: &str| java.ext_fields.as_ref().unwrap()[name].clone();
        let number = |name: &str| field(name).parse::<u64>().unwrap();
        let queue = || {
            let topic = TopicName::new("CapTopic").unwrap();
            MessageQueue::new(topic, "broker-a", field("queueId").parse().unwrap())
        };
        let request = match java.code {
            17 => Question::create_topic(NewTopic::new(field("topic"), 4)).into_request(),
            29 => Question::search_offset(&queue(), number("timestamp")).into_request(),
            30 => Question::max_offset(&queue()).into_request(),
            31 => Question::min_offset(&queue()).into_request(),
            32 => Question::earliest_store_time(&queue()).into_request(),
            33 => {
                let host = "127.0.0.1:10911".parse().unwrap();
                let id = OffsetMessageId::new(host, field("offset").parse().unwrap());
                Question::view_message(&id.to_string()).into_request()
            }
            _ if field("_UNIQUE_KEY_QUERY") == "true" => {
                Question::view_by_unique_id("CapTopic", &field("key")).into_request()
            }
            _ => {
                let times = number("beginTimestamp")..number("endTimestamp");
                Question::query_message("CapTopic", &field("key"), 10, times).into_request()
            }
        };
        let mut ours = sent_by(request.unwrap());
        if java.code == 12 && field("_UNIQUE_KEY_QUERY") == "true" {
            // Where to begin depends on the clock: a table of `write` has that.
            let begin = ours.remove("beginTimestamp").unwrap();
            assert!(begin.parse::<i64>().is_ok());
            expected.remove("beginTimestamp");
        }
        assert_eq!(ours, expected, "code {}", java.code);
        compared += 1;
    }
    assert_eq!(compared, 12);
}

/// The fields of a request as it leaves, the route being that of the capture.
fn sent_by(request: AdminRequest) -> std::collections::BTreeMap<String, String> {
    let code = match &request {
        AdminRequest::View(_) => VIEW,
        _ => ROUTE,
    };
    let mut rig = Rig::new(|_| {});
    ask(&mut rig, request, 6_000);
    if code == ROUTE {
        let name_server = rig.connect(NAME_SERVER);
        let question = rig.frame(name_server, ROUTE);
        let own = route(&["broker-a"], 4).replace("broker-a:1", "127.0.0.1:10911");
        rig.answer_body(&question, ResponseCode::SUCCESS, own);
    }
    let conn = rig.connect("127.0.0.1:10911");
    let beat = RequestCode::HEART_BEAT.0;
    let sent = rig
        .frames()
        .find(|sent| sent.conn == conn && sent.command.code != beat);
    sent.unwrap().command.ext_fields.clone().unwrap()
}
