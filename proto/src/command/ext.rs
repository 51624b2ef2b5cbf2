//! Ext fields, read when asked for.

use std::borrow::Cow;

use crate::header::{DecodeFields, FieldError, binary};
use crate::json::{Lexer, Value};

/// The ext fields of a command that was read: known to be sound, not yet taken apart. Copying it is free.
///
/// Numbers and booleans of a lenient JSON header come as the texts they are written with, objects and lists as their
/// JSON text; fields that are null are not there.
#[derive(Clone, Copy, Default)]
pub struct ExtFields<'a>(Source<'a>);

/// The fields of an [`ExtFields`] in the order of the wire, those that come twice twice.
#[derive(Clone, Debug)]
pub struct ExtFieldsIter<'a>(Iter<'a>);

#[derive(Clone, Copy, Default)]
enum Source<'a> {
    #[default]
    Absent,
    /// What stands behind the opening brace, up to the closing one.
    Json(&'a str),
    /// Entries back to back.
    Binary(&'a [u8]),
}

#[derive(Clone, Debug)]
enum Iter<'a> {
    Binary(&'a [u8]),
    Json(Lexer<'a>),
}

impl<'a> ExtFields<'a> {
    /// `inside` has been read over by the lexer.
    #[inline]
    pub(crate) fn json(inside: &'a str) -> Self {
        Self(Source::Json(inside))
    }

    /// `entries` have been read over.
    #[inline]
    pub(crate) fn binary(entries: &'a [u8]) -> Self {
        Self(if entries.is_empty() {
            Source::Absent
        } else {
            Source::Binary(entries)
        })
    }

    /// Whether the header has ext fields at all: `"extFields":{}` has, null or a missing key has not. A binary header
    /// cannot tell an empty map from none.
    pub fn is_present(&self) -> bool {
        !matches!(self.0, Source::Absent)
    }

    /// Every field. A key may occur twice; the last one counts (PROTOCOL A.3).
    #[inline]
    pub fn iter(&self) -> ExtFieldsIter<'a> {
        ExtFieldsIter(match self.0 {
            Source::Absent => Iter::Binary(&[]),
            Source::Binary(entries) => Iter::Binary(entries),
            Source::Json(inside) => Iter::Json(Lexer::new(inside)),
        })
    }

    /// The value of `key`; of several the last one.
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        self.iter()
            .filter(|(found, _)| found == key)
            .last()
            .map(|(_, value)| value)
    }

    /// Reads a typed header.
    ///
    /// # Errors
    ///
    /// Those of [`DecodeFields::decode_fields`].
    #[inline]
    pub fn decode<H: DecodeFields<'a>>(&self) -> Result<H, FieldError> {
        H::decode_fields(*self)
    }
}

impl<'a> IntoIterator for ExtFields<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);
    type IntoIter = ExtFieldsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::fmt::Debug for ExtFields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> Iterator for ExtFieldsIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Iter::Binary(entries) => next_binary(entries),
            Iter::Json(lexer) => next_json(lexer),
        }
    }
}

fn next_binary<'a>(entries: &mut &'a [u8]) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let (rest, (key, value)) = binary::entry(entries).ok()?;
    *entries = rest;
    // Both were checked when the header was read.
    let text = |bytes: &'a [u8]| Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_default());
    Some((text(key), text(value)))
}

/// Every error ends the iteration; none is left once the header was read.
#[inline]
fn next_json<'a>(lexer: &mut Lexer<'a>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    loop {
        let key = lexer.key().ok()??;
        let value = match lexer.value().ok()? {
            Value::Bare(word) => Cow::Borrowed(word),
            Value::Null => continue,
            Value::Text(text) => text.into_cow(),
            nested @ (Value::List | Value::Object) => {
                let start = lexer.offset() - 1;
                lexer.finish(nested).ok()?;
                Cow::Borrowed(lexer.since(start))
            }
        };
        return Some((key.into_cow(), value));
    }
}
