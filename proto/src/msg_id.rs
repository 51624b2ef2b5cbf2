//! The three ids of a message: the producer's, the broker's, and the handle to recall it
//! (PROTOCOL D.5, D.6, B.14); and ids as text, whoever made them.

mod offset_id;
mod recall;
mod text;
mod unique;

use std::net::IpAddr;

use thiserror::Error;

pub use offset_id::OffsetMessageId;
pub use recall::{InvalidRecallHandle, RecallHandle};
pub use text::IdText;
pub use unique::{UniqueId, UniqueIdSeed, UniqueIds};

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidId {
    /// Ids are 32 digits with an IPv4 address and 56 with an IPv6 one.
    #[error("an id has 32 or 56 hexadecimal digits, not {0}")]
    Length(usize),
    /// Something else than a hexadecimal digit.
    #[error("an id has hexadecimal digits only, but not at position {0}")]
    Digit(usize),
    /// The port does not fit into 16 bits.
    #[error("an id names a port of 0 to 65535, not {0}")]
    Port(i32),
}

/// Bytes of an id without its address.
const TAIL: usize = 12;
const V4: usize = 4 + TAIL;
const V6: usize = 16 + TAIL;

/// The bytes of an id, with an IPv4 or an IPv6 address in front.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct IdBytes {
    bytes: [u8; V6],
    len: u8,
}

impl IdBytes {
    fn new(ip: IpAddr, tail: [u8; TAIL]) -> Self {
        let mut id = Self {
            bytes: [0; V6],
            len: 0,
        };
        match ip {
            IpAddr::V4(ip) => id.push(&ip.octets()),
            IpAddr::V6(ip) => id.push(&ip.octets()),
        }
        id.push(&tail);
        id
    }

    fn parse(text: &str) -> Result<Self, InvalidId> {
        let len = match text.len() {
            32 => V4,
            56 => V6,
            len => return Err(InvalidId::Length(len)),
        };
        let mut bytes = [0; V6];
        for (at, digits) in text.as_bytes().chunks_exact(2).enumerate() {
            bytes[at] = nibble(digits[0]).ok_or(InvalidId::Digit(2 * at))? << 4
                | nibble(digits[1]).ok_or(InvalidId::Digit(2 * at + 1))?;
        }
        Ok(Self {
            bytes,
            len: len as u8,
        })
    }

    fn push(&mut self, more: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn ip(&self) -> IpAddr {
        if usize::from(self.len) == V4 {
            let mut octets = [0; 4];
            octets.copy_from_slice(&self.bytes[..4]);
            IpAddr::from(octets)
        } else {
            let mut octets = [0; 16];
            octets.copy_from_slice(&self.bytes[..16]);
            IpAddr::from(octets)
        }
    }

    fn tail(&self) -> [u8; TAIL] {
        let mut tail = [0; TAIL];
        tail.copy_from_slice(&self.bytes[usize::from(self.len) - TAIL..usize::from(self.len)]);
        tail
    }

    fn to_hex(self) -> IdText {
        IdText::hex(self.as_bytes())
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
