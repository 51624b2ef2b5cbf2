//! Ext fields, read when asked for.

use std::borrow::Cow;

use crate::header::{DecodeFields, FieldError, binary};
use crate::json::{Lexer, Text, Value};

use super::entries::Entries;

/// The ext fields of a command that was read: known to be sound, not yet taken apart. Cheap to copy.
///
/// Numbers and booleans of a lenient JSON header come as the texts they are written with, objects and lists as their
/// JSON text; fields that are null are not there.
#[derive(Clone, Copy, Default)]
pub struct ExtFields<'a>(Source<'a>);

/// The fields of an [`ExtFields`] in the order of the wire, those that come twice twice.
#[derive(Clone, Debug)]
pub struct ExtFieldsIter<'a>(Texts<'a>);

#[derive(Clone, Copy, Default)]
enum Source<'a> {
    #[default]
    Absent,
    /// Entries back to back.
    Binary(&'a [u8]),
    /// What stands behind the opening brace.
    Json(&'a [u8]),
    /// Few, and of known places.
    Measured(Entries<'a>),
}

/// The fields as they stand.
#[derive(Clone, Debug)]
pub(crate) enum Texts<'a> {
    Binary(&'a [u8]),
    Json(Lexer<'a>),
    Measured(Entries<'a>),
}

impl<'a> ExtFields<'a> {
    /// `inside` has been read over by the lexer.
    pub(crate) fn json(inside: &'a [u8]) -> Self {
        Self(Source::Json(inside))
    }

    #[inline(always)]
    pub(crate) fn measured(entries: Entries<'a>) -> Self {
        Self(Source::Measured(entries))
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
    pub fn iter(&self) -> ExtFieldsIter<'a> {
        ExtFieldsIter(self.texts())
    }

    /// The value of `key`; of several the last one.
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        let with_key = self.texts().filter(|(found, _)| found.is(key));
        with_key.last().map(|(_, value)| value.into_cow())
    }

    #[inline]
    pub(crate) fn texts(&self) -> Texts<'a> {
        match self.0 {
            Source::Absent => Texts::Binary(&[]),
            Source::Binary(entries) => Texts::Binary(entries),
            Source::Json(inside) => Texts::Json(Lexer::new(inside)),
            Source::Measured(entries) => Texts::Measured(entries),
        }
    }

    /// The entries, when their places are known.
    #[inline(always)]
    pub(crate) fn entries(&self) -> Option<Entries<'a>> {
        match self.0 {
            Source::Measured(entries) => Some(entries),
            _ => None,
        }
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

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .next()
            .map(|(key, value)| (key.into_cow(), value.into_cow()))
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = (Text<'a>, Text<'a>);

    /// Every error ends the iteration; none is left once the header was read.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Binary(entries) => {
                let (key, value) = binary::entry(entries)?;
                Some((Text::Plain(key), Text::Plain(value)))
            }
            Self::Json(lexer) => next_json(lexer),
            Self::Measured(entries) => entries.next(),
        }
    }
}

fn next_json<'a>(lexer: &mut Lexer<'a>) -> Option<(Text<'a>, Text<'a>)> {
    loop {
        let key = lexer.key().ok()??;
        let value = match lexer.value().ok()? {
            Value::Bare(word) => Text::Plain(word),
            Value::Null => continue,
            Value::Text(text) => text,
            nested @ (Value::List | Value::Object) => {
                let start = lexer.offset() - 1;
                lexer.finish(nested).ok()?;
                Text::Plain(lexer.since(start))
            }
        };
        return Some((key, value));
    }
}
