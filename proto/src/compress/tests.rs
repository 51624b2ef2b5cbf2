use super::*;

fn kinds() -> Vec<Compression> {
    vec![
        Compression::Zlib,
        #[cfg(feature = "lz4")]
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ]
}

fn text(len: usize) -> Vec<u8> {
    b"a line that repeats itself, number and all; "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

#[test]
fn every_kind_gives_the_body_back_at_every_level() {
    for kind in kinds() {
        for body in [Vec::new(), vec![7], text(4096), text(300_000)] {
            for level in [i32::MIN, -1, 0, 1, 5, 9, i32::MAX] {
                // The highest zstd levels take their time: one body is enough.
                if level == i32::MAX && body.len() > 4096 {
                    continue;
                }
                let packed = compress(kind, level, &body).unwrap();
                let unpacked = decompress(kind.sys_flag(), &packed, MAX_DECOMPRESSED_LEN).unwrap();
                assert!(unpacked == body, "{kind:?} at {level}");
            }
        }
    }
}

#[test]
fn zlib_of_4096_bytes_at_level_5_has_javas_header_and_is_smaller() {
    let packed = compress(Compression::Zlib, DEFAULT_LEVEL, &text(4096)).unwrap();
    assert_eq!(packed[..2], [0x78, 0x5E]);
    assert!(packed.len() < 4096 / 4);
    assert_eq!(Compression::Zlib.sys_flag(), SysFlag(0x301));
}

#[test]
fn the_level_is_honoured() {
    let body: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| (n * n % 1009).to_string().into_bytes())
        .collect();
    let len = |level| compress(Compression::Zlib, level, &body).unwrap().len();
    assert!(len(9) < len(1) && len(1) < len(0));
    assert!(len(0) >= body.len());
}

#[test]
fn zlib_is_meant_when_the_flag_names_no_kind() {
    let packed = compress(Compression::Zlib, 5, b"body").unwrap();
    assert_eq!(decompress(SysFlag(0x1), &packed, 100).unwrap(), b"body");
}

#[test]
fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    for kind in kinds() {
        let packed = compress(kind, 5, &text(10_000)).unwrap();
        assert_eq!(
            decompress(kind.sys_flag(), &packed, 10_000).unwrap().len(),
            10_000
        );
        assert!(matches!(
            decompress(kind.sys_flag(), &packed, 9_999),
            Err(DecompressError::TooLarge { limit: 9_999 })
        ));
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    for kind in kinds() {
        let bomb = compress(kind, 9, &vec![0; 50 << 20]).unwrap();
        let error = decompress(kind.sys_flag(), &bomb, 1 << 20).unwrap_err();
        assert!(
            matches!(error, DecompressError::TooLarge { .. }),
            "{kind:?}: {error}"
        );
    }
}

#[test]
fn a_stream_that_is_cut_or_bent_is_an_error_and_never_a_panic() {
    for kind in kinds() {
        let packed = compress(kind, 5, &text(5000)).unwrap();
        for len in 0..packed.len() {
            let result = decompress(kind.sys_flag(), &packed[..len], 1 << 20);
            assert!(result.is_err() || len == 0, "{kind:?} cut at {len}");
        }
        for at in 0..packed.len() {
            let mut bent = packed.clone();
            bent[at] ^= 0x55;
            // Not every kind carries a checksum; a panic is what must not be.
            let _ = decompress(kind.sys_flag(), &bent, 1 << 20);
        }
    }
}

#[test]
fn unknown_kinds_are_named() {
    let error = decompress(SysFlag(0x401), b"", 10).unwrap_err();
    assert!(error.to_string().contains("0x401"), "{error}");
}

#[test]
fn a_kind_that_was_not_built_in_names_its_feature() {
    for (flag, feature, built) in [
        (0x101, "`lz4`", cfg!(feature = "lz4")),
        (0x201, "`zstd`", cfg!(feature = "zstd")),
    ] {
        let error = decompress(SysFlag(flag), b"junk", 10)
            .unwrap_err()
            .to_string();
        assert_eq!(error.contains(feature), !built, "{error}");
    }
}

#[test]
fn an_uncompressed_body_is_copied_within_the_limit() {
    assert_eq!(decompress(SysFlag(0), b"plain", 5).unwrap(), b"plain");
    assert!(decompress(SysFlag(0), b"plain", 4).is_err());
}
