//! Headers: the fields that each request and answer carries (PROTOCOL B).
//!
//! Every header is a plain struct whose texts are [`Cow`]s: borrowed from the frame when read, borrowed from the caller
//! when written. [`Fields`] writes a header into any [`FieldSink`] (a JSON header, a binary header, a signature, a map);
//! [`DecodeFields`] reads it from [`ExtFields`]. Values are texts on the wire, numbers and booleans included.
//!
//! Reading is lenient as Java is: unknown fields are passed over, of a field that comes twice the last one counts, a
//! boolean is true only when it says `true` in any case, and an optional number or boolean may be empty.

use std::borrow::Cow;

use thiserror::Error;

use crate::command::ExtFields;
use crate::json::{JsonError, Text};

mod admin;
pub(crate) mod binary;
mod heartbeat;
pub(crate) mod json;
mod macros;
mod pull;
mod reply;
mod route;
mod send;
mod transaction;

pub use admin::*;
pub use heartbeat::*;
pub use pull::*;
pub use reply::*;
pub use route::*;
pub use send::*;
pub use transaction::*;

/// Something that can write itself as header fields.
pub trait Fields {
    /// Whether `extFields` is written even when there is no field: `{}` instead of no key at all (PROTOCOL L 2).
    const ALWAYS: bool = false;

    /// Writes every field that is there, in a fixed order.
    fn write(&self, sink: &mut impl FieldSink);
}

/// Where fields go.
///
/// The keys given to [`text`](Self::text), [`int`](Self::int) and [`bool`](Self::bool) are written as they stand: they
/// are names of the protocol and must hold no quote, backslash or control character. A key from anywhere else goes
/// through [`entry`](Self::entry).
pub trait FieldSink {
    /// A text.
    fn text(&mut self, key: &str, value: &str);

    /// A number, written in decimal.
    fn int(&mut self, key: &str, value: i64);

    /// `true` or `false`.
    fn bool(&mut self, key: &str, value: bool) {
        self.text(key, if value { "true" } else { "false" });
    }

    /// A text under a key that may hold any character.
    fn entry(&mut self, key: &str, value: &str) {
        self.text(key, value);
    }
}

/// Something that can be read from header fields.
pub trait DecodeFields<'a>: Sized {
    /// Reads the fields in one pass.
    ///
    /// # Errors
    ///
    /// A required field is not there, or a number is none. Answers with an error code carry no fields: look at the code
    /// first.
    fn decode_fields(ext: ExtFields<'a>) -> Result<Self, FieldError>;
}

/// A header field that is missing or makes no sense.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("header field `{field}` {problem}")]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: FieldProblem,
}

/// What is wrong with a header field.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FieldProblem {
    /// Required and not there.
    #[error("is missing")]
    Missing,
    /// Not a decimal number; its first characters.
    #[error("is not a number: {0:?}")]
    NotANumber(String),
    /// A number that its type cannot hold.
    #[error("is a number that does not fit its type")]
    OutOfRange,
}

/// A header breaks the syntax of its serialize type. The frame around it is sound.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not JSON.
    #[error("header is no {0}")]
    Json(#[from] JsonError),
    /// One of `code`, `flag`, `opaque`, `version` is no 32-bit number.
    #[error("`{key}` of the header is not a 32-bit number")]
    NotANumber {
        /// The key.
        key: &'static str,
    },
    /// More ext fields than a map of them may hold.
    #[error("header holds more than {limit} ext fields")]
    TooManyFields {
        /// How many there may be.
        limit: usize,
    },
    /// Bytes are left behind the last ext field of a binary header (PROTOCOL A.3: no padding).
    #[error("{count} bytes are left behind the end of the binary header")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A binary header ends before one of its lengths says so.
    #[error("binary header ends inside {part}: its length is wrong or the header is cut")]
    Truncated {
        /// Which part.
        part: &'static str,
    },
}

impl Fields for () {
    fn write(&self, _: &mut impl FieldSink) {}
}

impl<F: Fields + ?Sized> Fields for &F {
    const ALWAYS: bool = F::ALWAYS;

    #[inline]
    fn write(&self, sink: &mut impl FieldSink) {
        (**self).write(sink);
    }
}

/// One after the other.
impl<A: Fields, B: Fields> Fields for (A, B) {
    const ALWAYS: bool = A::ALWAYS || B::ALWAYS;

    #[inline]
    fn write(&self, sink: &mut impl FieldSink) {
        self.0.write(sink);
        self.1.write(sink);
    }
}

