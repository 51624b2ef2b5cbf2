//! A send whose present wait is over: for room, for a route, for a connection, for an answer
//! (DESIGN 6, deadline and timeout policy).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attempt::attempt_deadline;
use crate::config::{AttemptTimeout, OnTimeout};
use crate::dial::DialError;
use crate::engine::Engine;
use crate::error::{AttemptFailure, Certainty, SendError, SendErrorKind};
use crate::io::{CloseReason, ConnId, FrameSeq, Now, OpId};
use crate::op::{Op, Send, State};
use crate::peer::{Conn, Link};
use crate::prepare::Target;
use crate::publish::Broker;

impl Engine {
    /// The deadline of a send's present state.
    pub(crate) fn send_due(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let Some(send) = op.as_send() else { return };
        let since = send
            .attempt
            .as_ref()
            .map_or(op.since, |attempt| attempt.began);
        let elapsed = now.mono.saturating_duration_since(since);
        match send.state {
            State::Connecting(peer) => {
                let failure = match self.peers.peers.get(peer) {
                    Some(peer) if matches!(peer.link, Link::BackOff { .. }) => {
                        AttemptFailure::Connect(
                            peer.last_error
                                .unwrap_or(DialError::Io(std::io::ErrorKind::Other)),
                        )
                    }
                    _ => AttemptFailure::ConnectTimeout(elapsed),
                };
                self.attempt_failed(now, id, failure);
            }
            State::InFlight {
                conn,
                opaque,
                seq,
                since,
            } => {
                self.reply_overdue(now, id, conn, opaque, seq, since);
            }
            State::AwaitingReply => self.reply_missing(now, id),
            State::Batched(_) => {}
            State::Gathered => self.gathered_due(now, id),
            State::Pausing => self.find_route(now, id),
            State::Versioning { .. } => {
                self.attempt_failed(now, id, AttemptFailure::NoVersion(elapsed));
            }
            State::Writing { conn, seq } => self.write_overdue(now, id, conn, seq, since),
            State::Asking | State::Permit | State::Route(_) | State::Running => {
                let error = self.waited_too_long(now, id);
                self.fail_send(now, id, error);
            }
        }
    }

    /// No answer within a try (DESIGN 6, timeout policy; PROTOCOL E.8).
    fn reply_overdue(
        &mut self,
        now: Now,
        id: OpId,
        conn: ConnId,
        opaque: i32,
        seq: FrameSeq,
        since: Instant,
    ) {
        if self.is_queued_there(now, id, conn, since) {
            self.set_state(
                id,
                State::InFlight {
                    conn,
                    opaque,
                    seq,
                    since: now.mono,
                },
            );
            let Some(op) = self.ops.get(id) else { return };
            let again = attempt_deadline(now, op, self.members.config(op.producer));
            return self.arm_op(id, again);
        }
        self.keep_earlier(id, conn, opaque);
        self.hold_for_frame(now, id, conn, seq);
        let began = self
            .ops
            .get(id)
            .and_then(Op::as_send)
            .and_then(|send| send.attempt.as_ref());
        let began = began.map_or(since, |attempt| attempt.began);
        let mut failure = AttemptFailure::NoReply(now.mono.saturating_duration_since(began));
        let mut close = None;
        let patience = self.patience();
        if let Some(link) = self.peers.conns.get_mut(conn) {
            close = match self.config.on_timeout {
                OnTimeout::Close => Some(CloseReason::Timeout),
                OnTimeout::CloseIfSilent if is_silent(link, since, now, patience) => {
                    Some(CloseReason::Silent)
                }
                _ => None,
            };
            if let Some(why) = close.filter(|_| link.flushed.max(link.offered) < seq) {
                failure = AttemptFailure::Dropped {
                    why,
                    written: false,
                };
            }
        }
        self.set_state(id, State::Running);
        if let Some(why) = close {
            self.disconnect(now, conn, why);
        }
        self.attempt_failed(now, id, failure);
    }

    /// The socket did not take the whole of a oneway message in time. Its frame stays where it is,
    /// since those behind it must stay behind it; the connection is closed by the same rule as for
    /// an answer that is overdue.
    fn write_overdue(&mut self, now: Now, id: OpId, conn: ConnId, seq: FrameSeq, since: Instant) {
        self.hold_for_frame(now, id, conn, seq);
        let patience = self.patience();
        let silent = self
            .peers
            .conns
            .get(conn)
            .is_some_and(|link| is_silent(link, since, now, patience));
        let elapsed = now.mono.saturating_duration_since(since);
        self.set_state(id, State::Running);
        self.attempt_failed(now, id, AttemptFailure::NotWritten(elapsed));
        match self.config.on_timeout {
            OnTimeout::Close => self.disconnect(now, conn, CloseReason::Timeout),
            OnTimeout::CloseIfSilent if silent => self.disconnect(now, conn, CloseReason::Silent),
            _ => {}
        }
    }

