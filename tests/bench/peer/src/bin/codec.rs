//! `rocketmq-proto` beside `rocketmq-protocol` 1.0.0, the same bytes in and out: nanoseconds (the median
//! of many rounds) and allocations. Prints a table with tabs: work, whose, ns, allocations.

use std::alloc::System;
use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rocketmq_bench::samples;
use rocketmq_proto::header::SendAnswer;
use rocketmq_proto::{
    FrameDecoder, FrameLimits, SerializeType, StoredMessage, StoredMessages, TopicRoute, body_crc,
    encode_head,
};
use rocketmq_protocol::common::message::message_decoder::decodes_batch;
use rocketmq_protocol::protocol::SerializeType as TheirType;
use rocketmq_protocol::protocol::encoded_frame::EncodedFrameHead;
use rocketmq_protocol::protocol::header::message_operation_header::send_message_request_header_v2::SendMessageRequestHeaderV2;
use rocketmq_protocol::protocol::header::message_operation_header::send_message_response_header::SendMessageResponseHeader;
use rocketmq_protocol::protocol::route::topic_route_data::TopicRouteData;
use rocketmq_protocol::{RemotingCommand, RequestCode as TheirCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 101;
const ROUTE: &str = r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false},{"brokerAddrs":{"0":"10.0.0.3:10911"},"brokerName":"broker-b","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8},{"brokerName":"broker-b","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#;

fn main() {
    println!("# work\twhose\tns\tallocations");
    let (json, binary) = (SerializeType::Json, SerializeType::Binary);
    encode("encode a send, V2, JSON header", json, TheirType::JSON);
    encode(
        "encode a send, V2, binary header",
        binary,
        TheirType::ROCKETMQ,
    );
    decode("decode its answer, JSON header", &answer(json));
    decode("decode its answer, binary header", &answer(binary));
    route("decode a route of two brokers");
    stored("decode 32 stored messages of 1 KiB");
}

/// From the fields to the bytes before the body.
fn encode(work: &str, headers: SerializeType, theirs: TheirType) {
    let (head, request) = (samples::request_head(100_006), samples::request());
    let mut out = BytesMut::with_capacity(4096);
    row(work, "ours", 2000, || {
        out.clear();
        let limits = FrameLimits::default();
        encode_head(
            &mut out,
            headers,
            &head,
            black_box(&request),
            &[],
            1024,
            limits,
        )
        .expect("it fits a frame");
        black_box(&out);
    });

    let header = SendMessageRequestHeaderV2 {
        a: "order-service".into(),
        b: "orders".into(),
        c: "TBW102".into(),
        d: 4,
        e: 3,
        f: 0,
        g: 1_700_000_000_123,
        h: 0,
        i: Some(samples::PROPERTIES.into()),
        j: Some(0),
        k: Some(false),
        l: None,
        m: Some(false),
        n: Some("broker-a".into()),
        topic_request_header: None,
    };
    row(work, "theirs", 2000, || {
        let header = black_box(&header).clone();
        let command = RemotingCommand::create_request_command(TheirCode::SendMessageV2, header)
            .set_serialize_type(theirs);
        let head = EncodedFrameHead::from_command_and_body_len(command, 1024);
        black_box(head.expect("it fits a frame"));
    });
}

/// From the bytes as they were read to the fields.
fn decode(work: &str, frame: &[u8]) {
    let mut read = BytesMut::with_capacity(4096);
    row(work, "ours", 2000, || {
        read.clear();
        read.extend_from_slice(black_box(frame));
        let frame = FrameDecoder::default().next_frame(&mut read);
        let frame = frame.expect("it is sound").expect("it is whole");
        let command = frame.command().expect("it is sound");
        let answer: SendAnswer<'_> = command.ext.decode().expect("it is sound");
        black_box((&answer, command.opaque));
    });
    let mut read = BytesMut::with_capacity(4096);
    row(work, "theirs", 2000, || {
        read.clear();
        read.extend_from_slice(black_box(frame));
        let command = RemotingCommand::decode(&mut read);
        let command = command.expect("it is sound").expect("it is whole");
        let answer = command.decode_command_custom_header_fast::<SendMessageResponseHeader>();
        black_box((answer.expect("it is sound"), command.opaque()));
    });
}

fn route(work: &str) {
    row(work, "ours", 500, || {
        let route = TopicRoute::decode(black_box(ROUTE.as_bytes()));
        black_box(route.expect("it is sound"));
    });
    row(work, "theirs", 500, || {
        let route = TopicRouteData::decode(black_box(ROUTE.as_bytes()));
        black_box(route.expect("it is sound"));
    });
}

fn stored(work: &str) {
    let bytes = stored_bytes();
    row(work, "ours", 50, || {
        let messages: Result<Vec<_>, _> = StoredMessages::new(black_box(&bytes).clone()).collect();
        assert_eq!(messages.map_or(0, |messages| black_box(messages).len()), 32);
    });
    row(work, "theirs", 50, || {
        let messages = decodes_batch(&mut black_box(&bytes).clone(), true, false);
        assert_eq!(black_box(messages).len(), 32);
    });
}

/// Prints the median of what one takes, and how often one allocates.
fn row(work: &str, whose: &str, times: u32, mut once: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..times {
                once();
            }
            begun.elapsed().as_nanos() as f64 / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let region = Region::new(ALLOCATOR);
    once();
    let change = region.change();
    let allocations = change.allocations + change.reallocations;
    println!("{work}\t{whose}\t{:.0}\t{allocations}", rounds[ROUNDS / 2]);
}

fn answer(headers: SerializeType) -> Vec<u8> {
    let mut out = BytesMut::new();
    samples::answer(&mut out, headers, 100_006, &samples::sent(), b"");
    out.to_vec()
}

/// As a broker has them.
fn stored_bytes() -> Bytes {
    let golden = include_bytes!("../../../../golden/msg-plain.bin");
    let (mut message, _) = StoredMessage::decode(golden).expect("it is sound");
    message.body = vec![b'x'; 1024].into();
    message.body_crc = body_crc(&message.body);
    let mut out = BytesMut::new();
    for _ in 0..32 {
        message.encode(&mut out).expect("it fits");
    }
    out.freeze()
}
