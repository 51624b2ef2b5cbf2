//! A request as it came in, and the log of those seen.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use rocketmq_proto::{CommandView, Frame, RemotingCommand, RequestCode, SerializeType};

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

/// The last requests that a server got, and how many of each code there ever were.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    limit: usize,
    seen: VecDeque<RequestSeen>,
    answers: VecDeque<RequestSeen>,
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
        let Ok(mut command) = RemotingCommand::from_frame(request.frame) else {
            return;
        };
        let body_len = command.body.len();
        // Emptied in a way that lets go of the connection's read buffer.
        command.body = Bytes::new();
        let log = if is_answer {
            &mut self.answers
        } else {
            &mut self.seen
        };
        if log.len() >= self.limit {
            log.pop_front();
        }
        log.push_back(RequestSeen {
            unix_ms: now.unix_ms,
            conn: request.conn,
            peer: request.peer,
            serialize_type: request.frame.serialize_type(),
            command,
            body_len,
        });
    }

    /// The requests still remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &RequestSeen> {
        self.seen.iter()
    }

    /// What clients answered to the requests that this server sent them, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = &RequestSeen> {
        self.answers.iter()
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
