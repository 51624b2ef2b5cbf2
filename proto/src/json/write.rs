//! Pieces of a JSON writer over a [`Writer`].

use crate::writer::Writer;

/// Writes the contents of a string, without its quotes: as fastjson does, short escapes where JSON has them,
/// `\u00xx` for other control characters, everything else as UTF-8.
#[inline(always)]
pub(crate) fn escaped(out: &mut Writer<'_>, text: &str) {
    out.fill(|room| escape_into(room, text.as_bytes()));
}

/// Writes `"text"`.
#[inline(always)]
pub(crate) fn string(out: &mut Writer<'_>, text: &str) {
    out.put(b"\"");
    escaped(out, text);
    out.put(b"\"");
}

const WORD: usize = 8;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Scans and copies in one go, eight bytes at a time: a whole word is copied first, then the place of the first byte
/// to escape says how much of it counts. Wants up to eight bytes more room than it uses.
#[inline(never)]
fn escape_into(room: &mut [u8], source: &[u8]) -> Option<usize> {
    let before = room.len();
    let mut room = room;
    let mut rest = source;
    while let Some((chunk, behind)) = rest.split_first_chunk::<WORD>() {
        *room.first_chunk_mut::<WORD>()? = *chunk;
        let special = specials(u64::from_le_bytes(*chunk));
        if special == 0 {
            room = room.get_mut(WORD..)?;
            rest = behind;
            continue;
        }
        let clean = (special.trailing_zeros() / 8) as usize;
        room = escape(room.get_mut(clean..)?, chunk[clean])?;
        rest = rest.get(clean + 1..)?;
    }
    while !rest.is_empty() {
        let word = short_word(rest);
        *room.first_chunk_mut::<WORD>()? = word.to_le_bytes();
        let special = specials(word);
        if special == 0 {
            room = room.get_mut(rest.len()..)?;
            break;
        }
        let clean = (special.trailing_zeros() / 8) as usize;
        room = escape(room.get_mut(clean..)?, *rest.get(clean)?)?;
        rest = rest.get(clean + 1..)?;
    }
    Some(before - room.len())
}

/// One to seven bytes, filled up with bytes that need no escape.
#[inline(always)]
fn short_word(bytes: &[u8]) -> u64 {
    let fill = (ONES * u64::from(b' ')) << (8 * (bytes.len() % WORD));
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // The two overlap.
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << (8 * (bytes.len() % WORD - 4))
        }
        _ => {
            let bytes = bytes.iter().enumerate();
            bytes.fold(0, |word, (at, byte)| word | u64::from(*byte) << (8 * at))
        }
    };
    word | fill
}

/// Marks the high bit of each byte that must be escaped; exact up to the lowest mark.
#[inline(always)]
fn specials(word: u64) -> u64 {
    let controls = word.wrapping_sub(ONES * 0x20);
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (controls | quotes | backslashes) & !word & HIGH
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
