//! Closing in order: admit nothing, drain, unregister everywhere, close (DESIGN 6; PROTOCOL B.4, E.3).

use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::RequestCode;
use rocketmq_proto::header::UnregisterClientRequest;

use crate::engine::{Engine, later};
use crate::error::{Certainty, SendError};
use crate::io::{CloseReason, Now, OpId, Outcome, Output};
use crate::op::{Kind, Op, State};
use crate::peer::Link;
use crate::pending::Waiter;

/// How long brokers have to confirm that they forgot us, after the drain.
const GOODBYE: Duration = Duration::from_secs(1);

/// What became of the sends that were under way when a shutdown began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShutdownReport {
    /// Confirmed, or written for oneway sends.
    pub delivered: u64,
    /// Failed by themselves, or refused since they had no permit yet.
    pub failed: u64,
    /// Given up when the grace was over; each error tells what is known.
    pub abandoned: u64,
}

/// A shutdown under way, or done.
#[derive(Debug)]
pub(crate) struct Closing {
    stage: Stage,
    /// Who asked for it.
    waiting: Vec<OpId>,
    /// Brokers that have not confirmed yet.
    goodbyes: usize,
    report: ShutdownReport,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Draining,
    GivingUp,
    Goodbye,
    Over,
}

impl Closing {
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(_) if self.stage == Stage::GivingUp => self.report.abandoned += 1,
            Outcome::Failed(_) => self.report.failed += 1,
            _ => self.report.delivered += 1,
        }
    }
}

impl Engine {
    pub(crate) fn begin_shutdown(&mut self, now: Now, grace: Duration) -> OpId {
        let deadline = later(now.mono, grace);
        let id = self.ops.insert(Op {
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Shutdown,
        });
        match &mut self.closing {
            Some(closing) if closing.is_over() => {
                let outcome = Outcome::Shutdown(closing.report);
                self.finish(now, id, outcome);
                return id;
            }
            // A second call waits with the first; whose grace is shorter wins.
            Some(closing) => closing.waiting.push(id),
            None => {
                self.closing = Some(Closing {
                    stage: Stage::Draining,
                    waiting: vec![id],
                    goodbyes: 0,
                    report: ShutdownReport::default(),
                });
                self.refuse_waiting(now);
                self.close_batches(now);
            }
        }
        self.arm_op(id, deadline);
        id
    }

    /// Those without a permit, and questions about topics, end at once.
    fn refuse_waiting(&mut self, now: Now) {
        for id in self.ops.keys() {
            let waits = self.ops.get(id).is_some_and(|op| match &op.kind {
                Kind::Send(send) => send.state == State::Permit,
                Kind::Topic(_) => true,
                Kind::Flush | Kind::Shutdown => false,
            });
            if waits {
                self.finish(
                    now,
                    id,
                    Outcome::Failed(SendError::closed(Certainty::NotSent)),
                );
            }
        }
    }

    /// Goes on when a stage is through. Called at the end of every call.
    pub(crate) fn shutdown_progress(&mut self, now: Now) {
        let in_flight = self.permits.count() + self.oneway_permits.count();
        if self.is_at(Stage::Draining) && in_flight == 0 {
            self.say_goodbye(now);
        }
        let unconfirmed = self.closing.as_ref().map(|closing| closing.goodbyes);
        if self.is_at(Stage::Goodbye) && unconfirmed == Some(0) {
            self.close_all(now);
        }
    }

    fn is_at(&self, stage: Stage) -> bool {
        self.closing
            .as_ref()
            .is_some_and(|closing| closing.stage == stage)
    }

    /// The time of a stage is over.
    pub(crate) fn shutdown_due(&mut self, now: Now, id: OpId) {
        let first = self
            .closing
            .as_ref()
            .and_then(|closing| closing.waiting.first());
        let is_first = first == Some(&id);
        match self.closing.as_ref().map(|closing| closing.stage) {
            Some(Stage::Draining) => {
                self.abandon_all(now);
                self.say_goodbye(now);
            }
            // The time for goodbyes is the first caller's; a second one waits with him.
            Some(Stage::Goodbye) if is_first => self.close_all(now),
            _ => {}
        }
    }

