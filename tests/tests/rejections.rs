//! Every way in which a broker refuses a send: code and text (PROTOCOL J.1, J.2), in both flavours.

mod common;

use std::net::SocketAddr;

use bytes::BytesMut;
use common::{batch_body, batch_header, header, with_properties};
use rocketmq_proto::{
    Frame, FrameDecoder, RemotingCommand, RequestCode, SerializeType, header::SendMessageRequest,
    perm,
};
use rocketmq_testkit::{
    Action, Broker, BrokerConfig, Flavour, Health, PeerId, Server, ServerNow, TopicConfig,
};

const NOW: ServerNow = ServerNow {
    unix_ms: 1_700_000_000_000,
};
const BOTH: [Flavour; 2] = [Flavour::V4_9, Flavour::V5_3];

fn address() -> SocketAddr {
    "10.0.1.1:10911".parse().unwrap()
}

fn broker(flavour: Flavour) -> Broker {
    let mut config = BrokerConfig::new("broker-a", address());
    config.flavour = flavour;
    let mut broker = Broker::new(config);
    broker.create_topic("T", TopicConfig::new(4));
    broker
}

fn frame(command: &RemotingCommand) -> Frame {
    let mut bytes = BytesMut::new();
    command.encode(SerializeType::Json, &mut bytes).unwrap();
    FrameDecoder::default()
        .next_frame(&mut bytes)
        .unwrap()
        .unwrap()
}

