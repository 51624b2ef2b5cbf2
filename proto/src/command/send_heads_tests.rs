use super::*;
use crate::code::LanguageCode;

const TYPES: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];

/// Numbers and texts of all kinds, the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Small as often as not.
    fn number(&mut self) -> i64 {
        let number = self.next() as i64;
        number >> (self.below(8) * 8)
    }

    fn text(&mut self, longest: usize) -> String {
        const PIECES: [&str; 9] = [
            "T", "orders", "-", "\u{1}", "\u{2}", "\"", "\\", "标签", " ",
        ];
        // Mostly of letters.
        let kinds = if self.below(2) == 0 { 3 } else { PIECES.len() };
        let pieces = self.below(longest + 1);
        (0..pieces).map(|_| PIECES[self.below(kinds)]).collect()
    }

    fn alike(&mut self) -> (Head<'static>, SendMessageRequest<'static>) {
        let head = Head {
            code: [310, 0, -1, 40_000][self.below(4)],
            language: LanguageCode([0, 3, 12, 77][self.below(4)]),
            version: [409, 483, 0, -5, 70_000][self.below(5)],
            opaque: self.number() as i32,
            flags: Flags(self.number() as i32),
            remark: [None, Some("a remark is none of a send's")][self.below(2)],
        };
        let fields = SendMessageRequest {
            producer_group: self.text(12).into(),
            default_topic: self.text(3).into(),
            default_topic_queue_nums: self.number() as i32,
            unit_mode: [None, Some(true), Some(false)][self.below(3)],
            ..SendMessageRequest::default()
        };
        (head, fields)
    }
}

#[test]
fn heads_of_sends_are_to_the_byte_those_that_are_written_whole() {
    let mut dice = Dice(1);
    let (mut heads_made, mut refused, mut written) = (0, 0, 0);
    for round in 0..2_000 {
        let ty = TYPES[round % 2];
        let (head, alike) = dice.alike();
        let Ok(mut heads) = SendHeads::new(ty, head, &alike) else {
            let refused = encode_head(&mut BytesMut::new(), ty, &head, &alike, &[], 0, whole());
            assert!(refused.is_err(), "{head:?}");
            continue;
        };
        heads_made += 1;
        for _ in 0..10 {
            let longest = [3, 20, 200][dice.below(3)];
            let (topic, properties, broker) = (dice.text(4), dice.text(longest), dice.text(4));
            let send = UsualSend {
                topic: &topic,
                queue_id: dice.number() as i32,
                sys_flag: dice.below(3) as i32,
                born_timestamp: [1_700_000_000_123, 0, dice.number()][dice.below(3)],
                flag: dice.number() as i32,
                properties: &properties,
                broker_name: &broker,
            };
            let (opaque, flags) = (dice.number() as i32, Flags(dice.below(3) as i32));
            let limits = FrameLimits {
                max_frame_len: [whole().max_frame_len, 300, 20][dice.below(3)],
            };
            let body_len = [0, 1024, usize::MAX][dice.below(3)];
            let fields = SendMessageRequest {
                producer_group: alike.producer_group.clone(),
                default_topic: alike.default_topic.clone(),
                default_topic_queue_nums: alike.default_topic_queue_nums,
                unit_mode: alike.unit_mode,
                reconsume_times: Some(0),
                batch: Some(false),
                ..send.into()
            };
            let head = Head {
                opaque,
                flags,
                remark: None,
                ..head
            };
            let mut expected = BytesMut::from("before");
            let mut out = expected.clone();
            let result = encode_head(&mut expected, ty, &head, &fields, &[], body_len, limits);
            let other = heads.encode(&mut out, opaque, flags, &send, body_len, limits);
            assert_eq!(
                (other, out),
                (result.clone(), expected),
                "{head:?} {send:?}"
            );
            *(if result.is_ok() {
                &mut written
            } else {
                &mut refused
            }) += 1;
        }
    }
    assert!(heads_made > 1_000 && refused > 1_000 && written > 1_000);
}

#[test]
fn heads_are_written_without_an_allocation_once_there_was_one() {
    let fields = SendMessageRequest::default();
    for ty in TYPES {
        let (head, _) = Dice(3).alike();
        let head = Head {
            code: 310,
            version: 409,
            ..head
        };
        let mut heads = SendHeads::new(ty, head, &fields).unwrap();
        let mut out = BytesMut::with_capacity(4096);
        let count = allocation_counter::measure(|| {
            for born_timestamp in 1_700_000_000_123..1_700_000_000_133 {
                out.clear();
                let send = UsualSend {
                    topic: "T",
                    born_timestamp,
                    ..UsualSend::default()
                };
                heads
                    .encode(&mut out, 7, Flags::REQUEST, &send, 0, whole())
                    .unwrap();
            }
        });
        assert_eq!(count.count_total, 0, "{ty:?}");
    }
}

fn whole() -> FrameLimits {
    FrameLimits::default()
}
