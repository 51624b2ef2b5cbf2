//! The quick reader: JSON as Java writes it, without white space and escapes.

use super::scan::{self, find_quote_or_backslash};
use crate::command::{Ends, ExtFields};
use crate::frame::SerializeType;

/// What is left of a text. Every method takes its piece off the front, or says `None` when the text is not of this
/// form: then it is for the [`Lexer`](super::Lexer) to judge, from the start.
#[derive(Clone, Debug)]
pub(crate) struct Plain<'a> {
    rest: &'a [u8],
}

impl<'a> Plain<'a> {
    #[inline(always)]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Takes `expected`. On `None` nothing was taken.
    #[inline(always)]
    pub(crate) fn eat<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (front, behind) = self.rest.split_first_chunk::<N>()?;
        if front != expected {
            return None;
        }
        self.rest = behind;
        Some(())
    }

    /// Takes the contents of a string and its closing quote.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = find_quote_or_backslash(self.rest, b'"');
        let (text, behind) = self.rest.split_at_checked(len)?;
        self.rest = behind.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Takes a number without a sign.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Option<i32> {
        let (number, len) = match self.rest {
            [digit @ b'0'..=b'9', b',', ..] => (u32::from(digit - b'0'), 1),
            _ => number(self.rest)?,
        };
        self.rest = self.rest.get(len..)?;
        i32::try_from(number).ok()
    }

    /// Takes the entries of an object whose values are all strings, and its closing brace.
    #[inline(always)]
    pub(crate) fn entries(&mut self) -> Option<ExtFields<'a>> {
        let inside = self.rest;
        let mut ends = Ends::default();
        if self.eat(b"}").is_some() {
            return Some(ExtFields::json(inside));
        }
        self.eat(b"\"")?;
        let text = self.rest;
        let mut at = 0;
        let end = loop {
            let key_end = at + find_quote_or_backslash(text.get(at..)?, b'"');
            let [b'"', b':', b'"', value @ ..] = text.get(key_end..)? else {
                return None;
            };
            let value_end = key_end + BETWEEN + find_quote_or_backslash(value, b'"');
            ends.push(key_end, value_end);
            match text.get(value_end..)? {
                [b'"', b',', b'"', ..] => at = value_end + BETWEEN,
                [b'"', b'}', behind @ ..] => {
                    self.rest = behind;
                    break value_end;
                }
                _ => return None,
            }
        };
        let entries = ends.of(text.get(..end)?, SerializeType::Json);
        Some(entries.map_or_else(|| ExtFields::json(inside), ExtFields::measured))
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Bytes between a key and its value, `":"`, and between a value and the next key, `","`.
const BETWEEN: usize = 3;

/// The number at the front of `text`, and of how many digits.
#[inline(never)]
fn number(text: &[u8]) -> Option<(u32, usize)> {
    if let Some(word) = text.first_chunk() {
        let (number, len) = scan::digits(u64::from_le_bytes(*word));
        if (1..8).contains(&len) {
            return Some((number, len));
        }
    }
    let mut number: u32 = 0;
    let mut len = 0;
    while let Some(digit @ b'0'..=b'9') = text.get(len) {
        number = number
            .checked_mul(10)?
            .checked_add(u32::from(digit - b'0'))?;
        len += 1;
    }
    (len > 0).then_some((number, len))
}
