//! The bits that say how a message was packed (PROTOCOL D.3).

use std::fmt;

/// The system flag of a message (PROTOCOL D.3). Unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SysFlag(pub i32);

/// What a message is in its transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TransactionKind {
    /// Part of no transaction.
    None,
    /// A half message.
    Prepared,
    /// A committed message.
    Commit,
    /// A message that was rolled back.
    Rollback,
}

impl SysFlag {
    /// The body is compressed.
    pub const COMPRESSED: Self = Self(0x1);
    /// Several tags; set by brokers.
    pub const MULTI_TAGS: Self = Self(0x2);
    /// A half message.
    pub const TRANSACTION_PREPARED: Self = Self(0x4);
    /// A committed message.
    pub const TRANSACTION_COMMIT: Self = Self(0x8);
    /// A message that was rolled back; also the mask of the transaction bits.
    pub const TRANSACTION_ROLLBACK: Self = Self(0xC);
    /// The born host is an IPv6 address; set by brokers.
    pub const BORN_HOST_V6: Self = Self(0x10);
    /// The store host is an IPv6 address; set by brokers.
    pub const STORE_HOST_V6: Self = Self(0x20);
    /// To be unwrapped (5.x); set by brokers.
    pub const NEED_UNWRAP: Self = Self(0x40);
    /// An inner batch (5.x); set by brokers.
    pub const INNER_BATCH: Self = Self(0x80);
    /// The body is an LZ4 frame (4.9.4 and later).
    pub const LZ4: Self = Self(0x100);
    /// The body is a zstd frame (4.9.4 and later).
    pub const ZSTD: Self = Self(0x200);
    /// The body is a zlib stream; so it is when none of the three is said.
    pub const ZLIB: Self = Self(0x300);

    const COMPRESSION_MASK: i32 = 0x700;

    /// Both flags' bits together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This flag without `other`'s bits.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the body is compressed.
    pub const fn is_compressed(self) -> bool {
        self.contains(Self::COMPRESSED)
    }

    /// The three bits that name the kind of compression, 0 to 7.
    pub const fn compression_bits(self) -> i32 {
        (self.0 & Self::COMPRESSION_MASK) >> 8
    }

    /// What the message is in its transaction.
    pub const fn transaction(self) -> TransactionKind {
        match self.0 & Self::TRANSACTION_ROLLBACK.0 {
            0x4 => TransactionKind::Prepared,
            0x8 => TransactionKind::Commit,
            0xC => TransactionKind::Rollback,
            _ => TransactionKind::None,
        }
    }
}

impl fmt::Display for SysFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_d3() {
        let zlib = SysFlag(0x301);
        assert_eq!(SysFlag::COMPRESSED.with(SysFlag::ZLIB), zlib);
        assert!(zlib.is_compressed());
        assert_eq!(zlib.compression_bits(), 3);
        assert_eq!(zlib.without(SysFlag::COMPRESSED), SysFlag::ZLIB);
        assert_eq!(SysFlag(0xC | 0x10).transaction(), TransactionKind::Rollback);
        assert_eq!(SysFlag(0x4).transaction(), TransactionKind::Prepared);
        assert_eq!(SysFlag(-1).transaction(), TransactionKind::Rollback);
        assert!(!SysFlag(0x8).contains(SysFlag::TRANSACTION_ROLLBACK));
    }
}
