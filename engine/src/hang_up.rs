//! The end of connections: closed by the peer, by us, or left since the server wants us elsewhere
//! (DESIGN 6; PROTOCOL E.8, E.13).

use std::collections::VecDeque;
use std::io::ErrorKind;

use crate::engine::Engine;
use crate::error::AttemptFailure;
use crate::event::{DisconnectReason, Event};
use crate::io::{CloseCause, CloseReason, ConnId, FrameSeq, Now, Output};
use crate::op::{Op, State};
use crate::peer::{Link, PeerId};
use crate::pending::Waiter;

impl Engine {
    pub(crate) fn closed(&mut self, now: Now, conn: ConnId, cause: CloseCause) {
        self.lost(now, conn, DisconnectReason::Theirs(cause));
    }

    pub(crate) fn disconnect(&mut self, now: Now, conn: ConnId, why: CloseReason) {
        if self.peers.conns.get(conn).is_none() {
            return;
        }
        self.outputs.push_back(Output::Disconnect { conn, why });
        self.lost(now, conn, DisconnectReason::Ours(why));
    }

    /// A connection is over: whoever waited for something on it fails at once (PROTOCOL E.8).
    fn lost(&mut self, now: Now, conn: ConnId, reason: DisconnectReason) {
        let Some(link) = self.peers.conns.remove(conn) else {
            return;
        };
        let id = link.peer;
        let requests = self.pending.take_all(conn);
        for (_, weight, oneway) in link.stuck {
            self.pool(oneway).give_back(weight);
        }
        let mut waiting = VecDeque::new();
        let mut address = None;
        if let Some(peer) = self.peers.peers.get_mut(id) {
            address = Some(peer.address.clone());
            let event = Event::Disconnected {
                address: peer.address.clone(),
                mapped: peer.mapped.clone(),
                reason,
            };
            self.outputs.push_back(Output::Event(event));
            if peer.link == Link::Ready(conn) || peer.link == Link::Dialling(conn) {
                waiting = std::mem::take(&mut peer.waiting);
                if is_fault(reason) {
                    // A closed connection may be how an answer in HTTP ends.
                    self.stats.connections_lost += u64::from(!self.is_discovery(conn));
                    self.pause_dialling(now, id);
                } else {
                    peer.link = Link::Idle;
                    self.arm_peer(id, None);
                }
            }
        }
        // A connection that is closed for what just arrived: the driver may not have reported yet
        // what it wrote before, so nothing counts as unwritten.
        let is_news = reason == DisconnectReason::Ours(CloseReason::Garbage);
        let may_be_written = if is_news {
            link.sent
        } else {
            link.flushed.max(link.offered)
        };
        for waiter in requests {
            if let Waiter::Earlier(op) = waiter {
                self.earlier_lost(op, conn);
                continue;
            }
            self.request_lost(now, waiter, may_be_written, reason, address.as_ref());
        }
        for op in link.unsure {
            if self.ops.get(op).and_then(Op::state) == Some(State::Versioning { conn }) {
                self.attempt_failed(now, op, failure_of(reason, false));
            }
        }
        for (seq, op) in link.unwritten {
            if self.ops.get(op).and_then(Op::state) == Some(State::Writing { conn, seq }) {
                self.attempt_failed(now, op, failure_of(reason, seq <= may_be_written));
            }
        }
        self.fail_waiting(now, id, waiting, ErrorKind::ConnectionAborted.into());
        if self.is_discovery(conn) {
            self.discovery_lost(now, reason);
        }
    }

    fn request_lost(
        &mut self,
        now: Now,
        waiter: Waiter,
        may_be_written: FrameSeq,
        reason: DisconnectReason,
        address: Option<&crate::io::Endpoint>,
    ) {
        match waiter {
            Waiter::Admin(op, index) => {
                let failure = |seq| failure_of(reason, seq <= may_be_written);
                self.admin_lost(now, op, index, failure);
            }
            Waiter::Earlier(_) | Waiter::Heartbeat => {}
            Waiter::Lookup(asked) => {
                let (lookup, server) = *asked;
                let why = failure_of(reason, true).to_string();
                let server = address.unwrap_or(&server);
                match reason {
                    DisconnectReason::Theirs(_) => self.lookup_lost(now, lookup, server, why),
                    DisconnectReason::Ours(_) => self.lookup_failed(now, lookup, server, why),
                }
            }
            Waiter::Op(op) => {
                let Some(State::InFlight { seq, .. }) = self.ops.get(op).and_then(Op::state) else {
                    return;
                };
                self.set_state(op, State::Running);
                self.attempt_failed(now, op, failure_of(reason, seq <= may_be_written));
            }
            Waiter::Probe(broker) => self.probe_lost(now, broker),
            Waiter::Unregister(producer) => self.unregistered(producer),
        }
    }

    /// The server wants us elsewhere: no new request on this connection, and it is closed when the
    /// last answer is there (PROTOCOL E.13).
    pub(crate) fn leave(&mut self, now: Now, conn: ConnId) {
        let Some(link) = self.peers.conns.get_mut(conn) else {
            return;
        };
        if !link.leaving {
            link.leaving = true;
            let id = link.peer;
            if let Some(peer) = self.peers.peers.get_mut(id) {
                peer.link = Link::Idle;
                let event = Event::GoAway {
                    address: peer.address.clone(),
                };
                self.outputs.push_back(Output::Event(event));
            }
        }
        self.close_if_left(now, conn);
    }

    pub(crate) fn close_if_left(&mut self, now: Now, conn: ConnId) {
        let Some(link) = self.peers.conns.get(conn) else {
            return;
        };
        if link.leaving && link.is_idle() {
            self.disconnect(now, conn, CloseReason::GoneAway);
        }
    }

    /// Forgets a server that no route names any more.
    pub(crate) fn forget_peer(&mut self, now: Now, id: PeerId) {
        if let Some(Link::Ready(conn) | Link::Dialling(conn)) =
            self.peers.peers.get(id).map(|peer| peer.link)
        {
            self.disconnect(now, conn, CloseReason::Unused);
        }
        self.arm_peer(id, None);
        self.peers.remove(id);
    }
}

/// Whether the end of a connection speaks against the peer.
fn is_fault(reason: DisconnectReason) -> bool {
    !matches!(
        reason,
        DisconnectReason::Ours(
            CloseReason::Answered
                | CloseReason::GoneAway
                | CloseReason::NotListed
                | CloseReason::Shutdown
                | CloseReason::Unused
        )
    )
}

fn failure_of(reason: DisconnectReason, written: bool) -> AttemptFailure {
    match reason {
        DisconnectReason::Theirs(cause) => AttemptFailure::Lost { cause, written },
        DisconnectReason::Ours(why) => AttemptFailure::Dropped { why, written },
    }
}
