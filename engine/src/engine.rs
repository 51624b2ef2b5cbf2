//! The engine: its state, and who handles what. The handling itself is in the modules named here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::admin::MAX_QUESTIONS;
use crate::brokers::Brokers;
use crate::config::{Config, ConfigError};
use crate::deadline::Deadlines;
use crate::discover::Discoverer;
use crate::error::SendError;
use crate::gather::Gathering;
use crate::io::{Answer, ConnId, Input, Now, OpId, Operation, Output, ProducerId};
use crate::member::{Member, Members};
use crate::naming::{Extra, extra_fields};
use crate::op::{Op, State, Want};
use crate::peer::{PeerId, Peers};
use crate::pending::Pending;
use crate::permits::Permits;
use crate::prepare::Prepared;
use crate::request::Requests;
use crate::rng::Rng;
use crate::route::{LookupId, Routes};
use crate::slab::Slab;
use crate::stats::{BrokerStats, Stats};

/// A producer's state and decisions, without I/O, clock, lock or thread (DESIGN 3).
///
/// See the [crate documentation](crate) for the loop that drives it.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: Arc<Config>,
    pub(crate) rng: Rng,
    pub(crate) ops: Slab<OpId, Op>,
    pub(crate) peers: Peers,
    pub(crate) brokers: Brokers,
    pub(crate) routes: Routes,
    pub(crate) pending: Pending,
    pub(crate) requests: Requests,
    pub(crate) deadlines: Deadlines<Timer>,
    pub(crate) permits: Permits,
    pub(crate) oneway_permits: Permits,
    pub(crate) gathering: Gathering,
    pub(crate) members: Members,
    pub(crate) discovery: Option<Box<Discoverer>>,
    /// Live questions: admin requests, and those about topics.
    pub(crate) questions: usize,
    /// When every known route is asked for again; `None` before the first operation.
    pub(crate) poll_at: Option<Instant>,
    /// When every broker gets a heartbeat; `None` before the first operation.
    pub(crate) heartbeat_at: Option<Instant>,
    pub(crate) heartbeat_body: Bytes,
    /// What every request carries (PROTOCOL B.0).
    pub(crate) extra: Extra,
    /// Where the heads of frames are written; each is split off without copying.
    pub(crate) heads: BytesMut,
    pub(crate) stats: Stats,
    pub(crate) outputs: VecDeque<Output>,
}

/// Who a deadline belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    Discovery,
    Health,
    Heartbeat,
    Lookup(LookupId),
    Op(OpId),
    Peer(PeerId),
    Poll,
    Trace(ProducerId),
}

/// An operation that was accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Its id, good until its [`Output::Complete`].
    pub op: OpId,
    /// Whether it has its permit already; otherwise [`Output::Admitted`] tells.
    pub admitted: bool,
}

/// An operation that was not accepted, given back whole.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// What was submitted.
    pub operation: Operation,
    /// Why not.
    pub error: SendError,
}

