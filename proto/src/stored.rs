//! Messages as brokers store them and hand them out (PROTOCOL D.7).

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};

use crate::compress::{self, DecompressError};
use crate::msg_id::{IdText, OffsetMessageId};
use crate::properties::{Properties, property};
use crate::sys_flag::SysFlag;

mod error;
mod read;

pub use error::{StoredError, StoredProblem};

use read::{Layout, Parsed};

const MAGIC_V1: u32 = 0xDAA3_20A7;
const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Marks the unused end of a store file.
const MAGIC_BLANK: u32 = 0xCBD4_3194;

/// How long a topic's name can be in a stored message.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum StoredVersion {
    /// The length of the topic is one byte, at most 127.
    #[default]
    V1,
    /// The length of the topic is two bytes (5.x, for long retry topics).
    V2,
}

/// A message as the answers to VIEW, QUERY and PULL and a transaction check carry it (PROTOCOL D.7).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredMessage {
    /// Which of the two layouts the message has.
    pub version: StoredVersion,
    /// The topic, as the broker knows it: with namespace.
    pub topic: String,
    /// The queue.
    pub queue_id: i32,
    /// The position in the queue.
    pub queue_offset: i64,
    /// The position in the broker's commit log, bytes.
    pub commit_log_offset: i64,
    /// The application's own number.
    pub flag: i32,
    /// How the message is packed. Encoding corrects its two bits about the hosts.
    pub sys_flag: SysFlag,
    /// CRC-32 of the body as stored, without its top bit; see [`body_crc`](fn@body_crc).
    pub body_crc: i32,
    /// When the producer made the message, milliseconds since 1970.
    pub born_timestamp: i64,
    /// Where the producer was.
    pub born_host: SocketAddr,
    /// When the broker stored the message, milliseconds since 1970.
    pub store_timestamp: i64,
    /// The broker that stored the message.
    pub store_host: SocketAddr,
    /// How often consumers failed with the message.
    pub reconsume_times: i32,
    /// Where the half message is, for messages of a transaction.
    pub prepared_transaction_offset: i64,
    /// The properties, what brokers added included.
    pub properties: Properties,
    /// The body as stored: see [`decompressed_body`](Self::decompressed_body).
    pub body: Bytes,
}

/// The messages of a concatenation, first to last. Ends at the blank that fills up a store file, and
/// after an error.
#[derive(Clone, Debug)]
pub struct StoredMessages {
    bytes: Bytes,
    offset: usize,
    done: bool,
}

/// The checksum that stored messages carry: CRC-32 without its top bit (Java: `UtilAll.crc32`).
pub fn body_crc(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF) as i32
}

