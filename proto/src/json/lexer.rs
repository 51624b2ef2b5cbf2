//! The pull reader.

use super::scan::find_quote_or_backslash;
use super::{JsonError, Text};

/// Values nested deeper than this are an error; no header or route comes near.
const MAX_DEPTH: u32 = 64;

/// Reads one JSON text from its front to its end.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

/// What stands where a value is expected. For `Object` and `List` the opening bracket has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    /// A number, `true` or `false`, as it stands.
    Bare(&'a [u8]),
    List,
    Null,
    Object,
    Text(Text<'a>),
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Reads the `{` of the outermost object.
    #[inline]
    pub(crate) fn open_object(&mut self) -> Result<(), JsonError> {
        if let Value::Object = self.value()? {
            Ok(())
        } else {
            Err(self.error_at(0, "an object is expected"))
        }
    }

    /// Reads the next key and its colon, or the `}` that ends the object.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<Text<'a>>, JsonError> {
        let key = match self.skip_commas() {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                self.string(quote)?
            }
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(_) => Text::Plain(self.word()?),
            None => return Err(self.error("the object is not closed")),
        };
        if self.peek() != Some(b':') && self.skip_space() != Some(b':') {
            return Err(self.error("a colon is expected behind the key"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Moves to the next element of a list: `false` when the `]` has been read instead.
    pub(crate) fn element(&mut self) -> Result<bool, JsonError> {
        match self.skip_commas() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(_) => Ok(true),
            None => Err(self.error("the list is not closed")),
        }
    }

    /// Reads a value, or the opening bracket of one.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.skip_space() {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                Ok(Value::Text(self.string(quote)?))
            }
            Some(b'{') => {
                self.at += 1;
                Ok(Value::Object)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Value::List)
            }
            Some(_) => self.bare(),
            None => Err(self.error("a value is expected")),
        }
    }

    /// Reads over the rest of a value of which `first` has been read; gives the text between its brackets or quotes.
    pub(crate) fn finish(&mut self, first: Value<'a>) -> Result<(), JsonError> {
        match first {
            Value::Object => self.skip_nested(true),
            Value::List => self.skip_nested(false),
            Value::Bare(_) | Value::Null | Value::Text(_) => Ok(()),
        }
    }

    /// Reads over one value.
    pub(crate) fn skip_value(&mut self) -> Result<(), JsonError> {
        let first = self.value()?;
        self.finish(first)
    }

    /// Nothing but space may follow.
    #[inline]
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.skip_space() {
            None => Ok(()),
            Some(_) => Err(self.error("bytes behind the end")),
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    #[cold]
    pub(crate) fn error(&self, problem: &'static str) -> JsonError {
        self.error_at(self.at, problem)
    }

    #[cold]
    fn error_at(&self, offset: usize, problem: &'static str) -> JsonError {
        JsonError { offset, problem }
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline(always)]
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline(always)]
    fn skip_commas(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b',' | b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Reads to the closing quote, the opening one being read. Eight bytes at a time.
    #[inline(always)]
    fn string(&mut self, quote: u8) -> Result<Text<'a>, JsonError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.rest();
            let step = find_quote_or_backslash(rest, quote);
            match rest.get(step) {
                Some(&byte) if byte == quote => {
                    let end = self.at + step;
                    self.at = end + 1;
                    let raw = self.text.get(start..end).unwrap_or_default();
                    return Ok(if escaped {
                        Text::Escaped(raw)
                    } else {
                        Text::Plain(raw)
                    });
                }
                Some(_) => {
                    escaped = true;
                    self.at += step + 2;
                }
                None => return Err(self.error_at(start, "the string is not closed")),
            }
        }
    }

    /// A bare key: letters, digits and what Java allows in names.
    fn word(&mut self) -> Result<&'a [u8], JsonError> {
        let len = self
            .rest()
            .iter()
            .take_while(|byte| is_word(**byte))
            .count();
        if len == 0 {
            return Err(self.error("a key is expected"));
        }
        let start = self.at;
        self.at += len;
        Ok(self.since(start))
    }

    #[inline]
    fn bare(&mut self) -> Result<Value<'a>, JsonError> {
        let len = self
            .rest()
            .iter()
            .take_while(|byte| is_word(**byte) || **byte == b'+')
            .count();
        let start = self.at;
        let word = self.text.get(start..start + len).unwrap_or_default();
        let value = match word {
            b"null" => Value::Null,
            b"true" | b"false" => Value::Bare(word),
            _ if is_number(word) => Value::Bare(word),
            _ => return Err(self.error("a value is expected")),
        };
        self.at += len;
        Ok(value)
    }

    /// Reads to the bracket that closes an object or list. The kinds of the open brackets are the bits of a word.
    fn skip_nested(&mut self, object: bool) -> Result<(), JsonError> {
        let mut objects = u64::from(object);
        let mut depth = 1;
        while depth > 0 {
            let closed = if objects & 1 == 1 {
                self.key()?.is_none()
            } else {
                !self.element()?
            };
            if closed {
                objects >>= 1;
                depth -= 1;
                continue;
            }
            let opened_object = match self.value()? {
                Value::Object => true,
                Value::List => false,
                Value::Bare(_) | Value::Null | Value::Text(_) => continue,
            };
            if depth == MAX_DEPTH {
                return Err(self.error("values are nested too deeply"));
            }
            objects = objects << 1 | u64::from(opened_object);
            depth += 1;
        }
        Ok(())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$') || byte >= 0x80
}

/// `-`, digits, fraction, exponent; leading zeros are let through.
#[inline]
fn is_number(word: &[u8]) -> bool {
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == rest.len() {
        return whole > 0;
    }
    rest = &rest[whole..];
    if let [b'.', fraction @ ..] = rest {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            unsigned => unsigned,
        };
        return whole > 0 && !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    whole > 0 && rest.is_empty()
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
