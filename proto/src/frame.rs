//! Frames: where one command ends and the next begins (PROTOCOL A.1).
//!
//! Finding a frame and understanding it are two steps. [`FrameDecoder`] only looks at the two length words; a frame
//! whose header is nonsense still comes out as a frame, and the stream stays in step. [`Frame::command`] reads the
//! header.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::command::CommandView;
use crate::header::{HeaderError, binary, json};

/// The largest frame Java's client and servers take, in bytes, length word included: 16 MiB
/// (`com.rocketmq.remoting.frameMaxLength`).
pub const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

/// The two length words before the header.
pub(crate) const PREFIX_LEN: usize = 8;

/// The largest header that the 24 bits of its length can tell.
pub(crate) const MAX_HEADER_LEN: usize = (1 << 24) - 1;

const LENGTH_WORD: usize = 4;

/// How the header of a frame is written; the top byte of the second length word.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum SerializeType {
    /// JSON text, type 0. Java's default.
    #[default]
    Json = 0,
    /// The ROCKETMQ binary layout, type 1.
    Binary = 1,
}

impl SerializeType {
    /// Java's name of it: `JSON` or `ROCKETMQ`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Binary => "ROCKETMQ",
        }
    }

    /// The type with this number, if there is one.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Json),
            1 => Some(Self::Binary),
            _ => None,
        }
    }
}

/// How large a frame may be, in either direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameLimits {
    /// Bytes of the whole frame, its length word included. Default [`MAX_FRAME_LEN`]
    /// (`com.rocketmq.remoting.frameMaxLength`). Peers close the connection on a larger frame.
    pub max_frame_len: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            max_frame_len: MAX_FRAME_LEN,
        }
    }
}

/// Cuts a stream of bytes into frames.
///
/// It holds no bytes itself: the caller appends what it read to a [`BytesMut`] and asks for the next frame until there
/// is none.
///
/// ```
/// use bytes::BytesMut;
/// use rocketmq_proto::FrameDecoder;
///
/// let mut decoder = FrameDecoder::default();
/// let mut buffer = BytesMut::from(&b"\0\0\0\x09\0\0\0\x02{}bod"[..]);
/// let frame = decoder.next_frame(&mut buffer)?.expect("a whole frame is there");
/// assert_eq!((frame.header(), &frame.body()[..]), (&b"{}"[..], &b"bod"[..]));
/// assert!(decoder.next_frame(&mut buffer)?.is_none());
/// # Ok::<(), rocketmq_proto::FrameError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FrameDecoder {
    limits: FrameLimits,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder for one stream, one direction.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            failed: None,
        }
    }

    /// Splits the next whole frame off the front of `buf`, or `None` when more bytes are needed.
    ///
    /// Never copies and never reserves: both lengths are judged as soon as their words are there, before the rest of
    /// the frame is waited for.
    ///
    /// # Errors
    ///
    /// The stream cannot be followed any further and must be closed: every later call answers the same error, and
    /// `buf` is left as it is.
    pub fn next_frame(&mut self, buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match Shape::read(buf, self.limits) {
            Ok(Some(shape)) if buf.len() >= shape.frame_len => Ok(Some(shape.split_off(buf))),
            Ok(_) => Ok(None),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

/// What the two length words say.
struct Shape {
    frame_len: usize,
    header_len: usize,
    serialize_type: SerializeType,
}

impl Shape {
    /// `None`: the words are not there yet, though nothing wrong was seen.
    fn read(buf: &[u8], limits: FrameLimits) -> Result<Option<Self>, FrameError> {
        let Some((total, rest)) = buf.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let total = u32::from_be_bytes(*total);
        let frame_len = u64::from(total) + LENGTH_WORD as u64;
        if frame_len > limits.max_frame_len as u64 {
            return Err(FrameError::TooLarge {
                len: frame_len,
                limit: limits.max_frame_len,
            });
        }
        if frame_len < PREFIX_LEN as u64 {
            return Err(FrameError::TooShort { total });
        }

        let Some((word, _)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let word = u32::from_be_bytes(*word);
        let [type_byte, ..] = word.to_be_bytes();
        let serialize_type =
            SerializeType::from_u8(type_byte).ok_or(FrameError::UnknownSerializeType(type_byte))?;
        let header_len = word & 0x00FF_FFFF;
        if u64::from(header_len) > frame_len - PREFIX_LEN as u64 {
            return Err(FrameError::BadHeaderLength { header_len, total });
        }
        // Both are at most `max_frame_len`, a usize.
        Ok(Some(Self {
            frame_len: frame_len as usize,
            header_len: header_len as usize,
            serialize_type,
        }))
    }

    fn split_off(self, buf: &mut BytesMut) -> Frame {
        let bytes = buf.split_to(self.frame_len).freeze();
        Frame {
            bytes,
            header_len: self.header_len,
            serialize_type: self.serialize_type,
        }
    }
}

/// One whole frame, its header not yet understood. Cloning shares the bytes.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    header_len: usize,
    serialize_type: SerializeType,
}

impl Frame {
    /// Gives the body and lets the rest go, without touching the reference count twice.
    pub fn into_body(mut self) -> Bytes {
        self.bytes.split_off(PREFIX_LEN + self.header_len)
    }

    /// How the header is written.
    pub fn serialize_type(&self) -> SerializeType {
        self.serialize_type
    }

    /// The header's bytes.
    pub fn header(&self) -> &[u8] {
        &self.bytes[PREFIX_LEN..PREFIX_LEN + self.header_len]
    }

    /// The body, a cheap slice of the frame; empty when there is none.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(PREFIX_LEN + self.header_len..)
    }

    /// Bytes of the whole frame on the wire, length word included.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole frame as it was on the wire, length word included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads the header.
    ///
    /// # Errors
    ///
    /// The header breaks its own syntax. The stream is still in step: the next frame may be read.
    pub fn command(&self) -> Result<CommandView<'_>, HeaderError> {
        match self.serialize_type {
            SerializeType::Json => json::decode(self.header()),
            SerializeType::Binary => binary::decode(self.header()),
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("serialize_type", &self.serialize_type)
            .field("header_len", &self.header_len)
            .field(
                "body_len",
                &(self.bytes.len() - PREFIX_LEN - self.header_len),
            )
            .finish()
    }
}

/// The stream does not carry frames (any more). Close the connection.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The header is said to be longer than the frame that holds it.
    #[error(
        "frame of {total} bytes after its length word claims a header of {header_len} bytes, which does not fit; \
         the peer does not speak RocketMQ remoting"
    )]
    BadHeaderLength {
        /// What the header's length word says.
        header_len: u32,
        /// What the frame's length word says.
        total: u32,
    },
    /// The length word is over the limit.
    #[error(
        "frame of {len} bytes is over the limit of {limit} bytes; \
         if the peer really sends such frames raise FrameLimits::max_frame_len"
    )]
    TooLarge {
        /// Bytes of the whole frame as claimed.
        len: u64,
        /// The limit, bytes of the whole frame.
        limit: usize,
    },
    /// The length word leaves no room for the second one.
    #[error(
        "frame of {total} bytes after its length word is too short, at least 4 are needed for the header length"
    )]
    TooShort {
        /// What the length word says.
        total: u32,
    },
    /// The top byte of the header's length word is neither 0 nor 1.
    #[error("header serialize type {0} is unknown, only 0 (JSON) and 1 (ROCKETMQ) exist")]
    UnknownSerializeType(u8),
}
