//! Everything that crosses the border between the engine and the world (DESIGN 3).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{
    MAX_DECOMPRESSED_LEN, Message, MessageQueue, StoredMessage, SysFlag, TopicName, body_crc,
};

use crate::admin::{AdminAnswer, AdminRequest};
use crate::dial::{DialError, TlsFailure};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::event::Event;
use crate::hooks::HookCall;
use crate::prepare::Prepared;
use crate::receipt::SendReceipt;
use crate::seal::{Seal, SealError};
use crate::shutdown::ShutdownReport;
use crate::slab::id;

/// Both clocks, read by the caller at one moment. The engine reads no clock itself.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock: deadlines and latencies.
    pub mono: Instant,
    /// Milliseconds since the Unix epoch: born timestamps and unique ids. May jump either way.
    pub unix_ms: u64,
}

id! {
    /// One accepted operation: a send, a route question, a flush, a shutdown.
    pub OpId, "op"
}

id! {
    /// One producer of a client (PROTOCOL E.3).
    pub ProducerId, "producer"
}

id! {
    /// One TCP connection, from the command to dial it until its end.
    pub ConnId, "conn"
}

/// The number of a frame on its connection, from 1; 0 stands for "nothing yet".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FrameSeq(pub u64);

/// An address to connect to, as `host:port`, `[ipv6]:port` or `ipv6:port` (split at the last colon,
/// PROTOCOL E.7). Host names are resolved by the runtime, anew at each connect.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint(Arc<str>);

/// What an application wants done.
#[derive(Debug)]
pub enum Operation {
    /// Asks something that is not a send (PROTOCOL B.8 to B.14). [`Outcome::Admin`].
    Admin {
        /// What.
        request: Box<AdminRequest>,
        /// The budget of the call.
        timeout: Duration,
    },
    /// Tells a broker how a transaction ended; complete when the bytes were written.
    /// [`Outcome::Done`]. Made by [`Prepared::end_of`]. While a shutdown drains it is still taken.
    EndTransaction(Box<Prepared>),
    /// Waits until all that was submitted before has completed. Completes with [`Outcome::Done`].
    Flush,
    /// Sends without asking for an answer; complete when the bytes were written. [`Outcome::Done`].
    Oneway(Box<Prepared>),
    /// Asks for the queues a topic can be sent to. [`Outcome::Queues`].
    PublishQueues {
        /// The topic.
        topic: TopicName,
        /// The budget of the call.
        timeout: Duration,
    },
    /// Waits until a topic has a route and one of its brokers is connected. [`Outcome::Done`].
    Ready {
        /// The topic.
        topic: TopicName,
        /// The budget of the call.
        timeout: Duration,
    },
    /// Sends and waits for the broker's answer. [`Outcome::Sent`]. With a message that was
    /// [prepared as a request](Prepared::request) it waits for the reply as well:
    /// [`Outcome::Replied`].
    Send(Box<Prepared>),
    /// Stops admitting, drains for at most `grace`, says goodbye, closes. [`Outcome::Shutdown`].
    Shutdown {
        /// How long work that is under way may still take.
        grace: Duration,
    },
}

/// What the world tells the engine. None of it can fail: a peer's fault becomes an [`Output`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A dial succeeded.
    Connected(ConnId),
    /// A dial failed.
    ConnectFailed(ConnId, DialError),
    /// Frames up to this one were offered to the socket in a write that may be under way: they may
    /// be written although no [`Input::Flushed`] says so. Said before [`Input::Closed`].
    Offered(ConnId, FrameSeq),
    /// Bytes arrived; whole frames are split off the front, the rest is left for the next time.
    Received(ConnId, &'a mut BytesMut),
    /// This frame could not be [sealed](Frame::seal) and is not written. Those behind it are. Said
    /// before an [`Input::Flushed`] for any of these.
    Unsealed(ConnId, FrameSeq, SealError),
    /// The dial goes to this address: the [address map](crate::Config::address_map) says that the
    /// advertised one is reached there. Said before [`Input::Connected`] or [`Input::ConnectFailed`].
    Mapped(ConnId, Endpoint),
    /// All frames up to this one were handed to the socket whole.
    Flushed(ConnId, FrameSeq),
    /// The connection ended without our asking. Report [`Input::Flushed`] before it.
    Closed(ConnId, CloseCause),
    /// Time passed: what is overdue happens now, and never with another input. Harmless at any time;
    /// due when [`Engine::next_deadline`](crate::Engine::next_deadline) is reached. Report
    /// [`Input::Flushed`] for every connection before it: a request that is overdue and not known to
    /// be written counts as not sent.
    Tick,
}

