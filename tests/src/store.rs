//! What a broker keeps: one commit log, queues over it, and an index by key.

use std::{collections::HashMap, net::SocketAddr, ops::Range};

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{Properties, StoredMessage, StoredVersion, SysFlag, body_crc};

use crate::{ServerNow, properties};

/// What a broker keeps of the messages that it takes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Keep {
    /// Everything, until the limit of stored bytes is reached; then sends are refused as by a full disk. The
    /// default.
    #[default]
    Everything,
    /// Nothing but the counts: offsets grow as usual, reading finds nothing, delayed messages are never
    /// delivered. For benchmarks of millions of messages.
    Nothing,
}

/// A message about to be stored.
pub(crate) struct NewMessage<'a> {
    pub(crate) topic: &'a str,
    pub(crate) queue_id: i32,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) born_timestamp: i64,
    pub(crate) born_host: SocketAddr,
    pub(crate) reconsume_times: i32,
    pub(crate) prepared_offset: i64,
    pub(crate) properties: &'a str,
    pub(crate) body: &'a [u8],
}

impl NewMessage<'_> {
    /// Bytes in the layout of PROTOCOL D.7, v1 magic.
    pub(crate) fn stored_len(&self, store_host: SocketAddr) -> usize {
        let ipv6 = |host: SocketAddr| if host.is_ipv6() { 12 } else { 0 };
        91 + self.topic.len()
            + self.properties.len()
            + self.body.len()
            + ipv6(self.born_host)
            + ipv6(store_host)
    }
}

/// Where a message went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    pub(crate) commit_log_offset: i64,
    pub(crate) queue_offset: i64,
}

/// The message cannot be stored: in Java terms, the put ended in an exception with this text.
pub(crate) struct PutFailed(pub(crate) String);

#[derive(Debug)]
struct Entry {
    offset: i64,
    store_timestamp: i64,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Queue {
    next: i64,
    /// Places in the log; empty when nothing is kept.
    entries: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Store {
    keep: Keep,
    max_bytes: usize,
    bytes: usize,
    host: SocketAddr,
    next_offset: i64,
    log: Vec<Entry>,
    queues: HashMap<String, HashMap<i32, Queue>>,
    keys: HashMap<String, HashMap<String, Vec<usize>>>,
    last_put: (i64, i64),
}

impl Store {
    pub(crate) fn new(keep: Keep, max_bytes: usize, host: SocketAddr) -> Self {
        Self {
            keep,
            max_bytes,
            bytes: 0,
            host,
            next_offset: 0,
            log: Vec::new(),
            queues: HashMap::new(),
            keys: HashMap::new(),
            last_put: (0, 0),
        }
    }

    /// Forgets every message; the commit log starts at 0 again.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.keep, self.max_bytes, self.host);
    }

    /// Whether so many bytes more can be kept.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.keep == Keep::Nothing || self.bytes.saturating_add(len) <= self.max_bytes
    }

    /// Stores a message at the end of its queue.
    pub(crate) fn append(
        &mut self,
        now: ServerNow,
        message: NewMessage<'_>,
    ) -> Result<Put, PutFailed> {
        let len = message.stored_len(self.host);
        let commit_log_offset = self.next_offset;
        let place = self.log.len();
        let queues = slot(&mut self.queues, message.topic);
        let queue = queues.entry(message.queue_id).or_default();
        let put = Put {
            commit_log_offset,
            queue_offset: queue.next,
        };
        let encoded = match self.keep {
            Keep::Everything => Some(encode(now, self.host, put, &message, len)?),
            Keep::Nothing => None,
        };
        queue.next += 1;
        if let Some(bytes) = encoded {
            queue.entries.push(place);
            self.index(&message, place);
            self.bytes += bytes.len();
            self.log.push(Entry {
                offset: commit_log_offset,
                store_timestamp: now.millis(),
                bytes,
            });
        }
        self.last_put = (now.millis(), commit_log_offset);
        self.next_offset = commit_log_offset.saturating_add(len as i64);
        Ok(put)
    }

    fn index(&mut self, message: &NewMessage<'_>, place: usize) {
        for key in properties::keys(message.properties) {
            let of_topic = slot(&mut self.keys, message.topic);
            slot(of_topic, key).push(place);
        }
    }

    fn queue(&self, topic: &str, id: i32) -> Option<&Queue> {
        self.queues.get(topic)?.get(&id)
    }

