use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;

use super::*;

const UNIQUE: &str = "C0A8010530397D4991AD61D8D4050000";

/// Around each length at which something changes, in characters of one byte and of four.
fn texts() -> impl Iterator<Item = String> {
    let lengths = [
        0, 1, 7, 8, 32, 36, 55, 56, 57, 64, 255, 256, 257, 312, 5_000,
    ];
    let letters = ["x", "é", "😀"].into_iter();
    letters.flat_map(move |letter| lengths.map(|len| letter.repeat(len / letter.len())))
}

#[test]
fn a_text_of_any_length_comes_back_as_it_was() {
    for text in texts() {
        let made = [
            IdText::from(&*text),
            text.clone().into(),
            std::borrow::Cow::Borrowed(&*text).into(),
        ];
        for id in made {
            assert_eq!(id.as_str(), text);
            assert_eq!(
                (id.to_string(), format!("{id:?}")),
                (text.clone(), format!("{text:?}"))
            );
            assert_eq!(id, text);
            assert_eq!(text, id);
            assert_eq!(id, text.as_str());
            assert_eq!(String::from(id), text);
        }
    }
    assert_eq!(IdText::default(), "");
}

#[test]
fn ids_are_found_and_sorted_as_their_texts() {
    let texts: Vec<_> = texts().collect();
    let hashed: HashSet<IdText> = texts.iter().map(|text| text.as_str().into()).collect();
    let sorted: BTreeSet<IdText> = texts.iter().map(|text| text.as_str().into()).collect();
    for text in &texts {
        assert!(hashed.contains(text.as_str()) && sorted.contains(text.as_str()));
        assert!(!hashed.contains(format!("{text}!").as_str()));
    }
    let expected: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    assert!(sorted.iter().map(IdText::as_str).eq(expected));
}

#[test]
fn the_digits_of_both_ids_are_those_of_their_display() {
    for digits in [
        UNIQUE,
        &UNIQUE.repeat(2)[..56],
        &"0123456789ABCDEF".repeat(2),
    ] {
        let id: UniqueId = digits.parse().unwrap();
        assert_eq!(id.to_hex(), digits);
        assert_eq!(id.to_string(), digits);
    }
    for addr in ["10.0.0.1:10911", "[fd00::2]:10911"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let id = OffsetMessageId::new(addr, 0x400);
        assert_eq!(id.to_hex(), &*id.to_string());
        assert!(id.to_hex().ends_with("00002A9F0000000000000400"));
    }
}
