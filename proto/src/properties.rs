//! The properties of a message, kept as the text that goes over the wire (PROTOCOL D.1).

use std::fmt;
use std::ops::Range;

use memchr::{memchr, memrchr};
use thiserror::Error;

use crate::names::is_blank;
use crate::words::{equal, short};

pub mod property;

const NAME_VALUE_SEPARATOR: char = '\u{1}';
const PROPERTY_SEPARATOR: char = '\u{2}';
/// The separators as the bytes they are.
const NAME_END: u8 = NAME_VALUE_SEPARATOR as u8;
const PROPERTY_END: u8 = PROPERTY_SEPARATOR as u8;

/// Room for a unique id, `WAIT` and a short tag and key, so that a usual message allocates once.
const FIRST_CAPACITY: usize = 120;

/// The properties of a message: `name ␁ value` pieces joined by `␂` (PROTOCOL D.1).
///
/// The wire string itself is the only storage: adding a property appends to it, and sending it costs
/// nothing. Look-ups walk the string, which is short, unless it is known at once that the name is not
/// there. A string that came from elsewhere is kept to the byte, pieces that no parser uses included.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Properties {
    wire: String,
    marks: Marks,
}

/// One bit for each name that is there, by a number that other names may share: most questions are
/// about names that are not there, and need no walk.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
struct Marks(u64);

/// Why a property cannot be written (PROTOCOL D.1).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidProperty {
    /// The name is empty or white space.
    #[error("The name of property can not be null or blank string!")]
    BlankName,
    /// The value is empty or white space: every parser drops such a property.
    #[error(
        "The value of property [{name}] can not be null or blank string! Leave the property out instead"
    )]
    BlankValue {
        /// The property's name.
        name: Box<str>,
    },
    /// The name is one of [`property::RESERVED`].
    #[error("The Property<{name}> is used by system, input another please")]
    Reserved {
        /// The property's name.
        name: Box<str>,
    },
    /// U+0001 or U+0002 in name or value would tear the wire string apart; there is no escape.
    #[error("The property [{}] contains U+0001 or U+0002 in its name or value, which separate properties; remove them", name.escape_debug())]
    Separator {
        /// The property's name.
        name: Box<str>,
    },
    /// The value is none that the property can have.
    #[error("The property [{name}] cannot be {value}: {expected}")]
    BadValue {
        /// The property's name.
        name: Box<str>,
        /// What was asked for.
        value: Box<str>,
        /// What it should have been.
        expected: &'static str,
    },
}

impl Properties {
    /// No properties.
    pub const fn new() -> Self {
        Self {
            wire: String::new(),
            marks: Marks(0),
        }
    }

    /// Takes a string from the wire as it is. Never fails: pieces that make no sense are skipped
    /// when read, as every parser does.
    pub fn from_wire(wire: impl Into<String>) -> Self {
        let wire = wire.into();
        let names = pieces(&wire).filter_map(split_piece);
        let marks = names.fold(Marks(0), |marks, (name, _)| marks.with(name));
        Self { wire, marks }
    }

    /// The wire string.
    pub fn into_wire(self) -> String {
        self.wire
    }

    /// Sets `name` to `value`, in place of every earlier value.
    ///
    /// Reserved names are welcome here, since producers need them; [`Message::property`] is where
    /// users are kept from them.
    ///
    /// # Errors
    ///
    /// When name or value is empty or holds one of the two separators; nothing is changed then.
    ///
    /// [`Message::property`]: crate::Message::property
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidProperty> {
        if name.is_empty() {
            return Err(InvalidProperty::BlankName);
        }
        if value.is_empty() {
            return Err(InvalidProperty::BlankValue { name: name.into() });
        }
        if has_separator(name) || has_separator(value) {
            return Err(InvalidProperty::Separator { name: name.into() });
        }
        self.replace(name, value);
        Ok(())
    }

    /// [`set`](Self::set) with a name and a value that are known to be clean.
    #[inline(always)]
    pub(crate) fn replace(&mut self, name: &str, value: &str) {
        if self.marks.may_hold(name) {
            self.remove(name);
        }
        self.append(name, value);
    }

