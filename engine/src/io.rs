//! Everything that crosses the border between the engine and the world (DESIGN 3).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{Message, MessageQueue, TopicName};

use crate::admin::AdminRequest;
use crate::dial::{DialError, TlsFailure};
pub use crate::endpoint::{Endpoint, InvalidEndpoint};
use crate::event::Event;
use crate::hooks::HookCall;
pub use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::seal::{Seal, SealError};
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