impl Engine {
    /// A client without producers: let one [join](Self::join). The settings are those of the client
    /// (addresses, connections, permits); each producer brings its own. The same seed and the same
    /// calls give the same outputs.
    ///
    /// # Errors
    /// [`ConfigError`] names a setting that is out of bounds.
    pub fn new(config: Arc<Config>, seed: u64) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut rng = Rng::new(seed);
        Ok(Self {
            ops: Slab::new(),
            discovery: Discoverer::new(&config),
            peers: Peers::new(),
            brokers: Brokers::new(),
            routes: Routes::new(config.name_servers.clone(), &mut rng),
            pending: Pending::default(),
            requests: Requests::default(),
            deadlines: Deadlines::new(),
            permits: Permits::new(config.max_in_flight, config.max_in_flight_bytes),
            oneway_permits: Permits::new(config.max_oneway, config.max_in_flight_bytes),
            gathering: Gathering::default(),
            members: Members::new(config.clone()),
            questions: 0,
            poll_at: None,
            heartbeat_at: None,
            heartbeat_body: Bytes::new(),
            extra: extra_fields(&config),
            heads: BytesMut::new(),
            stats: Stats::default(),
            outputs: VecDeque::new(),
            rng,
            config,
        })
    }

    /// Accepts an operation. A send that finds no permit gets in line; its budget runs from now.
    ///
    /// # Errors
    /// [`Rejected`] gives the operation back when the producer shuts down.
    pub fn submit(
        &mut self,
        now: Now,
        producer: ProducerId,
        operation: Operation,
    ) -> Result<Accepted, Rejected> {
        self.accept(now, producer, operation, true)
    }

    /// Accepts an operation, but no send that would have to wait for a permit.
    ///
    /// # Errors
    /// [`Rejected`] gives the operation back when the producer shuts down, or is full
    /// ([`SendErrorKind::Full`](crate::SendErrorKind::Full)).
    pub fn try_submit(
        &mut self,
        now: Now,
        producer: ProducerId,
        operation: Operation,
    ) -> Result<Accepted, Rejected> {
        self.accept(now, producer, operation, false)
    }

    /// Withdraws a send that still waits for its permit and gives it back: it is not sent, and
    /// there is no [`Output::Complete`] for it. `None` for an operation that was admitted: it goes
    /// on (DESIGN 6, cancellation).
    pub fn abandon(&mut self, now: Now, op: OpId) -> Option<Box<Prepared>> {
        let spent = self.withdraw(now, op);
        self.settle(now);
        spent
    }

    /// Brings back the application's answer to an [`Output::Ask`].
    pub fn answer(&mut self, now: Now, op: OpId, answer: Answer) {
        self.selected(now, op, answer);
        self.settle(now);
    }

    /// Takes in what happened. A peer's fault becomes an output, never an error.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Connected(conn) => self.connected(now, conn),
            Input::ConnectFailed(conn, kind) => self.connect_failed(now, conn, kind),
            Input::Mapped(conn, to) => self.mapped(conn, to),
            Input::Received(conn, buffer) => self.received(now, conn, buffer),
            Input::Flushed(conn, seq) => self.flushed(now, conn, seq),
            Input::Offered(conn, seq) => self.offered(conn, seq),
            Input::Unsealed(conn, seq, error) => self.unsealed(now, conn, seq, &error),
            Input::Closed(conn, cause) => self.closed(now, conn, cause),
            // Only here: a driver reports before a tick what it has written, and what is not
            // reported counts as not sent when a request is overdue (DESIGN 6, certainty).
            Input::Tick => self.expire(now),
        }
        self.settle(now);
    }

    /// Ends everything at once: each operation completes as closed, each connection is closed.
    /// For a driver whose runtime is going away.
    pub fn abort(&mut self, now: Now) {
        self.close_all(now);
        self.tidy();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due. Any call but `poll_output` may change it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether a connection is still the engine's; a driver closes those that are not.
    pub fn has_conn(&self, conn: ConnId) -> bool {
        self.peers.conns.get(conn).is_some()
    }

    /// Whether nothing that was submitted is under way.
    pub fn is_quiet(&self) -> bool {
        self.ops.len() == 0
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The numbers.
    pub fn stats(&self) -> Stats {
        Stats {
            in_flight: self.permits.count(),
            in_flight_bytes: self.permits.bytes() + self.oneway_permits.bytes(),
            oneway_in_flight: self.oneway_permits.count(),
            checks_waiting: self.members.iter().map(|(_, m)| m.check_backs.len()).sum(),
            connections: self.peers.conns.len(),
            topics: self.routes.topics.len(),
            ..self.stats
        }
    }

    /// The numbers of each broker of the routes in use, in the order of their names.
    pub fn broker_stats(&self) -> Vec<BrokerStats> {
        self.brokers.stats()
    }

    fn accept(
        &mut self,
        now: Now,
        producer: ProducerId,
        operation: Operation,
        may_wait: bool,
    ) -> Result<Accepted, Rejected> {
        if let Operation::Shutdown { grace } = operation {
            let op = self.begin_shutdown(now, producer, grace);
            self.settle(now);
            return Ok(Accepted { op, admitted: true });
        }
        let is_end = matches!(operation, Operation::EndTransaction(_));
        let member = self.members.get(producer);
        if member.is_none_or(|member| !member.takes(is_end)) {
            let error = SendError::closed(crate::Certainty::NotSent);
            return Err(Rejected { operation, error });
        }
        if operation.is_question() && self.questions >= MAX_QUESTIONS {
            let error = SendError::too_many_questions();
            return Err(Rejected { operation, error });
        }
        self.start_upkeep(now);
        let accepted = match operation {
            Operation::Admin { request, timeout } => {
                Ok(self.begin_admin(now, producer, *request, timeout))
            }
            Operation::EndTransaction(prepared) => self
                .begin_send(now, producer, prepared, true, may_wait)
                .map_err(Operation::EndTransaction),
            Operation::Flush => Ok(self.begin_flush(now, producer)),
            Operation::Oneway(prepared) => self
                .begin_send(now, producer, prepared, true, may_wait)
                .map_err(Operation::Oneway),
            Operation::PublishQueues { topic, timeout } => {
                Ok(self.begin_topic(now, producer, topic, timeout, Want::Queues))
            }
            Operation::Ready { topic, timeout } => {
                Ok(self.begin_topic(now, producer, topic, timeout, Want::Connected))
            }
            Operation::Send(prepared) => self
                .begin_send(now, producer, prepared, false, may_wait)
                .map_err(Operation::Send),
            Operation::Shutdown { .. } => unreachable!("handled above"),
        };
        self.settle(now);
        accepted.map_err(|operation| Rejected {
            operation,
            error: SendError::full(),
        })
    }

    /// Hands on permits that came free, sees whether a shutdown can go on, and puts the deadlines
    /// in order. Every call ends here, so nothing above needs to recurse.
    pub(crate) fn settle(&mut self, now: Now) {
        loop {
            while let Some(op) = self.hand_over_permit() {
                self.admitted(now, op);
            }
            if !self.close_batches_if_full(now) {
                break;
            }
        }
        self.shutdown_progress(now);
        if self.deadlines.is_untidy() {
            self.tidy();
        }
    }

    fn hand_over_permit(&mut self) -> Option<OpId> {
        let ops = &self.ops;
        let still_waits = |op| {
            ops.get(op)
                .is_some_and(|op: &Op| op.state() == Some(State::Permit))
        };
        self.permits
            .hand_over(still_waits)
            .or_else(|| self.oneway_permits.hand_over(still_waits))
    }

    /// Runs what is due. The clock decides, not the alarm that woke the driver (DESIGN 9, 1).
    fn expire(&mut self, now: Now) {
        loop {
            self.tidy();
            let Some((_, timer)) = self.deadlines.pop_due(now.mono) else {
                return;
            };
            match timer {
                Timer::Discovery => self.discovery_due(now),
                Timer::Health => self.health_due(now),
                Timer::Heartbeat => self.heartbeat_due(now),
                Timer::Lookup(lookup) => self.lookup_due(now, lookup),
                Timer::Op(op) => self.op_due(now, op),
                Timer::Peer(peer) => self.peer_due(now, peer),
                Timer::Poll => self.poll_due(now),
                Timer::Trace(producer) => self.trace_due(now, producer),
            }
        }
    }

    fn tidy(&mut self) {
        let (ops, peers, routes) = (&self.ops, &self.peers.peers, &self.routes.lookups);
        let (poll_at, heartbeat_at) = (self.poll_at, self.heartbeat_at);
        let health_at = self.brokers.timer;
        let discovery = self.discovery.as_ref().and_then(|d| d.timer);
        let members = &self.members;
        self.deadlines.tidy(|at, timer| {
            let armed = match timer {
                Timer::Discovery => discovery,
                Timer::Health => health_at,
                Timer::Heartbeat => heartbeat_at,
                Timer::Lookup(lookup) => routes.get(lookup).and_then(|lookup| lookup.timer),
                Timer::Op(op) => ops.get(op).and_then(|op| op.timer),
                Timer::Peer(peer) => peers.get(peer).and_then(|peer| peer.timer),
                Timer::Poll => poll_at,
                Timer::Trace(producer) => members.get(producer).and_then(Member::trace_due),
            };
            armed == Some(at)
        });
    }

    /// Arms the one deadline of an operation.
    pub(crate) fn arm_op(&mut self, id: OpId, at: Instant) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        if op.timer == Some(at) {
            return;
        }
        if op.timer.replace(at).is_some() {
            self.deadlines.cancel();
        }
        self.deadlines.set(at, Timer::Op(id));
    }

    /// Takes back the deadline of an operation that something else looks after.
    pub(crate) fn disarm_op(&mut self, id: OpId) {
        let timer = self.ops.get_mut(id).and_then(|op| op.timer.take());
        if timer.is_some() {
            self.deadlines.cancel();
        }
    }
}

/// A moment later; far ahead when the sum is more than the clock can say.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    from.checked_add(by).unwrap_or(from + FAR)
}
