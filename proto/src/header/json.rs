//! The JSON header (PROTOCOL A.2): written straight into the frame, read in one pass without a DOM.

use super::{FieldSink, Fields, HeaderError};
use crate::code::LanguageCode;
use crate::command::{CommandView, ExtFields, Flags, HeadParts};
use crate::json::{JsonError, Lexer, Value, write};
use crate::writer::{MAX_DIGITS, Writer, decimal};

/// What everything but the ext fields and the remark takes at most.
pub(crate) const FIXED_ROOM: usize = 192;

/// Writes the header. Keys in alphabetical order, null-valued ones left out, no white space: as Java does.
#[inline]
pub(crate) fn encode<F: Fields>(
    out: &mut Writer<'_>,
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
) {
    number(out, b"{\"code\":", head.code);
    ext_fields(out, fields, extra);
    number(out, b",\"flag\":", head.flags.0);
    if let Some(language) = head.language {
        out.put(b",\"language\":\"");
        // A peer takes an unknown name badly (PROTOCOL A.4), so a number without a name becomes OTHER.
        out.put(language.name().unwrap_or("OTHER").as_bytes());
        out.put(b"\"");
    }
    number(out, b",\"opaque\":", head.opaque);
    if let Some(remark) = head.remark {
        out.put(b",\"remark\":");
        write::string(out, remark);
    }
    number(
        out,
        b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":",
        head.version,
    );
    out.put(b"}");
}

fn ext_fields<F: Fields>(out: &mut Writer<'_>, fields: &F, extra: &[(&str, &str)]) {
    let before = out.written();
    out.put(b",\"extFields\":{");
    let empty = out.written();
    // Every field ends with a comma; the last one is then overwritten by the brace.
    let mut sink = JsonSink(out);
    fields.write(&mut sink);
    for (key, value) in extra {
        sink.entry(key, value);
    }
    let end = out.written();
    if end > empty {
        out.rewind(end - 1);
        out.put(b"}");
    } else if F::ALWAYS {
        out.put(b"}");
    } else {
        out.rewind(before);
    }
}

#[inline(always)]
fn number(out: &mut Writer<'_>, key: &[u8], value: i32) {
    let room = out.room(key.len() + MAX_DIGITS);
    room[..key.len()].copy_from_slice(key);
    let len = decimal(&mut room[key.len()..], i64::from(value));
    out.advance(key.len() + len);
}

struct JsonSink<'w, 'b>(&'w mut Writer<'b>);

impl JsonSink<'_, '_> {
    /// `"key":"` and the room asked for behind it.
    #[inline(always)]
    fn key(&mut self, key: &str) {
        let len = key.len();
        let room = self.0.window(len + 4);
        room[0] = b'"';
        room[1..=len].copy_from_slice(key.as_bytes());
        room[len + 1..].copy_from_slice(b"\":\"");
    }
}

impl FieldSink for JsonSink<'_, '_> {
    #[inline]
    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write::escaped(self.0, value);
        self.0.put(b"\",");
    }

    #[inline]
    fn int(&mut self, key: &str, value: i64) {
        self.key(key);
        let room = self.0.room(MAX_DIGITS + 2);
        let len = decimal(room, value);
        room[len..len + 2].copy_from_slice(b"\",");
        self.0.advance(len + 2);
    }

    #[inline]
    fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        if value {
            self.0.put(b"true\",");
        } else {
            self.0.put(b"false\",");
        }
    }

    fn entry(&mut self, key: &str, value: &str) {
        write::string(self.0, key);
        self.0.put(b":");
        write::string(self.0, value);
        self.0.put(b",");
    }
}

/// Reads the header. Unknown keys are passed over; a key that is missing or null leaves its default (0, none); of a key
/// that comes twice the last one counts.
pub(crate) fn decode(header: &[u8]) -> Result<CommandView<'_>, HeaderError> {
    let text = std::str::from_utf8(header).map_err(|_| HeaderError::InvalidUtf8 {
        part: "the JSON text",
    })?;
    let mut lexer = Lexer::new(text);
    let mut view = CommandView::default();
    lexer.open_object()?;
    while let Some(key) = lexer.key()? {
        match key.raw {
            "code" => view.code = int(&mut lexer, "code")?,
            "extFields" => view.ext = ext(&mut lexer)?,
            "flag" => view.flags = Flags(int(&mut lexer, "flag")?),
            "language" => view.language = language(&mut lexer)?,
            "opaque" => view.opaque = int(&mut lexer, "opaque")?,
            "remark" => view.remark = remark(&mut lexer)?,
            "version" => view.version = int(&mut lexer, "version")?,
            _ => lexer.skip_value()?,
        }
    }
    lexer.end()?;
    Ok(view)
}

#[inline]
fn int(lexer: &mut Lexer<'_>, key: &'static str) -> Result<i32, HeaderError> {
    let digits = match lexer.value()? {
        Value::Bare(digits) => digits,
        Value::Text(text) => text.raw,
        Value::Null => return Ok(0),
        Value::List | Value::Object => return Err(HeaderError::NotANumber { key }),
    };
    digits.parse().map_err(|_| HeaderError::NotANumber { key })
}

fn language(lexer: &mut Lexer<'_>) -> Result<Option<LanguageCode>, JsonError> {
    match lexer.value()? {
        Value::Text(name) => Ok(LanguageCode::from_name(name.raw)),
        other => lexer.finish(other).map(|()| None),
    }
}

fn remark<'a>(lexer: &mut Lexer<'a>) -> Result<Option<std::borrow::Cow<'a, str>>, JsonError> {
    match lexer.value()? {
        Value::Text(text) => Ok(Some(text.into_cow())),
        Value::Bare(word) => Ok(Some(word.into())),
        Value::Null => Ok(None),
        Value::List | Value::Object => Err(lexer.error("the remark is neither text nor null")),
    }
}

/// Reads over the ext fields and keeps the text inside their braces, now known to be sound.
fn ext<'a>(lexer: &mut Lexer<'a>) -> Result<ExtFields<'a>, JsonError> {
    match lexer.value()? {
        Value::Object => {
            let start = lexer.offset();
            lexer.finish(Value::Object)?;
            Ok(ExtFields::json(lexer.since(start)))
        }
        Value::Null => Ok(ExtFields::default()),
        Value::Bare(_) | Value::List | Value::Text(_) => {
            Err(lexer.error("extFields is neither an object nor null"))
        }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
