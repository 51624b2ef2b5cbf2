//! Every fault does what it says, over real sockets.

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Client, code, eventually, header, remark};
use rocketmq_proto::{RequestCode, ResponseCode, header::GetRouteInfoRequest};
use rocketmq_testkit::{
    Broker, Cluster, Fault, FaultRule, Handle, Listening, MAX_RULES, ScriptFull,
};

fn cluster() -> (Cluster, Handle<Broker>) {
    let cluster = Cluster::builder().topic("T", 4).start().unwrap();
    let broker = cluster.broker(0);
    (cluster, broker)
}

/// A client of a broker that has this fault for the next send.
fn facing(fault: Fault) -> (Cluster, Handle<Broker>, Client) {
    let (cluster, broker) = cluster();
    let rule = FaultRule::new(fault).sends().times(1);
    broker.inject(rule).unwrap();
    let client = Client::connect(broker.addr());
    (cluster, broker, client)
}

fn stored(broker: &Handle<Broker>) -> usize {
    broker.stored("T").len()
}

#[test]
fn a_delayed_answer_comes_late_and_is_overtaken() {
    let delay = Duration::from_millis(200);
    let (_cluster, broker, mut client) = facing(Fault::Delay(delay));
    let start = Instant::now();
    let late = client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"late");
    let quick = client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"quick");
    assert_eq!(client.receive().opaque, quick);
    assert_eq!(stored(&broker), 2, "processed at once");
    assert_eq!(client.receive().opaque, late);
    assert!(start.elapsed() >= delay);
}

#[test]
fn a_request_never_answered_is_processed() {
    let (_cluster, broker, mut client) = facing(Fault::NeverAnswer);
    client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
    client.assert_silent();
    assert_eq!(stored(&broker), 1);
    assert_eq!(
        code(&client.send(&header("T"), b"y")),
        ResponseCode::SUCCESS
    );
}

#[test]
fn a_swallowed_request_is_neither_processed_nor_answered() {
    let (_cluster, broker, mut client) = facing(Fault::Swallow);
    client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
    client.assert_silent();
    assert_eq!(stored(&broker), 0);
}

#[test]
fn an_answer_comes_twice_for_one_message() {
    let (_cluster, broker, mut client) = facing(Fault::AnswerTwice);
    let answer = client.send(&header("T"), b"x");
    assert_eq!(client.receive(), answer);
    assert_eq!(stored(&broker), 1);
}

#[test]
fn a_given_code_is_answered_without_processing() {
    let fault = Fault::Answer {
        code: ResponseCode(4711),
        remark: Some("no".to_owned()),
    };
    let (_cluster, broker, mut client) = facing(fault);
    let answer = client.send(&header("T"), b"x");
    assert_eq!((code(&answer), remark(&answer)), (ResponseCode(4711), "no"));
    assert_eq!(answer.ext_fields, None);
    assert_eq!(stored(&broker), 0);
}

#[test]
fn a_half_success_is_answered_with_its_header_and_stored() {
    let fault = Fault::Answer {
        code: ResponseCode::FLUSH_SLAVE_TIMEOUT,
        remark: None,
    };
    let (_cluster, broker, mut client) = facing(fault);
    let answer = client.send(&header("T"), b"x");
    assert_eq!(code(&answer), ResponseCode::FLUSH_SLAVE_TIMEOUT);
    assert_eq!(common::field(&answer, "queueOffset"), Some("0"));
    assert_eq!(stored(&broker), 1);
}

#[test]
fn flow_control_is_worded_as_java_words_it() {
    let rows = [
        (
            Fault::reject_request(),
            "[REJECTREQUEST]system busy, start flow control for a while",
        ),
        (
            Fault::overload(),
            "[OVERLOAD]system busy, start flow control for a while",
        ),
        (
            Fault::queue_timeout(206, 3),
            "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 206ms, size of queue: 3",
        ),
        (
            Fault::page_cache_busy_in_queue(1, 2),
            "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 1ms, size of queue: 2",
        ),
    ];
    for (fault, text) in rows {
        let (_cluster, _, mut client) = facing(fault);
        let answer = client.send(&header("T"), b"x");
        assert_eq!(
            (code(&answer), remark(&answer)),
            (ResponseCode::SYSTEM_BUSY, text)
        );
    }
}

#[test]
fn going_away_is_answered_without_processing() {
    let (_cluster, broker, mut client) = facing(Fault::GoAway);
    let answer = client.send(&header("T"), b"x");
    assert_eq!(
        (code(&answer), remark(&answer)),
        (ResponseCode::GO_AWAY, "please go away")
    );
    assert_eq!(stored(&broker), 0);
}

#[test]
fn a_reset_comes_after_exactly_so_many_bytes_of_the_answer() {
    for count in [0, 1, 4, 9] {
        let (_cluster, broker, mut client) = facing(Fault::ResetAfterBytes(count));
        client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
        assert_eq!(client.read_to_end().len(), count);
        assert_eq!(stored(&broker), 1);
    }
}

#[test]
fn a_reset_before_processing_stores_nothing_and_one_after_it_does() {
    for (fault, messages) in [
        (Fault::ResetBeforeProcessing, 0),
        (Fault::ResetAfterProcessing, 1),
    ] {
        let (_cluster, broker, mut client) = facing(fault);
        client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
        assert!(client.read_to_end().is_empty());
        assert_eq!(stored(&broker), messages);
        eventually("the connection is gone", || broker.connections() == 0);
    }
}

#[test]
fn garbage_is_written_as_it_stands() {
    let garbage = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (_cluster, broker, mut client) = facing(Fault::Garbage(garbage.clone()));
    client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
    assert_eq!(client.read_raw(garbage.len()), garbage);
    assert_eq!(stored(&broker), 0);
}

