use super::*;
use crate::code::version;
use crate::frame::FrameDecoder;
use crate::header::{FieldSink, SendMessageRequest, SendMessageRequestV1};

const TYPES: [SerializeType; 2] = [SerializeType::Json, SerializeType::Binary];

fn head() -> Head<'static> {
    Head {
        code: 310,
        language: LanguageCode::RUST,
        version: version::V5_3_3,
        opaque: -1,
        flags: Flags::ONEWAY,
        remark: None,
    }
}

fn request() -> SendMessageRequest<'static> {
    SendMessageRequest {
        producer_group: "g".into(),
        topic: "主题".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: -1,
        sys_flag: 0x301,
        born_timestamp: 1_700_000_000_123,
        flag: i32::MIN,
        properties: Some("WAIT\u{1}true\u{2}".into()),
        unit_mode: Some(true),
        batch: Some(false),
        ..SendMessageRequest::default()
    }
}

#[test]
fn typed_headers_come_back_from_both_codecs_behind_what_was_there() {
    for ty in TYPES {
        let mut out = BytesMut::from(&b"before"[..]);
        let extra = [("AccessKey", "ak"), ("odd \"key\"", "\u{1}")];
        encode_head(
            &mut out,
            ty,
            &head(),
            &request(),
            &extra,
            4,
            FrameLimits::default(),
        )
        .unwrap();
        encode_head(
            &mut out,
            ty,
            &head(),
            &SendMessageRequestV1(request()),
            &[],
            0,
            FrameLimits::default(),
        )
        .unwrap();
        assert_eq!(&out.split_to(6)[..], b"before");

        let mut decoder = FrameDecoder::default();
        let mut v2 = out;
        // The body goes behind the first head.
        let first = 4 + u32::from_be_bytes(*v2.first_chunk().unwrap()) as usize - 4;
        let rest = v2.split_off(first);
        v2.extend_from_slice(b"body");
        v2.unsplit(rest);

        let frame = decoder.next_frame(&mut v2).unwrap().unwrap();
        let view = frame.command().unwrap();
        assert_eq!(
            (view.code, view.opaque, view.language),
            (310, -1, Some(LanguageCode::RUST))
        );
        assert_eq!(
            view.ext.decode::<SendMessageRequest<'_>>().unwrap(),
            request()
        );
        assert_eq!(view.ext.get("odd \"key\"").as_deref(), Some("\u{1}"));
        assert_eq!(&frame.body()[..], b"body");

        let frame = decoder.next_frame(&mut v2).unwrap().unwrap();
        let v1: SendMessageRequestV1<'_> = frame.command().unwrap().ext.decode().unwrap();
        assert_eq!(v1.0, request());
        assert!(v2.is_empty());
    }
}

#[test]
fn a_head_that_just_fits_is_written_whatever_room_it_takes() {
    for ty in TYPES {
        for len in 150..600 {
            let value = "v\u{1}".repeat(len / 2);
            let encode = |max_frame_len| {
                let mut out = BytesMut::new();
                let extra = [("i", &*value)];
                let limits = FrameLimits { max_frame_len };
                encode_head(&mut out, ty, &head(), &(), &extra, 0, limits).map(|()| out)
            };
            let whole = encode(1 << 20).unwrap();
            assert_eq!(encode(whole.len()).unwrap(), whole);
            assert!(encode(whole.len() - 1).is_err());
        }
    }
}

#[test]
fn the_limit_counts_the_whole_frame_and_refusing_leaves_no_trace() {
    for ty in TYPES {
        let mut out = BytesMut::from(&b"x"[..]);
        let whole = FrameLimits::default();
        encode_head(&mut out, ty, &head(), &request(), &[], 100, whole).unwrap();
        let frame_len = out.len() - 1 + 100;
        for (max_frame_len, fits) in [
            (frame_len, true),
            (frame_len - 1, false),
            (10, false),
            (0, false),
        ] {
            let mut out = BytesMut::from(&b"x"[..]);
            let result = encode_head(
                &mut out,
                ty,
                &head(),
                &request(),
                &[],
                100,
                FrameLimits { max_frame_len },
            );
            assert_eq!(result.is_ok(), fits);
            assert!(fits || &out[..] == b"x");
        }
        let endless = FrameLimits {
            max_frame_len: usize::MAX,
        };
        for body_len in [usize::MAX, i32::MAX as usize] {
            let result = encode_head(&mut out, ty, &head(), &(), &[], body_len, endless);
            assert!(
                matches!(result, Err(EncodeError::FrameTooLarge { .. })),
                "the length word is signed"
            );
        }
        let long = "\u{1}".repeat(MAX_HEADER_LEN / 2);
        let result = encode_head(
            &mut out,
            ty,
            &head(),
            &(),
            &[("k", &long), ("l", &long), ("m", "")],
            0,
            endless,
        );
        assert!(
            matches!(result, Err(EncodeError::HeaderTooLarge { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn texts_that_need_more_room_than_guessed_find_it() {
    let controls = "\u{1f}".repeat(5_000);
    let mut out = BytesMut::new();
    let extra = [("k", controls.as_str())];
    encode_head(
        &mut out,
        SerializeType::Json,
        &head(),
        &request(),
        &extra,
        0,
        FrameLimits::default(),
    )
    .unwrap();
    let frame = FrameDecoder::default()
        .next_frame(&mut out)
        .unwrap()
        .unwrap();
    assert_eq!(
        frame.command().unwrap().ext.get("k").as_deref(),
        Some(controls.as_str())
    );
}

#[test]
fn what_the_binary_layout_cannot_hold_is_refused_by_name() {
    let mut out = BytesMut::new();
    let mut refused = |head: &Head<'_>, extra: &[(&str, &str)]| {
        encode_head(
            &mut out,
            SerializeType::Binary,
            head,
            &(),
            extra,
            0,
            FrameLimits::default(),
        )
        .unwrap_err()
    };
    let code = Head {
        code: 200_050,
        ..head()
    };
    assert_eq!(
        refused(&code, &[]),
        EncodeError::CodeTooLarge { code: 200_050 }
    );
    let version = Head {
        version: 40_000,
        ..head()
    };
    assert_eq!(
        refused(&version, &[]),
        EncodeError::VersionTooLarge { version: 40_000 }
    );
    let key = "k".repeat(32_768);
    assert_eq!(
        refused(&head(), &[(&key, "")]),
        EncodeError::KeyTooLong {
            len: 32_768,
            limit: 32_767
        }
    );
    assert!(out.is_empty());
}

#[test]
fn fields_that_change_between_two_looks_do_no_harm() {
    struct Growing(std::cell::Cell<usize>);
    impl Fields for Growing {
        fn write(&self, sink: &mut impl FieldSink) {
            self.0.set(self.0.get() * 10);
            sink.text("k", &"v".repeat(self.0.get().min(1_000_000)));
        }
    }
    for ty in TYPES {
        let mut out = BytesMut::new();
        encode_head(
            &mut out,
            ty,
            &head(),
            &Growing(1.into()),
            &[],
            0,
            FrameLimits::default(),
        )
        .unwrap();
        let frame = FrameDecoder::default()
            .next_frame(&mut out)
            .unwrap()
            .unwrap();
        assert!(frame.command().unwrap().ext.get("k").is_some());
    }
}
