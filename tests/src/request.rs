//! A request as it came in, and the log of those seen.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_proto::{
    CommandView, Frame, FrameDecoder, RemotingCommand, RequestCode, SerializeType,
};

use crate::{PeerId, ServerNow};

/// A decoded frame and where it came from.
pub(crate) struct Request<'a> {
    pub(crate) view: CommandView<'a>,
    pub(crate) frame: &'a Frame,
    pub(crate) conn: PeerId,
    pub(crate) peer: SocketAddr,
}

impl Request<'_> {
    pub(crate) fn code(&self) -> RequestCode {
        RequestCode(self.view.code)
    }

    pub(crate) fn is_oneway(&self) -> bool {
        self.view.flags.is_oneway()
    }
}

/// The topic that a request names: `b` in the short send header, `topic` elsewhere (PROTOCOL B.2).
pub(crate) fn topic_of<'a>(request: &CommandView<'a>) -> Option<Cow<'a, str>> {
    let short = [
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::SEND_BATCH_MESSAGE,
        RequestCode::SEND_REPLY_MESSAGE_V2,
    ];
    if short.contains(&RequestCode(request.code)) {
        request.ext.get("b")
    } else {
        request.ext.get("topic")
    }
}

/// One frame that a server got: a request, or the answer to a request of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestSeen {
    /// The server's clock when it was handled, ms since the Unix epoch.
    pub unix_ms: u64,
    /// The connection it came in on.
    pub conn: PeerId,
    /// The other end of that connection.
    pub peer: SocketAddr,
    /// How its header was written.
    pub serialize_type: SerializeType,
    /// The whole header; the body is left out.
    pub command: RemotingCommand,
    /// Bytes of the body.
    pub body_len: usize,
}

impl RequestSeen {
    /// The request code.
    pub fn code(&self) -> RequestCode {
        RequestCode(self.command.code)
    }

    /// A field of the header, by its name on the wire.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.command
            .ext_fields
            .as_ref()?
            .get(name)
            .map(String::as_str)
    }
}

/// What is kept of a frame: decoded only when somebody asks.
#[derive(Clone, Debug)]
struct Seen {
    unix_ms: u64,
    conn: PeerId,
    peer: SocketAddr,
    /// The frame as if it had no body.
    head: Bytes,
    body_len: usize,
}

impl Seen {
    /// What was decoded once decodes again.
    fn decode(&self) -> Option<RequestSeen> {
        let mut bytes = BytesMut::from(&self.head[..]);
        let frame = FrameDecoder::default().next_frame(&mut bytes).ok()??;
        Some(RequestSeen {
            unix_ms: self.unix_ms,
            conn: self.conn,
            peer: self.peer,
            serialize_type: frame.serialize_type(),
            command: RemotingCommand::from_frame(&frame).ok()?,
            body_len: self.body_len,
        })
    }
}

/// The frame without its body: copied, so that nothing holds on to the connection's read buffer.
fn head_of(frame: &Frame) -> Bytes {
    let header = frame.header();
    let mut head = BytesMut::with_capacity(8 + header.len());
    // A header is shorter than 2^24 bytes (PROTOCOL A.1).
    head.put_u32(header.len() as u32 + 4);
    head.put_u32(header.len() as u32 | u32::from(frame.serialize_type() as u8) << 24);
    head.put_slice(header);
    head.freeze()
}

/// The last requests that a server got, and how many of each code there ever were.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    limit: usize,
    seen: VecDeque<Seen>,
    answers: VecDeque<Seen>,
    counts: BTreeMap<i32, u64>,
}

impl RequestLog {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(crate) fn record(&mut self, now: ServerNow, request: &Request<'_>) {
        let is_answer = request.view.flags.is_response();
        if !is_answer {
            *self.counts.entry(request.view.code).or_default() += 1;
        }
        if self.limit == 0 {
            return;
        }
        let log = if is_answer {
            &mut self.answers
        } else {
            &mut self.seen
        };
        if log.len() >= self.limit {
            log.pop_front();
        }
        log.push_back(Seen {
            unix_ms: now.unix_ms,
            conn: request.conn,
            peer: request.peer,
            head: head_of(request.frame),
            body_len: request.frame.body().len(),
        });
    }

    /// The requests still remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = RequestSeen> {
        self.seen.iter().filter_map(Seen::decode)
    }

    /// What clients answered to the requests that this server sent them, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = RequestSeen> {
        self.answers.iter().filter_map(Seen::decode)
    }

    /// How many requests with this code came in, also those that are not remembered.
    pub fn count(&self, code: RequestCode) -> u64 {
        self.counts.get(&code.0).copied().unwrap_or(0)
    }

    /// How many requests of any kind came in.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Forgets everything seen.
    pub fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}
