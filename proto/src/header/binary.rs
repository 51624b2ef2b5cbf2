//! The ROCKETMQ binary header (PROTOCOL A.3).

use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_i16, be_i32, be_u8, be_u16, be_u32};

use super::{FieldSink, Fields, HeaderError};
use crate::code::LanguageCode;
use crate::command::{CommandView, EncodeError, ExtFields, Flags, HeadParts};
use crate::frame::PREFIX_LEN;
use crate::json::Text;
use crate::writer::{MAX_DIGITS, Writer, decimal};

/// Bytes of a header with neither remark nor ext fields.
pub(crate) const FIXED_LEN: usize = 21;

/// Where the remark begins.
const REMARK_AT: usize = 17;

/// Java reads the length of a key as a signed 16-bit number.
pub(crate) const MAX_KEY_LEN: usize = i16::MAX as usize;

/// What is sent for a language that is not known; no release gives it a name.
const NO_LANGUAGE: u8 = u8::MAX;

type Parsed<'a, T> = nom::IResult<&'a [u8], T>;

/// Writes the header with exact lengths and no padding. Leaves room before it for the two length words; gives where it
/// ends, or `None` when the room does not suffice.
#[inline(never)]
pub(crate) fn encode<F: Fields>(
    room: &mut [u8],
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
) -> Result<Option<usize>, EncodeError> {
    let out = &mut Writer::new(room, PREFIX_LEN);
    let code =
        i16::try_from(head.code).map_err(|_| EncodeError::CodeTooLarge { code: head.code })?;
    let version = i16::try_from(head.version).map_err(|_| EncodeError::VersionTooLarge {
        version: head.version,
    })?;
    let remark = head.remark.unwrap_or_default();
    let remark_len =
        u32::try_from(remark.len()).map_err(|_| EncodeError::ValueTooLong { len: remark.len() })?;

    out.put(&code.to_be_bytes());
    out.put(&[head.language.map_or(NO_LANGUAGE, |language| language.0)]);
    out.put(&version.to_be_bytes());
    out.put(&head.opaque.to_be_bytes());
    out.put(&head.flags.0.to_be_bytes());
    out.put(&remark_len.to_be_bytes());
    out.put(remark.as_bytes());

    let ext_at = PREFIX_LEN + REMARK_AT + remark.len();
    out.put(&[0; 4]);
    let mut sink = BinarySink { out, error: None };
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
    out.patch(ext_at, ext_len.to_be_bytes());
    Ok(Some(end))
}

struct BinarySink<'w, 'b> {
    out: &'w mut Writer<'b>,
    error: Option<EncodeError>,
}

impl BinarySink<'_, '_> {
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
        let mut digits = [0; MAX_DIGITS];
        let len = decimal(&mut digits, value).unwrap_or_default();
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

/// Reads the header. Every length is checked against what is there; bytes that are not UTF-8 become U+FFFD when they are
/// looked at, as in Java; a value of length zero is kept as an empty text (4.9.3 does so, later servers make it null).
pub(crate) fn decode(header: &[u8]) -> Result<CommandView<'_>, HeaderError> {
    let (rest, (code, language, version, opaque, flag)) =
        fixed(header).map_err(cut("its fixed part"))?;
    let (rest, remark) = long_text(rest).map_err(cut("the remark"))?;
    let (rest, ext) = long_text(rest).map_err(cut("the ext fields"))?;
    if !rest.is_empty() {
        return Err(HeaderError::TrailingBytes { count: rest.len() });
    }
    check(ext)?;

    let language = LanguageCode(language);
    Ok(CommandView {
        code: i32::from(code),
        language: language.name().map(|_| language),
        version: i32::from(version),
        opaque,
        flags: Flags(flag),
        remark: (!remark.is_empty()).then(|| Text::plain(remark).into_cow()),
        ext: ExtFields::binary(ext),
    })
}

/// Splits the first entry off ext fields, as bytes.
#[inline]
pub(crate) fn entry(ext: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let (rest, key_len) = be_u16(ext)?;
    let (rest, key) = take(key_len)(rest)?;
    let (rest, value) = long_text(rest)?;
    Ok((rest, (key, value)))
}

fn fixed(header: &[u8]) -> Parsed<'_, (i16, u8, i16, i32, i32)> {
    (be_i16, be_u8, be_i16, be_i32, be_i32).parse(header)
}

#[inline]
fn long_text(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, len) = be_u32(input)?;
    take(len)(rest)
}

/// Reads over all entries: after this, iterating meets no error.
fn check(ext: &[u8]) -> Result<(), HeaderError> {
    let mut rest = ext;
    while !rest.is_empty() {
        let (behind, (key, _)) = entry(rest).map_err(cut("an ext field"))?;
        if key.len() > MAX_KEY_LEN {
            return Err(HeaderError::Truncated {
                part: "an ext field's key",
            });
        }
        rest = behind;
    }
    Ok(())
}

fn cut<E>(part: &'static str) -> impl Fn(E) -> HeaderError {
    move |_| HeaderError::Truncated { part }
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