    fn abandon_all(&mut self, now: Now) {
        self.set_stage(Stage::GivingUp);
        self.scatter();
        for id in self.ops.keys() {
            let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
                continue;
            };
            if matches!(send.state, State::Batched(_)) {
                // It ends with its batch, and only that knows what can be said of it.
                continue;
            }
            let certainty = send.certainty();
            let failures = std::mem::take(&mut send.failures);
            let error = SendError::closed(certainty).with_attempts(failures);
            self.finish(now, id, Outcome::Failed(error));
        }
    }

    /// Tells every connected broker that we go (B.4).
    fn say_goodbye(&mut self, now: Now) {
        self.set_stage(Stage::Goodbye);
        self.stop_upkeep(now);
        let config = self.config.clone();
        let header = UnregisterClientRequest {
            client_id: config.client_id.as_str().into(),
            producer_group: Some(config.group.as_str().into()),
            consumer_group: None,
        };
        let mut goodbyes = 0;
        for id in self.peers.peers.keys() {
            let Some(peer) = self.peers.peers.get(id) else {
                continue;
            };
            let (Link::Ready(conn), true) = (peer.link, peer.is_broker) else {
                continue;
            };
            let code = RequestCode::UNREGISTER_CLIENT;
            self.transmit_request(conn, code, &header, Bytes::new(), Waiter::Unregister);
            goodbyes += 1;
        }
        let by = later(now.mono, GOODBYE);
        let first = self.closing.as_mut().and_then(|closing| {
            closing.goodbyes = goodbyes;
            closing.waiting.first().copied()
        });
        if let Some(first) = first {
            self.arm_op(first, by);
        }
    }

    /// No heartbeat and no new connection from now on: they would make us known again.
    fn stop_upkeep(&mut self, now: Now) {
        for at in [self.poll_at.take(), self.heartbeat_at.take()] {
            if at.is_some() {
                self.deadlines.cancel();
            }
        }
        self.forget_lookups(now);
        for conn in self.peers.conns.keys() {
            self.close_if_left(now, conn);
        }
        for id in self.peers.peers.keys() {
            if let Some(peer) = self.peers.peers.get_mut(id) {
                peer.waiting.clear();
            }
            match self.peers.peers.get(id).map(|peer| peer.link) {
                Some(Link::Dialling(conn)) => self.disconnect(now, conn, CloseReason::Shutdown),
                Some(Link::BackOff { .. }) => self.arm_peer(id, None),
                _ => {}
            }
        }
    }

    fn forget_lookups(&mut self, now: Now) {
        let mut questions = Vec::new();
        for id in self.routes.lookups.keys() {
            let Some(lookup) = self.routes.lookups.remove(id) else {
                continue;
            };
            if lookup.timer.is_some() {
                self.deadlines.cancel();
            }
            if let Some(topic) = self.routes.topics.get_mut(lookup.topic) {
                topic.lookup = None;
            }
            questions.extend(lookup.asked);
        }
        self.forget_questions(now, questions);
    }

    pub(crate) fn unregistered(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.goodbyes = closing.goodbyes.saturating_sub(1);
        }
    }

    /// The end: every operation that is left completes, every connection is closed.
    pub(crate) fn close_all(&mut self, now: Now) {
        let closing = self.closing.get_or_insert_with(|| Closing {
            stage: Stage::Draining,
            waiting: Vec::new(),
            goodbyes: 0,
            report: ShutdownReport::default(),
        });
        if closing.is_over() {
            return;
        }
        self.abandon_all(now);
        self.set_stage(Stage::Over);
        self.refuse_waiting(now);
        for conn in self.peers.conns.keys() {
            self.outputs.push_back(Output::Disconnect {
                conn,
                why: CloseReason::Shutdown,
            });
            let stuck = self.peers.conns.remove(conn).map(|link| link.stuck);
            for (_, weight, oneway) in stuck.into_iter().flatten() {
                self.pool(oneway).give_back(weight);
            }
            self.pending.take_all(conn);
        }
        for peer in self.peers.peers.keys() {
            self.forget_peer(now, peer);
        }
        self.forget_lookups(now);
        self.poll_at = None;
        self.heartbeat_at = None;
        let Some(closing) = &mut self.closing else {
            return;
        };
        let report = closing.report;
        for id in std::mem::take(&mut closing.waiting) {
            self.finish(now, id, Outcome::Shutdown(report));
        }
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(closing) = &mut self.closing {
            closing.stage = stage;
        }
    }
}
