//! What leads a reply back to its request (PROTOCOL G.3).

use std::fmt;

/// A request's `CORRELATION_ID`: a random UUID, written in lower case with dashes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CorrelationId([u8; 16]);

/// Where the dashes are.
const DASHES: [usize; 4] = [8, 13, 18, 23];
const TEXT_LEN: usize = 36;

impl CorrelationId {
    /// The id made of random bits, of which a UUID keeps 122.
    pub const fn random(bits: u128) -> Self {
        let mut bytes = bits.to_be_bytes();
        // Version 4, variant 1: RFC 9562.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Reads the text form. `None` for anything that no request of ours carries.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_LEN {
            return None;
        }
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (at, byte) in text.bytes().enumerate() {
            let digit = match byte {
                b'-' if DASHES.contains(&at) => continue,
                _ if DASHES.contains(&at) => return None,
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            bytes[digits / 2] = bytes[digits / 2] << 4 | digit;
            digits += 1;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_text_of_a_random_uuid_and_is_read_back() {
        let rows = [
            (0, "00000000-0000-4000-8000-000000000000"),
            (u128::MAX, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
            (
                0x0123_4567_89ab_cdef_fedc_ba98_7654_3210,
                "01234567-89ab-4def-bedc-ba9876543210",
            ),
        ];
        for (bits, text) in rows {
            let id = CorrelationId::random(bits);
            assert_eq!(id.to_string(), text);
            assert_eq!(CorrelationId::parse(text), Some(id));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "01234567-89ab-4def-bedc-ba987654321",
            "01234567-89AB-4def-bedc-ba9876543210",
            "0123456789ab-4def--bedc-ba9876543210",
            "01234567-89ab-4def-bedc-ba98765432\u{e9}",
            "01234567+89ab-4def-bedc-ba9876543210",
        ] {
            assert_eq!(CorrelationId::parse(text), None, "{text}");
        }
    }
}
