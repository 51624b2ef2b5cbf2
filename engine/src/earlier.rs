//! Answers to tries that were given up while their send goes on: a success among them completes it
//! after all, whichever try it belongs to (DESIGN 6, retry). Bounded by the tries of a send.

use rocketmq_proto::{CommandView, ResponseCode};

use crate::engine::Engine;
use crate::io::{ConnId, Now, OpId};
use crate::op::{Attempt, Fallback, Op, State};
use crate::pending::Waiter;
use crate::receipt::{SendReceipt, SendStatus};

/// A try that was given up for want of an answer, which may still come.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) conn: ConnId,
    pub(crate) opaque: i32,
    attempt: Attempt,
}

impl Engine {
    /// The present try is given up; its answer stays welcome as long as the send goes on.
    pub(crate) fn keep_earlier(&mut self, id: OpId, conn: ConnId, opaque: i32) {
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        let Some(attempt) = send.attempt.clone() else {
            return;
        };
        self.pending.hand_on(conn, opaque, Waiter::Earlier(id));
        send.past_mut().earlier.push(Earlier {
            conn,
            opaque,
            attempt,
        });
    }

    /// The answer to an earlier try. A success ends the send, unless another broker is to do better;
    /// anything else comes too late to matter.
    pub(crate) fn earlier_answered(
        &mut self,
        now: Now,
        id: OpId,
        conn: ConnId,
        answer: &CommandView<'_>,
    ) {
        let Some(attempt) = self.take_earlier(id, conn, answer.opaque) else {
            return;
        };
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.answered_at = Some(now.mono);
            link.answered_try = link.answered_try.max(Some(attempt.began));
        }
        let code = ResponseCode(answer.code);
        if code == ResponseCode::GO_AWAY {
            self.leave(now, conn);
        }
        let Some(receipt) = self.read_earlier(id, &attempt, code, answer) else {
            return self.unmatched(conn, answer.opaque);
        };
        self.confirmed_late(now, &attempt);
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let wants_better = self
            .members
            .config(op.producer)
            .retry_other_broker_when_not_stored;
        if receipt.status != SendStatus::SendOk && wants_better {
            if let Some(send) = op.as_send_mut() {
                let fallback = Fallback { attempt, receipt };
                send.past_mut().fallback.get_or_insert(fallback);
            }
            return;
        }
        let present = self.ops.get(id).and_then(Op::state);
        if let Some(State::InFlight {
            conn, opaque, seq, ..
        }) = present
        {
            self.keep_earlier(id, conn, opaque);
            self.hold_for_frame(now, id, conn, seq);
        }
        self.confirmed_by(now, id, attempt, receipt);
    }

    /// Another try than the present one brought the message to its broker: it is the one that hooks
    /// and trace are told of.
    pub(crate) fn confirmed_by(
        &mut self,
        now: Now,
        id: OpId,
        attempt: Attempt,
        receipt: Box<SendReceipt>,
    ) {
        if let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) {
            send.attempt = Some(attempt);
        }
        self.confirmed(now, id, receipt);
    }

    /// The connection of an earlier try is over.
    pub(crate) fn earlier_lost(&mut self, id: OpId, conn: ConnId) {
        if let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) {
            send.past_mut()
                .earlier
                .retain(|earlier| earlier.conn != conn);
        }
    }

    /// A success that is still of use, as a receipt of that try.
    fn read_earlier(
        &self,
        id: OpId,
        attempt: &Attempt,
        code: ResponseCode,
        answer: &CommandView<'_>,
    ) -> Option<Box<SendReceipt>> {
        let status = SendStatus::of(code)?;
        let send = self.ops.get(id)?.as_send()?;
        if send.state == State::AwaitingReply {
            // A request that another try has brought to its broker.
            return None;
        }
        let prepared = &send.prepared;
        let topic = self.config.own_topic(&prepared.topic);
        let broker = &attempt.broker.name;
        SendReceipt::read(status, answer, &topic, broker, send.tries).ok()
    }

    /// Takes an earlier try out of those that may yet be answered.
    pub(crate) fn take_earlier(&mut self, id: OpId, conn: ConnId, opaque: i32) -> Option<Attempt> {
        let send = self.ops.get_mut(id)?.as_send_mut()?;
        let is_it = |earlier: &Earlier| (earlier.conn, earlier.opaque) == (conn, opaque);
        let at = send.earlier().iter().position(is_it)?;
        Some(send.past_mut().earlier.remove(at).attempt)
    }
}
