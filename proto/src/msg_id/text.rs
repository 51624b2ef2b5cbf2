use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::V6;
use crate::words::ONES;

/// Bytes of the longest id that is digits of an address and a tail.
const SHORT: usize = 2 * V6;

/// An id as text: of a message, of a transaction, of all messages of a batch.
///
/// An id should have 32 or 56 hexadecimal digits (PROTOCOL D.5, D.6), but an application may choose its messages' ids
/// itself, a broker answers as it likes, and a batch has a list of ids with commas between them. So any
/// text is an `IdText`, and up to 56 bytes are kept in place: such an id costs no allocation.
///
/// It reads as the `str` that it holds:
///
/// ```
/// use rocketmq_proto::IdText;
///
/// let id = IdText::from("C0A8010530397D4991AD61D8D4050000");
/// assert_eq!(id, "C0A8010530397D4991AD61D8D4050000");
/// assert!(id.starts_with("C0A80105"));
/// println!("stored as {id}");
/// let owned: String = id.into();
/// ```
// No crate's: those that are well kept hold 22 to 24 bytes in place, and to put a heap beside the fixed
// room of `ArrayString` takes all of this but the array. What it would save is a look at the bytes of
// a text (`from_utf8`) each time that it is read, which nothing does while a message is under way.
#[derive(Clone)]
pub struct IdText(Repr);

#[derive(Clone)]
enum Repr {
    /// At most [`SHORT`] bytes, and always these: equal texts look alike.
    Short {
        len: u8,
        bytes: Short,
    },
    Long(Box<str>),
}

/// At whole words, so that they are written and judged word by word.
#[derive(Clone)]
#[repr(align(8))]
struct Short([u8; SHORT]);

impl IdText {
    /// The upper-case digits of an id's bytes, at most 28 of them.
    pub(super) fn hex(id: &[u8]) -> Self {
        let mut digits = Short([0; SHORT]);
        for (digits, bytes) in digits.0.chunks_exact_mut(8).zip(id.chunks_exact(4)) {
            // Both are of these lengths; an id has a multiple of four bytes.
            if let (Some(digits), Some(bytes)) = (digits.first_chunk_mut(), bytes.first_chunk()) {
                *digits = eight_digits(*bytes);
            }
        }
        Self(Repr::Short {
            len: 2 * id.len().min(V6) as u8,
            bytes: digits,
        })
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Made of a whole text, or of digits: the default is never taken.
            Repr::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Long(text) => text,
        }
    }

    /// The text's bytes, which are had for less.
    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => &bytes.0[..usize::from(*len)],
            Repr::Long(text) => text.as_bytes(),
        }
    }

    #[inline]
    fn short(text: &str) -> Option<Self> {
        let mut bytes = Short([0; SHORT]);
        match text.as_bytes().try_into() {
            // The usual length, copied as four words.
            Ok::<&[u8; 32], _>(digits) => bytes.0[..32].copy_from_slice(digits),
            Err(_) => bytes
                .0
                .get_mut(..text.len())?
                .copy_from_slice(text.as_bytes()),
        }
        let len = text.len() as u8;
        Some(Self(Repr::Short { len, bytes }))
    }
}

/// The digits of four bytes, worked out side by side in one word.
fn eight_digits(bytes: [u8; 4]) -> [u8; 8] {
    let halves = u64::from(u32::from_be_bytes(bytes));
    let halves = (halves | halves << 16) & 0x0000_FFFF_0000_FFFF;
    let halves = (halves | halves << 8) & 0x00FF_00FF_00FF_00FF;
    let nibbles = (halves | halves << 4) & (ONES * 0x0F);
    // Sixteen in each byte that is ten or more.
    let letters = (nibbles + ONES * 6) & (ONES * 0x10);
    let from_nine_to_a = (letters >> 4) * u64::from(b'A' - b'9' - 1);
    (nibbles + ONES * u64::from(b'0') + from_nine_to_a).to_be_bytes()
}

impl Default for IdText {
    /// The empty text.
    #[inline]
    fn default() -> Self {
        Self(Repr::Short {
            len: 0,
            bytes: Short([0; SHORT]),
        })
    }
}

impl From<&str> for IdText {
    #[inline]
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Repr::Long(text.into())))
    }
}

impl From<String> for IdText {
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self(Repr::Long(text.into())))
    }
}

impl From<Cow<'_, str>> for IdText {
    #[inline]
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<IdText> for String {
    fn from(id: IdText) -> Self {
        match id.0 {
            Repr::Short { .. } => id.as_str().to_owned(),
            Repr::Long(text) => text.into(),
        }
    }
}

impl Deref for IdText {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for IdText {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Eq for IdText {}

impl PartialEq for IdText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

macro_rules! equals {
    ($($text:ty),*) => {$(
        impl PartialEq<$text> for IdText {
            fn eq(&self, other: &$text) -> bool {
                self.as_bytes() == AsRef::<[u8]>::as_ref(other)
            }
        }

        impl PartialEq<IdText> for $text {
            fn eq(&self, other: &IdText) -> bool {
                other == self
            }
        }
    )*};
}

equals!(str, &str, String);

impl Ord for IdText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for IdText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As the `str` that it is borrowed as.
impl Hash for IdText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
