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
        self.until(b"\"")
    }

    /// Takes the contents of a string, its closing quote and the rest of `end`, which starts with it.
    #[inline(always)]
    fn until<const N: usize>(&mut self, end: &[u8; N]) -> Option<&'a [u8]> {
        let len = find_quote_or_backslash(self.rest, b'"');
        let (text, behind) = self.rest.split_at_checked(len)?;
        let (front, behind) = behind.split_first_chunk::<N>()?;
        if front != end {
            return None;
        }
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

    /// Takes the entries of an object whose values are all strings, and its closing brace.
    #[inline(always)]
    pub(crate) fn entries(&mut self) -> Option<Entries<'a>> {
        let inside = self.rest;
        let mut measured = [(0, 0); MEASURED];
        if self.eat(b"}").is_some() {
            return Some(Entries {
                rest: &[],
                measured,
                index: 0,
            });
        }
        self.eat(b"\"")?;
        let mut index = 0;
        loop {
            let key = self.until(b"\":\"")?;
            let value = self.string()?;
            if let Some(place) = measured.get_mut(index) {
                *place = measure(key, value);
            }
            index += 1;
            if self.eat(b",\"").is_none() {
                break;
            }
        }
        self.eat(b"}")?;
        Some(Entries {
            rest: inside,
            measured,
            index: 0,
        })
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// How many entries are measured. An answer to a send has five, with all of 5.x eight.
const MEASURED: usize = 8;

/// The entries of an object in the form that Java writes: known to be sound, and mostly of known lengths, so that
/// nothing is searched twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    /// The next entry's opening quote, up to the end of the text.
    rest: &'a [u8],
    measured: [(u16, u16); MEASURED],
    index: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    /// Ends at the closing brace.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (b'"', rest) = self.rest.split_first()? else {
            return None;
        };
        let (key, value) = match self.measured.get(self.index) {
            Some(&(key, value)) if (key, value) != UNMEASURED => {
                (usize::from(key), usize::from(value))
            }
            _ => {
                let mut plain = Plain::new(rest);
                (plain.until(b"\":\"")?.len(), plain.string()?.len())
            }
        };
        let (key, rest) = rest.split_at_checked(key)?;
        let (value, rest) = rest.get(BETWEEN..)?.split_at_checked(value)?;
        // Its closing quote, and the comma or brace.
        self.rest = rest.get(2..)?;
        self.index += 1;
        Some((key, value))
    }
}

/// Bytes between a key and its value: `":"`.
const BETWEEN: usize = 3;

const UNMEASURED: (u16, u16) = (0, 0);

/// An entry too long to be measured is measured when it is read.
#[inline(always)]
fn measure(key: &[u8], value: &[u8]) -> (u16, u16) {
    match (u16::try_from(key.len()), u16::try_from(value.len())) {
        (Ok(key), Ok(value)) => (key, value),
        _ => UNMEASURED,
    }
}