/// Nothing, or the fields.
impl<F: Fields> Fields for Option<F> {
    #[inline]
    fn write(&self, sink: &mut impl FieldSink) {
        if let Some(fields) = self {
            fields.write(sink);
        }
    }
}

/// Any keys and values.
impl Fields for [(&str, &str)] {
    #[inline]
    fn write(&self, sink: &mut impl FieldSink) {
        for (key, value) in self {
            sink.entry(key, value);
        }
    }
}

/// A header class without a field: Java answers some requests with `"extFields":{}` (PROTOCOL L 2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EmptyHeader;

impl Fields for EmptyHeader {
    const ALWAYS: bool = true;

    fn write(&self, _: &mut impl FieldSink) {}
}

impl<'a> DecodeFields<'a> for EmptyHeader {
    fn decode_fields(_: ExtFields<'a>) -> Result<Self, FieldError> {
        Ok(Self)
    }
}

/// How one field is written and read; `read` gets the last value seen, if any.
pub(crate) trait FieldValue<'a>: Sized {
    fn write(&self, key: &'static str, sink: &mut impl FieldSink);
    fn read(key: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError>;
}

impl<'a> FieldValue<'a> for Cow<'a, str> {
    #[inline(always)]
    fn write(&self, key: &'static str, sink: &mut impl FieldSink) {
        sink.text(key, self);
    }

    #[inline(always)]
    fn read(key: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError> {
        value.map(Text::into_cow).ok_or_else(|| missing(key))
    }
}

impl<'a> FieldValue<'a> for Option<Cow<'a, str>> {
    #[inline(always)]
    fn write(&self, key: &'static str, sink: &mut impl FieldSink) {
        if let Some(text) = self {
            sink.text(key, text);
        }
    }

    #[inline(always)]
    fn read(_: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError> {
        Ok(value.map(Text::into_cow))
    }
}

impl<'a> FieldValue<'a> for bool {
    #[inline(always)]
    fn write(&self, key: &'static str, sink: &mut impl FieldSink) {
        sink.bool(key, *self);
    }

    #[inline(always)]
    fn read(key: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError> {
        value
            .map(|text| text.bytes().eq_ignore_ascii_case(b"true"))
            .ok_or_else(|| missing(key))
    }
}

/// Numbers, and the optional form of numbers and booleans: absent, or empty as binary headers of 5.x read it.
macro_rules! field_values {
    ($($number:ty),+; $($optional:ty),+) => {
        $(impl<'a> FieldValue<'a> for $number {
            #[inline(always)]
            fn write(&self, key: &'static str, sink: &mut impl FieldSink) {
                sink.int(key, i64::from(*self));
            }

            #[inline(always)]
            fn read(key: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError> {
                let number = integer(key, value.ok_or_else(|| missing(key))?)?;
                number.try_into().map_err(|_| FieldError { field: key, problem: FieldProblem::OutOfRange })
            }
        })+
        $(impl<'a> FieldValue<'a> for Option<$optional> {
            #[inline(always)]
            fn write(&self, key: &'static str, sink: &mut impl FieldSink) {
                if let Some(value) = self {
                    value.write(key, sink);
                }
            }

            #[inline(always)]
            fn read(key: &'static str, value: Option<Text<'a>>) -> Result<Self, FieldError> {
                match value {
                    Some(text) if !text.raw().is_empty() => <$optional>::read(key, Some(text)).map(Some),
                    _ => Ok(None),
                }
            }
        })+
    };
}

field_values!(i32, i64; bool, i32, i64);

const fn missing(field: &'static str) -> FieldError {
    FieldError {
        field,
        problem: FieldProblem::Missing,
    }
}

/// Reads a decimal number; up to eighteen digits without a sign in a simple loop, everything else as the standard
/// library does.
#[inline(always)]
fn integer(field: &'static str, text: Text<'_>) -> Result<i64, FieldError> {
    digits(text.raw()).map_or_else(|| odd_integer(field, text), Ok)
}

#[inline(never)]
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

#[cold]
fn odd_integer(field: &'static str, text: Text<'_>) -> Result<i64, FieldError> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    /// As much of a wrong value as an error text shows.
    const SHOWN: usize = 32;

    let text = text.into_cow();
    text.parse().map_err(|error: std::num::ParseIntError| {
        let problem = match error.kind() {
            NegOverflow | PosOverflow => FieldProblem::OutOfRange,
            _ => FieldProblem::NotANumber(text.chars().take(SHOWN).collect()),
        };
        FieldError { field, problem }
    })
}