    /// Removes every value of `name` and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if !self.marks.may_hold(name) || !pieces(&self.wire).any(|piece| names(piece, name)) {
            return false;
        }
        let kept = pieces(&self.wire).filter(|piece| !names(piece, name));
        let wire = kept.fold(String::with_capacity(self.wire.len()), |mut wire, piece| {
            if !wire.is_empty() {
                wire.push(PROPERTY_SEPARATOR);
            }
            wire.push_str(piece);
            wire
        });
        *self = Self::from_wire(wire);
        true
    }

    /// The wire string, as it goes into header field `i` and into batches.
    pub fn as_wire(&self) -> &str {
        &self.wire
    }

    /// The value of `name`; the last one when the string repeats it (PROTOCOL D.8 says why).
    #[inline]
    pub fn get(&self, name: &str) -> Option<&str> {
        if !self.marks.may_hold(name) {
            return None;
        }
        self.find(name).map(|(_, value)| value)
    }

    /// Where the value that [`get`](Self::get) finds stands in the wire string.
    #[inline]
    pub fn range_of(&self, name: &str) -> Option<Range<usize>> {
        if !self.marks.may_hold(name) {
            return None;
        }
        let (end, value) = self.find(name)?;
        Some(end - value.len()..end)
    }

    /// Whether `name` has a value.
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there may be a property of such a name, or of one that begins like a timer if one of these does.
    #[inline(always)]
    pub(crate) fn may_hold_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.marks.may_hold(name))
    }

    /// Name and value of every usable piece in wire order, repeated names included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        pieces(&self.wire).filter_map(parse_piece)
    }

    /// How many usable pieces there are, repeated names counted each time. Walks the string.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no usable piece.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Writes a property whose name and value are known to be clean and new; says where the value
    /// stands now.
    #[inline(always)]
    pub(crate) fn append(&mut self, name: &str, value: &str) -> Range<usize> {
        self.marks = self.marks.with(name);
        self.make_room(name.len() + value.len() + 2);
        if self.needs_separator() {
            self.wire.push(PROPERTY_SEPARATOR);
        }
        self.wire.push_str(name);
        self.wire.push(NAME_VALUE_SEPARATOR);
        self.wire.push_str(value);
        self.wire.len() - value.len()..self.wire.len()
    }

    #[inline]
    fn make_room(&mut self, more: usize) {
        if self.wire.capacity() - self.wire.len() < more {
            self.wire.reserve(if self.wire.is_empty() {
                more.max(FIRST_CAPACITY)
            } else {
                more
            });
        }
    }

    /// Whether the next piece must be set off from what is there.
    #[inline]
    pub(crate) fn needs_separator(&self) -> bool {
        !matches!(self.wire.as_bytes().last(), None | Some(&PROPERTY_END))
    }

    /// The value, and where it ends.
    fn find(&self, name: &str) -> Option<(usize, &str)> {
        let mut rest = self.wire.as_str();
        loop {
            let start = memrchr(PROPERTY_END, rest.as_bytes()).map_or(0, |at| at + 1);
            let value = rest[start..].strip_prefix(name);
            let value = value.and_then(|value| value.strip_prefix(NAME_VALUE_SEPARATOR));
            if let Some(value) = value.filter(|value| !value.is_empty() && !has_separator(name)) {
                return Some((rest.len(), value));
            }
            rest = &rest[..start.checked_sub(1)?];
        }
    }
}

impl Marks {
    #[inline(always)]
    fn with(self, name: &str) -> Self {
        Self(self.0 | Self::bit(name))
    }

    #[inline(always)]
    fn may_hold(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Length, first and last byte tell the names of the protocol apart well enough; all timers share a bit.
    /// Known when compiled for most.
    #[inline(always)]
    fn bit(name: &str) -> u64 {
        if name.starts_with(property::TIMER_PREFIX) {
            return 1 << 63;
        }
        let [first, .., last] = name.as_bytes() else {
            return 1 << (name.len() % 64);
        };
        let sum = name.len() + 7 * usize::from(*first) + 29 * usize::from(*last);
        1 << (sum % 64)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether `value` survives the wire string and its parsers (PROTOCOL D.1).
pub(crate) fn check_value(name: &str, value: &str) -> Result<(), InvalidProperty> {
    if has_separator(value) {
        return Err(InvalidProperty::Separator { name: name.into() });
    }
    if is_blank(value) {
        return Err(InvalidProperty::BlankValue { name: name.into() });
    }
    Ok(())
}

fn has_separator(text: &str) -> bool {
    // Both are one byte, and no byte of any other character is below 0x80.
    let found = |word| equal(word, NAME_END) | equal(word, PROPERTY_END) != 0;
    let mut rest = text.as_bytes();
    while let Some((word, behind)) = rest.split_first_chunk() {
        if found(u64::from_le_bytes(*word)) {
            return true;
        }
        rest = behind;
    }
    found(short(rest))
}

/// What stands between the separators, at least one piece.
fn pieces(wire: &str) -> impl Iterator<Item = &str> + Clone {
    let mut rest = Some(wire);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, behind) = match memchr(PROPERTY_END, text.as_bytes()) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = behind;
        Some(piece)
    })
}

