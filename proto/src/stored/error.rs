use thiserror::Error;

/// Bytes that are no stored message, or a message that cannot be stored, and where.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("stored message at byte {offset}: {problem}")]
pub struct StoredError {
    /// Where the message begins, counted from the start of the bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: StoredProblem,
}

/// What is wrong with a stored message.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StoredProblem {
    /// The port of a host is beyond 16 bits.
    #[error("a host has port {0}; ports are 0 to 65535")]
    BadPort(i32),
    /// It is the blank that fills up the end of a store file.
    #[error("it is the blank end of a store file and no message")]
    Blank,
    /// The lengths of the parts do not add up to that of the message.
    #[error("its lengths do not add up: {total} bytes in all, {inner} by its parts")]
    LengthMismatch {
        /// The message's length as it says itself.
        total: usize,
        /// The length that follows from its parts, as far as they could be read.
        inner: usize,
    },
    /// The length is too small for a message, or negative.
    #[error("its length {len} is less than the {least} bytes of an empty message")]
    LengthTooSmall {
        /// The length as the message says itself.
        len: i32,
        /// Bytes of an empty message.
        least: usize,
    },
    /// The whole is beyond 32 bits.
    #[error("it would take {0} bytes, more than its length can say")]
    MessageTooLong(usize),
    /// The length of a part is negative.
    #[error("the length of its {part} is negative: {len}")]
    NegativeLength {
        /// Which part.
        part: &'static str,
        /// The length.
        len: i32,
    },
    /// Topic or properties are no UTF-8.
    #[error("its {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// The properties are longer than their length can say.
    #[error("its properties take {0} bytes, MAX: 32767")]
    PropertiesTooLong(usize),
    /// The topic is longer than its length can say.
    #[error(
        "its topic takes {len} bytes, MAX: {limit}; the second version of the layout takes 32767"
    )]
    TopicTooLong {
        /// Bytes of the topic.
        len: usize,
        /// Most bytes in this version of the layout.
        limit: usize,
    },
    /// The bytes end before the message does.
    #[error("it needs {needed} bytes and only {left} are left")]
    Truncated {
        /// Bytes of the message.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// The magic number is none of those known.
    #[error("its magic {0:#010X} is unknown; known are 0xDAA320A7 and 0xDAA320AB")]
    UnknownMagic(u32),
}
