//! String contents as they stand between their quotes.

use std::borrow::Cow;

/// The contents of a string, its escapes not yet resolved; or a bare word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// Without escapes, and known to be UTF-8.
    Known(&'a str),
    /// Without escapes.
    Plain(&'a [u8]),
    /// With escapes.
    Escaped(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The text as it stands.
    #[inline(always)]
    pub(crate) fn raw(self) -> &'a [u8] {
        match self {
            Self::Known(text) => text.as_bytes(),
            Self::Plain(raw) | Self::Escaped(raw) => raw,
        }
    }

    /// The text, its escapes resolved. Allocates only when there are any, or when bytes that are not UTF-8 must be
    /// replaced by U+FFFD, as Java does.
    #[inline(always)]
    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        match self {
            Self::Known(text) => Cow::Borrowed(text),
            Self::Plain(raw) => String::from_utf8_lossy(raw),
            Self::Escaped(raw) => Cow::Owned(unescape(&String::from_utf8_lossy(raw))),
        }
    }

    /// Whether the text is this name.
    #[inline(always)]
    pub(crate) fn is(&self, name: &str) -> bool {
        *self.bytes() == *name.as_bytes()
    }

    /// The text to compare with names.
    #[inline(always)]
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Known(text) => Cow::Borrowed(text.as_bytes()),
            Self::Plain(raw) => Cow::Borrowed(raw),
            Self::Escaped(_) => Cow::Owned(self.into_cow().into_owned().into_bytes()),
        }
    }
}

/// Never fails: an escape that stands for nothing gives the character behind the backslash, and half of a surrogate
/// pair gives U+FFFD, as Java does when it writes such a string as UTF-8.
#[cold]
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((clean, escape)) = rest.split_once('\\') {
        out.push_str(clean);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (character, behind) = unicode(chars.as_str());
                out.push(character);
                rest = behind;
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Reads the digits behind `\u`, and the second half of a pair when the first asks for one.
fn unicode(digits: &str) -> (char, &str) {
    let Some((first, rest)) = hex4(digits) else {
        return (char::REPLACEMENT_CHARACTER, digits);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, rest);
    }
    let Some((second, behind)) = rest.strip_prefix("\\u").and_then(hex4) else {
        return (char::REPLACEMENT_CHARACTER, rest);
    };
    match char::decode_utf16([first as u16, second as u16]).next() {
        Some(Ok(character)) => (character, behind),
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex4(digits: &str) -> Option<(u32, &str)> {
    let (head, rest) = digits.split_at_checked(4)?;
    if !head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(head, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_resolve_and_broken_ones_never_fail() {
        for (raw, meant) in [
            (r#"a\u0001b\u0002"#, "a\u{1}b\u{2}"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d", "\u{FFFD}"),
            (r"\ud83dx", "\u{FFFD}x"),
            (r"\ud83d\u0041", "\u{FFFD}A"),
            (r"\ude00\ud83d", "\u{FFFD}\u{FFFD}"),
            (r"\u12", "\u{FFFD}12"),
            (r"\u+123", "\u{FFFD}+123"),
            (r"\u1é", "\u{FFFD}1é"),
            (r"\é\q", "éq"),
            ("\\", ""),
        ] {
            assert_eq!(unescape(raw), meant, "{raw}");
        }
    }
}
