use std::collections::BTreeSet;

use super::*;

fn ids(ip: &str, utc_offset_seconds: i32) -> UniqueIds {
    UniqueIds::new(UniqueIdSeed {
        ip: ip.parse().unwrap(),
        pid: 0x0001_3039,
        hash: 0x7D49_91AD,
        utc_offset_seconds,
    })
}

/// 2026-11-20 00:00:00 UTC.
const NOVEMBER_20: u64 = 1_795_132_800_000;
const DECEMBER_1: u64 = 1_796_083_200_000;

#[test]
fn an_id_is_laid_out_as_d5_says_and_decodes_to_its_parts() {
    let mut generator = ids("192.168.1.5", 0);
    let id = generator.next(NOVEMBER_20 + 5);
    assert_eq!(id.to_string(), "C0A8010530397D4991AD61D8D4050000");
    assert_eq!(id.ip().to_string(), "192.168.1.5");
    assert_eq!((id.pid(), id.hash()), (12345, 0x7D49_91AD));
    assert_eq!(id.millis_of_month(), 19 * 86_400_000 + 5);
    assert_eq!(id.counter(), 0);
    assert_eq!(generator.next(NOVEMBER_20 + 5).counter(), 1);
    assert_eq!(UniqueId::parse(&id.to_string().to_lowercase()), Ok(id));
}

#[test]
fn an_ipv6_host_makes_ids_of_56_digits() {
    let id = ids("fd00::2", 0).next(NOVEMBER_20);
    assert_eq!(id.to_string().len(), 56);
    assert_eq!(id.hex_len(), 56);
    assert_eq!(id.ip().to_string(), "fd00::2");
    assert_eq!(id.to_string().parse(), Ok(id));
}

#[test]
fn months_begin_in_local_time() {
    // 30 November 23:30 UTC is already December two hours further east.
    let late = DECEMBER_1 - 1_800_000;
    assert_eq!(
        ids("10.0.0.1", 0).next(late).millis_of_month(),
        30 * 86_400_000 - 1_800_000
    );
    assert_eq!(
        ids("10.0.0.1", 7200).next(late).millis_of_month(),
        5_400_000
    );
    assert_eq!(
        ids("10.0.0.1", -7200).next(DECEMBER_1).millis_of_month(),
        30 * 86_400_000 - 7_200_000
    );
}

#[test]
fn the_calendar_knows_leap_years_and_the_ends_of_time() {
    let days = [
        (951_868_800_000, 0),                              // 2000-03-01
        (951_782_400_000, 28),                             // 2000-02-29
        (4_107_542_400_000, 0),                            // 2100-03-01, no leap year
        (4_107_456_000_000, 27),                           // 2100-02-28
        (0, 0),                                            // 1970-01-01
        (1_704_067_199_999 / 86_400_000 * 86_400_000, 30), // 2023-12-31
    ];
    for (unix_ms, day) in days {
        assert_eq!(
            ids("10.0.0.1", 0).next(unix_ms).millis_of_month(),
            day * 86_400_000,
            "{unix_ms}"
        );
    }
    ids("10.0.0.1", i32::MAX).next(u64::MAX);
    ids("10.0.0.1", i32::MIN).next(0);
}

#[test]
fn a_million_ids_of_one_millisecond_are_all_different() {
    let mut generator = ids("10.0.0.1", 0);
    let made: BTreeSet<_> = (0..1_000_000)
        .map(|_| generator.next(NOVEMBER_20))
        .collect();
    assert_eq!(made.len(), 1_000_000);
    // The spare ids came from the milliseconds that follow: 65 536 from each.
    let last = generator.next(NOVEMBER_20);
    assert_eq!(last.millis_of_month() - (19 * 86_400_000), 15);
}

#[test]
fn ids_stay_different_when_the_counter_wraps_and_the_clock_steps_about() {
    let mut generator = ids("10.0.0.1", 0);
    let mut made = BTreeSet::new();
    for step in [0_i64, 1, -1, -900_000, 3, -2_000_000, 5, -86_400_000, 0] {
        for _ in 0..70_000 {
            assert!(made.insert(generator.next(NOVEMBER_20.saturating_add_signed(step))));
        }
    }
}

