//! The state of one accepted operation.

use std::sync::Arc;
use std::time::Instant;

use rocketmq_proto::TopicName;

use crate::admin::AdminOp;
use crate::check_back::CheckOp;
use crate::earlier::Earlier;
use crate::error::AttemptReport;
use crate::io::{ConnId, Endpoint, FrameSeq, OpId, ProducerId};
use crate::peer::PeerId;
use crate::prepare::Prepared;
use crate::publish::Broker;
use crate::receipt::SendReceipt;
use crate::route::TopicId;
use crate::trace;

/// An accepted operation, until it completes.
#[derive(Debug)]
pub(crate) struct Op {
    /// Whose it is.
    pub(crate) producer: ProducerId,
    /// When it was submitted.
    pub(crate) since: Instant,
    /// The end of its budget; `None` for a flush, which ends when the sends before it have.
    pub(crate) deadline: Option<Instant>,
    /// The deadline that is armed for it now.
    pub(crate) timer: Option<Instant>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Admin(Box<AdminOp>),
    /// A broker's question that a listener works on.
    Check(Box<CheckOp>),
    Flush,
    Send(Send),
    Shutdown,
    Topic(TopicOp),
}

/// A question about a topic.
#[derive(Debug)]
pub(crate) struct TopicOp {
    pub(crate) topic: TopicName,
    pub(crate) want: Want,
    /// Brokers that are being dialled for it.
    pub(crate) dialling: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Want {
    /// A broker of the topic that is connected.
    Connected,
    /// Its queues.
    Queues,
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) prepared: Box<Prepared>,
    pub(crate) oneway: bool,
    pub(crate) state: State,
    /// The flush generation it belongs to.
    pub(crate) epoch: u64,
    /// Tries begun.
    pub(crate) tries: u32,
    /// The try that is under way, or was last.
    pub(crate) attempt: Option<Attempt>,
    /// Whether GO_AWAY was answered once already in this try (E.13).
    pub(crate) gone_away: bool,
    /// Whether a broker said once already that the queue is held by another (C.7).
    pub(crate) moved: bool,
    /// What its tries and questions left behind; most sends have none of it.
    past: Option<Box<Past>>,
    /// What it is for, when it is a send of the engine's own making: it has no caller, holds no
    /// permit and belongs to no flush.
    pub(crate) carrier: Option<Box<Carrier>>,
}

/// What is remembered of a send that does not get through at once.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The queue that its closure, or chance, chose: asked once, used for all tries (PROTOCOL F.3).
    pub(crate) chosen: Option<usize>,
    pub(crate) failures: Vec<AttemptReport>,
    /// Tries that were given up and may yet be answered.
    pub(crate) earlier: Vec<Earlier>,
    /// A success that asked for another broker, returned if nothing better comes (E.10).
    pub(crate) fallback: Option<Fallback>,
}

/// What a send of the engine's own making carries.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// Sends that were gathered (D.8).
    Batch(Vec<OpId>),
    /// So many records of the trace (G.4).
    Trace(trace::Load),
}

/// One try.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) broker: Arc<Broker>,
    /// Whether it goes to the broker's VIP port.
    pub(crate) vip: bool,
    pub(crate) queue_id: i32,
    pub(crate) began: Instant,
}

impl Attempt {
    pub(crate) fn address(&self) -> Option<&Endpoint> {
        self.broker.send_address(self.vip)
    }
}

/// A success that may yet be bettered, and the try that it came from.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) attempt: Attempt,
    pub(crate) receipt: Box<SendReceipt>,
}

/// What a message waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// The application's choice of a queue.
    Asking,
    /// The reply to a request that a broker confirmed.
    AwaitingReply,
    /// The end of the batch that carries it.
    Batched(OpId),
    /// A connection to its broker.
    Connecting(PeerId),
    /// Others to share a frame with.
    Gathered,
    /// The broker's answer; `since` is when the request was given out, or when the broker was last
    /// seen to be busy with earlier ones.
    InFlight {
        conn: ConnId,
        opaque: i32,
        seq: FrameSeq,
        since: Instant,
    },
    /// The end of a pause before the next try.
    Pausing,
    /// A permit.
    Permit,
    /// The topic's route.
    Route(TopicId),
    /// Nothing: between two of the above within one call.
    Running,
    /// The broker's version, since the message has a timer (PROTOCOL D.2).
    Versioning { conn: ConnId },
    /// The socket to take its bytes (oneway).
    Writing { conn: ConnId, seq: FrameSeq },
}

impl Op {
    pub(crate) fn as_send(&self) -> Option<&Send> {
        match &self.kind {
            Kind::Send(send) => Some(send),
            _ => None,
        }
    }

    pub(crate) fn as_send_mut(&mut self) -> Option<&mut Send> {
        match &mut self.kind {
            Kind::Send(send) => Some(send),
            _ => None,
        }
    }

    /// Whether nobody accepted it: the answer to a check-back, of which the engine tells nobody when
    /// it is over.
    pub(crate) fn is_own(&self) -> bool {
        let send = self.as_send();
        send.is_some_and(|send| send.prepared.asked_on().is_some())
    }

    /// Whether it is an application's send, and not one of the engine's own making.
    pub(crate) fn is_callers_send(&self) -> bool {
        self.as_send().is_some_and(|send| send.carrier.is_none())
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.as_send().map(|send| send.state)
    }
}

impl Send {
    pub(crate) fn new(prepared: Box<Prepared>, oneway: bool, epoch: u64) -> Self {
        Self {
            prepared,
            oneway,
            state: State::Running,
            epoch,
            tries: 0,
            attempt: None,
            gone_away: false,
            moved: false,
            past: None,
            carrier: None,
        }
    }

    /// Its past, to remember more.
    pub(crate) fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    pub(crate) fn take_failures(&mut self) -> Vec<AttemptReport> {
        let past = self.past.as_mut();
        past.map_or_else(Vec::new, |past| std::mem::take(&mut past.failures))
    }

    pub(crate) fn take_fallback(&mut self) -> Option<Fallback> {
        self.past.as_mut()?.fallback.take()
    }

    pub(crate) fn chosen(&self) -> Option<usize> {
        self.past.as_ref()?.chosen
    }

    pub(crate) fn failures(&self) -> &[AttemptReport] {
        self.past.as_ref().map_or(&[], |past| &past.failures)
    }

    pub(crate) fn earlier(&self) -> &[Earlier] {
        self.past.as_ref().map_or(&[], |past| &past.earlier)
    }
}
