//! No bytes make the codec panic or lose its place. The seed is fixed and printed by the one command that replays it:
//! `SEED=<seed> cargo test -p rocketmq-proto --test hostile_bytes`.

mod support;

use bytes::BytesMut;
use rocketmq_proto::header::{
    HeartbeatData, PullMessageResponse, SendMessageRequest, SendMessageResponse, SendResponseExtras,
};
use rocketmq_proto::{
    ClusterInfo, CommandView, Frame, FrameDecoder, FrameLimits, RemotingCommand, SerializeType,
    TopicList, TopicRoute,
};
use support::{golden, golden_lines};

const ROUNDS: usize = 300;

#[test]
fn any_chunking_gives_the_same_frames() {
    let mut random = Random::seeded();
    for stream in golden_lines("streams.jsonl") {
        let bytes = golden(stream["file"].as_str().unwrap());
        let whole = frames(&bytes, std::iter::repeat(bytes.len()));
        assert_eq!(whole.len(), stream["frames"]);
        assert_eq!(frames(&bytes, std::iter::repeat(1)), whole);
        for _ in 0..10 {
            let most = 1 << random.below(10);
            let chunks = std::iter::repeat_with(|| 1 + random.below(most));
            assert_eq!(frames(&bytes, chunks), whole);
        }
    }
}

#[test]
fn mutated_frames_never_panic_and_leave_the_next_one_alone() {
    let mut random = Random::seeded();
    for line in golden_lines("golden.jsonl")
        .iter()
        .filter(|line| line["kind"] == "frame")
    {
        let sound = golden(line["file"].as_str().unwrap());
        for _ in 0..ROUNDS {
            // Behind the length words, so that the stream stays in step whatever the header says.
            let mut bytes = sound.clone();
            for _ in 0..=random.below(4) {
                let at = 8 + random.below(bytes.len() - 8);
                bytes[at] = random.byte();
            }
            bytes.extend_from_slice(&sound);
            let found = frames(&bytes, std::iter::repeat(bytes.len()));
            assert_eq!(found.len(), 2);
            assert_eq!(found[1], sound);
            read_all(&found[0]);
        }
        for _ in 0..ROUNDS {
            let mut bytes = sound.clone();
            let at = random.below(bytes.len());
            bytes[at] = random.byte();
            bytes.truncate(random.below(bytes.len()) + 1);
            frames(&bytes, std::iter::repeat(bytes.len()))
                .iter()
                .for_each(|frame| read_all(frame));
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random::seeded();
    for _ in 0..20_000 {
        let len = random.below(64);
        let bytes: Vec<u8> = (0..len).map(|_| random.byte()).collect();
        frames(&bytes, std::iter::repeat(len.max(1)));
        read_header(&bytes);
        read_bodies(&bytes);
    }
    // Bytes that are more likely to mean something.
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "'",
        "\\",
        "\\u",
        "d83d",
        "code",
        "\"extFields\":{",
        "0",
        "-1",
        "1e9",
        "null",
        "true",
        "99999999999",
        " ",
        "é",
        "\u{1}",
        "\"brokerDatas\":[",
        "\"brokerAddrs\":{",
        "\"a\":\"b\"",
    ];
    for _ in 0..20_000 {
        let text: String = (0..random.below(24))
            .map(|_| words[random.below(words.len())])
            .collect();
        read_header(text.as_bytes());
        read_bodies(text.as_bytes());
    }
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_kept_for_them() {
    let limits = FrameLimits { max_frame_len: 100 };
    for (bytes, what) in [
        (&[0x80, 0, 0, 0][..], "over the limit"),
        (&[0xFF, 0xFF, 0xFF, 0xFF], "over the limit"),
        (&[0, 0, 0, 97], "over the limit"),
        (&[0, 0, 0, 3], "too short"),
        (&[0, 0, 0, 0], "too short"),
        (&[0, 0, 0, 10, 0, 0, 0, 7], "does not fit"),
        (&[0, 0, 0, 10, 0, 0xFF, 0xFF, 0xFF], "does not fit"),
        (&[0, 0, 0, 10, 2, 0, 0, 6], "serialize type 2"),
    ] {
        let mut decoder = FrameDecoder::new(limits);
        let mut buffer = BytesMut::from(bytes);
        let error = decoder.next_frame(&mut buffer).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(&buffer[..], bytes);
        buffer.clear();
        assert_eq!(
            decoder.next_frame(&mut buffer).unwrap_err(),
            error,
            "and goes on refusing"
        );
    }
    let mut decoder = FrameDecoder::new(limits);
    assert!(
        decoder
            .next_frame(&mut BytesMut::from(&[0, 0, 0, 96, 0, 0, 0, 92][..]))
            .unwrap()
            .is_none()
    );
}

/// The frames of `bytes` when they arrive in pieces of these sizes, up to the first error.
fn frames(bytes: &[u8], mut chunks: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
    let mut decoder = FrameDecoder::default();
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunks.next().unwrap_or(1).min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = behind;
        while let Ok(Some(frame)) = decoder.next_frame(&mut buffer) {
            found.push(frame.as_bytes().to_vec());
        }
    }
    found
}

/// Everything one may do with a frame.
fn read_all(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let frame = FrameDecoder::default()
        .next_frame(&mut buffer)
        .unwrap()
        .unwrap();
    read_header(frame.header());
    read_bodies(&frame.body());
    round_trip(&frame);
}

/// What was read is what is read again after writing, in the same serialize type.
fn round_trip(frame: &Frame) {
    let Ok(command) = RemotingCommand::from_frame(frame) else {
        return;
    };
    let mut bytes = BytesMut::new();
    command.encode(frame.serialize_type(), &mut bytes).unwrap();
    let again = FrameDecoder::default()
        .next_frame(&mut bytes)
        .unwrap()
        .unwrap();
    assert_eq!(RemotingCommand::from_frame(&again).unwrap(), command);
}

fn read_header(bytes: &[u8]) {
    for ty in [SerializeType::Json, SerializeType::Binary] {
        let Ok(view) = CommandView::decode(ty, bytes) else {
            continue;
        };
        assert_eq!(view.ext.get("no such key"), None);
        let _ = format!("{view:?}");
        let _ = view.ext.decode::<SendMessageRequest<'_>>();
        let _ = view.ext.decode::<SendMessageResponse<'_>>();
        let _ = view.ext.decode::<SendResponseExtras<'_>>();
        let _ = view.ext.decode::<PullMessageResponse>();
    }
}

fn read_bodies(bytes: &[u8]) {
    let _ = HeartbeatData::decode(bytes);
    let _ = TopicList::decode(bytes);
    if let Ok(route) = TopicRoute::decode(bytes) {
        assert_eq!(TopicRoute::decode(&route.encode_json()).unwrap(), route);
        assert_eq!(TopicRoute::decode(&route.encode_fastjson()).unwrap(), route);
    }
    if let Ok(info) = ClusterInfo::decode(bytes) {
        assert_eq!(ClusterInfo::decode(&info.encode_fastjson()).unwrap(), info);
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(20_251_120);
        println!("SEED={seed}");
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