    fn next_in_queue(&self, topic: &str, id: i32) -> i64 {
        self.queue(topic, id).map_or(0, |queue| queue.next)
    }

    /// One past the last offset; 0 for a queue that does not exist (PROTOCOL L 11).
    pub(crate) fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        self.next_in_queue(topic, queue_id)
    }

    /// The messages of a queue from an offset on, as stored.
    pub(crate) fn read(
        &self,
        topic: &str,
        queue_id: i32,
        range: Range<i64>,
    ) -> impl Iterator<Item = &Bytes> {
        let entries = self
            .queue(topic, queue_id)
            .map_or(&[][..], |queue| &queue.entries[..]);
        let clamp = |offset: i64| usize::try_from(offset.max(0)).unwrap_or(usize::MAX);
        let end = clamp(range.end).min(entries.len());
        let start = clamp(range.start).min(end);
        entries[start..end]
            .iter()
            .map(|&place| &self.log[place].bytes)
    }

    /// The first offset whose message was stored at or after this time (PROTOCOL B.9); the last one when all are
    /// older (L 11), 0 for an empty queue.
    pub(crate) fn search_offset(&self, topic: &str, queue_id: i32, timestamp: i64) -> i64 {
        let Some(queue) = self.queue(topic, queue_id) else {
            return 0;
        };
        let at = queue
            .entries
            .partition_point(|&place| self.log[place].store_timestamp < timestamp);
        (at as i64).min((queue.entries.len() as i64 - 1).max(0))
    }

    /// When the oldest message of a queue was stored; −1 when there is none.
    pub(crate) fn earliest_store_time(&self, topic: &str, queue_id: i32) -> i64 {
        let first = self.queue(topic, queue_id).and_then(|q| q.entries.first());
        first.map_or(-1, |&place| self.log[place].store_timestamp)
    }

    /// The message that starts exactly at this commit-log offset.
    pub(crate) fn at_offset(&self, offset: i64) -> Option<&Bytes> {
        let at = self.log.binary_search_by_key(&offset, |entry| entry.offset);
        Some(&self.log[at.ok()?].bytes)
    }

    /// Messages of a topic by unique key or key, stored within a span of time, newest first as Java finds them.
    pub(crate) fn by_key(
        &self,
        topic: &str,
        key: &str,
        begin: i64,
        end: i64,
    ) -> impl Iterator<Item = &Bytes> {
        let places = self.keys.get(topic).and_then(|keys| keys.get(key));
        places
            .map_or(&[][..], |places| &places[..])
            .iter()
            .rev()
            .map(|&place| &self.log[place])
            .filter(move |entry| (begin..=end).contains(&entry.store_timestamp))
            .map(|entry| &entry.bytes)
    }

    /// Time and commit-log offset of the last message stored.
    pub(crate) fn last_put(&self) -> (i64, i64) {
        self.last_put
    }

    /// Everything kept, in the order in which it was stored.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.log.iter().map(|entry| &entry.bytes)
    }
}

/// The value of a key, made when it is missing; the key is copied only then.
fn slot<'a, V: Default>(map: &'a mut HashMap<String, V>, key: &str) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key)
        .expect("it was inserted when it was missing")
}

fn encode(
    now: ServerNow,
    host: SocketAddr,
    put: Put,
    message: &NewMessage<'_>,
    len: usize,
) -> Result<Bytes, PutFailed> {
    let ipv6_bits = [(message.born_host, 0x10), (host, 0x20)]
        .into_iter()
        .filter(|(host, _)| host.is_ipv6())
        .fold(0, |bits, (_, bit)| bits | bit);
    let stored = StoredMessage {
        version: StoredVersion::V1,
        topic: message.topic.to_owned(),
        queue_id: message.queue_id,
        queue_offset: put.queue_offset,
        commit_log_offset: put.commit_log_offset,
        flag: message.flag,
        sys_flag: SysFlag(message.sys_flag | ipv6_bits),
        body_crc: body_crc(message.body),
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_timestamp: now.millis(),
        store_host: host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: message.prepared_offset,
        properties: Properties::from_wire(message.properties.to_owned()),
        body: Bytes::copy_from_slice(message.body),
    };
    let mut bytes = BytesMut::with_capacity(len);
    stored
        .encode(&mut bytes)
        .map_err(|error| PutFailed(format!("java.lang.RuntimeException: {error}, ...")))?;
    Ok(bytes.freeze())
}
