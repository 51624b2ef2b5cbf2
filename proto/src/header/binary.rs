//! The ROCKETMQ binary header (PROTOCOL A.3).

use super::{FieldSink, Fields, HeaderError};
use crate::code::LanguageCode;
use crate::command::{CommandView, EncodeError, Ends, ExtFields, Flags, HeadParts, PieceSink};
use crate::frame::{PREFIX_LEN, SerializeType};
use crate::json::Text;
use crate::writer::{DECIMAL_ROOM, Writer, decimal};

/// Bytes of a header with neither remark nor ext fields.
pub(crate) const FIXED_LEN: usize = 21;

/// Where the correlation number stands; the flags follow.
const OPAQUE_AT: usize = 5;

/// Where the remark begins.
const REMARK_AT: usize = 17;

/// Java reads the length of a key as a signed 16-bit number.
pub(crate) const MAX_KEY_LEN: usize = i16::MAX as usize;

/// What is sent for a language that is not known; no release gives it a name.
const NO_LANGUAGE: u8 = u8::MAX;

/// Bytes of the length before a value.
const VALUE_LENGTH: usize = 4;

/// Writes the header with exact lengths and no padding. Leaves room before it for the two length words; gives where it
/// ends, or `None` when the room does not suffice.
#[inline(never)]
pub(crate) fn encode<F: Fields>(
    room: &mut [u8],
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
) -> Result<Option<usize>, EncodeError> {
    let code =
        i16::try_from(head.code).map_err(|_| EncodeError::CodeTooLarge { code: head.code })?;
    let version = i16::try_from(head.version).map_err(|_| EncodeError::VersionTooLarge {
        version: head.version,
    })?;
    let remark = head.remark.unwrap_or_default();
    let remark_len =
        u32::try_from(remark.len()).map_err(|_| EncodeError::ValueTooLong { len: remark.len() })?;

    let out = &mut Writer::new(room);
    out.put(&[0; PREFIX_LEN]);
    out.put(&code.to_be_bytes());
    out.put(&[head.language.map_or(NO_LANGUAGE, |language| language.0)]);
    out.put(&version.to_be_bytes());
    out.put(&head.opaque.to_be_bytes());
    out.put(&head.flags.0.to_be_bytes());
    out.put(&remark_len.to_be_bytes());
    out.put(remark.as_bytes());

    let ext_at = PREFIX_LEN + REMARK_AT + remark.len();
    out.put(&[0; 4]);
    let mut sink = BinarySink::new(out);
    fields.write(&mut sink);
    for (key, value) in extra {
        sink.text(key, value);
    }
    if let Some(error) = sink.error {
        return Err(error);
    }
    let Some(end) = out.finish() else {
        return Ok(None);
    };
    let ext_len = end - ext_at - 4;
    let ext_len = u32::try_from(ext_len).map_err(|_| EncodeError::ValueTooLong { len: ext_len })?;
    put(room, ext_at, ext_len.to_be_bytes());
    Ok(Some(end))
}

/// Sets the numbers of a head without a remark whose fixed part was written for another one; it ends at `end`.
#[inline(always)]
pub(crate) fn set_numbers(head: &mut [u8], opaque: i32, flags: Flags, end: usize) {
    let ext_len = (end - PREFIX_LEN - FIXED_LEN) as u32;
    put(head, PREFIX_LEN + OPAQUE_AT, opaque.to_be_bytes());
    put(head, PREFIX_LEN + OPAQUE_AT + 4, flags.0.to_be_bytes());
    put(head, PREFIX_LEN + REMARK_AT, ext_len.to_be_bytes());
}

#[inline(always)]
fn put(head: &mut [u8], at: usize, number: [u8; 4]) {
    if let Some(place) = head.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = number;
    }
}

pub(crate) struct BinarySink<'w, 'b> {
    out: &'w mut Writer<'b>,
    pub(crate) error: Option<EncodeError>,
}

impl<'w, 'b> BinarySink<'w, 'b> {
    pub(crate) fn new(out: &'w mut Writer<'b>) -> Self {
        Self { out, error: None }
    }

    #[inline(always)]
    fn field(&mut self, key: &str, value: &[u8]) {
        if key.len() > MAX_KEY_LEN {
            self.error = Some(EncodeError::KeyTooLong {
                len: key.len(),
                limit: MAX_KEY_LEN,
            });
            return;
        }
        let Ok(value_len) = u32::try_from(value.len()) else {
            self.error = Some(EncodeError::ValueTooLong { len: value.len() });
            return;
        };
        let len = key.len();
        let Some(window) = self.out.window(len + 6 + value.len()) else {
            return;
        };
        // Just checked to fit.
        window[..2].copy_from_slice(&(len as u16).to_be_bytes());
        window[2..len + 2].copy_from_slice(key.as_bytes());
        window[len + 2..len + 6].copy_from_slice(&value_len.to_be_bytes());
        window[len + 6..].copy_from_slice(value);
    }
}

impl FieldSink for BinarySink<'_, '_> {
    #[inline(always)]
    fn text(&mut self, key: &str, value: &str) {
        self.field(key, value.as_bytes());
    }

