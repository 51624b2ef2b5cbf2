//! Namespaces, and what else every request carries (PROTOCOL G.6, B.0, B.1, E.1).

use std::time::Duration;

use rocketmq_engine::proto::{
    Batch, BatchMembers, Message, MessageQueue, Properties, RecallHandle, RequestCode,
    ResponseCode, StoredMessage, StoredVersion, SysFlag, TopicName,
};
use rocketmq_engine::{
    Config, Event, NewTopic, Operation, Outcome, Prepared, Question, SendErrorKind,
};

use crate::rig::{NAME_SERVER, Rig, message};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn in_namespace(config: &mut Config) {
    config.namespace = Some("ns".into());
}

#[test]
fn servers_see_the_namespace_and_the_application_does_not() {
    let mut rig = Rig::new(in_namespace);
    let timeout = Duration::from_secs(3);
    let queues = rig.submit(Operation::PublishQueues {
        topic: topic("T"),
        timeout,
    });
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_eq!(question.field("topic"), "ns%T");
    let route = crate::rig::route(&["a"], 1);
    rig.answer_body(&question, ResponseCode::SUCCESS, route);
    let Some(Outcome::Queues(queues)) = rig.outcome(queues) else {
        panic!("no queues");
    };
    assert_eq!(*queues, [MessageQueue::new(topic("T"), "a", 0)]);
    assert!(rig.events.iter().any(|event| matches!(
        event,
        Event::RouteChanged { topic: changed, .. } if *changed == topic("T")
    )));

    let original = message("x").to(queues[0].clone());
    let op = rig.send(original.clone());
    assert_eq!(original.topic(), &topic("T"));
    assert_eq!(original.properties().get("INSTANCE_ID"), None);
    let broker = rig.connect("a:1");
    let beat = rig.frame(broker, RequestCode::HEART_BEAT);
    let beat = String::from_utf8_lossy(&beat.command.body).into_owned();
    assert!(beat.contains("\"groupName\":\"ns%group\""), "{beat}");
    let sent = rig.next_send().unwrap();
    assert_eq!((sent.field("a"), sent.field("b")), ("ns%group", "ns%T"));
    assert_eq!(
        sent.field("c"),
        "TBW102",
        "a system topic is in no namespace"
    );
    let properties = Properties::from_wire(sent.field("i"));
    assert_eq!(properties.get("INSTANCE_ID"), Some("ns"));
    rig.confirm(&sent);
    assert_eq!(rig.receipt(op).queue.topic, topic("T"));

    rig.submit(Operation::Shutdown {
        grace: Duration::ZERO,
    });
    let goodbye = rig.frame(broker, RequestCode::UNREGISTER_CLIENT);
    assert_eq!(goodbye.field("producerGroup"), "ns%group");
}

#[test]
fn a_name_that_is_in_the_namespace_already_is_not_put_there_again() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, in_namespace);
    for name in ["T", "ns%T"] {
        let op = rig.send(Message::new(name, "x"));
        let sent = rig.next_send().unwrap();
        assert_eq!(sent.field("b"), "ns%T");
        rig.confirm(&sent);
        assert_eq!(rig.receipt(op).queue.topic, topic("T"));
    }
}

/// PROTOCOL G.3: brokers make the topic of replies by themselves, in no namespace, and hosts whose
/// namespaces differ reply to each other through it.
#[test]
fn a_reply_goes_to_the_clusters_own_topic_and_into_no_namespace() {
    let mut rig = Rig::new(in_namespace);
    let properties = [
        ("CLUSTER", "c"),
        ("CORRELATION_ID", "C1"),
        ("REPLY_TO_CLIENT", "asker"),
    ];
    let properties = properties.map(|(name, value)| format!("{name}\u{1}{value}"));
    let request = StoredMessage {
        version: StoredVersion::V1,
        topic: "T".into(),
        queue_id: 0,
        queue_offset: 0,
        commit_log_offset: 0,
        flag: 0,
        sys_flag: SysFlag::default(),
        body_crc: 0,
        born_timestamp: 0,
        born_host: ([10, 0, 0, 1], 1).into(),
        store_timestamp: 0,
        store_host: ([10, 0, 0, 1], 1).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        properties: Properties::from_wire(properties.join("\u{2}")),
        body: "ping".into(),
    };
    let op = rig.send(Message::in_reply_to(&request, "pong").unwrap());
    let name_server = rig.connect(NAME_SERVER);
    let question = rig.frame(name_server, RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_eq!(question.field("topic"), "c_REPLY_TOPIC");
    let route = crate::rig::route(&["a"], 1);
    rig.answer_body(&question, ResponseCode::SUCCESS, route);
    let broker = rig.connect("a:1");
    let sent = rig.frame(broker, RequestCode::SEND_REPLY_MESSAGE_V2);
    assert_eq!(
        (sent.field("a"), sent.field("b")),
        ("ns%group", "c_REPLY_TOPIC")
    );
    rig.confirm(&sent);
    assert_eq!(rig.receipt(op).queue.topic, topic("c_REPLY_TOPIC"));
}

#[test]
fn each_member_of_a_batch_names_its_instance() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, in_namespace);
    let batch = Batch::new(vec![message("x"), message("y")]).unwrap();
    let mut ids = rocketmq_engine::proto::UniqueIds::new(Rig::id_seed());
    let prepared = Prepared::batch(rig.config(), batch, || ids.next(1)).unwrap();
    rig.submit(Operation::Send(Box::new(prepared)));
    let sent = rig.take_frame(RequestCode::SEND_BATCH_MESSAGE);
    assert_eq!(sent.field("b"), "ns%T");
    assert_eq!(sent.field("i"), "WAIT\u{1}true");
    let members: Vec<_> = BatchMembers::new(&sent.command.body).collect();
    assert_eq!(members.len(), 2);
    for member in members {
        let properties = Properties::from_wire(member.unwrap().properties);
        assert_eq!(properties.get("INSTANCE_ID"), Some("ns"));
    }
}

