//! One server of a request: reached, asked, heard, or given up (DESIGN 6).

use std::time::{Duration, Instant};

use bytes::Bytes;
use rocketmq_proto::{CommandView, ResponseCode};

use super::answer::{self, Read};
use super::request::AdminRequest;
use super::state::TargetState;
use crate::config::OnTimeout;
use crate::dial::DialError;
use crate::engine::{Engine, later};
use crate::error::{AttemptFailure, SendError};
use crate::io::{CloseReason, ConnId, FrameSeq, Now, OpId, Outcome};
use crate::member::Member;
use crate::op::Kind;
use crate::peer::{Link, PeerId, Waiting};
use crate::pending::Waiter;

impl Engine {
    /// Begins a try with one server.
    pub(super) fn admin_ask(&mut self, now: Now, id: OpId, index: usize) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let left = op
            .deadline
            .map_or(Duration::ZERO, |d| d.saturating_duration_since(now.mono));
        let Kind::Admin(admin) = &mut op.kind else {
            return;
        };
        let by = later(now.mono, left / admin.rounds(index).max(1));
        let Some(target) = admin.targets.get_mut(index) else {
            return;
        };
        target.tries += 1;
        target.gone_away = false;
        target.began = now.mono;
        target.by = by;
        let is_master = target.is_master;
        let asks_name_servers = admin.request.asks_name_servers();
        let Some(target) = admin.targets.get_mut(index) else {
            return;
        };
        let Some(address) = target.address.clone() else {
            return self.admin_over(now, id, index, AttemptFailure::NoAddress);
        };
        if asks_name_servers && !self.routes.is_name_server(&address) {
            // The list was replaced meanwhile (I 16).
            let (why, written) = (CloseReason::NotListed, false);
            return self.admin_over(now, id, index, AttemptFailure::Dropped { why, written });
        }
        let peer = self.peers.at(&address);
        if is_master {
            self.note_master(now, peer);
        }
        self.admin_reach(now, id, index, peer);
    }

    fn admin_reach(&mut self, now: Now, id: OpId, index: usize, peer: PeerId) {
        match self.reach(now, peer) {
            Some(conn) => self.admin_transmit(now, id, index, conn),
            None => {
                self.set_target(id, index, TargetState::Connecting(peer));
                self.wait_for(peer, Waiting::Op(id));
            }
        }
    }

    /// A server that it waits for is connected.
    pub(crate) fn admin_reached(&mut self, now: Now, id: OpId, peer: PeerId, conn: ConnId) {
        for index in self.targets_connecting(id, peer) {
            self.admin_transmit(now, id, index, conn);
        }
    }

    /// A server that it waits for cannot be reached.
    pub(crate) fn admin_unreachable(&mut self, now: Now, id: OpId, peer: PeerId, error: DialError) {
        let connecting = self.targets_connecting(id, peer);
        for &index in &connecting {
            self.admin_failed(now, id, index, AttemptFailure::Connect(error));
        }
        if !connecting.is_empty() {
            self.admin_step(now, id);
        }
    }

    fn targets_connecting(&mut self, id: OpId, peer: PeerId) -> Vec<usize> {
        let targets = self.admin(id).map(|admin| admin.targets.iter().enumerate());
        let connecting = targets.into_iter().flatten();
        connecting
            .filter(|(_, target)| target.state == TargetState::Connecting(peer))
            .map(|(index, _)| index)
            .collect()
    }

    fn admin_transmit(&mut self, now: Now, id: OpId, index: usize, conn: ConnId) {
        let Some((producer, Kind::Admin(admin))) =
            self.ops.get(id).map(|op| (op.producer, &op.kind))
        else {
            return;
        };
        let request = admin.request.clone();
        let waiter = Waiter::Admin(id, index as u32);
        match self.write_admin(now, conn, producer, &request, waiter) {
            Ok((opaque, seq)) => {
                self.set_target(id, index, TargetState::InFlight { conn, opaque, seq });
            }
            Err(error) => self.finish(now, id, Outcome::Failed(SendError::from(error))),
        }
    }

    /// A server answered.
    pub(crate) fn admin_answered(
        &mut self,
        now: Now,
        id: OpId,
        index: u32,
        conn: ConnId,
        answer: &CommandView<'_>,
        body: &Bytes,
    ) {
        let index = index as usize;
        let Some(admin) = self.admin(id) else { return };
        let Some(target) = admin.targets.get_mut(index) else {
            return;
        };
        target.state = TargetState::Over;
        if answer.code == ResponseCode::GO_AWAY.0 {
            // Not looked at: asked once more, on a new connection (E.13).
            let is_first = !std::mem::replace(&mut target.gone_away, true);
            let address = target.address.clone();
            self.leave(now, conn);
            if let Some(address) = address.filter(|_| is_first) {
                let peer = self.peers.at(&address);
                self.admin_reach(now, id, index, peer);
                return self.admin_step(now, id);
            }
        }
        self.admin_recalled(now, id, answer);
        let Some(admin) = self.admin(id) else { return };
        let Some(target) = admin.targets.get_mut(index) else {
            return;
        };
        match answer::read(&admin.request, answer, body) {
            Read::Answer(answer) => match admin.found.add(&target.name, answer, body.len()) {
                Ok(()) => target.failure = None,
                Err(failure) => self.admin_over(now, id, index, failure),
            },
            Read::Nothing(failure) => {
                target.has_nothing = true;
                self.admin_over(now, id, index, failure);
            }
            Read::Failed(failure) => self.admin_failed(now, id, index, failure),
        }
        self.admin_step(now, id);
    }

    /// Tells the trace of a recall that a broker answered, if that is wanted.
    fn admin_recalled(&mut self, now: Now, id: OpId, answer: &CommandView<'_>) {
        let Some(op) = self.ops.get(id) else { return };
        let producer = op.producer;
        let member = self.members.get(producer);
        let (Kind::Admin(admin), true) = (&op.kind, member.is_some_and(Member::traces_recalls))
        else {
            return;
        };
        if let AdminRequest::Recall { topic, handle, .. } = &admin.request {
            let (topic, handle) = (topic.clone(), handle.clone());
            self.trace_recall(now, producer, (&topic, &handle), answer);
        }
    }

    /// The connection on which a server was asked is over.
    pub(crate) fn admin_lost(
        &mut self,
        now: Now,
        id: OpId,
        index: u32,
        failure: impl FnOnce(FrameSeq) -> AttemptFailure,
    ) {
        let target = self
            .admin(id)
            .and_then(|admin| admin.targets.get(index as usize));
        let Some(TargetState::InFlight { seq, .. }) = target.map(|target| target.state) else {
            return;
        };
        self.admin_failed(now, id, index as usize, failure(seq));
        self.admin_step(now, id);
    }

    /// A try failed: another one with the same server, or no more with this one.
    fn admin_failed(&mut self, now: Now, id: OpId, index: usize, failure: AttemptFailure) {
        let Some(admin) = self.admin(id) else { return };
        let tries = admin.targets.get(index).map_or(0, |target| target.tries);
        let again = tries < admin.tries() && !is_final(&failure);
        self.admin_over(now, id, index, failure);
        if again {
            self.set_target(id, index, TargetState::Waiting);
        }
    }

    /// A try failed, and this server is asked no more.
    fn admin_over(&mut self, now: Now, id: OpId, index: usize, failure: AttemptFailure) {
        let Some(Kind::Admin(admin)) = self.ops.get_mut(id).map(|op| &mut op.kind) else {
            return;
        };
        let Some(target) = admin.targets.get_mut(index) else {
            return;
        };
        let address = target.address.as_ref();
        let mapped = address.and_then(|address| self.peers.mapped(address));
        target.failed(now.mono, mapped, failure);
        target.state = TargetState::Over;
    }

    /// Gives up on the servers whose time is over.
    pub(super) fn admin_overdue(&mut self, now: Now, id: OpId) {
        let Some(admin) = self.admin(id) else { return };
        let overdue = admin.targets.iter().enumerate();
        let overdue: Vec<_> = overdue
            .filter(|(_, target)| target.is_busy() && target.by <= now.mono)
            .map(|(index, target)| (index, target.state, target.began))
            .collect();
        let mut silent = Vec::new();
        for (index, state, began) in overdue {
            let elapsed = now.mono.saturating_duration_since(began);
            let failure = match state {
                TargetState::Connecting(peer) => self.no_connection(peer, elapsed),
                _ => AttemptFailure::NoReply(elapsed),
            };
            self.admin_failed(now, id, index, failure);
            if let TargetState::InFlight { conn, opaque, .. } = state {
                self.forget_request(conn, opaque);
                silent.extend(self.speaks_against(now, conn, began).map(|why| (conn, why)));
                self.close_if_left(now, conn);
            }
        }
        for (conn, why) in silent {
            self.disconnect(now, conn, why);
        }
    }

    fn no_connection(&self, peer: PeerId, elapsed: Duration) -> AttemptFailure {
        match self.peers.peers.get(peer) {
            Some(peer) if matches!(peer.link, Link::BackOff { .. }) => {
                let unknown = DialError::Io(std::io::ErrorKind::Other);
                AttemptFailure::Connect(peer.last_error.unwrap_or(unknown))
            }
            _ => AttemptFailure::ConnectTimeout(elapsed),
        }
    }

    /// Whether a connection on which an answer is overdue is to be closed (DESIGN 6, timeout policy).
    fn speaks_against(&self, now: Now, conn: ConnId, since: Instant) -> Option<CloseReason> {
        let link = self.peers.conns.get(conn)?;
        let waited = now.mono.saturating_duration_since(since);
        let is_silent = link.received_at <= since && waited >= self.patience();
        match self.config.on_timeout {
            OnTimeout::Close => Some(CloseReason::Timeout),
            OnTimeout::CloseIfSilent if is_silent => Some(CloseReason::Silent),
            _ => None,
        }
    }

    fn set_target(&mut self, id: OpId, index: usize, state: TargetState) {
        let admin = self.admin(id);
        if let Some(target) = admin.and_then(|admin| admin.targets.get_mut(index)) {
            target.state = state;
        }
    }
}

/// Whether a server would say the same again.
fn is_final(failure: &AttemptFailure) -> bool {
    matches!(
        failure,
        AttemptFailure::Answered {
            code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED
                | ResponseCode::NO_PERMISSION
                | ResponseCode::INVALID_PARAMETER,
            ..
        } | AttemptFailure::NoAddress
    )
}
