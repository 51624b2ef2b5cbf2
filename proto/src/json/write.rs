//! Pieces of a JSON writer over a [`Writer`].

use crate::words::{HIGH, ONES, equal, first, short};
use crate::writer::Writer;

/// Writes the contents of a string, without its quotes: as fastjson does, short escapes where JSON has them,
/// `\u00xx` for other control characters, everything else as UTF-8.
#[inline(always)]
pub(crate) fn escaped(out: &mut Writer<'_>, text: &str) {
    let text = text.as_bytes();
    out.fill(|room| {
        if text.len() > 2 * WORD {
            escape_into(room, text)
        } else {
            short_escaped(room, text)
        }
    });
}

/// Writes `"text"`.
#[inline(always)]
pub(crate) fn string(out: &mut Writer<'_>, text: &str) {
    out.put(b"\"");
    escaped(out, text);
    out.put(b"\"");
}

const WORD: usize = 8;

/// Names are short and need no escape: up to two words, which overlap, with no loop.
#[inline(never)]
fn short_escaped<'r>(room: &'r mut [u8], text: &[u8]) -> Option<&'r mut [u8]> {
    if let (Some(start), Some(end)) = (text.first_chunk(), text.last_chunk()) {
        if has_odd(u64::from_le_bytes(*start)) || has_odd(u64::from_le_bytes(*end)) {
            return escape_into(room, text);
        }
        let (place, room) = room.split_at_mut_checked(text.len())?;
        *place.first_chunk_mut()? = *start;
        *place.last_chunk_mut::<WORD>()? = *end;
        return Some(room);
    }
    let word = short(text);
    if has_odd(word) {
        return escape_into(room, text);
    }
    *room.first_chunk_mut()? = word.to_le_bytes();
    room.get_mut(text.len()..)
}

/// Scans and copies in one go, eight bytes at a time: a whole word is copied first, then the place of the first byte
/// to escape says how much of it counts. Wants up to eight bytes more room than it uses; gives what is left.
#[inline(never)]
fn escape_into<'r>(mut room: &'r mut [u8], text: &[u8]) -> Option<&'r mut [u8]> {
    let mut rest = text;
    while let Some((chunk, behind)) = rest.split_first_chunk::<WORD>() {
        *room.first_chunk_mut::<WORD>()? = *chunk;
        let special = specials(u64::from_le_bytes(*chunk));
        if special == 0 {
            room = room.get_mut(WORD..)?;
            rest = behind;
            continue;
        }
        let clean = first(special);
        room = escape(room.get_mut(clean..)?, *rest.get(clean)?)?;
        rest = rest.get(clean + 1..)?;
    }
    while !rest.is_empty() {
        let word = short(rest);
        *room.first_chunk_mut::<WORD>()? = word.to_le_bytes();
        let special = specials(word);
        if special == 0 {
            return room.get_mut(rest.len()..);
        }
        let clean = first(special);
        room = escape(room.get_mut(clean..)?, *rest.get(clean)?)?;
        rest = rest.get(clean + 1..)?;
    }
    Some(room)
}

/// Marks the high bit of each byte that must be escaped; exact up to the lowest mark.
#[inline(always)]
fn specials(word: u64) -> u64 {
    let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    controls | equal(word, b'"') | equal(word, b'\\')
}

/// Whether some byte may have to be escaped: for names, which hold neither spaces nor letters beyond ASCII, an exact
/// answer for half the price of [`specials`].
#[inline(always)]
fn has_odd(word: u64) -> bool {
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (word.wrapping_sub(ONES * u64::from(b'#')) | backslash) & HIGH != 0
}

/// Writes the escape of a byte below 0x80, and gives the room behind it.
#[inline(always)]
fn escape(room: &mut [u8], byte: u8) -> Option<&mut [u8]> {
    let (text, len) = &ESCAPES[usize::from(byte & 0x7F)];
    *room.first_chunk_mut::<WORD>()? = *text;
    room.get_mut(usize::from(*len)..)
}

/// The escape of each ASCII character that has one, filled up to a word, and its length.
const ESCAPES: [([u8; WORD], u8); 128] = {
    let mut escapes = [([0; WORD], 0); 128];
    let mut byte = 0;
    while byte < 128 {
        let code = byte as u8;
        let low = b"0123456789abcdef"[byte & 0xF];
        escapes[byte] = match code {
            0x08 => (*b"\\b      ", 2),
            b'\t' => (*b"\\t      ", 2),
            b'\n' => (*b"\\n      ", 2),
            0x0C => (*b"\\f      ", 2),
            b'\r' => (*b"\\r      ", 2),
            b'"' => (*b"\\\"      ", 2),
            b'\\' => (*b"\\\\      ", 2),
            _ => (
                [b'\\', b'u', b'0', b'0', b'0' + (code >> 4), low, b' ', b' '],
                6,
            ),
        };
        byte += 1;
    }
    escapes
};

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::writer::append;

    fn written(text: &str) -> String {
        let mut out = BytesMut::new();
        append(&mut out, 0, |writer| escaped(writer, text));
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn strings_read_back_as_they_were() {
        let mut text = String::from("WAIT\u{1}true\u{2}TAGS\u{1}\"\\/标签😀\u{7f}");
        for code in 0..0x20u8 {
            text.push(char::from(code));
            text.insert(usize::from(code) % 5, char::from(code));
        }
        for start in text.char_indices().map(|(at, _)| at) {
            let text = &text[start..];
            let json = format!("\"{}\"", written(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn names_of_every_length_are_escaped_at_every_place() {
        let odd = (0..0x30u8)
            .map(char::from)
            .chain(['"', '\\', ']', 'é', '标', '\u{7f}']);
        for odd in odd {
            for len in 0..=20 {
                for place in 0..=len {
                    let text = format!("{}{odd}{}", "n".repeat(place), "n".repeat(len - place));
                    let json = format!("\"{}\"", written(&text));
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn escapes_are_those_of_fastjson() {
        assert_eq!(written("a\u{1}b\u{2}c\u{1f}"), r"a\u0001b\u0002c\u001f");
        assert_eq!(written("\"\\\t\n\r\u{8}\u{c}/é"), r#"\"\\\t\n\r\b\f/é"#);
    }

    #[test]
    fn texts_of_any_length_find_room() {
        for text in ["\u{1}".repeat(1000), "x".repeat(100_000), "é".repeat(777)] {
            let json = format!("\"{}\"", written(&text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
