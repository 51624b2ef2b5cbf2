//! The end of an operation: exactly one completion, everything it held given back (DESIGN 6).

use crate::engine::Engine;
use crate::error::Certainty;
use crate::io::{ConnId, Now, OpId, Outcome, Output, ProducerId};
use crate::op::{Carrier, Kind, Op, Send, State};
use crate::prepare::Prepared;

impl Engine {
    /// Completes an operation. A stale id is ignored, so nothing completes twice.
    pub(crate) fn finish(&mut self, now: Now, id: OpId, mut outcome: Outcome) {
        // Large: looked at where it is, and moved once.
        let mut removed = self.ops.remove(id);
        let Some(op) = &mut removed else {
            return;
        };
        self.let_go(now, id, op);
        let is_own = op.is_own();
        if let Kind::Admin(admin) = &op.kind {
            for (conn, opaque) in admin.in_flight() {
                self.forget_request(conn, opaque);
                self.close_if_left(now, conn);
            }
        }
        let mut epoch = None;
        if let Kind::Send(send) = &op.kind {
            if let Some(carrier) = &send.carrier {
                return match &**carrier {
                    Carrier::Batch(members) => self.share_out(now, send, members, &outcome),
                    Carrier::Trace(load) => {
                        self.trace_over(now, op.producer, send.epoch, *load, &outcome)
                    }
                };
            }
            epoch = Some((op.producer, send.epoch));
            self.count(now, op, &outcome);
            self.tell_sent(now, op, &outcome);
            match &mut outcome {
                Outcome::Done => {
                    self.trace_end(now, op);
                    self.tell_ended(op);
                }
                Outcome::Sent(receipt) => self.trace_send(now, op, receipt),
                _ => {}
            }
        }
        if !is_own {
            self.outputs.push_back(Output::Complete {
                op: id,
                outcome,
                spent: prepared_of(removed),
            });
        }
        if let Some((producer, epoch)) = epoch {
            self.leave_epoch(now, producer, epoch);
        }
    }

    /// Withdraws a send that has no permit yet; there is no completion.
    pub(crate) fn withdraw(&mut self, now: Now, id: OpId) -> Option<Box<Prepared>> {
        let waits = self.ops.get(id).and_then(Op::state) == Some(State::Permit);
        let released = if waits { self.release(now, id) } else { None };
        if let Some((op, send)) = released.as_ref().and_then(|op| Some((op, op.as_send()?))) {
            self.leave_epoch(now, op.producer, send.epoch);
        }
        prepared_of(released)
    }

    /// A send is over: so is each flush that waited for it last.
    fn leave_epoch(&mut self, now: Now, producer: ProducerId, epoch: u64) {
        let Some(member) = self.members.get_mut(producer) else {
            return;
        };
        for flush in member.flushes.leave(epoch) {
            if !self.waits_for_trace(now, producer, flush) {
                self.finish(now, flush, Outcome::Done);
            }
        }
    }

    /// Takes an operation out and gives back what it held.
    pub(crate) fn release(&mut self, now: Now, id: OpId) -> Option<Op> {
        let removed = self.ops.remove(id);
        if let Some(op) = &removed {
            self.let_go(now, id, op);
        }
        removed
    }

    /// Gives back the permit, the deadline and the correlation number of an operation that is over.
    fn let_go(&mut self, now: Now, id: OpId, op: &Op) {
        if op.timer.is_some() {
            self.deadlines.cancel();
        }
        if matches!(op.kind, Kind::Admin(_) | Kind::Topic(_)) {
            self.questions = self.questions.saturating_sub(1);
        }
        let Kind::Send(send) = &op.kind else { return };
        if let Some(correlation) = send.prepared.correlation {
            self.requests.forget(correlation, id);
        }
        for earlier in send.earlier() {
            self.owe_nothing(now, earlier.conn, earlier.opaque);
        }
        if let State::InFlight { conn, opaque, .. } = send.state {
            self.owe_nothing(now, conn, opaque);
        }
        match send.state {
            // The engine's own sends hold none.
            _ if send.carrier.is_some() => {}
            State::Permit => {
                let ops = &self.ops;
                let still_waits = |id| ops.get(id).and_then(Op::state) == Some(State::Permit);
                let pool = if send.oneway {
                    &mut self.oneway_permits
                } else {
                    &mut self.permits
                };
                pool.leave(still_waits);
            }
            _ => self.pool(send.oneway).give_back(send.prepared.weight()),
        }
    }

    /// A server's answer is not waited for any more. It may have been the last that one which wants us
    /// elsewhere owed us.
    fn owe_nothing(&mut self, now: Now, conn: ConnId, opaque: i32) {
        self.forget_request(conn, opaque);
        self.close_if_left(now, conn);
    }

    /// The deadline of an operation.
    pub(crate) fn op_due(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        op.timer = None;
        match op.kind {
            Kind::Admin(_) => self.admin_due(now, id),
            Kind::Check(_) => self.check_due(now, id),
            Kind::Flush => {}
            Kind::Send(_) => self.send_due(now, id),
            Kind::Shutdown => self.shutdown_due(now, id),
            Kind::Topic(_) => self.topic_due(now, id),
        }
    }

    fn count(&mut self, now: Now, op: &Op, outcome: &Outcome) {
        if let Some(end) = op.as_send().and_then(|send| send.prepared.end.as_ref()) {
            match outcome {
                Outcome::Failed(error) => {
                    self.transaction_left_open(&end.message_id, error.to_string());
                }
                _ => self.stats.transactions_ended += 1,
            }
            return;
        }
        let stats = &mut self.stats;
        match outcome {
            Outcome::Sent(receipt) => {
                stats.sent += 1;
                stats.not_stored_ok += u64::from(receipt.status != crate::SendStatus::SendOk);
                stats
                    .latency
                    .add(now.mono.saturating_duration_since(op.since));
            }
            Outcome::Replied(_) => {
                stats.sent += 1;
                stats.replied += 1;
            }
            Outcome::Done => stats.sent_oneway += 1,
            Outcome::Failed(error) => match error.certainty() {
                Certainty::NotSent => stats.failed_not_sent += 1,
                Certainty::Rejected => stats.failed_rejected += 1,
                Certainty::Unknown => stats.failed_unknown += 1,
                Certainty::Stored => stats.failed_stored += 1,
            },
            Outcome::Admin(_) | Outcome::Queues(_) | Outcome::Shutdown(_) => {}
        }
        let member = self.members.get_mut(op.producer);
        if let Some(closing) = member.and_then(|member| member.closing.as_mut()) {
            closing.count(outcome);
        }
    }
}

/// What was sent, of an operation that was taken out. Inlined, or all of it would be moved once more.
#[inline(always)]
fn prepared_of(removed: Option<Op>) -> Option<Box<Prepared>> {
    match removed?.kind {
        Kind::Send(Send { prepared, .. }) => Some(prepared),
        _ => None,
    }
}
