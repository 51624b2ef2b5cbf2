use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{IdBytes, IdText, InvalidId, TAIL};

/// The broker's id of a stored message: where it is and at which offset (PROTOCOL D.6). Its text is
/// 32 or 56 upper-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OffsetMessageId {
    /// The broker that stored the message.
    pub addr: SocketAddr,
    /// The offset in its commit log, bytes.
    pub offset: i64,
}

impl OffsetMessageId {
    /// The message at `offset` of the broker at `addr`.
    pub fn new(addr: SocketAddr, offset: i64) -> Self {
        Self { addr, offset }
    }

    /// The digits, upper-case, without an allocation.
    pub fn to_hex(self) -> IdText {
        let mut tail = [0; TAIL];
        tail[..4].copy_from_slice(&i32::from(self.addr.port()).to_be_bytes());
        tail[4..].copy_from_slice(&self.offset.to_be_bytes());
        IdBytes::new(self.addr.ip(), tail).to_hex()
    }
}

impl fmt::Display for OffsetMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_hex())
    }
}

impl FromStr for OffsetMessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id = IdBytes::parse(text)?;
        let [p0, p1, p2, p3, o0, o1, o2, o3, o4, o5, o6, o7] = id.tail();
        let port = i32::from_be_bytes([p0, p1, p2, p3]);
        let port = u16::try_from(port).map_err(|_| InvalidId::Port(port))?;
        let ip: IpAddr = id.ip();
        Ok(Self {
            addr: SocketAddr::new(ip, port),
            offset: i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
        })
    }
}