/// The name and what follows its separator.
fn split_piece(piece: &str) -> Option<(&str, &str)> {
    let at = memchr(NAME_END, piece.as_bytes())?;
    Some((&piece[..at], &piece[at + 1..]))
}

/// Java uses a piece of three or more characters whose first U+0001 is neither its first nor its
/// last character; the length follows from the other two (PROTOCOL D.1).
fn parse_piece(piece: &str) -> Option<(&str, &str)> {
    split_piece(piece).filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// Whether `piece` speaks of `name`, be it with an empty value.
fn names(piece: &str, name: &str) -> bool {
    split_piece(piece).is_some_and(|(key, _)| key == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(wire: &str) -> Vec<(String, String)> {
        Properties::from_wire(wire)
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn pieces_without_name_value_or_separator_are_skipped() {
        for unusable in [
            "",
            "\u{2}",
            "a",
            "ab",
            "abc",
            "\u{1}v",
            "n\u{1}",
            "\u{1}\u{1}",
            "\u{2}\u{2}\u{2}",
        ] {
            assert_eq!(pairs(unusable), [], "{unusable:?}");
        }
        assert_eq!(
            pairs("a\u{1}\u{2}b\u{1}x\u{2}c\u{2}\u{1}d\u{2}"),
            [("b".to_owned(), "x".to_owned())]
        );
    }

    #[test]
    fn the_first_separator_ends_the_name() {
        assert_eq!(
            pairs("a\u{1}b\u{1}c"),
            [("a".to_owned(), "b\u{1}c".to_owned())]
        );
    }

    #[test]
    fn get_takes_the_last_usable_duplicate() {
        let twice = Properties::from_wire("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3\u{2}a\u{1}");
        assert_eq!(twice.get("a"), Some("3"));
        assert_eq!(twice.len(), 3);
        assert_eq!(twice.range_of("a"), Some(10..11));
        assert_eq!((twice.get("c"), twice.range_of("c")), (None, None));
    }

    #[test]
    fn a_foreign_string_is_kept_to_the_byte_and_appended_to_cleanly() {
        let mut kept = Properties::from_wire("a\u{1}1\u{2}");
        assert_eq!(kept.as_wire(), "a\u{1}1\u{2}");
        kept.set("b", "2").unwrap();
        assert_eq!(kept.as_wire(), "a\u{1}1\u{2}b\u{1}2");
    }

    #[test]
    fn set_replaces_every_earlier_value() {
        let mut properties = Properties::from_wire("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3");
        properties.set("a", "4").unwrap();
        assert_eq!(properties.as_wire(), "b\u{1}2\u{2}a\u{1}4");
    }

    #[test]
    fn remove_takes_all_values_and_says_whether_there_were_any() {
        let mut properties = Properties::from_wire("a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}");
        assert!(properties.remove("a"));
        assert_eq!(properties.as_wire(), "b\u{1}2");
        assert!(!properties.remove("a"));
        assert!(properties.remove("b"));
        assert_eq!(properties.as_wire(), "");
        assert!(properties.is_empty());
    }

    #[test]
    fn what_would_be_lost_or_torn_on_the_wire_is_refused() {
        let mut properties = Properties::new();
        assert_eq!(properties.set("", "v"), Err(InvalidProperty::BlankName));
        assert!(matches!(
            properties.set("n", ""),
            Err(InvalidProperty::BlankValue { .. })
        ));
        for (name, value) in [
            ("a\u{1}", "v"),
            ("a\u{2}", "v"),
            ("a", "\u{1}"),
            ("a", "v\u{2}"),
        ] {
            assert!(matches!(
                properties.set(name, value),
                Err(InvalidProperty::Separator { .. })
            ));
        }
        assert_eq!(properties.as_wire(), "");
    }

    #[test]
    fn names_are_found_and_missed_as_a_walk_would_whatever_bits_they_share() {
        let names: Vec<String> = (0..300).map(|n| format!("name-{}", n * 7)).collect();
        let mut properties = Properties::new();
        for name in names.iter().step_by(3) {
            properties.set(name, "v").unwrap();
        }
        let read = Properties::from_wire(properties.as_wire());
        assert_eq!(properties, read);
        for (index, name) in names.iter().enumerate() {
            let there = index % 3 == 0;
            assert_eq!(
                (properties.contains(name), read.contains(name)),
                (there, there)
            );
        }
        for name in names.iter().step_by(6) {
            assert!(properties.remove(name));
            assert!(!properties.remove(name));
        }
        assert_eq!(properties, Properties::from_wire(properties.as_wire()));
        let mut odd = Properties::from_wire("EMPTY\u{1}\u{2}a\u{1}b");
        assert!(odd.remove("EMPTY") && odd.as_wire() == "a\u{1}b");
    }
}