/// What the engine tells the world. Exhaustive on purpose: a new command must break every driver at
/// compile time.
#[derive(Debug)]
pub enum Output {
    /// Run a question through the application's own code, outside any lock, and bring the result
    /// back with [`Engine::answer`](crate::Engine::answer).
    Ask {
        /// The operation that waits for it.
        op: OpId,
        /// The question.
        ask: Ask,
    },
    /// A broker asked what became of a half message: [`take`](crate::Engine::take_check) the question
    /// and run the listener beside everything else. Only when
    /// [somebody listens](crate::Engine::listen_for_checks).
    CheckBack,
    /// An operation that had to wait for a permit has got one (DESIGN 6, back-pressure).
    Admitted {
        /// The operation.
        op: OpId,
    },
    /// An operation is over. Exactly one for each accepted operation.
    Complete {
        /// The operation; the id is stale from now on.
        op: OpId,
        /// How it ended.
        outcome: Outcome,
        /// What was sent. It is handed out so that it is dropped where no lock is held: the drop
        /// of a body may run the application's code.
        spent: Option<Box<Prepared>>,
    },
    /// Dial. Answer with [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// The connection to be.
        conn: ConnId,
        /// Where to.
        to: Endpoint,
        /// Give up at this time.
        by: Instant,
        /// Whether it must not be encrypted, whatever the settings say: it speaks HTTP (PROTOCOL
        /// H.1).
        plain: bool,
    },
    /// Close a connection, or stop dialling it. No [`Input`] may name it afterwards (it is ignored).
    Disconnect {
        /// The connection.
        conn: ConnId,
        /// Why.
        why: CloseReason,
    },
    /// Something worth telling. May be dropped.
    Event(Event),
    /// Run the application's hooks, where no lock is held: [`HookCall::run`].
    Hook(HookCall),
    /// Write a frame, after all frames given for this connection before. [`Frame::seal`] it before,
    /// where no lock is held; that does nothing unless credentials or RPC hooks are set.
    Transmit {
        /// The connection.
        conn: ConnId,
        /// The frame.
        frame: Frame,
    },
}

/// A question for the application's own code.
#[derive(Debug)]
pub enum Ask {
    /// Which of these queues? Run the closure of the message's placement (PROTOCOL F.3).
    SelectQueue {
        /// The queues, in the order of PROTOCOL C.4.
        queues: Arc<[MessageQueue]>,
        /// The caller's message, whose [`Placement`](rocketmq_proto::Placement) holds the closure.
        message: Box<Message>,
    },
}

/// The application's answer to an [`Ask`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The index of the queue chosen, or `None` when the closure found none.
    Queue(Option<usize>),
    /// The closure panicked.
    Panicked,
}

/// One frame to write: the head as built for this attempt, the body as the caller gave it, uncopied.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its number on the connection.
    pub seq: FrameSeq,
    /// Length word and header.
    pub head: Bytes,
    /// The body; empty when there is none.
    pub body: Bytes,
    /// Whether [`Input::Flushed`] is wanted as soon as this frame is written (oneway).
    pub report: bool,
    /// What [`seal`](Self::seal) has to do, when it has.
    pub(crate) seal: Option<Arc<Seal>>,
}

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// The answer to an admin request.
    Admin(Box<AdminAnswer>),
    /// A flush, a oneway send, the end of a transaction, a check-back or [`Operation::Ready`] is done.
    Done,
    /// It failed.
    Failed(SendError),
    /// The queues a topic can be sent to, in the order of PROTOCOL C.4.
    Queues(Arc<[MessageQueue]>),
    /// A request got its reply. Read it with [`into_reply`](Self::into_reply): the body is as it
    /// came, compressed perhaps.
    Replied(Box<StoredMessage>),
    /// A broker confirmed the message.
    Sent(Box<SendReceipt>),
    /// The producer is closed.
    Shutdown(ShutdownReport),
}

