//! The quick reader: JSON as Java writes it, without white space and escapes.

use super::scan::find_quote_or_backslash;

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
        let (b'"', behind) = behind.split_first()? else {
            return None;
        };
        self.rest = behind;
        Some(text)
    }

    /// Takes a number without a sign.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Option<i32> {
        /// Enough for every `i32`, and far from too much for an `i64`.
        const MAX_LEN: usize = 10;

        let mut number = 0;
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = self.rest.get(len) {
            if len == MAX_LEN {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            len += 1;
        }
        if len == 0 {
            return None;
        }
        self.rest = self.rest.get(len..)?;
        i32::try_from(number).ok()
    }

    /// Takes the entries of an object whose values are all strings, and its closing brace; gives the text of the
    /// entries, for [`entry`](Self::entry) to take apart.
    #[inline(always)]
    pub(crate) fn entries(&mut self) -> Option<&'a [u8]> {
        let start = self.rest;
        if self.eat(b"}").is_some() {
            return Some(&[]);
        }
        loop {
            self.entry()?;
            if self.eat(b"}").is_some() {
                return start.get(..start.len() - self.rest.len() - 1);
            }
            self.eat(b",")?;
        }
    }

    /// Takes `"key":"value"`.
    #[inline(always)]
    pub(crate) fn entry(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.eat(b"\"")?;
        let key = self.string()?;
        self.eat(b":\"")?;
        let value = self.string()?;
        Some((key, value))
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
