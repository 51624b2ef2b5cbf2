//! The hot path of sending: one pass from typed fields to the bytes of a frame's head.

use bytes::BytesMut;
use thiserror::Error;

use super::Flags;
use crate::code::LanguageCode;
use crate::frame::{FrameLimits, MAX_HEADER_LEN, PREFIX_LEN, SerializeType};
use crate::header::{FieldSink, Fields, binary, json};
use crate::writer::DECIMAL_ROOM;

/// Enough for nearly every head, so that few need a look over their fields beforehand.
pub(super) const USUAL_ROOM: usize = 512;

/// More than what the pieces of a head want beyond what they use.
const SLACK: usize = 64;

/// The part of a command that every one has.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Request or response code.
    pub code: i32,
    /// Who speaks. In JSON a number without a name is written as `OTHER`.
    pub language: LanguageCode,
    /// See [`version`](crate::version).
    pub version: i32,
    /// Matches answers with requests.
    pub opaque: i32,
    /// Request, response or oneway.
    pub flags: Flags,
    /// Error text. In a binary header an empty one is none.
    pub remark: Option<&'a str>,
}

/// Writes the two length words and the header of a frame to the end of `out`; the body is for the caller to send
/// behind it, so that it need not be copied.
///
/// One pass, and no allocation but the growth of `out`. The ext fields are those of `fields`, then those of `extra`
/// (signatures, zone, namespace). In JSON the keys stand in Java's order, and `extFields` is left out when there is no
/// field and [`Fields::ALWAYS`] is false.
///
/// ```
/// use bytes::BytesMut;
/// use rocketmq_proto::{Flags, FrameLimits, Head, LanguageCode, RequestCode, SerializeType, encode_head, header, version};
///
/// let head = Head {
///     code: RequestCode::GET_ROUTEINFO_BY_TOPIC.0,
///     language: LanguageCode::RUST,
///     version: version::V4_9_8,
///     opaque: 7,
///     flags: Flags::REQUEST,
///     remark: None,
/// };
/// let fields = header::GetRouteInfoRequest { topic: "orders".into(), accept_standard_json_only: None };
/// let mut out = BytesMut::new();
/// encode_head(&mut out, SerializeType::Json, &head, &fields, &[], 0, FrameLimits::default())?;
/// assert!(out.ends_with(br#""serializeTypeCurrentRPC":"JSON","version":409}"#));
/// # Ok::<(), rocketmq_proto::EncodeError>(())
/// ```
///
/// # Errors
///
/// The frame, body included, would be over the limit, or something does not fit the binary layout. `out` is unchanged.
pub fn encode_head<F: Fields>(
    out: &mut BytesMut,
    ty: SerializeType,
    head: &Head<'_>,
    fields: &F,
    extra: &[(&str, &str)],
    body_len: usize,
    limits: FrameLimits,
) -> Result<(), EncodeError> {
    let Head {
        code,
        language,
        version,
        opaque,
        flags,
        remark,
    } = *head;
    let parts = HeadParts {
        code,
        language: Some(language),
        version,
        opaque,
        flags,
        remark,
    };
    encode_parts(out, ty, &parts, fields, extra, body_len, limits)
}

/// [`Head`], except that a command that was read may lack a known language.
pub(crate) struct HeadParts<'a> {
    pub(crate) code: i32,
    pub(crate) language: Option<LanguageCode>,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flags: Flags,
    pub(crate) remark: Option<&'a str>,
}