/// Why a connection ended without our asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseCause {
    /// The peer closed it in order.
    PeerClosed,
    /// Reading or writing failed.
    Failed(io::ErrorKind),
    /// The task or thread that served it was dropped.
    Abandoned,
    /// Its encryption was broken off.
    Tls(TlsFailure),
}

/// Why we close a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// The one question of this connection is answered (discovery, PROTOCOL H.2).
    Answered,
    /// The dial took longer than allowed.
    DialTimeout,
    /// The server asked us to go away, and nothing waits on this connection any more (PROTOCOL E.13).
    GoneAway,
    /// What arrived is no frame of this protocol or, where name servers were asked for, no list of
    /// them.
    Garbage,
    /// The list of name servers was replaced, and this one is not in it (PROTOCOL E.6, I 16).
    NotListed,
    /// No answer, and nothing else arrived, since a request that timed out (DESIGN 6, timeout policy).
    Silent,
    /// A request timed out, and the configuration says that this closes the connection. So does asking
    /// for name servers that takes too long.
    Timeout,
    /// No route names this address any more (PROTOCOL C.6).
    Unused,
    /// The producer shuts down.
    Shutdown,
}

impl Operation {
    /// Whether it takes no permit and counts against [`MAX_QUESTIONS`](crate::MAX_QUESTIONS).
    pub(crate) fn is_question(&self) -> bool {
        matches!(
            self,
            Self::Admin { .. } | Self::PublishQueues { .. } | Self::Ready { .. }
        )
    }
}

