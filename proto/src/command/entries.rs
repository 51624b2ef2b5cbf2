//! Ext fields whose places are known.

use crate::frame::SerializeType;
use crate::json::Text;

/// How many entries are measured. An answer to a send has five, with all of 5.x eight.
const MEASURED: usize = 8;

/// A few entries that were read over once: known to be sound and to be UTF-8, and found without another search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    text: &'a str,
    /// Where the key ends and where the value does.
    ends: [(u16, u16); MEASURED],
    len: u8,
    /// Bytes before a key, after the first: its length, or what closes the value before it.
    before_key: u8,
    /// Bytes between a key and its value.
    before_value: u8,
    next: u8,
    /// Where the next key begins.
    at: usize,
}

/// Where entries end, while they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    ends: [(u16, u16); MEASURED],
    len: usize,
}

impl Ends {
    /// Notes an entry by the places where its key and its value end, counted from the start of the text.
    #[inline(always)]
    pub(crate) fn push(&mut self, key: usize, value: usize) {
        if let Some(place) = self.ends.get_mut(self.len) {
            *place = (key as u16, value as u16);
        }
        self.len += 1;
    }

    /// The entries of `text`, unless they are too many or too long, or it is no UTF-8.
    #[inline(always)]
    pub(crate) fn of(self, text: &[u8], ty: SerializeType) -> Option<Entries<'_>> {
        if self.len > MEASURED || text.len() > usize::from(u16::MAX) {
            return None;
        }
        // In JSON the text begins behind the first quote.
        let (at, before_key, before_value) = match ty {
            SerializeType::Json => (0, br#"",""#.len(), br#"":""#.len()),
            SerializeType::Binary => (2, 2, 4),
        };
        Some(Entries {
            text: std::str::from_utf8(text).ok()?,
            ends: self.ends,
            len: self.len as u8,
            before_key: before_key as u8,
            before_value: before_value as u8,
            next: 0,
            at,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Text<'a>, Text<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.len {
            return None;
        }
        let (key_end, value_end) = *self.ends.get(usize::from(self.next))?;
        let (key_end, value_end) = (usize::from(key_end), usize::from(value_end));
        let (text, bytes) = (self.text, self.text.as_bytes());
        let key = bytes.get(self.at..key_end)?;
        let place = key_end + usize::from(self.before_value)..value_end;
        // In a binary header a length and stray bytes behind it may make a letter together: the whole
        // is UTF-8 then, the value is not.
        let value = match text.get(place.clone()) {
            Some(value) => Text::Known(value),
            None => Text::Plain(bytes.get(place)?),
        };
        self.next += 1;
        self.at = value_end + usize::from(self.before_key);
        Some((Text::Plain(key), value))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::code::LanguageCode;
    use crate::command::{CommandView, Flags, Head, encode_head};
    use crate::frame::{FrameLimits, PREFIX_LEN, SerializeType};

    #[test]
    fn fields_read_alike_whether_they_are_few_or_many_short_or_long() {
        let long = "v".repeat(70_000);
        for count in 0..12 {
            for value in ["", "3", "naïve 标签", &long] {
                let keys: Vec<String> = (0..count).map(|at| format!("key{at}")).collect();
                let fields: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, value)).collect();
                for ty in [SerializeType::Json, SerializeType::Binary] {
                    let read = read_back(ty, &fields);
                    let read: Vec<_> = read.iter().map(|(key, value)| (&**key, &**value)).collect();
                    assert_eq!(read, fields, "{ty:?}");
                }
            }
        }
    }

    /// 0xC3 and 0xA9 make an "é" together; one is the end of a length, the other begins its value.
    #[test]
    fn a_value_whose_stray_bytes_make_a_letter_with_its_length_hides_no_other_field() {
        for len in 193..=225_usize {
            let mut value = vec![b'x'; len];
            value[..2].fill(0xa9);
            let fields: [(&str, &[u8]); 3] = [("a", b"1"), ("stray", &value), ("queueId", b"3")];
            let mut ext = Vec::new();
            for (key, value) in fields {
                ext.extend((key.len() as u16).to_be_bytes());
                ext.extend(key.as_bytes());
                ext.extend((value.len() as u32).to_be_bytes());
                ext.extend(value);
            }
            let mut header = vec![0, 0, 0, 1, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0];
            header.extend((ext.len() as u32).to_be_bytes());
            header.extend(ext);
            let view = CommandView::decode(SerializeType::Binary, &header).unwrap();
            assert_eq!(view.ext.get("queueId").as_deref(), Some("3"), "{len}");
            let stray = view.ext.get("stray").unwrap();
            assert!(stray.starts_with('\u{fffd}'), "{len}: {stray}");
        }
    }

    fn read_back(ty: SerializeType, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let head = Head {
            code: 0,
            language: LanguageCode::JAVA,
            version: 409,
            opaque: 7,
            flags: Flags::RESPONSE,
            remark: None,
        };
        let mut bytes = BytesMut::new();
        let limits = FrameLimits::default();
        encode_head(&mut bytes, ty, &head, &(), fields, 0, limits).unwrap();
        let view = CommandView::decode(ty, &bytes[PREFIX_LEN..]).unwrap();
        let read = view.ext.iter();
        read.map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect()
    }
}
