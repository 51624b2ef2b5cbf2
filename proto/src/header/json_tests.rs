use bytes::BytesMut;

use super::*;
use crate::code::version;
use crate::command::{Head, encode_head};
use crate::frame::{FrameLimits, SerializeType};
use crate::header::{EmptyHeader, SendMessageResponse, UnregisterClientRequest};

const HEAD: Head<'_> = Head {
    code: 105,
    language: LanguageCode::JAVA,
    version: version::V4_9_3,
    opaque: 7,
    flags: Flags::REQUEST,
    remark: None,
};

fn written(head: &Head<'_>, fields: &impl Fields, extra: &[(&str, &str)]) -> String {
    let mut out = BytesMut::new();
    encode_head(
        &mut out,
        SerializeType::Json,
        head,
        fields,
        extra,
        0,
        FrameLimits::default(),
    )
    .unwrap();
    String::from_utf8(out[PREFIX_LEN..].to_vec()).unwrap()
}

fn ext_of(text: &str) -> Vec<(String, String)> {
    let view = decode(text.as_bytes()).unwrap();
    view.ext
        .iter()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_example_of_the_protocol_comes_out_to_the_byte() {
    assert_eq!(
        written(&HEAD, &(), &[("topic", "T")]),
        r#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":399}"#
    );
}

#[test]
fn ext_fields_are_left_out_unless_there_is_one_or_the_header_insists() {
    assert!(!written(&HEAD, &(), &[]).contains("extFields"));
    assert!(written(&HEAD, &EmptyHeader, &[]).contains(r#""extFields":{},"flag""#));
    let fields = UnregisterClientRequest {
        client_id: "c".into(),
        ..Default::default()
    };
    assert!(
        written(&HEAD, &fields, &[("k\"", "\\v")])
            .contains(r#""extFields":{"clientID":"c","k\"":"\\v"},"#)
    );
}

#[test]
fn negative_numbers_unnamed_languages_and_remarks_are_written() {
    let head = Head {
        code: -1006,
        language: LanguageCode(200),
        opaque: i32::MIN,
        flags: Flags(3),
        remark: Some("a \"b\"\n"),
        ..HEAD
    };
    assert_eq!(
        written(&head, &(), &[]),
        r#"{"code":-1006,"flag":3,"language":"OTHER","opaque":-2147483648,"remark":"a \"b\"\n","serializeTypeCurrentRPC":"JSON","version":399}"#
    );
    let view = decode(written(&head, &(), &[]).as_bytes()).unwrap().code;
    assert_eq!(view, -1006);
}

#[test]
fn what_other_peers_write_is_read() {
    // Go, the Rust servers, fastjson's leniency, and nothing at all.
    for (text, opaque, language, remark) in [
        (
            r#"{"code":0,"language":"GO","version":317,"opaque":5,"flag":1,"remark":"","extFields":{}}"#,
            5,
            Some(LanguageCode::GO),
            Some(""),
        ),
        (
            r#"{"code":0,"extFields":null,"flag":1,"language":"RUST","opaque":-1,"remark":null,"serializeTypeCurrentRPC":"JSON","version":401}"#,
            -1,
            Some(LanguageCode::RUST),
            None,
        ),
        (
            r#" { code : 0 ,, 'opaque' : '12' , "language":"KLINGON", "new":[{"x":{}}] } "#,
            12,
            None,
            None,
        ),
        (
            r#"{"\u0063ode":0,"opaque":3,"opaque":4,"language":7,"remark":"\u4f60\u597d"}"#,
            4,
            None,
            Some("你好"),
        ),
        ("{}", 0, None, None),
    ] {
        let view = decode(text.as_bytes()).unwrap();
        assert_eq!(
            (view.opaque, view.language, view.remark.as_deref()),
            (opaque, language, remark),
            "{text}"
        );
    }
}

#[test]
fn ext_values_of_any_kind_become_texts() {
    let text = r#"{"extFields":{"n":-1.5e3,"t":true,"x":null,"o":{"a":[1,"}"]},"l":[ ],"s":"\"","e":"","n":7},"code":1}"#;
    let expected = pairs(&[
        ("n", "-1.5e3"),
        ("t", "true"),
        ("o", r#"{"a":[1,"}"]}"#),
        ("l", "[ ]"),
        ("s", "\""),
        ("e", ""),
        ("n", "7"),
    ]);
    assert_eq!(ext_of(text), expected);
    let view = decode(text.as_bytes()).unwrap();
    assert_eq!(
        view.ext.get("n").as_deref(),
        Some("7"),
        "the last one counts"
    );
    assert_eq!(view.ext.get("x"), None);
    assert!(view.ext.is_present());
    assert!(!decode(b"{\"extFields\":null}").unwrap().ext.is_present());
    assert!(decode(b"{\"extFields\":{}}").unwrap().ext.is_present());
}

#[test]
fn the_quick_way_and_the_careful_way_read_the_same() {
    let plain = r#"{"code":0,"extFields":{"queueId":"3","TRACE_ON":"true","msgId":"7F00","queueOffset":"1234567890123","queueId":"4"},"flag":1,"language":"JAVA","opaque":1033,"remark":"r","serializeTypeCurrentRPC":"JSON","version":409}"#;
    let quick = decode_plain(plain.as_bytes()).expect("Java's form");
    for text in [
        plain.to_owned(),
        plain.replace(",\"", " , \""),
        plain.replace("\"opaque\"", "\"x\":0,\"opaque\""),
    ] {
        let careful = decode_any(text.as_bytes()).unwrap();
        assert_eq!(format!("{careful:?}"), format!("{quick:?}"));
        let response: SendMessageResponse<'_> = careful.ext.decode().unwrap();
        assert_eq!(
            (response.queue_id, response.queue_offset),
            (4, 1_234_567_890_123)
        );
        assert_eq!(response, quick.ext.decode().unwrap());
    }
    for end in 0..plain.len() {
        assert!(decode(&plain.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn nothing_is_allocated_where_nothing_is_escaped() {
    let text = r#"{"code":1,"extFields":{"a":"b"},"flag":1,"language":"JAVA","opaque":1,"remark":"plain","serializeTypeCurrentRPC":"JSON","version":409}"#;
    let view = decode(text.as_bytes()).unwrap();
    assert!(matches!(view.remark, Some(Cow::Borrowed("plain"))));
    assert!(
        view.ext
            .iter()
            .all(|(key, value)| matches!((key, value), (Cow::Borrowed(_), Cow::Borrowed(_))))
    );
}

#[test]
fn nonsense_is_an_error() {
    for text in [
        "",
        "null",
        "[]",
        "{",
        "{\"code\":}",
        "{\"code\":99999999999}",
        "{\"code\":1.5}",
        "{\"code\":[]}",
        "{\"extFields\":[]}",
        "{\"extFields\":\"x\"}",
        "{\"extFields\":{\"a\":}}",
        "{\"remark\":{}}",
        "{} {}",
        "{}x",
        "{\"code\":0,\"extFields\":{\"a\":\"b\"}",
        "{\"code\":0,\"flag\":0,\"language\":\"JAVA\",\"opaque\":1",
    ] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_as_java_does() {
    let view =
        decode(b"{\"code\":1,\"remark\":\"\xff\",\"extFields\":{\"k\xfe\":\"\\u00e9\xc3\"}}")
            .unwrap();
    assert_eq!(view.remark.as_deref(), Some("\u{FFFD}"));
    assert_eq!(
        view.ext.get("k\u{FFFD}"),
        None,
        "keys are compared as they stand"
    );
    assert_eq!(
        view.ext.iter().next().unwrap(),
        ("k\u{FFFD}".into(), "é\u{FFFD}".into())
    );
}

#[test]
fn whatever_the_quick_way_takes_the_careful_way_reads_the_same() {
    let plain = br#"{"code":0,"extFields":{"a":"","bb":"x y","ccc":"{}:,"},"flag":1,"language":"JAVA","opaque":1033,"remark":"r","serializeTypeCurrentRPC":"JSON","version":409}"#;
    let seed = 0x5EED;
    println!("seed {seed}");
    let mut state: u64 = seed;
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let mut taken = 0;
    for _ in 0..50_000 {
        let mut header = plain.to_vec();
        for _ in 0..=below(3) {
            let at = below(header.len());
            header[at] = b"\"\\{}:, 09-a\xC3\n"[below(13)];
        }
        let Some(quick) = decode_plain(&header) else {
            continue;
        };
        let careful = decode_any(&header).unwrap();
        assert_eq!(
            format!("{quick:?}"),
            format!("{careful:?}"),
            "{:?}",
            String::from_utf8_lossy(&header)
        );
        taken += 1;
    }
    assert!(taken > 1_000, "{taken}");
}

#[test]
fn many_and_long_entries_are_found_like_few_and_short_ones() {
    let long = "v".repeat(70_000);
    let fields: Vec<_> = (0..20)
        .map(|n| {
            (
                format!("k{n}"),
                if n % 3 == 0 {
                    long.clone()
                } else {
                    n.to_string()
                },
            )
        })
        .collect();
    let extra: Vec<_> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let text = written(&HEAD, &(), &extra);
    assert!(decode_plain(text.as_bytes()).is_some());
    assert_eq!(ext_of(&text), fields);
}
