use super::*;
use crate::header::{FieldProblem, SendMessageRequest};

/// A header of code 310, Java, 409, opaque 5, flag 2, with this remark and these ext bytes.
fn header(remark: &[u8], ext: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 54, 0, 1, 153, 0, 0, 0, 5, 0, 0, 0, 2];
    for part in [remark, ext] {
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn entries(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in pairs {
        bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

#[test]
fn the_layout_is_that_of_the_table() {
    let bytes = header(b"why", &entries(&[(b"e", b"3"), (b"i", b"")]));
    let view = decode(&bytes).unwrap();
    assert_eq!(
        (view.code, view.version, view.opaque, view.flags),
        (310, 409, 5, Flags::ONEWAY)
    );
    assert_eq!(
        (view.language, view.remark.as_deref()),
        (Some(LanguageCode::JAVA), Some("why"))
    );
    assert_eq!(view.ext.get("e").as_deref(), Some("3"));
    assert_eq!(
        view.ext.get("i").as_deref(),
        Some(""),
        "an empty value is there"
    );
}

#[test]
fn of_a_key_that_comes_twice_the_last_one_counts() {
    let bytes = header(
        b"",
        &entries(&[(b"a", b"old"), (b"b", b"x"), (b"a", b"new")]),
    );
    let view = decode(&bytes).unwrap();
    assert_eq!(view.ext.iter().count(), 3);
    assert_eq!(view.ext.get("a").as_deref(), Some("new"));
    let error = view.ext.decode::<SendMessageRequest<'_>>().unwrap_err();
    assert_eq!((error.field, error.problem), ("c", FieldProblem::Missing));
}

#[test]
fn lengths_that_lie_are_errors() {
    let sound = header(b"why", &entries(&[(b"key", b"value")]));
    for end in 0..sound.len() {
        assert!(decode(&sound[..end]).is_err(), "cut at {end}");
    }
    let mut padded = sound.clone();
    padded.push(0);
    assert_eq!(
        decode(&padded).unwrap_err(),
        HeaderError::TrailingBytes { count: 1 }
    );
    for place in 13..17 {
        let mut bytes = sound.clone();
        bytes[place] = 0xFF;
        assert_eq!(
            decode(&bytes).unwrap_err(),
            HeaderError::Truncated { part: "the remark" }
        );
    }
    let long_key = header(b"", &entries(&[(&[b'k'; MAX_KEY_LEN + 1], b"")]));
    assert!(
        decode(&long_key).is_err(),
        "Java reads its length as negative"
    );
}

#[test]
fn unknown_languages_and_negative_codes_are_read() {
    let mut bytes = header(b"\xff", b"");
    bytes[..3].copy_from_slice(&[0xFC, 0x18, 99]);
    let view = decode(&bytes).unwrap();
    assert_eq!((view.code, view.language), (-1000, None));
    assert_eq!(view.remark.as_deref(), Some("\u{FFFD}"));
    assert!(!view.ext.is_present());
}