#[test]
fn errors_name_topics_as_the_application_does() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        in_namespace(config);
        config.retries = 0;
    });
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    rig.answer(&sent, ResponseCode::MESSAGE_ILLEGAL, "no");
    let error = rig.error(op).to_string();
    assert!(
        error.contains("topic T ") && !error.contains("ns%"),
        "{error}"
    );
}

#[test]
fn errors_of_waiting_name_topics_as_the_application_does() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        in_namespace(config);
        config.max_in_flight = 1;
        config.retries = 0;
    });
    let (request, _) = rig.request(message("ping"), 1_000);
    let sent = rig.next_send().unwrap();
    rig.confirm(&sent);
    let no_room = rig.send(message("x").timeout(Duration::from_millis(500)));
    rig.run_to(1_000);
    let elsewhere = rig.send(Message::new("U", "x"));
    rig.run_to(5_000);
    for (op, named) in [
        (request, "topic T "),
        (no_room, "topic T:"),
        (elsewhere, "topic U"),
    ] {
        let error = rig.error(op).to_string();
        assert!(error.contains(named) && !error.contains("ns%"), "{error}");
    }
}

/// One row an admin request, what servers answer to all that it asks (`None`: nothing), and what its
/// error then says.
#[test]
fn errors_of_admin_requests_name_topics_as_the_application_does() {
    let of_queue = |broker| Question::max_offset(&MessageQueue::new(topic("T"), broker, 0)).request;
    let query = |topic| Question::query_message(topic, "k", 32, 0..9).request;
    let handle = RecallHandle {
        topic: "T".to_owned(),
        broker: "a".to_owned(),
        deliver_at_ms: 5,
        unique_id: "U".to_owned(),
    };
    let new = NewTopic::new("new", 1).key_topic("ns%T");
    let refused = Some(ResponseCode::SYSTEM_ERROR);
    let not_there = Some(ResponseCode::TOPIC_NOT_EXIST);
    let not_found = Some(ResponseCode::QUERY_NOT_FOUND);
    let rows = [
        (of_queue("a"), refused, "the max offset of T@a:0 failed"),
        (of_queue("z"), refused, "the route of topic T names no such"),
        (query("T"), refused, "querying topic T by key"),
        (query("T"), not_found, "Topic T, key k"),
        (query("U"), not_there, "The topic[U] not matched"),
        (query("U"), None, "no route info of topic U in time"),
        (
            Question::create_topic(new).request,
            refused,
            "creating new failed",
        ),
        (
            Question::recall("T", &handle.encode()).request,
            refused,
            "a message of topic T failed",
        ),
    ];
    for (request, answer, says) in rows {
        let (mut rig, _) = Rig::with_brokers(&["a"], 1, in_namespace);
        let op = rig.submit(Operation::Admin {
            request: Box::new(request.unwrap()),
            timeout: Duration::from_secs(1),
        });
        while let Some(code) = answer.filter(|_| rig.frames().next().is_some()) {
            let asked = rig.frames().next().cloned().unwrap();
            rig.forget_frames();
            rig.answer(&asked, code, "no");
        }
        rig.run_to(1_000);
        let error = rig.error(op).to_string();
        assert!(error.contains(says) && !error.contains("ns%"), "{error}");
    }
}

#[test]
fn a_name_too_long_for_the_namespace_is_refused() {
    let name = "x".repeat(126);
    let mut rig = Rig::new(in_namespace);
    let mut ids = rocketmq_engine::proto::UniqueIds::new(Rig::id_seed());
    let long = Message::new(&name, "x");
    let error = Prepared::message(rig.config(), long, || ids.next(1)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
    let timeout = Duration::from_secs(3);
    let topic = topic(&name);
    let op = rig.submit(Operation::Ready { topic, timeout });
    assert_eq!(rig.error(op).kind(), SendErrorKind::InvalidMessage);
}

#[test]
fn the_second_kind_of_namespace_changes_no_name_and_is_in_every_request() {
    let (mut rig, _) = Rig::with_brokers(&["a"], 1, |config| {
        config.namespace_v2 = Some("N".into());
        config.zone_name = Some("z".into());
        config.zone_mode = true;
        config.stream_requests = true;
        config.unit_mode = true;
    });
    rig.run_to(30_000);
    let op = rig.send(message("x"));
    let sent = rig.next_send().unwrap();
    assert_eq!(sent.field("b"), "T");
    assert_eq!(sent.field("k"), "true");
    let mut frames: Vec<_> = rig.frames().cloned().collect();
    frames.push(sent.clone());
    let codes: Vec<_> = frames.iter().map(|frame| frame.command.code).collect();
    for code in [RequestCode::HEART_BEAT, RequestCode::GET_ROUTEINFO_BY_TOPIC] {
        assert!(codes.contains(&code.0), "{codes:?}");
    }
    for frame in &frames {
        let expected = [
            ("ns", "N"),
            ("nsd", "true"),
            ("__ZONE_NAME", "z"),
            ("__ZONE_MODE", "true"),
            ("ReqT", "0"),
        ];
        for (name, value) in expected {
            assert_eq!(frame.field(name), value, "{frame:?}");
        }
    }
    rig.confirm(&sent);
    rig.receipt(op);
}
