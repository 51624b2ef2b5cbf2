//! The JSON header (PROTOCOL A.2): written straight into the frame, read in one pass without a DOM.

use std::borrow::Cow;

use super::{FieldSink, Fields, HeaderError};
use crate::code::LanguageCode;
use crate::command::{CommandView, ExtFields, Flags, HeadParts, PieceSink};
use crate::frame::PREFIX_LEN;
use crate::json::{JsonError, Lexer, Plain, Text, Value, write};
use crate::writer::Writer;

/// What everything but the ext fields and the remark takes at most.
pub(crate) const FIXED_ROOM: usize = 192;

/// Writes the header. Keys in alphabetical order, null-valued ones left out, no white space: as Java does.
/// Leaves room before it for the two length words; gives where it ends, or `None` when the room does not suffice.
#[inline(never)]
pub(crate) fn encode<F: Fields>(
    room: &mut [u8],
    head: &HeadParts<'_>,
    fields: &F,
    extra: &[(&str, &str)],
) -> Option<usize> {
    let out = &mut Writer::new(room);
    begin(out, head.code);
    ext_fields(out, fields, extra);
    out.put(b",\"flag\":");
    number(out, head.flags.0);
    from_flags_to_opaque(out, head.language);
    number(out, head.opaque);
    if let Some(remark) = head.remark {
        out.put(b",\"remark\":");
        write::string(out, remark);
    }
    end(out, head.version);
    out.finish()
}

/// The room for the length words and what stands before the ext fields.
#[inline(always)]
pub(crate) fn begin(out: &mut Writer<'_>, code: i32) {
    out.put(&[0; PREFIX_LEN]);
    out.put(b"{\"code\":");
    number(out, code);
}

#[inline(always)]
pub(crate) fn from_flags_to_opaque(out: &mut Writer<'_>, language: Option<LanguageCode>) {
    if let Some(language) = language {
        out.put(b",\"language\":\"");
        // A peer takes an unknown name badly (PROTOCOL A.4), so a number without a name becomes OTHER.
        out.put(language.name().unwrap_or("OTHER").as_bytes());
        out.put(b"\"");
    }
    out.put(b",\"opaque\":");
}

#[inline(always)]
pub(crate) fn end(out: &mut Writer<'_>, version: i32) {
    out.put(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    number(out, version);
    out.put(b"}");
}

#[inline(always)]
fn ext_fields<F: Fields>(out: &mut Writer<'_>, fields: &F, extra: &[(&str, &str)]) {
    let mut sink = JsonSink::new(out, true);
    fields.write(&mut sink);
    for (key, value) in extra {
        sink.entry(key, value);
    }
    if sink.any {
        out.put(b"\"}");
    } else if F::ALWAYS {
        out.put(b",\"extFields\":{}");
    }
}

#[inline(always)]
pub(crate) fn number(out: &mut Writer<'_>, number: i32) {
    if (0..10).contains(&number) {
        out.put(&[b'0' + number as u8]);
    } else {
        out.decimal(i64::from(number));
    }
}

/// Every field is a string: its closing quote is written with what follows it, so that a short field is one piece.
pub(crate) struct JsonSink<'w, 'b> {
    out: &'w mut Writer<'b>,
    any: bool,
}

impl<'w, 'b> JsonSink<'w, 'b> {
    /// A sink for the first fields of all, or for those that follow others.
    pub(crate) fn new(out: &'w mut Writer<'b>, is_first: bool) -> Self {
        Self {
            out,
            any: !is_first,
        }
    }

    /// What stands between the value before and the next key.
    const BETWEEN: &'static [u8] = b"\",\"";
    const BEFORE_FIRST: &'static [u8] = b",\"extFields\":{\"";

    /// The key and the start of its value, mostly of lengths known when compiled.
    #[inline(always)]
    fn field(&mut self, key: &str, value: &[u8]) {
        if self.any {
            self.field_after(Self::BETWEEN, key, value);
        } else {
            self.any = true;
            self.field_after(Self::BEFORE_FIRST, key, value);
        }
    }

    #[inline(always)]
    fn field_after(&mut self, before: &[u8], key: &str, value: &[u8]) {
        let key_end = before.len() + key.len();
        let Some(window) = self.out.window(key_end + 3 + value.len()) else {
            return;
        };
        window[..before.len()].copy_from_slice(before);
        window[before.len()..key_end].copy_from_slice(key.as_bytes());
        window[key_end..key_end + 3].copy_from_slice(b"\":\"");
        window[key_end + 3..].copy_from_slice(value);
    }
}

impl FieldSink for JsonSink<'_, '_> {
    #[inline(always)]
    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.text_value(value);
    }

    #[inline(always)]
    fn int(&mut self, key: &str, value: i64) {
        if (0..10).contains(&value) {
            return self.field(key, &[b'0' + value as u8]);
        }
        self.field(key, b"");
        self.out.decimal(value);
    }

    #[inline(always)]
    fn bool(&mut self, key: &str, value: bool) {
        if value {
            self.field(key, b"true");
        } else {
            self.field(key, b"false");
        }
    }

    #[inline(always)]
    fn entry(&mut self, key: &str, value: &str) {
        self.out.put(if self.any {
            Self::BETWEEN
        } else {
            Self::BEFORE_FIRST
        });
        self.any = true;
        write::escaped(self.out, key);
        self.out.put(b"\":\"");
        write::escaped(self.out, value);
    }
}