impl Outcome {
    /// The outcome of a flush, a oneway send or [`Operation::Ready`].
    ///
    /// # Errors
    /// What the operation failed with.
    pub fn into_done(self) -> Result<(), SendError> {
        match self {
            Self::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The outcome of a send.
    ///
    /// # Errors
    /// What the send failed with.
    pub fn into_receipt(self) -> Result<SendReceipt, SendError> {
        match self {
            Self::Sent(receipt) => Ok(*receipt),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The outcome of [`Operation::PublishQueues`].
    ///
    /// # Errors
    /// What the question failed with.
    pub fn into_queues(self) -> Result<Arc<[MessageQueue]>, SendError> {
        match self {
            Self::Queues(queues) => Ok(queues),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::NotSent)),
        }
    }

    /// The outcome of [`Operation::Admin`].
    ///
    /// # Errors
    /// What the request failed with.
    pub fn into_answer(self) -> Result<AdminAnswer, SendError> {
        match self {
            Self::Admin(answer) => Ok(*answer),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The outcome of a request: the reply as its sender made it. Inflates the body, so call it where
    /// that may take its time.
    ///
    /// # Errors
    /// What the request failed with, or that the reply's body cannot be inflated to at most 64 MiB.
    pub fn into_reply(self) -> Result<StoredMessage, SendError> {
        match self {
            Self::Failed(error) => Err(error),
            Self::Replied(reply) => inflated(*reply),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The same, read as what was asked for: by [`Question::read`](crate::Question::read).
    ///
    /// # Errors
    /// What the request failed with.
    pub fn into_answer_of<T>(self, read: fn(AdminAnswer) -> Option<T>) -> Result<T, SendError> {
        read(self.into_answer()?).ok_or_else(|| SendError::closed(Certainty::Unknown))
    }

    /// The outcome of a shutdown.
    pub fn into_report(self) -> ShutdownReport {
        match self {
            Self::Shutdown(report) => report,
            _ => ShutdownReport::default(),
        }
    }
}

fn inflated(mut reply: StoredMessage) -> Result<StoredMessage, SendError> {
    let body = reply.decompressed_body(MAX_DECOMPRESSED_LEN);
    reply.body = body.map_err(|error| {
        let text = format!("a reply came, but its body cannot be read: {error}");
        SendError::new(SendErrorKind::NoReply, Certainty::Stored, text)
    })?;
    reply.sys_flag = reply.sys_flag.without(SysFlag::COMPRESSED);
    reply.body_crc = body_crc(&reply.body);
    Ok(reply)
}

impl Endpoint {
    /// Checks the form `host:port` and keeps it.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] when there is no host, no port, or a port outside 1 - 65535.
    pub fn new(address: impl AsRef<str>) -> Result<Self, InvalidEndpoint> {
        let address = address.as_ref().trim();
        let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !valid {
            return Err(InvalidEndpoint(address.to_owned()));
        }
        Ok(Self(address.into()))
    }

    /// For hosts and ports that are known to be sound.
    pub(crate) fn from_parts(host: &str, port: u16) -> Self {
        match host.contains(':') {
            true => Self(format!("[{host}]:{port}").into()),
            false => Self(format!("{host}:{port}").into()),
        }
    }

    /// An address whose parts are known to be sound.
    pub(crate) fn of(address: std::net::SocketAddr) -> Self {
        Self(address.to_string().into())
    }

    /// Two ports below: the port that brokers keep for sends and admin calls (PROTOCOL C.6). `None`
    /// for ports up to 2, below which there is none.
    pub(crate) fn vip(&self) -> Option<Self> {
        let port = self.port().checked_sub(2).filter(|port| *port > 0)?;
        let (host, _) = self.0.rsplit_once(':')?;
        Some(Self(format!("{host}:{port}").into()))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without the brackets of an IPv6 literal.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that is not `host:port`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not an address: write host:port with a port from 1 to 65535, like 10.0.0.1:9876")]
pub struct InvalidEndpoint(pub String);

impl Frame {
    /// All of its bytes on the wire.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether there is nothing to write; never so for a frame that the engine made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Failed(kind) => write!(f, "the connection failed: {kind}"),
            Self::Abandoned => f.write_str("the task that served the connection was dropped"),
            Self::Tls(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "its question is answered",
            Self::DialTimeout => "connecting took too long",
            Self::GoneAway => "the server asked us to go away",
            Self::Garbage => {
                "the peer sent bytes that are no RocketMQ frame, nor what was asked for"
            }
            Self::NotListed => "it is no longer in the list of name servers",
            Self::Silent => "nothing arrived since a request that timed out",
            Self::Timeout => "a request timed out",
            Self::Unused => "no route names this address any more",
            Self::Shutdown => "the producer shuts down",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_splits_at_the_last_colon() {
        let row = |text: &str| {
            let endpoint = Endpoint::new(text).unwrap();
            (endpoint.host().to_owned(), endpoint.port())
        };
        assert_eq!(row("10.0.0.1:9876"), ("10.0.0.1".into(), 9876));
        assert_eq!(row("mq.example:80"), ("mq.example".into(), 80));
        assert_eq!(row("[::1]:10911"), ("::1".into(), 10911));
        assert_eq!(row("::1:10911"), ("::1".into(), 10911));
    }

    #[test]
    fn the_vip_port_is_two_below_and_never_less_than_one() {
        let vip = |text: &str| Endpoint::new(text).unwrap().vip();
        let row = |text: &str| Some(Endpoint::new(text).unwrap());
        assert_eq!(vip("b.example:10911"), row("b.example:10909"));
        assert_eq!(vip("[::1]:10911"), row("[::1]:10909"));
        assert_eq!(vip("::1:10911"), row("::1:10909"));
        assert_eq!(vip("b:3"), row("b:1"));
        assert_eq!(vip("b:2"), None);
        assert_eq!(vip("b:1"), None);
    }

    #[test]
    fn an_address_without_host_or_port_is_refused_by_name() {
        for text in ["", "host", ":1", "host:", "host:0", "host:65536", "a b:1"] {
            let error = Endpoint::new(text).unwrap_err();
            assert_eq!(error.0, text);
        }
    }
}
