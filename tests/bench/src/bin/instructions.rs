//! Work whose instructions are counted: `instructions ITEM TIMES` does the item so many times, and
//! nothing else that grows with the number. `tests/scripts/instructions.sh` runs it under callgrind
//! with two numbers and takes the difference, so that what happens once does not count.
//!
//! The items ending in `beside` are what an item needs around itself; the table takes them off.

use std::hint::black_box;
use std::process::ExitCode;

use bytes::BytesMut;
use rocketmq_bench::engine::{Lab, Load};
use rocketmq_bench::samples;
use rocketmq_proto::header::SendAnswer;
use rocketmq_proto::{
    Batch, FrameDecoder, FrameLimits, Head, Message, SendHeads, SerializeType, UsualSend,
    encode_head,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let item = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok());
    let Some(times) = times else {
        eprintln!("usage: instructions ITEM TIMES");
        return ExitCode::FAILURE;
    };
    let (json, binary) = (SerializeType::Json, SerializeType::Binary);
    match &*item {
        "encode-json" => encode(json, times),
        "encode-binary" => encode(binary, times),
        "kept-json" => kept(json, times),
        "kept-binary" => kept(binary, times),
        "encode-beside" => copy_strings(times),
        "decode-json" => decode(json, times),
        "decode-binary" => decode(binary, times),
        "batch-of-32" => batch(times),
        "prepare" => prepare(times),
        _ => {
            let Some(load) = Load::named(&item) else {
                eprintln!("no item is called {item}");
                return ExitCode::FAILURE;
            };
            Lab::new(load).run(times);
        }
    }
    ExitCode::SUCCESS
}

/// The head of a usual message, V2.
fn encode(ty: SerializeType, times: usize) {
    let mut out = BytesMut::with_capacity(4096);
    let (head, request) = (samples::request_head(0), samples::request());
    for opaque in 0..times {
        out.clear();
        let head = Head {
            opaque: 100_000 + opaque as i32,
            ..head
        };
        let limits = FrameLimits::default();
        encode_head(&mut out, ty, &head, black_box(&request), &[], 1024, limits)
            .expect("it fits a frame");
        black_box(&out);
    }
}

/// The same head by what was written of it before.
fn kept(ty: SerializeType, times: usize) {
    let mut out = BytesMut::with_capacity(4096);
    let (head, request) = (samples::request_head(0), samples::request());
    let mut heads = SendHeads::new(ty, head, &request).expect("it fits a header");
    let send = UsualSend {
        topic: &request.topic,
        queue_id: request.queue_id,
        sys_flag: request.sys_flag,
        born_timestamp: request.born_timestamp,
        flag: request.flag,
        properties: request.properties.as_deref().unwrap_or_default(),
        broker_name: request.broker_name.as_deref().unwrap_or_default(),
    };
    for opaque in 0..times {
        out.clear();
        let (opaque, limits) = (100_000 + opaque as i32, FrameLimits::default());
        heads
            .encode(&mut out, opaque, head.flags, black_box(&send), 1024, limits)
            .expect("it fits a frame");
        black_box(&out);
    }
}

/// The strings of that head, copied one behind the other: no encoder does with less.
fn copy_strings(times: usize) {
    let mut out = BytesMut::with_capacity(4096);
    let request = samples::request();
    for _ in 0..times {
        out.clear();
        let request = black_box(&request);
        for text in [
            &request.producer_group,
            &request.topic,
            &request.default_topic,
        ] {
            out.extend_from_slice(text.as_bytes());
        }
        for text in [&request.properties, &request.broker_name]
            .into_iter()
            .flatten()
        {
            out.extend_from_slice(text.as_bytes());
        }
        black_box(&out);
    }
}

/// A broker's answer: frame, header, fields.
fn decode(ty: SerializeType, times: usize) {
    let mut bytes = BytesMut::new();
    samples::answer(&mut bytes, ty, 1006, &samples::sent(), b"");
    let frame = FrameDecoder::default()
        .next_frame(&mut bytes)
        .expect("it is sound")
        .expect("it is whole");
    for _ in 0..times {
        let command = black_box(&frame).command().expect("it is sound");
        let answer: SendAnswer<'_> = command.ext.decode().expect("it is sound");
        black_box((&answer, command.opaque));
    }
}

/// Thirty-two messages of 1 KiB, checked, given ids and encoded; counted each.
fn batch(times: usize) {
    let body = vec![b'x'; 1024];
    let mut ids = samples::ids();
    let mut out = BytesMut::with_capacity(64 * 1024);
    for _ in 0..times {
        let member = || {
            Message::new("orders", body.clone())
                .tag("created")
                .key("o-42")
        };
        let mut batch = Batch::new((0..32).map(|_| member()).collect()).expect("it is sound");
        batch.check(4 << 20).expect("it is sound");
        batch.stamp(|| ids.next(1_700_000_000_123));
        out.clear();
        batch.encode(&mut out).expect("it is sound");
        black_box(&out);
    }
}

/// A message made, checked and given its id.
fn prepare(times: usize) {
    let mut lab = Lab::new(Load::default());
    for _ in 0..times {
        black_box(lab.prepare());
    }
}