    /// A try is over and its frame may still wait for the socket: it keeps a permit as long as it
    /// does, or a socket that takes little would let frames pile up without bound.
    pub(crate) fn hold_for_frame(&mut self, now: Now, id: OpId, conn: ConnId, seq: FrameSeq) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let (weight, oneway) = (send.prepared.weight(), send.oneway);
        let Some(link) = self
            .peers
            .conns
            .get_mut(conn)
            .filter(|link| link.flushed < seq)
        else {
            return;
        };
        link.stuck.push_back((seq, weight, oneway));
        let peer = link.peer;
        self.pool(oneway).hold(weight);
        self.look_after(now, peer);
    }

    /// How long a connection has to be silent before that speaks against it: half a share of the
    /// usual budget, whatever the budget of the call that noticed (PROTOCOL E.8, I 10).
    pub(crate) fn patience(&self) -> Duration {
        self.config.send_timeout / self.config.retries.saturating_add(1) / 2
    }

    /// Whether the broker is alive and just has not come to this request yet. Sending it again would
    /// add to the load that delays it, and store it twice (DESIGN 6, deadline).
    ///
    /// It is not when nothing was answered meanwhile. Otherwise, brokers work on many requests at
    /// once: to be overtaken by somewhat younger ones proves nothing, but by those that began in the
    /// second half of its wait, it counts as lost. When there is no other broker to try, the
    /// request stays where it is: the same broker would only get it twice.
    fn is_queued_there(&self, now: Now, id: OpId, conn: ConnId, since: Instant) -> bool {
        let Some(op) = self.ops.get(id) else {
            return false;
        };
        let left = op
            .deadline
            .map_or(Duration::ZERO, |d| d.saturating_duration_since(now.mono));
        let (Some(send), Some(link)) = (op.as_send(), self.peers.conns.get(conn)) else {
            return false;
        };
        let Some(attempt) = &send.attempt else {
            return false;
        };
        let is_alive = link.answered_at.is_some_and(|at| at > since);
        let config = self.members.config(op.producer);
        if config.attempt_timeout != AttemptTimeout::Split || !is_alive || left.is_zero() {
            return false;
        }
        let waited = now.mono.saturating_duration_since(attempt.began);
        let overtaken_by = |young: Instant| young.saturating_duration_since(attempt.began);
        let is_lost = link
            .answered_try
            .is_some_and(|young| overtaken_by(young) > waited / 2);
        !is_lost || !self.has_other_broker(send, &attempt.broker.name)
    }

    /// Whether this send could go to another broker that is not known to be down.
    fn has_other_broker(&self, send: &Send, than: &str) -> bool {
        let Some(publish) = self.routes.publish_of(&send.prepared.topic) else {
            return false;
        };
        let is_up = |broker: &Arc<Broker>| self.peers.is_sound(broker, self.config.vip_channel);
        let mut others = publish.brokers().iter().filter(|b| &*b.name != than);
        matches!(send.prepared.target, Target::Any) && others.any(is_up)
    }

    fn waited_too_long(&self, now: Now, id: OpId) -> SendError {
        let Some(op) = self.ops.get(id) else {
            return SendError::closed(Certainty::NotSent);
        };
        let Some(send) = op.as_send() else {
            return SendError::closed(Certainty::NotSent);
        };
        let elapsed = now.mono.saturating_duration_since(op.since);
        let topic = self.config.own_topic(&send.prepared.topic);
        let what = match send.state {
            State::Permit => {
                let (pool, most) = match send.oneway {
                    true => (&self.oneway_permits, "max_oneway"),
                    false => (&self.permits, "max_in_flight"),
                };
                format!(
                    "no room within {elapsed:.1?} to send to topic {topic}: {} messages with {} \
                     bytes are under way; see {most} and max_in_flight_bytes",
                    pool.count(),
                    pool.bytes()
                )
            }
            State::Route(id) => format!(
                "no route info of topic {topic} within {elapsed:.1?}: {}",
                self.describe_lookup(id)
            ),
            _ => format!("the queue selector for topic {topic} took more than {elapsed:.1?}"),
        };
        let failures = send.failures().to_vec();
        SendError::new(SendErrorKind::Timeout, send.certainty(), what).with_attempts(failures)
    }
}

/// Whether nothing at all has arrived on a connection since then, and that is long ago.
fn is_silent(link: &Conn, since: Instant, now: Now, patience: Duration) -> bool {
    link.received_at <= since && now.mono.saturating_duration_since(since) >= patience
}