#[test]
fn a_short_step_back_stands_still_and_a_long_one_is_followed_under_a_new_hash() {
    let mut generator = ids("10.0.0.1", 0);
    let before = generator.next(NOVEMBER_20);
    let after = generator.next(NOVEMBER_20 - 1_000_000);
    assert_eq!(after.millis_of_month(), before.millis_of_month());
    assert_eq!(after.hash(), before.hash());
    let far = generator.next(NOVEMBER_20 - 1_000_001);
    assert_eq!(far.millis_of_month(), before.millis_of_month() - 1_000_001);
    assert_eq!(far.hash(), before.hash() + 1);
}

#[test]
fn the_same_moment_a_month_later_makes_another_id() {
    let mut generator = ids("10.0.0.1", 0);
    let mut made = BTreeSet::new();
    for month in 0..12 {
        for _ in 0..65_536 {
            assert!(made.insert(generator.next(NOVEMBER_20 + month * 30 * 86_400_000)));
        }
    }
}

#[test]
fn what_is_no_id_is_refused_with_the_reason() {
    assert_eq!(UniqueId::parse(""), Err(InvalidId::Length(0)));
    assert_eq!(UniqueId::parse(&"0".repeat(33)), Err(InvalidId::Length(33)));
    assert_eq!(
        UniqueId::parse("7F00000100002A9F0000001CBE991AG4"),
        Err(InvalidId::Digit(30))
    );
    assert_eq!(UniqueId::parse(&"é".repeat(16)), Err(InvalidId::Digit(0)));
    assert_eq!(
        "7F00000100012A9F0000001CBE991A14".parse::<OffsetMessageId>(),
        Err(InvalidId::Port(76447))
    );
    assert!(matches!(
        "7F000001FFFFFFFF0000001CBE991A14".parse::<OffsetMessageId>(),
        Err(InvalidId::Port(-1))
    ));
}

#[test]
fn an_offset_id_of_either_length_survives_the_round_trip() {
    for addr in ["127.0.0.1:10911", "[fd00::2]:10911"] {
        let id = OffsetMessageId::new(addr.parse().unwrap(), 123_456_789_012);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    assert_eq!(
        OffsetMessageId::new("127.0.0.1:10911".parse().unwrap(), 123_456_789_012).to_string(),
        "7F00000100002A9F0000001CBE991A14"
    );
}

#[test]
fn a_recall_handle_is_url_safe_base64_of_five_fields() {
    let handle = RecallHandle {
        topic: "orders".to_owned(),
        broker: "broker-a".to_owned(),
        deliver_at_ms: 1_700_000_000_000,
        unique_id: "7F000001000112345678010203040506".to_owned(),
    };
    let text = handle.encode();
    assert_eq!(
        text,
        "djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDEgN0YwMDAwMDEwMDAxMTIzNDU2NzgwMTAyMDMwNDA1MDY="
    );
    assert_eq!(RecallHandle::decode(&text), Ok(handle.clone()));
    assert_eq!(RecallHandle::decode(text.trim_end_matches('=')), Ok(handle));
}

#[test]
fn what_is_no_recall_handle_is_refused() {
    let encode = |plain: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE.encode(plain)
    };
    for bad in [
        String::new(),
        "*".to_owned(),
        "A".repeat(5000),
        encode("v2 t b 1 id"),
        encode("v1 t b 1"),
        encode("v1 t b x id"),
        encode("v1 t b 1 id more"),
        encode("v1  b 1 id"),
        encode("v1 t b -9223372036854775808 id"),
    ] {
        assert_eq!(
            RecallHandle::decode(&bad),
            Err(InvalidRecallHandle),
            "{bad}"
        );
    }
}

#[test]
fn an_id_tells_when_it_was_made_within_the_last_month() {
    let day = 86_400_000;
    // 2025-06-15 12:00 UTC; June began at 1 748 736 000 000.
    let now: u64 = 1_749_988_800_000;
    let id_of = |at: u64, utc_offset_seconds: i32| {
        let seed = UniqueIdSeed {
            ip: [10, 0, 0, 1].into(),
            pid: 1,
            hash: 2,
            utc_offset_seconds,
        };
        UniqueIds::new(seed).next(at)
    };
    for age in [0, 1, day, 14 * day, 20 * day, 29 * day] {
        for zone in [0, 8 * 3600, -9 * 3600] {
            let id = id_of(now - age, zone);
            assert_eq!(
                id.made_at(now, zone),
                now - age,
                "{age} ms ago, zone {zone}"
            );
        }
    }
    let all_ones = UniqueId::parse(&"F".repeat(32)).unwrap();
    assert!(all_ones.made_at(0, 0) < u64::from(u32::MAX));
    assert!(all_ones.made_at(u64::MAX, i32::MIN) > now);
}
