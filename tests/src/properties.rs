//! The properties string as a broker reads and rewrites it (PROTOCOL D.1).

pub(crate) const NAME_END: char = '\u{1}';
pub(crate) const VALUE_END: char = '\u{2}';

/// The pairs of a properties string, as the broker's parser sees them: empty names and values are lost.
pub(crate) fn pairs(wire: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = wire;
    let pieces = std::iter::from_fn(move || {
        let (piece, behind) = cut(rest, VALUE_END)?;
        rest = behind;
        Some(piece)
    });
    pieces
        .filter_map(|piece| cut(piece, NAME_END))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// What stands before a mark and what behind it; all of it when there is no mark, `None` when there is nothing. By
/// bytes, since this is done for every message: the marks are ASCII, so they are no part of another character.
fn cut(text: &str, mark: char) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    match text.bytes().position(|byte| char::from(byte) == mark) {
        Some(at) => Some((&text[..at], &text[at + 1..])),
        None => Some((text, "")),
    }
}

/// The value of a property; the last one wins.
pub(crate) fn find<'a>(wire: &'a str, name: &str) -> Option<&'a str> {
    pairs(wire)
        .filter(|(of, _)| *of == name)
        .map(|(_, value)| value)
        .last()
}

/// The string without these names.
pub(crate) fn without(wire: &str, names: &[&str]) -> String {
    let mut kept = String::with_capacity(wire.len());
    for (name, value) in pairs(wire).filter(|(name, _)| !names.contains(name)) {
        append(&mut kept, name, value);
    }
    kept
}

/// Adds a pair at the end.
pub(crate) fn append(wire: &mut String, name: &str, value: &str) {
    separate(wire);
    wire.push_str(name);
    wire.push(NAME_END);
    wire.push_str(value);
}

/// Adds a whole properties string at the end, as a broker does with those of a batch (PROTOCOL D.8).
pub(crate) fn append_all(wire: &mut String, other: &str) {
    if !other.is_empty() {
        separate(wire);
        wire.push_str(other);
    }
}

/// What a message is found by: its unique key and each of its keys.
pub(crate) fn keys(wire: &str) -> impl Iterator<Item = &str> {
    pairs(wire)
        .filter(|(name, _)| ["UNIQ_KEY", "KEYS"].contains(name))
        .flat_map(|(_, value)| value.split(' '))
        .filter(|key| !key.is_empty())
}

fn separate(wire: &mut String) {
    if !wire.is_empty() && !wire.ends_with(VALUE_END) {
        wire.push(VALUE_END);
    }
}