fn give(broker: &mut Broker, command: &RemotingCommand) -> Option<RemotingCommand> {
    let mut out = Vec::new();
    let peer = "10.0.0.9:40000".parse().unwrap();
    broker.on_frame(NOW, PeerId(1), peer, &frame(command), &mut out);
    out.into_iter().find_map(|action| match action {
        Action::Write { bytes, .. } => {
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

fn send(broker: &mut Broker, header: &SendMessageRequest<'_>, body: &[u8]) -> RemotingCommand {
    let command = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2, 7, header);
    give(broker, &command.with_body(body.to_vec())).expect("an answer")
}

/// One row: 4.9 and 5.3 codes, and the text.
#[track_caller]
fn row(
    codes: [i32; 2],
    text: &str,
    header: &SendMessageRequest<'_>,
    body: &[u8],
    prepare: impl Fn(&mut Broker),
) {
    for (flavour, code) in BOTH.into_iter().zip(codes) {
        let mut broker = broker(flavour);
        prepare(&mut broker);
        let before = broker.messages().len();
        let answer = send(&mut broker, header, body);
        assert_eq!(answer.code, code, "{flavour:?} {:?}", answer.remark);
        let remark = answer.remark.clone().unwrap_or_default();
        assert!(remark.starts_with(text), "{flavour:?}: {remark}");
        assert_eq!(answer.opaque, 7);
        assert_eq!(answer.version, flavour.version());
        if code != 0 {
            assert_eq!(broker.messages().len(), before, "nothing is stored");
        }
    }
}

#[test]
fn row_1_a_broker_that_does_not_accept_yet_says_until_when() {
    let text = "broker unable to service, until 2023-11-14 22:13:20,001";
    row([1, 1], text, &header("T"), b"x", |broker| {
        broker.config_mut().accept_sends_from = NOW.unix_ms + 1;
    });
}

#[test]
fn row_2_an_ordered_topic_needs_a_writeable_broker_and_others_do_not() {
    let text = "the broker[10.0.1.1] sending message is forbidden";
    row([16, 16], text, &header("Ordered"), b"x", |broker| {
        let mut ordered = TopicConfig::new(4);
        ordered.order = true;
        broker.create_topic("Ordered", ordered);
        broker.config_mut().writeable = false;
    });
    row([0, 0], "", &header("T"), b"x", |broker| {
        broker.config_mut().writeable = false;
    });
}

#[test]
fn row_3_a_bad_topic_is_named_as_java_does() {
    row(
        [1, 29],
        "The specified topic is blank.",
        &header(" "),
        b"x",
        |_| {},
    );
    let illegal =
        "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$";
    row([1, 29], illegal, &header("bad name!"), b"x", |_| {});
    let long = "t".repeat(128);
    let text = "The specified topic is longer than topic max length.";
    row([1, 29], text, &header(&long), b"x", |_| {});
    row([0, 0], "", &header(&long[..127]), b"x", |_| {});
}

#[test]
fn row_4_system_topics_take_no_sends() {
    let text = "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.";
    row([16, 16], text, &header("SCHEDULE_TOPIC_XXXX"), b"x", |_| {});
    let text = "Sending message to topic[RMQ_SYS_TRANS_HALF_TOPIC] is forbidden.";
    row(
        [16, 16],
        text,
        &header("RMQ_SYS_TRANS_HALF_TOPIC"),
        b"x",
        |_| {},
    );
}

#[test]
fn row_5_an_unknown_topic_is_refused_when_it_cannot_be_created() {
    let text = "topic[New] not exist, apply first please!\nSee http";
    let unknown_default = SendMessageRequest {
        default_topic: "NotThere".into(),
        ..header("New")
    };
    row([17, 17], text, &unknown_default, b"x", |_| {});
    // T exists and is not inherited from.
    let not_inherited = SendMessageRequest {
        default_topic: "T".into(),
        ..header("New")
    };
    row([17, 17], text, &not_inherited, b"x", |_| {});
}

#[test]
fn row_6_a_queue_beyond_the_topic_is_illegal() {
    let beyond = SendMessageRequest {
        queue_id: 99,
        ..header("T")
    };
    let text = "request queueId[99] is illegal, TopicConfig [topicName=T, readQueueNums=4, \
                writeQueueNums=4, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false";
    row([1, 29], text, &beyond, b"x", |_| {});
    let answer = send(&mut broker(Flavour::V4_9), &beyond, b"x");
    assert!(
        answer
            .remark
            .unwrap()
            .ends_with("order=false] Producer: 10.0.0.9:40000")
    );
    let answer = send(&mut broker(Flavour::V5_3), &beyond, b"x");
    assert!(
        answer
            .remark
            .unwrap()
            .ends_with(", attributes={}] Producer: 10.0.0.9:40000")
    );
}

#[test]
fn rows_7_and_8_a_negative_queue_is_chosen_and_permissions_are_not_checked() {
    let any = SendMessageRequest {
        queue_id: -1,
        ..header("T")
    };
    for flavour in BOTH {
        let mut broker = broker(flavour);
        let mut seen = [0; 4];
        for _ in 0..64 {
            let answer = send(&mut broker, &any, b"x");
            let queue: usize = common::field(&answer, "queueId").unwrap().parse().unwrap();
            seen[queue] += 1;
        }
        assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
        broker.create_topic("ReadOnly", TopicConfig::new(1).perm(perm::READ));
        assert_eq!(send(&mut broker, &header("ReadOnly"), b"x").code, 0);
        assert_eq!(send(&mut broker, &header("TBW102"), b"x").code, 0);
    }
}

#[test]
fn row_9_a_batch_takes_no_retry_group() {
    let retry = batch_header("%RETRY%G");
    let text = "batch request does not support retry group %RETRY%G";
    row([13, 13], text, &retry, &batch_body(&[(b"x", "")]), |_| {});
}

#[test]
fn row_10_a_retry_needs_its_group() {
    let text = "subscription group not exist, G ";
    row([26, 26], text, &header("%RETRY%G"), b"x", |broker| {
        broker.config_mut().auto_create_groups = false;
    });
    row([0, 0], "", &header("%RETRY%G"), b"x", |_| {});
}

#[test]
fn row_11_too_many_retries_end_in_the_dead_letter_topic() {
    let times = |times| SendMessageRequest {
        reconsume_times: Some(times),
        ..header("%RETRY%G")
    };
    for (flavour, last) in BOTH.into_iter().zip([15, 16]) {
        let mut broker = broker(flavour);
        assert_eq!(send(&mut broker, &times(last), b"x").code, 0);
        assert!(broker.stored("%DLQ%G").is_empty());
        assert_eq!(send(&mut broker, &times(last + 1), b"x").code, 0);
        assert_eq!(broker.stored("%DLQ%G").len(), 1);
        let own_limit = SendMessageRequest {
            max_reconsume_times: Some(100),
            ..times(last + 1)
        };
        assert_eq!(send(&mut broker, &own_limit, b"x").code, 0);
        assert_eq!(broker.stored("%RETRY%G").len(), 2);
    }
}

#[test]
fn row_12_a_compacted_topic_needs_keys_in_5() {
    let compacted = |broker: &mut Broker| {
        let mut config = TopicConfig::new(1);
        config
            .attributes
            .insert("cleanup.policy".into(), "COMPACTION".into());
        broker.create_topic("C", config);
    };
    let mut of_5 = broker(Flavour::V5_3);
    compacted(&mut of_5);
    let answer = send(&mut of_5, &header("C"), b"x");
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (13, Some("Required message key is missing"))
    );
    row(
        [0, 0],
        "",
        &with_properties("C", &[("KEYS", "k")]),
        b"x",
        compacted,
    );
}

#[test]
fn row_13_half_messages_may_be_refused() {
    let half = with_properties("T", &[("TRAN_MSG", "true"), ("PGROUP", "group")]);
    let text = "the broker[10.0.1.1] sending transaction message is forbidden";
    row([16, 16], text, &half, b"x", |broker| {
        broker.config_mut().reject_transactions = true;
    });
}

#[test]
fn rows_14_15_and_21_to_24_follow_the_health_of_the_store() {
    let rows = [
        (
            Health::Unavailable,
            [14, 14],
            "service not available now. It may be caused by one of the following reasons: the broker's disk is full [CL:",
        ),
        (
            Health::PageCacheBusy,
            [1, 2],
            "[PC_SYNCHRONIZED]broker busy, start flow control for a while",
        ),
        (
            Health::MappedFileFailed,
            [1, 1],
            "create mapped file failed, server is busy or broken.",
        ),
        (
            Health::ReplicasNotEnough,
            [1, 1],
            "in-sync replicas not enough",
        ),
        (
            Health::LightQueuesExceeded,
            [1, 1],
            "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]",
        ),
        (Health::Unknown, [1, 1], "UNKNOWN_ERROR"),
    ];
    for (health, codes, text) in rows {
        row(codes, text, &header("T"), b"x", |broker| {
            broker.config_mut().health = health
        });
        let batch = batch_body(&[(b"x", "")]);
        row(codes, text, &batch_header("T"), &batch, |broker| {
            broker.config_mut().health = health
        });
    }
}

#[test]
fn a_full_store_refuses_as_a_full_disk() {
    let mut config = BrokerConfig::new("broker-a", address());
    config.max_stored_bytes = 1000;
    let mut broker = Broker::new(config);
    assert_eq!(send(&mut broker, &header("T"), &[0; 100]).code, 0);
    assert_eq!(send(&mut broker, &header("T"), &[0; 900]).code, 14);
    assert_eq!(send(&mut broker, &header("T"), &[0; 100]).code, 0);
}

#[test]
fn row_16_sizes_are_bounded_and_the_text_names_the_limit() {
    let text = "the message is illegal, maybe msg body or properties length not matched. \
                msg body length limit 4194304B, msg properties length limit 32KB.";
    row(
        [13, 13],
        text,
        &header("T"),
        &vec![0; 4 * 1024 * 1024 + 1],
        |_| {},
    );
    row([0, 0], "", &header("T"), &vec![0; 4 * 1024 * 1024], |_| {});
    let long = "v".repeat(33_000);
    row(
        [13, 13],
        text,
        &with_properties("T", &[("P", &long)]),
        b"x",
        |_| {},
    );
    let transactional = SendMessageRequest {
        sys_flag: 4,
        ..batch_header("T")
    };
    row(
        [13, 13],
        text,
        &transactional,
        &batch_body(&[(b"x", "")]),
        |_| {},
    );
    let delayed = SendMessageRequest {
        batch: Some(true),
        ..with_properties("T", &[("DELAY", "1")])
    };
    row([13, 13], text, &delayed, &batch_body(&[(b"x", "")]), |_| {});
}

#[test]
fn row_16_an_empty_body_is_an_exception_in_4_and_illegal_in_5() {
    row([1, 13], "", &header("T"), b"", |_| {});
    let answer = send(&mut broker(Flavour::V4_9), &header("T"), b"");
    assert!(
        answer
            .remark
            .unwrap()
            .starts_with("java.lang.NullPointerException")
    );
    assert_eq!(answer.ext_fields, None, "exceptions carry no field");
}

#[test]
fn row_17_a_batch_that_outgrows_the_limit_when_stored_is_an_exception() {
    // 22 bytes a member on the wire, more than 91 in the store.
    let members = vec![(&b"x"[..], ""); 2000];
    let body = batch_body(&members);
    let text = "java.lang.RuntimeException: message body size exceeded";
    row([1, 1], text, &batch_header("T"), &body, |broker| {
        broker.config_mut().max_message_size = body.len();
    });
}

#[test]
fn rows_18_and_19_timers_are_checked_in_5_and_ignored_in_4() {
    let text = "timer message illegal, the delay time should not be bigger than the max delay \
                259200000ms; or if set del msg, the delay time should be bigger than the current time";
    let refused = [
        vec![("TIMER_DELAY_SEC", "259201")],
        vec![("TIMER_DELAY_MS", "soon")],
        vec![("TIMER_DELIVER_MS", "1"), ("TIMER_DEL_UNIQKEY", "k")],
    ];
    for properties in refused {
        let timed = with_properties("T", &properties);
        assert_eq!(send(&mut broker(Flavour::V4_9), &timed, b"x").code, 0);
        let answer = send(&mut broker(Flavour::V5_3), &timed, b"x");
        assert_eq!((answer.code, answer.remark.as_deref()), (13, Some(text)));
    }
    let timed = with_properties("T", &[("TIMER_DELAY_SEC", "10")]);
    let mut disabled = broker(Flavour::V5_3);
    disabled.config_mut().timer_enabled = false;
    let answer = send(&mut disabled, &timed, b"x");
    assert_eq!(answer.code, 1);
    let text = "accurate timer message is not enabled, timerWheelEnable is false";
    assert_eq!(answer.remark.as_deref(), Some(text));
    let mut busy = broker(Flavour::V5_3);
    busy.config_mut().health = Health::TimerFlowControl;
    let answer = send(&mut busy, &timed, b"x");
    assert_eq!(answer.code, 1);
    assert!(
        answer
            .remark
            .unwrap()
            .starts_with("timer message is under flow control, ")
    );
    assert_eq!(send(&mut busy, &header("T"), b"x").code, 0);
}

#[test]
fn row_20_the_inner_number_is_for_the_broker_alone_in_5() {
    let inner = with_properties("T", &[("INNER_NUM", "2")]);
    assert_eq!(send(&mut broker(Flavour::V4_9), &inner, b"x").code, 0);
    assert_eq!(send(&mut broker(Flavour::V5_3), &inner, b"x").code, 13);
}

#[test]
fn the_three_half_successes_store_and_fill_the_header() {
    let rows = [
        (Health::FlushDiskTimeout, 10),
        (Health::SlaveNotAvailable, 11),
        (Health::FlushSlaveTimeout, 12),
    ];
    for (health, code) in rows {
        for flavour in BOTH {
            let mut broker = broker(flavour);
            broker.config_mut().health = health;
            let answer = send(&mut broker, &header("T"), b"x");
            assert_eq!((answer.code, &answer.remark), (code, &None));
            assert_eq!(common::field(&answer, "queueOffset"), Some("0"));
            assert_eq!(broker.stored("T").len(), 1);
        }
    }
}

#[test]
fn rejections_carry_region_and_tracing() {
    for flavour in BOTH {
        let mut broker = broker(flavour);
        let answer = send(&mut broker, &header("bad name!"), b"x");
        let expected = common::fields(&[("MSG_REGION", "DefaultRegion"), ("TRACE_ON", "true")]);
        assert_eq!(answer.ext_fields, Some(expected));
    }
}

#[test]
fn a_missing_field_is_an_exception() {
    for flavour in BOTH {
        let mut broker = broker(flavour);
        let command = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2, 7, &());
        let answer = give(&mut broker, &command.with_body("x")).unwrap();
        assert_eq!(answer.code, 1);
        assert!(
            answer
                .remark
                .unwrap()
                .contains("the custom field <a> is null")
        );
    }
}

#[test]
fn unknown_codes_are_refused_with_a_leading_space() {
    let command = RemotingCommand::request(RequestCode(999), 7, &());
    let mut oneway = command.clone();
    oneway.flags = rocketmq_proto::Flags::ONEWAY;
    for flavour in BOTH {
        let mut broker = broker(flavour);
        let answer = give(&mut broker, &command).unwrap();
        assert_eq!(answer.code, 3);
        assert_eq!(
            answer.remark.as_deref(),
            Some(" request type 999 not supported")
        );
        // 4.9 says it even to those who do not want to know (PROTOCOL J.1).
        assert_eq!(
            give(&mut broker, &oneway).is_some(),
            flavour == Flavour::V4_9
        );
    }
}

#[test]
fn a_server_that_shuts_down_sends_away_those_who_know_how() {
    let mut leaving = broker(Flavour::V5_3);
    leaving.config_mut().going_away = true;
    let mut command = RemotingCommand::request(RequestCode::SEND_MESSAGE_V2, 7, &header("T"));
    command = command.with_body("x");
    assert_eq!(
        give(&mut leaving, &command).unwrap().code,
        0,
        "version 409 does not know"
    );
    command.version = rocketmq_proto::version::V5_3_3;
    let answer = give(&mut leaving, &command).unwrap();
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (1500, Some("please go away"))
    );
    assert_eq!(leaving.stored("T").len(), 1);
}
