//! The hot path of sending: one pass from typed fields to the bytes of a frame's head.

use bytes::BytesMut;
use thiserror::Error;

use super::Flags;
use crate::code::LanguageCode;
use crate::frame::{FrameLimits, MAX_HEADER_LEN, PREFIX_LEN, SerializeType};
use crate::header::{FieldSink, Fields, binary, json};
use crate::writer::{MAX_DIGITS, Writer};

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

#[inline]
pub(crate) fn encode_parts<F: Fields>(
    out: &mut BytesMut,
    ty: SerializeType,
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
    body_len: usize,
    limits: FrameLimits,
) -> Result<(), EncodeError> {
    let size = Size::of(head, fields, extra);
    // At least so many bytes: judged before anything is reserved for them.
    check_frame_len(size.texts.saturating_add(body_len), limits)?;

    let mut writer = Writer::new(out, size.guess(ty));
    match write_parts(&mut writer, ty, head, fields, extra, body_len, limits) {
        Ok(()) => {
            writer.finish();
            Ok(())
        }
        Err(error) => {
            writer.undo();
            Err(error)
        }
    }
}

#[inline]
fn write_parts<F: Fields>(
    out: &mut Writer<'_>,
    ty: SerializeType,
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
    body_len: usize,
    limits: FrameLimits,
) -> Result<(), EncodeError> {
    out.put(&[0; PREFIX_LEN]);
    match ty {
        SerializeType::Json => json::encode(out, head, fields, extra),
        SerializeType::Binary => binary::encode(out, head, fields, extra)?,
    }

    let header_len = out.written() - PREFIX_LEN;
    if header_len > MAX_HEADER_LEN {
        return Err(EncodeError::HeaderTooLarge {
            len: header_len,
            limit: MAX_HEADER_LEN,
        });
    }
    let frame_len = out.written().saturating_add(body_len);
    check_frame_len(frame_len, limits)?;
    // Both were just checked to fit 32 and 24 bits.
    let total = (frame_len - 4) as u32;
    let typed_len = u32::from(ty as u8) << 24 | header_len as u32;
    out.patch(0, &total.to_be_bytes());
    out.patch(4, &typed_len.to_be_bytes());
    Ok(())
}

/// The length word is read as a signed number by Java: no limit may go past that.
fn check_frame_len(len: usize, limits: FrameLimits) -> Result<(), EncodeError> {
    let limit = limits.max_frame_len.min(i32::MAX as usize);
    if len > limit {
        return Err(EncodeError::FrameTooLarge { len, limit });
    }
    Ok(())
}

/// A first look over the fields, to reserve once.
struct Size {
    /// Bytes of keys and values.
    texts: usize,
    fields: usize,
}

impl Size {
    #[inline]
    fn of<F: Fields>(head: &HeadParts<'_>, fields: &F, extra: &[(&str, &str)]) -> Self {
        let mut size = Self {
            texts: head.remark.map_or(0, str::len),
            fields: 0,
        };
        fields.write(&mut size);
        for (key, value) in extra {
            size.text(key, value);
        }
        size
    }

    /// Enough for texts of which one byte in twelve must be escaped, as properties strings have it.
    #[inline]
    fn guess(&self, ty: SerializeType) -> usize {
        match ty {
            SerializeType::Json => json::FIXED_ROOM + self.fields * 6 + self.texts + self.texts / 2,
            SerializeType::Binary => PREFIX_LEN + binary::FIXED_LEN + self.fields * 6 + self.texts,
        }
    }
}

impl FieldSink for Size {
    #[inline]
    fn text(&mut self, key: &str, value: &str) {
        self.texts = self
            .texts
            .saturating_add(key.len())
            .saturating_add(value.len());
        self.fields += 1;
    }

    #[inline]
    fn int(&mut self, key: &str, value: i64) {
        self.texts += key.len()
            + if (0..10).contains(&value) {
                1
            } else {
                MAX_DIGITS
            };
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
