//! The tries of a send: where to, by when, and what follows when one fails (DESIGN 6; PROTOCOL E.10,
//! E.12, E.13).

use std::time::{Duration, Instant};

use rocketmq_proto::{CommandView, ResponseCode};

use crate::config::{AttemptTimeout, Config};
use crate::engine::{Engine, later};
use crate::error::{AttemptFailure, AttemptReport, SendError};
use crate::io::{ConnId, Now, OpId, Outcome};
use crate::op::{Attempt, Fallback, Op, State};
use crate::peer::Waiting;
use crate::receipt::{SendReceipt, SendStatus};
use crate::retry::{Step, next_step};

/// No try is given less, unless less is left.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(1);

impl Engine {
    pub(crate) fn begin_attempt(&mut self, now: Now, id: OpId, attempt: Attempt) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let by = attempt_deadline(now, op, self.members.config(op.producer));
        let Some(send) = op.as_send_mut() else { return };
        send.tries += 1;
        send.gone_away = false;
        send.attempt = Some(attempt);
        self.arm_op(id, by);
        self.dispatch(now, id);
    }

    /// Sends the try that was begun, now or as soon as its broker is connected.
    pub(crate) fn dispatch(&mut self, now: Now, id: OpId) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let attempt = send.attempt.as_ref();
        let Some((attempt, address)) = attempt.and_then(|a| Some((a, a.address()?))) else {
            return self.attempt_failed(now, id, AttemptFailure::NoAddress);
        };
        let known = attempt.broker.place.peer;
        let known = known.filter(|_| attempt.vip == self.config.vip_channel);
        let peer_id = self.peers.known_or_at(known, address);
        self.note_master(now, peer_id);
        match self.reach(now, peer_id) {
            Some(conn) => self.transmit_send(now, id, conn),
            None => {
                self.set_state(id, State::Connecting(peer_id));
                self.wait_for(peer_id, Waiting::Op(id));
            }
        }
    }

    /// A broker answered.
    pub(crate) fn send_answered(
        &mut self,
        now: Now,
        id: OpId,
        conn: ConnId,
        answer: &CommandView<'_>,
    ) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let config = self.members.config(op.producer);
        let Some(send) = op.as_send_mut() else { return };
        send.state = State::Running;
        if let (Some(link), Some(attempt)) = (self.peers.conns.get_mut(conn), &send.attempt) {
            link.answered_at = Some(now.mono);
            link.answered_try = link.answered_try.max(Some(attempt.began));
        }
        let code = ResponseCode(answer.code);
        let Some(status) = SendStatus::of(code) else {
            if code == ResponseCode::NOT_LEADER_FOR_QUEUE
                && !std::mem::replace(&mut send.moved, true)
            {
                return self.follow_queue(now, id);
            }
            if code == ResponseCode::GO_AWAY {
                let first = !std::mem::replace(&mut send.gone_away, true);
                self.leave(now, conn);
                if first {
                    return self.dispatch(now, id);
                }
            }
            let remark = answer.remark.as_deref().unwrap_or_default().to_owned();
            return self.attempt_failed(now, id, AttemptFailure::Answered { code, remark });
        };
        let Some(attempt) = &send.attempt else { return };
        let receipt = SendReceipt::read(
            status,
            answer,
            &self.config.own_topic(&send.prepared.topic),
            &attempt.broker.name,
            send.tries,
        );
        match receipt {
            Err(why) => self.attempt_failed(now, id, AttemptFailure::BadAnswer(why)),
            Ok(receipt)
                if status != SendStatus::SendOk && config.retry_other_broker_when_not_stored =>
            {
                let attempt = attempt.clone();
                send.past_mut().fallback = Some(Fallback { attempt, receipt });
                self.attempt_failed(now, id, AttemptFailure::NotStoredOk(status));
            }
            Ok(receipt) => {
                self.try_over(now, id, None);
                self.confirmed(now, id, receipt);
            }
        }
    }

    /// A try failed: another one, now or after a pause, or the end (PROTOCOL E.10).
    pub(crate) fn attempt_failed(&mut self, now: Now, id: OpId, failure: AttemptFailure) {
        self.try_over(now, id, Some(&failure));
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let left = op
            .deadline
            .map_or(Duration::ZERO, |d| d.saturating_duration_since(now.mono));
        let config = self.members.config(op.producer);
        let Some(send) = op.as_send_mut() else { return };
        send.state = State::Running;
        let step = if send.prepared.may_repeat_after(&failure) {
            next_step(config, &failure, send.tries, left)
        } else {
            Step::GiveUp
        };
        let suspect = is_route_suspect(&failure);
        if let Some(attempt) = &send.attempt {
            let report = AttemptReport {
                broker: attempt.broker.name.clone(),
                mapped: attempt.address().and_then(|at| self.peers.mapped(at)),
                address: attempt.address().cloned(),
                elapsed: now.mono.saturating_duration_since(attempt.began),
                cause: failure,
            };
            send.past_mut().failures.push(report);
        }
        if suspect {
            let topic = self
                .routes
                .topic(&send.prepared.topic, now.mono, &mut self.rng);
            self.refresh(now, topic);
        }
        match step {
            Step::GiveUp => self.give_up(now, id),
            Step::Again(Duration::ZERO) => {
                self.stats.retries += 1;
                self.find_route(now, id);
            }
            Step::Again(pause) => {
                self.stats.retries += 1;
                self.set_state(id, State::Pausing);
                self.arm_op(id, later(now.mono, pause));
            }
        }
    }

    /// No more tries: the success that was not good enough, if there is one, else the error.
    fn give_up(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let elapsed = now.mono.saturating_duration_since(op.since);
        let timed_out = op.deadline.is_some_and(|deadline| deadline <= now.mono);
        let Some(send) = op.as_send_mut() else { return };
        if let Some(fallback) = send.take_fallback() {
            return self.confirmed_by(now, id, fallback.attempt, fallback.receipt);
        }
        let certainty = send.certainty();
        let failures = send.take_failures();
        let topic = self.config.own_topic(&send.prepared.topic);
        let error = SendError::after_attempts(&topic, elapsed, timed_out, certainty, failures);
        self.finish(now, id, Outcome::Failed(error));
    }
}

/// When the next try must be over (DESIGN 6, deadline).
pub(crate) fn attempt_deadline(now: Now, op: &Op, config: &Config) -> Instant {
    let (Some(send), Some(deadline)) = (op.as_send(), op.deadline) else {
        return now.mono;
    };
    let left = deadline.saturating_duration_since(now.mono);
    let share = match config.attempt_timeout {
        AttemptTimeout::At(most) => most,
        AttemptTimeout::Split => {
            let tries = config.retries.saturating_add(1);
            left / tries.saturating_sub(send.tries).max(1)
        }
        AttemptTimeout::Whole => left,
    };
    later(now.mono, share.max(SHORTEST_ATTEMPT)).min(deadline)
}

/// Whether a failure says that the route may be out of date.
fn is_route_suspect(failure: &AttemptFailure) -> bool {
    match failure {
        AttemptFailure::Answered { code, .. } => {
            *code == ResponseCode::TOPIC_NOT_EXIST
                || *code == ResponseCode::NO_PERMISSION
                || *code == ResponseCode::NOT_LEADER_FOR_QUEUE
        }
        AttemptFailure::BadAnswer(_)
        | AttemptFailure::NotStoredOk(_)
        | AttemptFailure::TimerIgnored { .. } => false,
        _ => true,
    }
}