pub(crate) fn encode_parts<F: Fields>(
    out: &mut BytesMut,
    ty: SerializeType,
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
    body_len: usize,
    limits: FrameLimits,
) -> Result<(), EncodeError> {
    check_frame_len(body_len, limits)?;
    let start = out.len();
    let mut room = USUAL_ROOM;
    let written = loop {
        out.resize(start + room, 0);
        let target = &mut out[start..];
        let written = match ty {
            SerializeType::Json => Ok(json::encode(target, head, fields, extra)),
            SerializeType::Binary => binary::encode(target, head, fields, extra),
        };
        let more = match written {
            Ok(Some(len)) => break check_lengths(len, body_len, limits).map(|()| len),
            Ok(None) => more_room(room, ty, &Size::of(head, fields, extra), body_len, limits),
            Err(error) => Err(error),
        };
        match more {
            Ok(more) => room = more,
            Err(error) => break Err(error),
        }
    };
    match written {
        Ok(len) => {
            put_lengths(&mut out[start..], ty, len, body_len);
            out.truncate(start + len);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// `len` is that of both length words and the header.
#[inline]
pub(super) fn check_lengths(
    len: usize,
    body_len: usize,
    limits: FrameLimits,
) -> Result<(), EncodeError> {
    let header_len = len - PREFIX_LEN;
    if header_len > MAX_HEADER_LEN {
        return Err(EncodeError::HeaderTooLarge {
            len: header_len,
            limit: MAX_HEADER_LEN,
        });
    }
    check_frame_len(len.saturating_add(body_len), limits)
}

/// Writes the length words in front of a head whose lengths were [checked](check_lengths): they fit 32 and 24 bits.
#[inline]
pub(super) fn put_lengths(head: &mut [u8], ty: SerializeType, len: usize, body_len: usize) {
    let total = (len + body_len - 4) as u32;
    let typed_len = u32::from(ty as u8) << 24 | (len - PREFIX_LEN) as u32;
    head[..4].copy_from_slice(&total.to_be_bytes());
    head[4..8].copy_from_slice(&typed_len.to_be_bytes());
}

/// The length word is read as a signed number by Java: no limit may go past that.
#[inline]
fn check_frame_len(len: usize, limits: FrameLimits) -> Result<(), EncodeError> {
    let limit = limits.max_frame_len.min(i32::MAX as usize);
    if len > limit {
        return Err(EncodeError::FrameTooLarge { len, limit });
    }
    Ok(())
}

/// How much room to make when `room` did not suffice, unless the frame takes more than it may in any case.
#[cold]
fn more_room(
    room: usize,
    ty: SerializeType,
    size: &Size,
    body_len: usize,
    limits: FrameLimits,
) -> Result<usize, EncodeError> {
    let least = size.texts.max(room - SLACK);
    check_frame_len(least.saturating_add(body_len), limits)?;
    // At the second time there was more to escape than guessed.
    Ok(size.guess(ty).max(room * 2))
}

/// What the fields of an unusual head need.
struct Size {
    /// Bytes of keys and values.
    texts: usize,
    /// Bytes that numbers may take.
    numbers: usize,
    fields: usize,
}

impl Size {
    #[inline(never)]
    fn of<F: Fields>(head: &HeadParts<'_>, fields: &F, extra: &[(&str, &str)]) -> Self {
        let mut size = Self {
            texts: head.remark.map_or(0, str::len),
            numbers: 0,
            fields: 0,
        };
        fields.write(&mut size);
        for (key, value) in extra {
            size.text(key, value);
        }
        size
    }

    /// Enough for texts of which one byte in ten must be escaped, as properties strings have it, and for the room that
    /// the pieces want beyond what they use.
    fn guess(&self, ty: SerializeType) -> usize {
        match ty {
            SerializeType::Json => {
                json::FIXED_ROOM + self.fields * 6 + self.numbers + self.texts / 2 * 3
            }
            SerializeType::Binary => {
                PREFIX_LEN + binary::FIXED_LEN + self.fields * 6 + self.numbers + self.texts
            }
        }
    }
}

impl FieldSink for Size {
    #[inline(always)]
    fn text(&mut self, key: &str, value: &str) {
        self.texts = self.texts.wrapping_add(key.len() + value.len());
        self.fields += 1;
    }

    #[inline(always)]
    fn int(&mut self, key: &str, _: i64) {
        self.texts += key.len();
        self.numbers += DECIMAL_ROOM;
        self.fields += 1;
    }
}

/// A command cannot be written.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A binary header has 16 bits for the code.
    #[error("code {code} does not fit the 16 bits of a binary header; use JSON")]
    CodeTooLarge {
        /// The code.
        code: i32,
    },
    /// The peer would close the connection on such a frame.
    #[error(
        "frame of {len} bytes or more is over the limit of {limit} bytes; \
         send less at once, or raise the limit on both sides"
    )]
    FrameTooLarge {
        /// Bytes of the frame, length word and body included; at least so many.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The length of a header has 24 bits.
    #[error("header of {len} bytes is over the limit of {limit} bytes; its fields are too long")]
    HeaderTooLarge {
        /// Bytes of the header.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A binary header has 15 bits for the length of a key.
    #[error(
        "key of {len} bytes is over the limit of {limit} bytes of a binary header; shorten it or use JSON"
    )]
    KeyTooLong {
        /// Bytes of the key.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A binary header has 32 bits for the length of a value.
    #[error("value of {len} bytes does not fit a binary header; shorten it")]
    ValueTooLong {
        /// Bytes of the value.
        len: usize,
    },
    /// A binary header has 16 bits for the version.
    #[error("version {version} does not fit the 16 bits of a binary header; use JSON")]
    VersionTooLarge {
        /// The version.
        version: i32,
    },
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