    #[inline(always)]
    fn int(&mut self, key: &str, value: i64) {
        if (0..10).contains(&value) {
            return self.field(key, &[b'0' + value as u8]);
        }
        let (digits, len) = digits(value);
        self.field(key, &digits[..len]);
    }

    #[inline(always)]
    fn bool(&mut self, key: &str, value: bool) {
        if value {
            self.field(key, b"true");
        } else {
            self.field(key, b"false");
        }
    }
}

impl PieceSink for BinarySink<'_, '_> {
    #[inline(always)]
    fn key(&mut self, key: &str) {
        self.out.put(&(key.len() as u16).to_be_bytes());
        self.out.put(key.as_bytes());
    }

    #[inline(always)]
    fn piece(&mut self, piece: &[u8]) {
        self.out.put(piece);
    }

    #[inline(always)]
    fn text_value(&mut self, value: &str) {
        self.out.put(&(value.len() as u32).to_be_bytes());
        self.out.put(value.as_bytes());
    }

    #[inline(always)]
    fn int_value(&mut self, value: i64) {
        if (0..10).contains(&value) {
            return self.out.put(&[0, 0, 0, 1, b'0' + value as u8]);
        }
        let (digits, len) = digits(value);
        self.out.put(&(len as u32).to_be_bytes());
        self.out.put(&digits[..len]);
    }
}

/// The digits of a number, and how many they are.
#[inline(always)]
fn digits(number: i64) -> ([u8; DECIMAL_ROOM], usize) {
    let mut digits = [0; DECIMAL_ROOM];
    let left = decimal(&mut digits, number).map_or(0, |left| left.len());
    (digits, DECIMAL_ROOM - left)
}

/// Reads the header. Every length is checked against what is there; bytes that are not UTF-8 become U+FFFD when they are
/// looked at, as in Java; a value of length zero is kept as an empty text (4.9.3 does so, later servers make it null).
pub(crate) fn decode(header: &[u8]) -> Result<CommandView<'_>, HeaderError> {
    let mut rest = header;
    let part = "its fixed part";
    let code = i16::from_be_bytes(chunk(&mut rest, part)?);
    let [language] = chunk(&mut rest, part)?;
    let version = i16::from_be_bytes(chunk(&mut rest, part)?);
    let opaque = i32::from_be_bytes(chunk(&mut rest, part)?);
    let flags = i32::from_be_bytes(chunk(&mut rest, part)?);
    let remark = long_text(&mut rest, "the remark")?;
    let ext = long_text(&mut rest, "the ext fields")?;
    if !rest.is_empty() {
        return Err(HeaderError::TrailingBytes { count: rest.len() });
    }

    let language = LanguageCode(language);
    Ok(CommandView {
        code: i32::from(code),
        language: language.name().map(|_| language),
        version: i32::from(version),
        opaque,
        flags: Flags(flags),
        remark: (!remark.is_empty()).then(|| Text::Plain(remark).into_cow()),
        ext: ext_fields(ext)?,
    })
}

/// Reads over all entries: after this, iterating meets no error.
#[inline(always)]
fn ext_fields(ext: &[u8]) -> Result<ExtFields<'_>, HeaderError> {
    if ext.is_empty() {
        return Ok(ExtFields::default());
    }
    let mut ends = Ends::default();
    let mut rest = ext;
    while !rest.is_empty() {
        let (key, value) = next_entry(&mut rest)?;
        if key.len() > MAX_KEY_LEN {
            return Err(HeaderError::Truncated {
                part: "an ext field's key",
            });
        }
        let end = ext.len() - rest.len();
        ends.push(end - value.len() - VALUE_LENGTH, end);
    }
    let measured = ends.of(ext, SerializeType::Binary);
    Ok(measured.map_or_else(|| ExtFields::binary(ext), ExtFields::measured))
}

/// Splits the first entry off ext fields, as bytes.
pub(crate) fn entry<'a>(ext: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    next_entry(ext).ok()
}

#[inline(always)]
fn next_entry<'a>(ext: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), HeaderError> {
    let part = "an ext field";
    let key_len = u16::from_be_bytes(chunk(ext, part)?);
    let key = take(ext, usize::from(key_len), part)?;
    let value = long_text(ext, part)?;
    Ok((key, value))
}

#[inline(always)]
fn long_text<'a>(input: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], HeaderError> {
    let len = u32::from_be_bytes(chunk(input, part)?);
    take(input, len as usize, part)
}

#[inline(always)]
fn chunk<const N: usize>(input: &mut &[u8], part: &'static str) -> Result<[u8; N], HeaderError> {
    let (chunk, rest) = input
        .split_first_chunk()
        .ok_or(HeaderError::Truncated { part })?;
    *input = rest;
    Ok(*chunk)
}

#[inline(always)]
fn take<'a>(input: &mut &'a [u8], len: usize, part: &'static str) -> Result<&'a [u8], HeaderError> {
    let (taken, rest) = input
        .split_at_checked(len)
        .ok_or(HeaderError::Truncated { part })?;
    *input = rest;
    Ok(taken)
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
