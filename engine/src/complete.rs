//! The end of an operation: exactly one completion, everything it held given back (DESIGN 6).

use crate::engine::Engine;
use crate::error::Certainty;
use crate::io::{Now, OpId, Outcome, Output};
use crate::op::{Carrier, Kind, Op, State};

impl Engine {
    /// Completes an operation. A stale id is ignored, so nothing completes twice.
    pub(crate) fn finish(&mut self, now: Now, id: OpId, outcome: Outcome) {
        let Some(op) = self.release(now, id) else {
            return;
        };
        if let Kind::Send(send) = &op.kind {
            if let Some(carrier) = &send.carrier {
                return match &**carrier {
                    Carrier::Batch(members) => self.share_out(now, send, members, &outcome),
                };
            }
            self.count(now, &op, &outcome);
        }
        let spent = op.into_prepared();
        self.outputs.push_back(Output::Complete {
            op: id,
            outcome,
            spent,
        });
    }

    /// Takes an operation out and gives back its permit, its deadline and its correlation number.
    pub(crate) fn release(&mut self, now: Now, id: OpId) -> Option<Op> {
        let op = self.ops.remove(id)?;
        if op.timer.is_some() {
            self.deadlines.cancel();
        }
        let Kind::Send(send) = &op.kind else {
            return Some(op);
        };
        let holds_permit = send.carrier.is_none();
        let weight = send.prepared.weight();
        match send.state {
            State::Permit => {
                let ops = &self.ops;
                let still_waits = |id| {
                    ops.get(id)
                        .is_some_and(|op: &Op| op.state() == Some(State::Permit))
                };
                let pool = if send.oneway {
                    &mut self.oneway_permits
                } else {
                    &mut self.permits
                };
                pool.leave(still_waits);
            }
            State::InFlight { conn, opaque, .. } => {
                if self.pending.take(conn, opaque).is_some() {
                    if let Some(conn) = self.peers.conns.get_mut(conn) {
                        conn.pending = conn.pending.saturating_sub(1);
                    }
                }
            }
            _ => {}
        }
        if !holds_permit {
            return Some(op);
        }
        if send.state != State::Permit {
            self.pool(send.oneway).give_back(weight);
        }
        for flush in self.flushes.leave(send.epoch) {
            self.finish(now, flush, Outcome::Done);
        }
        Some(op)
    }

    /// The deadline of an operation.
    pub(crate) fn op_due(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        op.timer = None;
        match op.kind {
            Kind::Flush => {}
            Kind::Send(_) => self.send_due(now, id),
            Kind::Shutdown => self.shutdown_due(now, id),
            Kind::Topic(_) => self.topic_due(now, id),
        }
    }

    fn count(&mut self, now: Now, op: &Op, outcome: &Outcome) {
        let stats = &mut self.stats;
        match outcome {
            Outcome::Sent(receipt) => {
                stats.sent += 1;
                stats.not_stored_ok += u64::from(receipt.status != crate::SendStatus::SendOk);
                stats
                    .latency
                    .add(now.mono.saturating_duration_since(op.since));
            }
            Outcome::Done => stats.sent_oneway += 1,
            Outcome::Failed(error) => match error.certainty() {
                Certainty::NotSent => stats.failed_not_sent += 1,
                Certainty::Rejected => stats.failed_rejected += 1,
                Certainty::Unknown => stats.failed_unknown += 1,
            },
            Outcome::Queues(_) | Outcome::Shutdown(_) => {}
        }
        if let Some(closing) = &mut self.closing {
            closing.count(outcome);
        }
    }
}