impl StoredMessage {
    /// Reads the message at the start of `bytes` and says how many bytes it takes. The body is
    /// copied; [`StoredMessages`] shares it instead.
    ///
    /// # Errors
    ///
    /// When the bytes end early, are no stored message, or contradict themselves. The checksum of the
    /// body is not compared: see [`is_body_intact`](Self::is_body_intact).
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), StoredError> {
        let parsed = Parsed::read(bytes).map_err(|problem| StoredError { offset: 0, problem })?;
        let body = Bytes::copy_from_slice(&bytes[parsed.body.clone()]);
        let len = parsed.len;
        Ok((parsed.with_body(body), len))
    }

    /// Appends the message; [`decode`](Self::decode) gives an equal one. The flag's bits about IPv6
    /// follow the hosts.
    ///
    /// # Errors
    ///
    /// When topic, properties or the whole are longer than their lengths can say; `out` is unchanged
    /// then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), StoredError> {
        let refuse = |problem| StoredError {
            offset: out.len(),
            problem,
        };
        let sys_flag = self.sys_flag_of_hosts();
        let topic_limit = match self.version {
            StoredVersion::V1 => i8::MAX as usize,
            StoredVersion::V2 => i16::MAX as usize,
        };
        let properties = self.properties.as_wire();
        let total = self.encoded_len();
        if self.topic.len() > topic_limit {
            return Err(refuse(StoredProblem::TopicTooLong {
                len: self.topic.len(),
                limit: topic_limit,
            }));
        }
        if properties.len() > i16::MAX as usize {
            return Err(refuse(StoredProblem::PropertiesTooLong(properties.len())));
        }
        if i32::try_from(total).is_err() {
            return Err(refuse(StoredProblem::MessageTooLong(total)));
        }

        // Every length fits: checked above.
        out.reserve(total);
        out.put_i32(total as i32);
        out.put_u32(match self.version {
            StoredVersion::V1 => MAGIC_V1,
            StoredVersion::V2 => MAGIC_V2,
        });
        out.put_i32(self.body_crc);
        out.put_i32(self.queue_id);
        out.put_i32(self.flag);
        out.put_i64(self.queue_offset);
        out.put_i64(self.commit_log_offset);
        out.put_i32(sys_flag.0);
        out.put_i64(self.born_timestamp);
        put_host(out, self.born_host);
        out.put_i64(self.store_timestamp);
        put_host(out, self.store_host);
        out.put_i32(self.reconsume_times);
        out.put_i64(self.prepared_transaction_offset);
        out.put_i32(self.body.len() as i32);
        out.put_slice(&self.body);
        match self.version {
            StoredVersion::V1 => out.put_u8(self.topic.len() as u8),
            StoredVersion::V2 => out.put_u16(self.topic.len() as u16),
        }
        out.put_slice(self.topic.as_bytes());
        out.put_u16(properties.len() as u16);
        out.put_slice(properties.as_bytes());
        Ok(())
    }

    /// Bytes that [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        Layout::of(self.sys_flag_of_hosts(), self.version).len_without_data
            + self.body.len()
            + self.topic.len()
            + self.properties.as_wire().len()
    }

    /// The id that producers and consumers speak of: the unique id, or else the offset id.
    pub fn message_id(&self) -> IdText {
        match self.properties.get(property::UNIQ_KEY) {
            Some(id) => id.into(),
            None => self.offset_message_id().to_hex(),
        }
    }

    /// The broker's id of the message.
    pub fn offset_message_id(&self) -> OffsetMessageId {
        OffsetMessageId::new(self.store_host, self.commit_log_offset)
    }

    /// Whether the body as stored has the checksum that the message names. What a broker packed again
    /// (transaction checks) keeps the checksum of its first packing, so that a compressed body may
    /// differ without harm.
    pub fn is_body_intact(&self) -> bool {
        body_crc(&self.body) == self.body_crc
    }

    /// The body as the producer gave it, of at most `limit` bytes
    /// ([`MAX_DECOMPRESSED_LEN`](crate::MAX_DECOMPRESSED_LEN) suits most). An uncompressed body is
    /// shared, whatever its size.
    ///
    /// # Errors
    ///
    /// See [`DecompressError`].
    pub fn decompressed_body(&self, limit: usize) -> Result<Bytes, DecompressError> {
        if !self.sys_flag.is_compressed() {
            return Ok(self.body.clone());
        }
        compress::decompress(self.sys_flag, &self.body, limit).map(Bytes::from)
    }

    fn sys_flag_of_hosts(&self) -> SysFlag {
        let mut flag = self
            .sys_flag
            .without(SysFlag::BORN_HOST_V6)
            .without(SysFlag::STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            flag = flag.with(SysFlag::BORN_HOST_V6);
        }
        if self.store_host.is_ipv6() {
            flag = flag.with(SysFlag::STORE_HOST_V6);
        }
        flag
    }
}

impl StoredMessages {
    /// The messages of `bytes`, as the body of a PULL answer. Bodies share its memory.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            offset: 0,
            done: false,
        }
    }

    /// Where the next message begins, counted from the start.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl Iterator for StoredMessages {
    type Item = Result<StoredMessage, StoredError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if self.done || rest.is_empty() {
            return None;
        }
        let parsed = match Parsed::read(rest) {
            Ok(parsed) => parsed,
            Err(problem) => {
                self.done = true;
                return match problem {
                    StoredProblem::Blank => None,
                    problem => Some(Err(StoredError {
                        offset: self.offset,
                        problem,
                    })),
                };
            }
        };
        let body = parsed.body.start + self.offset..parsed.body.end + self.offset;
        self.offset += parsed.len;
        Some(Ok(parsed.with_body(self.bytes.slice(body))))
    }
}

impl std::iter::FusedIterator for StoredMessages {}

fn put_host(out: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.put_slice(&ip.octets()),
        IpAddr::V6(ip) => out.put_slice(&ip.octets()),
    }
    out.put_i32(i32::from(host.port()));
}

#[cfg(test)]
mod tests;