impl PieceSink for JsonSink<'_, '_> {
    #[inline(always)]
    fn key(&mut self, key: &str) {
        self.field(key, b"");
    }

    #[inline(always)]
    fn piece(&mut self, piece: &[u8]) {
        self.out.put(piece);
    }

    #[inline(always)]
    fn text_value(&mut self, value: &str) {
        write::escaped(self.out, value);
    }

    #[inline(always)]
    fn int_value(&mut self, value: i64) {
        if (0..10).contains(&value) {
            return self.out.put(&[b'0' + value as u8]);
        }
        self.out.decimal(value);
    }
}

/// Reads the header. Unknown keys are passed over; a key that is missing or null leaves its default (0, none); of a key
/// that comes twice the last one counts.
pub(crate) fn decode(header: &[u8]) -> Result<CommandView<'_>, HeaderError> {
    match decode_plain(header) {
        Some(view) => Ok(view),
        None => decode_any(header),
    }
}

/// The form that Java writes, which is nearly all there is: keys in alphabetical order, no white space, no escape.
/// `None` says nothing but that it is not that form.
fn decode_plain(header: &[u8]) -> Option<CommandView<'_>> {
    let mut plain = Plain::new(header);
    let mut view = CommandView::default();
    plain.eat(b"{\"code\":")?;
    view.code = plain.number()?;
    if plain.eat(b",\"extFields\":{").is_some() {
        view.ext = plain.entries()?;
    }
    if plain
        .eat(b",\"flag\":1,\"language\":\"JAVA\",\"opaque\":")
        .is_some()
    {
        (view.flags, view.language) = (Flags::RESPONSE, Some(LanguageCode::JAVA));
    } else {
        plain.eat(b",\"flag\":")?;
        view.flags = Flags(plain.number()?);
        plain.eat(b",\"language\":\"")?;
        view.language = language_named(plain.string()?);
        plain.eat(b",\"opaque\":")?;
    }
    view.opaque = plain.number()?;
    if plain.eat(b",\"remark\":\"").is_some() {
        view.remark = Some(Text::Plain(plain.string()?).into_cow());
    }
    plain.eat(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":")?;
    view.version = plain.number()?;
    plain.eat(b"}")?;
    plain.is_empty().then_some(view)
}

fn decode_any(header: &[u8]) -> Result<CommandView<'_>, HeaderError> {
    let mut lexer = Lexer::new(header);
    let mut view = CommandView::default();
    lexer.open_object()?;
    while let Some(key) = lexer.key()? {
        match &*key.bytes() {
            b"code" => view.code = int(&mut lexer, "code")?,
            b"extFields" => view.ext = ext(&mut lexer)?,
            b"flag" => view.flags = Flags(int(&mut lexer, "flag")?),
            b"language" => view.language = language(&mut lexer)?,
            b"opaque" => view.opaque = int(&mut lexer, "opaque")?,
            b"remark" => view.remark = remark(&mut lexer)?,
            b"version" => view.version = int(&mut lexer, "version")?,
            _ => lexer.skip_value()?,
        }
    }
    lexer.end()?;
    Ok(view)
}

fn int(lexer: &mut Lexer<'_>, key: &'static str) -> Result<i32, HeaderError> {
    let number = match lexer.value()? {
        Value::Bare(digits) => Text::Plain(digits),
        Value::Text(text) => text,
        Value::Null => return Ok(0),
        Value::List | Value::Object => return Err(HeaderError::NotANumber { key }),
    };
    number
        .into_cow()
        .parse()
        .map_err(|_| HeaderError::NotANumber { key })
}

fn language(lexer: &mut Lexer<'_>) -> Result<Option<LanguageCode>, JsonError> {
    match lexer.value()? {
        Value::Text(name) => Ok(language_named(&name.bytes())),
        other => lexer.finish(other).map(|()| None),
    }
}

fn language_named(name: &[u8]) -> Option<LanguageCode> {
    LanguageCode::from_name(std::str::from_utf8(name).ok()?)
}

fn remark<'a>(lexer: &mut Lexer<'a>) -> Result<Option<Cow<'a, str>>, JsonError> {
    match lexer.value()? {
        Value::Text(text) => Ok(Some(text.into_cow())),
        Value::Bare(word) => Ok(Some(Text::Plain(word).into_cow())),
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
