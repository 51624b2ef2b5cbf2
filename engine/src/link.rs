//! The life of connections: dial, connect, back off, write (DESIGN 6; PROTOCOL E.7). Their end is in
//! `hang_up`.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rocketmq_proto::FrameDecoder;

use crate::dial::DialError;
use crate::engine::{Engine, Timer, later};
use crate::error::AttemptFailure;
use crate::event::Event;
use crate::io::{CloseReason, ConnId, Endpoint, FrameSeq, Now, OpId, Outcome, Output};
use crate::op::{Kind, Op, State};
use crate::peer::{Conn, Link, PeerId, Waiting, back_off};

/// How often a connection with stuck frames is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Engine {
    /// The connection to a peer, if it stands; otherwise sees to it that it is dialled, now or when
    /// its pause is over. Whoever wants it then waits with [`wait_for`](Self::wait_for).
    pub(crate) fn reach(&mut self, now: Now, id: PeerId) -> Option<ConnId> {
        let peer = self.peers.peers.get(id)?;
        match peer.link {
            Link::Ready(conn) => return Some(conn),
            Link::BackOff { until } if now.mono < until => self.arm_peer(id, Some(until)),
            Link::BackOff { .. } | Link::Idle => self.dial(now, id),
            Link::Dialling(_) => {}
        }
        None
    }

    /// Gets in line for a peer's connection.
    pub(crate) fn wait_for(&mut self, id: PeerId, who: Waiting) {
        let live = self.ops.len() + self.routes.lookups.len();
        let (ops, lookups) = (&self.ops, &self.routes.lookups);
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        // Those who gave up leave their place behind; swept before the line is mostly that.
        if peer.waiting.len() > 2 * live + 64 {
            peer.waiting.retain(|waiting| match *waiting {
                Waiting::Discovery => true,
                Waiting::Lookup(lookup) => lookups.get(lookup).is_some(),
                Waiting::Op(op) => ops.get(op).is_some(),
            });
        }
        peer.waiting.push_back(who);
    }

    fn dial(&mut self, now: Now, id: PeerId) {
        let by = later(now.mono, self.config.connect_timeout);
        let decoder = FrameDecoder::new(self.config.frame_limits);
        let mut conn = Conn::new(id, decoder, now.mono);
        conn.seal = self.seal_for(id);
        let conn = self.peers.conns.insert(conn);
        self.arm_peer(id, Some(by));
        let plain = self.is_discovery_peer(id);
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        peer.link = Link::Dialling(conn);
        peer.mapped = None;
        self.outputs.push_back(Output::Connect {
            conn,
            to: peer.address.clone(),
            by,
            plain,
        });
    }

    /// The driver dials another address than the advertised one.
    pub(crate) fn mapped(&mut self, conn: ConnId, to: Endpoint) {
        let peer = self.peers.conns.get(conn).map(|link| link.peer);
        if let Some(peer) = peer.and_then(|peer| self.peers.peers.get_mut(peer)) {
            if peer.link == Link::Dialling(conn) {
                peer.mapped = Some(to);
            }
        }
    }

    pub(crate) fn connected(&mut self, now: Now, conn: ConnId) {
        let Some(link) = self.peers.conns.get_mut(conn) else {
            return;
        };
        link.received_at = now.mono;
        let id = link.peer;
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        if peer.link != Link::Dialling(conn) {
            return;
        }
        peer.link = Link::Ready(conn);
        let is_broker = peer.is_broker;
        let waiting = std::mem::take(&mut peer.waiting);
        let event = Event::Connected {
            address: peer.address.clone(),
            mapped: peer.mapped.clone(),
        };
        self.outputs.push_back(Output::Event(event));
        self.arm_peer(id, None);
        if is_broker {
            // At once, or the broker could not call back (PROTOCOL E.3, I 19).
            self.send_heartbeat(now, conn);
        }
        for who in waiting {
            match who {
                Waiting::Discovery => self.ask_discovery(now, conn),
                Waiting::Lookup(lookup) => self.ask_route(now, lookup, conn),
                Waiting::Op(op) => self.reached(now, op, id, conn),
            }
        }
    }

    /// An operation's peer is connected.
    fn reached(&mut self, now: Now, op: OpId, peer: PeerId, conn: ConnId) {
        match self.ops.get(op).map(|op| &op.kind) {
            Some(Kind::Send(send)) if send.state == State::Connecting(peer) => {
                self.transmit_send(now, op, conn);
            }
            Some(Kind::Topic(_)) => self.finish(now, op, Outcome::Done),
            Some(Kind::Admin(_)) => self.admin_reached(now, op, peer, conn),
            _ => {}
        }
    }

    pub(crate) fn connect_failed(&mut self, now: Now, conn: ConnId, error: DialError) {
        let Some(link) = self.peers.conns.get(conn) else {
            return;
        };
        let id = link.peer;
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        if peer.link != Link::Dialling(conn) {
            return;
        }
        peer.last_error = Some(error);
        let waiting = std::mem::take(&mut peer.waiting);
        let event = Event::ConnectFailed {
            address: peer.address.clone(),
            mapped: peer.mapped.clone(),
            error,
        };
        self.outputs.push_back(Output::Event(event));
        self.peers.conns.remove(conn);
        self.pause_dialling(now, id);
        self.fail_waiting(now, id, waiting, error);
    }

    pub(crate) fn fail_waiting(
        &mut self,
        now: Now,
        id: PeerId,
        waiting: VecDeque<Waiting>,
        error: DialError,
    ) {
        let Some(address) = self.peers.peers.get(id).map(|peer| peer.address.clone()) else {
            return;
        };
        for who in waiting {
            match who {
                Waiting::Discovery => {
                    let error = format!("connecting failed: {error}");
                    self.discovery_failed(now, CloseReason::Unused, error);
                }
                Waiting::Lookup(lookup) => {
                    let to = self.peers.mapped(&address);
                    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
                    let why = format!("connecting{to} failed: {error}");
                    self.lookup_failed(now, lookup, &address, why);
                }
                Waiting::Op(op) => match self.ops.get(op).map(|op| &op.kind) {
                    Some(Kind::Send(send)) if send.state == State::Connecting(id) => {
                        self.attempt_failed(now, op, AttemptFailure::Connect(error));
                    }
                    Some(Kind::Topic(_)) => self.topic_unreachable(now, op, &address, error),
                    Some(Kind::Admin(_)) => self.admin_unreachable(now, op, id, error),
                    _ => {}
                },
            }
        }
    }

    /// After a failure: a pause, then another dial if anybody wants one, or if it is a broker whose
    /// return we would like to notice.
    pub(crate) fn pause_dialling(&mut self, now: Now, id: PeerId) {
        let (min, max) = (self.config.reconnect_min, self.config.reconnect_max);
        let closing = self.is_closing();
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        peer.failures = peer.failures.saturating_add(1);
        let until = later(now.mono, back_off(peer.failures, min, max));
        peer.link = Link::BackOff { until };
        let wanted = !peer.waiting.is_empty() || (peer.is_broker && !closing);
        self.arm_peer(id, wanted.then_some(until));
    }

    pub(crate) fn peer_due(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        peer.timer = None;
        match peer.link {
            Link::BackOff { .. } => self.dial(now, id),
            Link::Dialling(conn) => {
                self.outputs.push_back(Output::Disconnect {
                    conn,
                    why: CloseReason::DialTimeout,
                });
                self.connect_failed(now, conn, ErrorKind::TimedOut.into());
            }
            Link::Ready(conn) => {
                if self
                    .peers
                    .conns
                    .get(conn)
                    .is_some_and(|link| !link.stuck.is_empty())
                {
                    self.look_after(now, id);
                }
            }
            Link::Idle => {}
        }
    }

    /// Wakes the driver before long, which then reports what it has written: permits are held for
    /// frames that are stuck.
    pub(crate) fn look_after(&mut self, now: Now, id: PeerId) {
        if matches!(
            self.peers.peers.get(id).map(|peer| peer.link),
            Some(Link::Ready(_))
        ) {
            self.arm_peer(id, Some(later(now.mono, LOOK_AGAIN)));
        }
    }

    /// Frames may be written: see [`Input::Offered`](crate::Input::Offered).
    pub(crate) fn offered(&mut self, conn: ConnId, upto: FrameSeq) {
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.offered = link.offered.max(upto.min(link.sent));
        }
    }

    /// Frames were written: oneway sends among them are done.
    pub(crate) fn flushed(&mut self, now: Now, conn: ConnId, upto: FrameSeq) {
        let Some(link) = self.peers.conns.get_mut(conn) else {
            return;
        };
        link.flushed = link.flushed.max(upto.min(link.sent));
        let upto = link.flushed;
        let mut written = Vec::new();
        while let Some(&(seq, weight, oneway)) = link.stuck.front() {
            if seq > upto {
                break;
            }
            link.stuck.pop_front();
            written.push((weight, oneway));
        }
        while link.answers.front().is_some_and(|seq| *seq <= upto) {
            link.answers.pop_front();
        }
        let mut done = Vec::new();
        while let Some(&(seq, op)) = link.unwritten.front() {
            if seq > upto {
                break;
            }
            link.unwritten.pop_front();
            done.push((seq, op));
        }
        for (weight, oneway) in written {
            self.pool(oneway).give_back(weight);
        }
        for (seq, op) in done {
            if self.ops.get(op).and_then(Op::state) == Some(State::Writing { conn, seq }) {
                self.finish(now, op, Outcome::Done);
            }
        }
        self.close_if_left(now, conn);
    }

    pub(crate) fn arm_peer(&mut self, id: PeerId, at: Option<Instant>) {
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        if peer.timer == at {
            return;
        }
        if std::mem::replace(&mut peer.timer, at).is_some() {
            self.deadlines.cancel();
        }
        if let Some(at) = at {
            self.deadlines.set(at, Timer::Peer(id));
        }
    }
}
