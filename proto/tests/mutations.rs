//! Bytes that were good once, bent at random with a fixed seed: no decoder may panic, whatever it says.

use std::fs;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use rocketmq_proto::trace::TraceRecords;
use rocketmq_proto::{
    BatchMembers, Compression, GroupName, OffsetMessageId, Properties, RecallHandle, StoredMessage,
    StoredMessages, SysFlag, TopicName, UniqueId, compress, decompress, namespace,
};

const SEED: u64 = 0x5EED_CA11;
const ROUNDS: usize = 20_000;

#[test]
fn bent_stored_messages_never_panic_and_what_still_decodes_survives_the_round_trip() {
    let sources = golden(&[
        "msg-plain",
        "msg-unicode",
        "msg-ipv6-born",
        "msg-ipv6-store",
        "msg-zlib",
        "msg-lz4",
        "msg-trans",
    ]);
    let mut decoded = 0;
    bend(&sources, |bytes| {
        for message in StoredMessages::new(Bytes::copy_from_slice(bytes)) {
            let Ok(message) = message else { continue };
            decoded += 1;
            // An LZ4 frame makes its reader clear 4 MiB: one in many is enough here.
            if decoded % 32 == 0 {
                let _ = message.decompressed_body(1 << 20);
            }
            let _ = (message.message_id(), message.is_body_intact());
            let mut again = BytesMut::new();
            message.encode(&mut again).unwrap();
            assert_eq!(StoredMessage::decode(&again), Ok((message, again.len())));
        }
    });
    assert!(decoded > ROUNDS / 10, "{decoded}");
}

#[test]
fn bent_batches_never_panic_and_what_still_decodes_survives_the_round_trip() {
    let mut decoded = 0;
    bend(&golden(&["batch-3"]), |bytes| {
        for member in BatchMembers::new(bytes) {
            let Ok(member) = member else { continue };
            decoded += 1;
            let mut again = BytesMut::new();
            member.encode(&mut again).unwrap();
            assert_eq!(BatchMembers::new(&again).next(), Some(Ok(member)));
        }
    });
    assert!(decoded > ROUNDS / 10, "{decoded}");
}

#[test]
fn bent_properties_never_panic_and_set_and_get_agree() {
    let sources = golden(&[
        "props-simple",
        "props-empty-value",
        "props-one",
        "props-empty",
    ]);
    bend(&sources, |bytes| {
        let wire = String::from_utf8_lossy(bytes);
        let mut properties = Properties::from_wire(&*wire);
        let pairs: Vec<(String, String)> = properties
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, _) in &pairs {
            let last = pairs.iter().rev().find(|(other, _)| other == name);
            assert_eq!(properties.get(name), last.map(|(_, value)| value.as_str()));
        }
        for (name, _) in &pairs {
            properties.set(name, "new").unwrap();
            assert_eq!(properties.get(name), Some("new"));
            properties.remove(name);
            assert!(!properties.contains(name));
        }
        assert!(properties.is_empty());
    });
}

#[test]
fn bent_texts_never_panic() {
    let sources: Vec<Vec<u8>> = [
        "7F00000100002A9F0000001CBE991A14",
        "FD00000000000000000000000000000271F14E0E2F2A65AAB5560000",
        "djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDEgN0YwMDAwMDEwMDAxMTIzNDU2NzgwMTAyMDMwNDA1MDY=",
        "%RETRY%ns%group",
        "http://MQ_INST_123_abc.example.com:80",
        "Recall\u{1}5\u{1}null\u{1}g\u{1}t\u{1}m\u{1}true\u{2}Pub\u{1}1\u{1}r\u{1}g\u{1}t\u{1}m\u{1}a\u{1}k\u{1}h\u{1}1\u{1}2\u{1}0\u{1}o\u{1}true\u{2}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    bend(&sources, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(id) = UniqueId::parse(&text) {
            assert_eq!(id.to_string(), text.to_uppercase());
        }
        if let Ok(id) = text.parse::<OffsetMessageId>() {
            assert_eq!(id.to_string(), text.to_uppercase());
        }
        if let Ok(handle) = RecallHandle::decode(&text) {
            assert_eq!(RecallHandle::decode(&handle.encode()), Ok(handle));
        }
        let _ = (TopicName::new(&text), GroupName::new(&text));
        let _ = (
            namespace::of_name_server(&text),
            namespace::unwrap_any(&text),
        );
        let wrapped = namespace::wrap("ns", &text);
        assert_eq!(namespace::wrap("ns", &wrapped), wrapped);
        for record in TraceRecords::new(&text).flatten() {
            record.encode(&mut String::new()).unwrap();
        }
    });
}

#[test]
fn bent_compressed_bodies_never_panic_and_keep_the_limit() {
    let body: Vec<u8> = (0..6000_u32)
        .flat_map(|n| (n % 251).to_be_bytes())
        .collect();
    let kinds = [
        Compression::Zlib,
        #[cfg(feature = "lz4")]
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ];
    for kind in kinds {
        let source = compress(kind, 5, &body).unwrap();
        bend_rounds(&[source], ROUNDS / 40, |bytes| {
            for flag in [
                kind.sys_flag(),
                SysFlag(0x1),
                SysFlag(0x101),
                SysFlag(0x201),
            ] {
                if let Ok(body) = decompress(flag, bytes, 10_000) {
                    assert!(body.len() <= 10_000);
                }
            }
        });
    }
}

fn bend(sources: &[Vec<u8>], check: impl FnMut(&[u8])) {
    bend_rounds(sources, ROUNDS, check);
}

fn bend_rounds(sources: &[Vec<u8>], rounds: usize, mut check: impl FnMut(&[u8])) {
    println!("seed {SEED:#x}");
    let mut random = Random(SEED);
    for round in 0..rounds {
        let mut bytes = sources[round % sources.len()].clone();
        // Two items in a row now and then, so that the second is bent as well.
        if random.below(4) == 0 {
            bytes.extend_from_slice(&sources[random.below(sources.len())]);
        }
        for _ in 0..random.below(4) {
            random.bend(&mut bytes);
        }
        check(&bytes);
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bend(&mut self, bytes: &mut Vec<u8>) {
        const TELLING: [u8; 8] = [0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF, 0x20, 0x25];
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), TELLING[self.below(8)]),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 if !bytes.is_empty() => bytes[at] = TELLING[self.below(8)],
            4 if bytes.len() >= 4 => {
                let at = self.below(bytes.len() - 3);
                let word = [0x7FFF_FFFF_u32, u32::MAX, 0x8000_0000, 0][self.below(4)];
                bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
            }
            _ if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            _ => {}
        }
    }
}

fn golden(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let files = names
        .iter()
        .map(|name| fs::read(folder.join(format!("{name}.bin"))).unwrap());
    files.collect()
}
