//! The engine's side of hooks and signatures: what goes along with a frame, and what becomes of one
//! that could not be sealed (PROTOCOL E.10, G.5).

use std::sync::Arc;

use rocketmq_proto::{Frame as ReceivedFrame, RemotingCommand, RequestCode};

use crate::engine::Engine;
use crate::error::SendError;
use crate::hooks::{HookCall, RpcAnswer, SentMessage};
use crate::io::{ConnId, FrameSeq, Now, OpId, Outcome, Output};
use crate::op::{Op, Send, State};
use crate::peer::PeerId;
use crate::pending::Waiter;
use crate::seal::{Seal, SealError};

impl Engine {
    /// What the requests to a server need before they are written.
    pub(crate) fn seal_for(&self, id: PeerId) -> Option<Arc<Seal>> {
        let peer = self.peers.peers.get(id)?;
        let seal = Seal::new(&self.config, &peer.address)?;
        let of_version = peer.version.and_then(|version| seal.of_version(version));
        Some(of_version.unwrap_or(seal))
    }

    /// A frame was not written: its send fails for good, its connection goes on.
    pub(crate) fn unsealed(&mut self, now: Now, conn: ConnId, seq: FrameSeq, error: &SealError) {
        let Some(link) = self.peers.conns.get_mut(conn) else {
            return;
        };
        self.stats.hook_panics += u64::from(error.is_panic());
        let stuck = link.stuck.iter().position(|stuck| stuck.0 == seq);
        let stuck = stuck.and_then(|at| link.stuck.remove(at));
        let unwritten = link.unwritten.iter().position(|frame| frame.0 == seq);
        let unwritten = unwritten.and_then(|at| link.unwritten.remove(at));
        let waiter = self.pending.take(conn, error.opaque);
        if waiter.is_some() {
            link.pending = link.pending.saturating_sub(1);
        }
        if let Some((_, weight, oneway)) = stuck {
            self.pool(oneway).give_back(weight);
        }
        if let Some((_, op)) = unwritten {
            self.fail_unsealed(now, op, error);
        }
        match waiter {
            None | Some(Waiter::Heartbeat) => {}
            Some(Waiter::Earlier(op)) => {
                let _never_written = self.take_earlier(op, conn, error.opaque);
            }
            Some(Waiter::Admin(op, _)) => {
                self.finish(now, op, Outcome::Failed(SendError::from(error)));
            }
            Some(Waiter::Lookup(asked)) => {
                let (lookup, server) = *asked;
                self.lookup_failed(now, lookup, &server, error.to_string());
            }
            Some(Waiter::Op(op)) => self.fail_unsealed(now, op, error),
            Some(Waiter::Probe(broker)) => self.probe_lost(now, broker),
            Some(Waiter::Unregister(producer)) => self.unregistered(producer),
        }
        self.close_if_left(now, conn);
    }

    fn fail_unsealed(&mut self, now: Now, op: OpId, error: &SealError) {
        self.set_state(op, State::Running);
        self.fail_send(now, op, SendError::from(error));
    }

    /// Hands the end of a send to the hooks after it.
    pub(crate) fn tell_sent(&mut self, now: Now, op: &Op, outcome: &Outcome) {
        let config = self.members.config(op.producer);
        let is_send = |send: &&Send| send.prepared.end.is_none() && !config.hooks.send.is_empty();
        let Some(send) = op.as_send().filter(is_send) else {
            return;
        };
        let (outcome, attempts) = match outcome {
            Outcome::Sent(receipt) => (Ok(Some((**receipt).clone())), receipt.attempts),
            Outcome::Failed(error) => (Err(error.clone()), error.attempts().len() as u32),
            _ => (Ok(None), send.tries),
        };
        let attempt = send.attempt.as_ref();
        let sent = SentMessage {
            group: config.group.clone(),
            topic: config.own_topic(&send.prepared.topic).into_owned(),
            message_id: send.prepared.message_id().into(),
            oneway: send.oneway,
            broker: attempt.map(|attempt| attempt.broker.name.clone()),
            address: attempt.and_then(|attempt| attempt.address().cloned()),
            elapsed: now.mono.saturating_duration_since(op.since),
            attempts,
            outcome,
        };
        let call = HookCall::sent(config, sent);
        self.outputs.push_back(Output::Hook(call));
    }

    /// Hands an answer to the RPC hooks. They run when the lock is released, after whoever waits for the
    /// answer has been woken.
    pub(crate) fn tell_answered(&mut self, conn: ConnId, opaque: i32, frame: &ReceivedFrame) {
        if self.config.hooks.rpc.is_empty() {
            return;
        }
        let request = self.pending.code_of(conn, opaque);
        let from = self.peers.address_of(conn).cloned();
        let answer = RemotingCommand::from_frame(frame);
        if let (Some(request), Some(from), Ok(answer)) = (request, from, answer) {
            let answer = RpcAnswer {
                from,
                request: RequestCode(request),
                answer,
            };
            let call = HookCall::answered(&self.config, answer);
            self.outputs.push_back(Output::Hook(call));
        }
    }
}
