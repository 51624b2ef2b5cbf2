//! How often the codec allocates: exact, so that a new allocation fails a test and not a bench.

use std::hint::black_box;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use rocketmq_proto::header::{
    SendAnswer, SendMessageRequest, SendMessageResponse, SendResponseExtras,
};
use rocketmq_proto::{
    Batch, BrokerData, Flags, Frame, FrameDecoder, FrameLimits, Head, LanguageCode, Message,
    QueueData, RequestCode, ResponseCode, SerializeType, TopicName, TopicRoute, UniqueId,
    encode_head, perm, version,
};

const BOTH: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];
const UNIQUE_ID: &str = "7F000001000112345678010203040506";

#[test]
fn encoding_a_send_allocates_nothing_in_a_buffer_with_room() {
    let request = SendMessageRequest {
        producer_group: "order-service".into(),
        topic: "orders".into(),
        default_topic: "TBW102".into(),
        born_timestamp: 1_700_000_000_123,
        properties: Some("UNIQ_KEY\u{1}7F000001\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA".into()),
        broker_name: Some("broker-a".into()),
        ..SendMessageRequest::default()
    };
    for ty in BOTH {
        let mut out = BytesMut::with_capacity(4096);
        let count = allocations(|| encode(&mut out, ty, RequestCode::SEND_MESSAGE_V2.0, &request));
        assert_eq!(count, 0, "{ty:?}");
    }
}

#[test]
fn reading_the_answer_to_a_send_allocates_nothing() {
    for ty in BOTH {
        let frame = answer(ty);
        let count = allocations(|| {
            let command = frame.command().unwrap();
            let answer: SendAnswer<'_> = command.ext.decode().unwrap();
            assert_eq!((answer.queue_offset, command.opaque), (4711, 1006));
            answer
        });
        assert_eq!(count, 0, "{ty:?}");
    }
}

#[test]
fn cutting_a_stream_into_frames_allocates_once_for_all_of_them() {
    let mut stream = BytesMut::new();
    for _ in 0..50 {
        stream.extend_from_slice(answer(SerializeType::Binary).as_bytes());
    }
    let mut decoder = FrameDecoder::default();
    let mut frames = 0;
    let count = allocations(|| {
        while decoder.next_frame(&mut stream).unwrap().is_some() {
            frames += 1;
        }
    });
    // What counts the owners of the buffer.
    assert_eq!((frames, count), (50, 1));
}

#[test]
fn a_message_with_tag_key_and_id_allocates_its_properties() {
    let topic = TopicName::new("orders").unwrap();
    let count = allocations(|| message(&topic));
    assert_eq!(count, 1);
    let count = allocations(|| Message::new("orders", "body"));
    assert_eq!(count, 1, "the topic");
}

#[test]
fn a_batch_allocates_nothing_beside_its_messages() {
    let topic = TopicName::new("orders").unwrap();
    let mut messages: Vec<Message> = (0..32).map(|_| message(&topic)).collect();
    let mut out = BytesMut::with_capacity(64 * 1024);
    let count = allocations(|| {
        let mut batch = Batch::new(std::mem::take(&mut messages)).unwrap();
        batch.check(4 << 20).unwrap();
        batch.stamp(|| UniqueId::parse(UNIQUE_ID).unwrap());
        batch.encode(&mut out).unwrap();
        assert_eq!(out.len(), batch.encoded_len());
        messages = batch.into_messages();
    });
    assert_eq!(count, 0);
}

#[test]
fn a_route_allocates_its_names_lists_and_maps() {
    let brokers = ["broker-a", "broker-b"];
    let route = TopicRoute {
        brokers: brokers.map(broker).into(),
        queues: brokers.map(queue).into(),
        ..TopicRoute::default()
    };
    let body = route.encode_json();
    let count = allocations(|| TopicRoute::decode(&body).unwrap());
    // Of each broker its cluster, its name, its map and an address in it; of its queues the name; and two lists.
    assert_eq!(count, 2 * (4 + 1) + 2);
}

/// How often `work` allocates; what it gives is dropped after the count.
fn allocations<T>(mut work: impl FnMut() -> T) -> u64 {
    let mut kept = None;
    let counted = measure(|| kept = Some(black_box(work())));
    drop(kept);
    counted.count_total
}

fn message(topic: &TopicName) -> Message {
    let mut message = Message::new(topic, Bytes::from_static(&[b'x'; 1024]))
        .tag("created")
        .key("o-42");
    message.stamp(|| UniqueId::parse(UNIQUE_ID).unwrap());
    message
}

fn answer(ty: SerializeType) -> Frame {
    let fields = (
        SendMessageResponse {
            msg_id: "7F00000100002A9F0000000000000F3D".into(),
            queue_id: 3,
            queue_offset: 4711,
            ..SendMessageResponse::default()
        },
        SendResponseExtras {
            region: Some("DefaultRegion".into()),
            trace_on: true,
        },
    );
    let mut bytes = BytesMut::new();
    encode(&mut bytes, ty, ResponseCode::SUCCESS.0, &fields);
    let frame = FrameDecoder::default().next_frame(&mut bytes);
    frame.unwrap().unwrap()
}

fn encode(out: &mut BytesMut, ty: SerializeType, code: i32, fields: &impl rocketmq_proto::Fields) {
    let head = Head {
        code,
        language: LanguageCode::JAVA,
        version: version::V4_9_8,
        opaque: 1006,
        flags: Flags::RESPONSE,
        remark: None,
    };
    encode_head(out, ty, &head, fields, &[], 0, FrameLimits::default()).unwrap();
}

fn broker(name: &str) -> BrokerData {
    BrokerData {
        cluster: "DefaultCluster".into(),
        name: name.into(),
        addrs: [(0, "10.0.0.1:10911".into())].into(),
        ..BrokerData::default()
    }
}

fn queue(broker: &str) -> QueueData {
    QueueData {
        broker: broker.into(),
        read_queues: 4,
        write_queues: 4,
        perm: perm::READ | perm::WRITE,
        ..QueueData::default()
    }
}
