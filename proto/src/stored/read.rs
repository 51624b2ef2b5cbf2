use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use bytes::{Buf, Bytes};

use super::{MAGIC_BLANK, MAGIC_V1, MAGIC_V2, StoredMessage, StoredProblem, StoredVersion};
use crate::properties::Properties;
use crate::sys_flag::SysFlag;

/// Total size and magic number, which every entry has.
const PREFIX: usize = 8;
/// From the start to the flag, which says how long the hosts are.
const UP_TO_SYS_FLAG: usize = 40;

/// The lengths of the parts that depend on flag and version (PROTOCOL D.7, fields 10, 12, 16).
pub(super) struct Layout {
    pub(super) born_host: usize,
    pub(super) store_host: usize,
    pub(super) len_without_data: usize,
}

/// A message that was read, its body still in place.
pub(super) struct Parsed {
    pub(super) len: usize,
    pub(super) body: Range<usize>,
    message: StoredMessage,
}

impl Layout {
    pub(super) fn of(flag: SysFlag, version: StoredVersion) -> Self {
        let host_len = |is_v6| if is_v6 { 20 } else { 8 };
        let born_host = host_len(flag.contains(SysFlag::BORN_HOST_V6));
        let store_host = host_len(flag.contains(SysFlag::STORE_HOST_V6));
        let topic_len = match version {
            StoredVersion::V1 => 1,
            StoredVersion::V2 => 2,
        };
        let times_and_attempts = 8 + 8 + 4 + 8;
        let body_and_properties_len = 4 + 2;
        Self {
            born_host,
            store_host,
            len_without_data: UP_TO_SYS_FLAG
                + times_and_attempts
                + born_host
                + store_host
                + body_and_properties_len
                + topic_len,
        }
    }
}

impl Parsed {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoredProblem> {
        let mut src = bytes;
        let truncated = |needed| StoredProblem::Truncated {
            needed,
            left: bytes.len(),
        };
        if src.len() < PREFIX {
            return Err(truncated(PREFIX));
        }
        let stated = src.get_i32();
        let version = match src.get_u32() {
            MAGIC_V1 => StoredVersion::V1,
            MAGIC_V2 => StoredVersion::V2,
            MAGIC_BLANK => return Err(StoredProblem::Blank),
            magic => return Err(StoredProblem::UnknownMagic(magic)),
        };
        let too_small = |least| StoredProblem::LengthTooSmall { len: stated, least };
        let total = usize::try_from(stated).map_err(|_| too_small(UP_TO_SYS_FLAG))?;
        if total < UP_TO_SYS_FLAG {
            return Err(too_small(UP_TO_SYS_FLAG));
        }
        let mut src = bytes.get(..total).ok_or_else(|| truncated(total))?;
        src.advance(PREFIX);

        let body_crc = src.get_i32();
        let queue_id = src.get_i32();
        let flag = src.get_i32();
        let queue_offset = src.get_i64();
        let commit_log_offset = src.get_i64();
        let sys_flag = SysFlag(src.get_i32());
        let layout = Layout::of(sys_flag, version);
        if total < layout.len_without_data {
            return Err(too_small(layout.len_without_data));
        }
        let born_timestamp = src.get_i64();
        let born_host = take_host(&mut src, layout.born_host)?;
        let store_timestamp = src.get_i64();
        let store_host = take_host(&mut src, layout.store_host)?;
        let reconsume_times = src.get_i32();
        let prepared_transaction_offset = src.get_i64();

        // What the parts with a length of their own may take together.
        let mut room = total - layout.len_without_data;
        let mut part = |name, len: i32| {
            let len = usize::try_from(len)
                .map_err(|_| StoredProblem::NegativeLength { part: name, len })?;
            if len > room {
                let inner = (total - room).saturating_add(len);
                return Err(StoredProblem::LengthMismatch { total, inner });
            }
            room -= len;
            Ok(len)
        };
        let body_len = part("body", src.get_i32())?;
        let body_start = total - src.len();
        src.advance(body_len);
        let topic_len = match version {
            StoredVersion::V1 => part("topic", src.get_i8().into())?,
            StoredVersion::V2 => part("topic", src.get_i16().into())?,
        };
        let topic = take_text(&mut src, topic_len, "topic")?;
        let properties_len = part("properties", src.get_i16().into())?;
        let properties = take_text(&mut src, properties_len, "properties")?;
        if !src.is_empty() {
            let inner = total - src.len();
            return Err(StoredProblem::LengthMismatch { total, inner });
        }

        let message = StoredMessage {
            version,
            topic,
            queue_id,
            queue_offset,
            commit_log_offset,
            flag,
            sys_flag,
            body_crc,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            properties: Properties::from_wire(properties),
            body: Bytes::new(),
        };
        Ok(Self {
            len: total,
            body: body_start..body_start + body_len,
            message,
        })
    }

    pub(super) fn with_body(self, body: Bytes) -> StoredMessage {
        StoredMessage {
            body,
            ..self.message
        }
    }
}

/// The caller made sure that `len` bytes are there, with 4 of them the port.
fn take_host(src: &mut &[u8], len: usize) -> Result<SocketAddr, StoredProblem> {
    let ip = if len == 8 {
        IpAddr::from(src.get_u32().to_be_bytes())
    } else {
        IpAddr::from(src.get_u128().to_be_bytes())
    };
    let port = src.get_i32();
    let port = u16::try_from(port).map_err(|_| StoredProblem::BadPort(port))?;
    Ok(SocketAddr::new(ip, port))
}

fn take_text(src: &mut &[u8], len: usize, part: &'static str) -> Result<String, StoredProblem> {
    let (text, rest) = src.split_at(len);
    *src = rest;
    let text = std::str::from_utf8(text).map_err(|_| StoredProblem::NotUtf8(part))?;
    Ok(text.to_owned())
}
