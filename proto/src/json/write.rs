//! Pieces of a JSON writer over a [`Writer`].

use crate::writer::Writer;

/// Source bytes escaped between two looks at the room left: bounds how much is reserved too much.
const PIECE: usize = 256;

/// The longest escape, `\u001f`.
const LONGEST_ESCAPE: usize = 6;

/// Writes the contents of a string, without its quotes: as fastjson does, short escapes where JSON has them,
/// `\u00xx` for other control characters, everything else as UTF-8.
#[inline]
pub(crate) fn escaped(out: &mut Writer<'_>, text: &str) {
    for piece in text.as_bytes().chunks(PIECE) {
        let room = out.room(piece.len() * LONGEST_ESCAPE + WORD);
        let written = escape_piece(room, piece);
        out.advance(written);
    }
}

/// Writes `"text"`.
pub(crate) fn string(out: &mut Writer<'_>, text: &str) {
    out.put(b"\"");
    escaped(out, text);
    out.put(b"\"");
}

const WORD: usize = 8;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Scans and copies in one go, eight bytes at a time: a whole word is copied first, then the place of the first byte
/// to escape says how much of it counts.
///
/// `room` must hold six bytes for each of `source`, and eight more.
#[inline(always)]
fn escape_piece(room: &mut [u8], source: &[u8]) -> usize {
    let mut at = 0;
    let mut rest = source;
    while let Some((chunk, behind)) = rest.split_first_chunk::<WORD>() {
        room[at..at + WORD].copy_from_slice(chunk);
        let special = specials(u64::from_le_bytes(*chunk));
        if special == 0 {
            at += WORD;
            rest = behind;
            continue;
        }
        let clean = (special.trailing_zeros() / 8) as usize;
        at += clean;
        at += escape_byte(&mut room[at..], rest[clean]);
        rest = &rest[clean + 1..];
    }
    for &byte in rest {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            room[at] = byte;
            at += 1;
        } else {
            at += escape_byte(&mut room[at..], byte);
        }
    }
    at
}

/// Marks the high bit of each byte that must be escaped; exact up to the lowest mark.
#[inline(always)]
fn specials(word: u64) -> u64 {
    let controls = word.wrapping_sub(ONES * 0x20);
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (controls | quotes | backslashes) & !word & HIGH
}

#[inline(always)]
fn escape_byte(room: &mut [u8], byte: u8) -> usize {
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => {
            room[..4].copy_from_slice(b"\\u00");
            room[4] = b'0' + (byte >> 4);
            room[5] = b"0123456789abcdef"[usize::from(byte & 0xF)];
            return LONGEST_ESCAPE;
        }
    };
    room[..2].copy_from_slice(&[b'\\', short]);
    2
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out, 0);
        escaped(&mut writer, text);
        writer.finish();
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
    fn escapes_are_those_of_fastjson() {
        assert_eq!(written("a\u{1}b\u{2}c\u{1f}"), r"a\u0001b\u0002c\u001f");
        assert_eq!(written("\"\\\t\n\r\u{8}\u{c}/é"), r#"\"\\\t\n\r\b\f/é"#);
    }

    #[test]
    fn long_texts_reserve_by_pieces() {
        for text in ["\u{1}".repeat(1000), "x".repeat(100_000), "é".repeat(777)] {
            let json = format!("\"{}\"", written(&text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