#[test]
fn an_oversized_frame_claims_two_gigabytes() {
    let (_cluster, _, mut client) = facing(Fault::OversizedFrame);
    client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"x");
    assert_eq!(client.read_raw(4), 0x7fff_ffff_u32.to_be_bytes());
}

#[test]
fn rules_choose_by_code_topic_turn_and_number_of_times() {
    let (_cluster, broker) = cluster();
    broker.create_topic("U", rocketmq_testkit::TopicConfig::new(1));
    let refuse = |code| Fault::Answer {
        code: ResponseCode(code),
        remark: None,
    };
    let mut client = Client::connect(broker.addr());
    let mut codes = |topic: &str, rule: FaultRule| {
        broker.clear_faults();
        broker.inject(rule).unwrap();
        let mut send = |_| client.send(&header(topic), b"x").code;
        (0..6).map(&mut send).collect::<Vec<_>>()
    };
    assert_eq!(
        codes("T", FaultRule::new(refuse(99)).nth(3)),
        [0, 0, 99, 0, 0, 0]
    );
    assert_eq!(
        codes("T", FaultRule::new(refuse(99)).every(2)),
        [0, 99, 0, 99, 0, 99]
    );
    let twice = FaultRule::new(refuse(99)).every(2).times(2);
    assert_eq!(codes("T", twice), [0, 99, 0, 99, 0, 0]);
    assert_eq!(codes("U", FaultRule::new(refuse(99)).topic("T")), [0; 6]);
    assert_eq!(codes("T", FaultRule::new(refuse(99)).topic("T")), [99; 6]);
    let other = FaultRule::new(refuse(99)).code(RequestCode::HEART_BEAT);
    assert_eq!(codes("T", other), [0; 6]);
    let always = FaultRule::new(refuse(99)).probability(1.0, 1);
    assert_eq!(codes("T", always), [99; 6]);
    let never = FaultRule::new(refuse(99)).probability(0.0, 1);
    assert_eq!(codes("T", never), [0; 6]);
    let half = || FaultRule::new(refuse(99)).probability(0.5, 42);
    let drawn = codes("T", half());
    assert!(
        drawn.contains(&0) && drawn.contains(&99),
        "seed 42 draws both: {drawn:?}"
    );
    assert_eq!(codes("T", half()), drawn, "the same seed draws the same");
}

#[test]
fn a_script_is_bounded() {
    let (_cluster, broker) = cluster();
    for _ in 0..MAX_RULES {
        broker
            .inject(FaultRule::new(Fault::Swallow).topic("never"))
            .unwrap();
    }
    assert_eq!(
        broker.inject(FaultRule::new(Fault::Swallow)),
        Err(ScriptFull)
    );
    broker.clear_faults();
    assert_eq!(broker.inject(FaultRule::new(Fault::Swallow)), Ok(()));
}

#[test]
fn name_servers_have_a_script_too() {
    let (cluster, _) = cluster();
    let name_server = cluster.name_server(0);
    name_server
        .inject(FaultRule::new(Fault::ResetBeforeProcessing).times(1))
        .unwrap();
    let route = GetRouteInfoRequest {
        topic: "T".into(),
        accept_standard_json_only: None,
    };
    let mut client = Client::connect(name_server.addr());
    client.request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, b"");
    assert!(client.read_to_end().is_empty());
    let mut client = Client::connect(name_server.addr());
    let answer = client.call(RequestCode::GET_ROUTEINFO_BY_TOPIC, &route, b"");
    assert_eq!(code(&answer), ResponseCode::SUCCESS);
    assert_eq!(name_server.faults_fired(), 1);
}

#[test]
fn a_paused_server_is_half_open_and_then_goes_on() {
    let (_cluster, broker) = cluster();
    let mut before = Client::connect(broker.addr());
    before.send(&header("T"), b"x");
    broker.pause();
    let mut during = Client::connect(broker.addr());
    for client in [&mut before, &mut during] {
        client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"held");
        client.assert_silent();
    }
    assert_eq!(stored(&broker), 1);
    broker.resume();
    assert_eq!(code(&before.receive()), ResponseCode::SUCCESS);
    assert_eq!(code(&during.receive()), ResponseCode::SUCCESS);
    assert_eq!(stored(&broker), 3);
}

#[test]
fn a_paused_server_can_be_killed() {
    let (_cluster, broker) = cluster();
    let mut client = Client::connect(broker.addr());
    client.send(&header("T"), b"x");
    broker.pause();
    client.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"lost");
    broker.stop();
    assert!(client.read_to_end().is_empty());
    broker.restart().unwrap();
    assert_eq!(stored(&broker), 1);
    let mut client = Client::connect(broker.addr());
    assert_eq!(
        code(&client.send(&header("T"), b"y")),
        ResponseCode::SUCCESS
    );
}

#[test]
fn a_listener_refuses_or_accepts_in_silence_and_opens_again() {
    let (_cluster, broker) = cluster();
    let mut old = Client::connect(broker.addr());
    old.send(&header("T"), b"x");
    broker.listen(Listening::Refuse).unwrap();
    let refused = std::net::TcpStream::connect(broker.addr()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(
        code(&old.send(&header("T"), b"old ones go on")),
        ResponseCode::SUCCESS
    );

    broker.listen(Listening::Silent).unwrap();
    let mut silent = Client::connect(broker.addr());
    silent.request(RequestCode::SEND_MESSAGE_V2, &header("T"), b"unheard");
    silent.assert_silent();
    assert_eq!(stored(&broker), 2);

    broker.listen(Listening::Open).unwrap();
    assert!(silent.read_to_end().is_empty());
    let mut client = Client::connect(broker.addr());
    assert_eq!(
        code(&client.send(&header("T"), b"z")),
        ResponseCode::SUCCESS
    );
}
