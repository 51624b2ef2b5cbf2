//! Closing in order: admit nothing, drain, unregister everywhere, close (DESIGN 6; PROTOCOL B.4, E.3).

use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::RequestCode;
use rocketmq_proto::header::UnregisterClientRequest;

use crate::engine::{Engine, later};
use crate::error::{Certainty, SendError};
use crate::io::{CloseReason, Now, OpId, Outcome, Output, ProducerId};
use crate::member::Member;
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
    fn new() -> Self {
        Self {
            stage: Stage::Draining,
            waiting: Vec::new(),
            goodbyes: 0,
            report: ShutdownReport::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.stage == Stage::Draining
    }

    /// Whether brokers were told to forget the group.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.stage, Stage::Goodbye | Stage::Over)
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
    pub(crate) fn begin_shutdown(
        &mut self,
        now: Now,
        producer: ProducerId,
        grace: Duration,
    ) -> OpId {
        let deadline = later(now.mono, grace);
        let id = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Shutdown,
        });
        let Some(member) = self.members.get_mut(producer) else {
            let report = ShutdownReport::default();
            self.finish(now, id, Outcome::Shutdown(report));
            return id;
        };
        match &mut member.closing {
            Some(closing) if closing.is_over() => {
                let outcome = Outcome::Shutdown(closing.report);
                self.finish(now, id, outcome);
                return id;
            }
            // A second call waits with the first; whose grace is shorter wins.
            Some(closing) => closing.waiting.push(id),
            None => {
                let mut closing = Closing::new();
                closing.waiting.push(id);
                member.closing = Some(closing);
                member.check_backs.close();
                self.refuse_waiting(now, producer);
                self.close_batches(now);
            }
        }
        self.arm_op(id, deadline);
        id
    }

    /// Those without a permit, and questions, end at once.
    fn refuse_waiting(&mut self, now: Now, producer: ProducerId) {
        let over = self.stage_of(producer) == Some(Stage::Over);
        for id in self.ops_of(producer) {
            let certainty = self.ops.get(id).and_then(|op| match &op.kind {
                Kind::Admin(admin) => Some(admin.certainty()),
                Kind::Send(send) => (send.state == State::Permit).then_some(Certainty::NotSent),
                Kind::Topic(_) => Some(Certainty::NotSent),
                // Its listener still runs, and may answer as long as there are connections.
                Kind::Check(_) => over.then_some(Certainty::NotSent),
                Kind::Flush | Kind::Shutdown => None,
            });
            if let Some(certainty) = certainty {
                self.finish(now, id, Outcome::Failed(SendError::closed(certainty)));
            }
        }
    }

    /// Goes on when a stage is through. Called at the end of every call.
    pub(crate) fn shutdown_progress(&mut self, now: Now) {
        if !self.members.iter().any(|(_, member)| member.is_parting()) {
            return;
        }
        for id in self.members.keys() {
            let is_drained =
                |member: &Member| member.flushes.live() == 0 && member.open_transactions == 0;
            if self.stage_of(id) == Some(Stage::Draining)
                && self.members.get(id).is_some_and(is_drained)
            {
                self.flush_trace(now, id);
                let is_traced = |member: &Member| member.trace_messages() == 0;
                if self.members.get(id).is_some_and(is_traced) {
                    self.say_goodbye(now, id);
                }
            }
            let closing = self.closing_of(id);
            if closing.is_some_and(|c| c.stage == Stage::Goodbye && c.goodbyes == 0) {
                self.part(now, id);
            }
        }
    }

    /// The time of a stage is over.
    pub(crate) fn shutdown_due(&mut self, now: Now, id: OpId) {
        let Some(producer) = self.ops.get(id).map(|op| op.producer) else {
            return;
        };
        let Some(closing) = self.closing_of(producer) else {
            return;
        };
        let is_first = closing.waiting.first() == Some(&id);
        match closing.stage {
            Stage::Draining => {
                self.abandon_all(now, producer);
                self.say_goodbye(now, producer);
            }
            // The time for goodbyes is the first caller's; a second one waits with him.
            Stage::Goodbye if is_first => self.part(now, producer),
            _ => {}
        }
    }

    fn abandon_all(&mut self, now: Now, producer: ProducerId) {
        self.set_stage(producer, Stage::GivingUp);
        self.scatter(producer);
        self.drop_trace(now, producer);
        for id in self.ops_of(producer) {
            let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
                continue;
            };
            if matches!(send.state, State::Batched(_)) {
                // It ends with its batch, and only that knows what can be said of it.
                continue;
            }
            let certainty = send.certainty();
            let failures = send.take_failures();
            let error = SendError::closed(certainty).with_attempts(failures);
            self.finish(now, id, Outcome::Failed(error));
        }
    }

    /// Tells every connected broker that the group goes (B.4).
    fn say_goodbye(&mut self, now: Now, producer: ProducerId) {
        self.set_stage(producer, Stage::Goodbye);
        self.heartbeat_body = self.members.heartbeat();
        if self.members.iter().all(|(_, member)| member.has_left()) {
            self.stop_upkeep(now);
        }
        let config = self.members.config(producer).clone();
        let header = UnregisterClientRequest {
            client_id: config.client_id.as_str().into(),
            producer_group: Some(config.wire_group()),
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
            let (code, waiter) = (RequestCode::UNREGISTER_CLIENT, Waiter::Unregister(producer));
            self.transmit_request(conn, code, &header, Bytes::new(), waiter);
            goodbyes += 1;
        }
        let by = later(now.mono, GOODBYE);
        let first = self.closing_of(producer).and_then(|closing| {
            closing.goodbyes = goodbyes;
            closing.waiting.first().copied()
        });
        if let Some(first) = first {
            self.arm_op(first, by);
        }
    }

    /// A producer is gone; with the last one everything is closed.
    fn part(&mut self, now: Now, producer: ProducerId) {
        let is_gone = |(id, member): (ProducerId, &Member)| id == producer || member.is_over();
        let was_last = self.members.iter().all(is_gone);
        match was_last {
            true => self.close_all(now),
            false => self.end_member(now, producer),
        }
    }

    /// Whatever is left of a producer's operations completes.
    fn end_member(&mut self, now: Now, producer: ProducerId) {
        self.abandon_all(now, producer);
        self.set_stage(producer, Stage::Over);
        self.refuse_waiting(now, producer);
        self.forget_goodbyes(now, producer);
        let Some(closing) = self.closing_of(producer) else {
            return;
        };
        let report = closing.report;
        for id in std::mem::take(&mut closing.waiting) {
            self.finish(now, id, Outcome::Shutdown(report));
        }
        self.end_check_backs(producer);
        self.members.forget_closed();
    }

    /// No heartbeat and no new connection from now on: they would make us known again.
    fn stop_upkeep(&mut self, now: Now) {
        for at in [self.poll_at.take(), self.heartbeat_at.take()] {
            if at.is_some() {
                self.deadlines.cancel();
            }
        }
        self.pause_discovery(now);
        self.forget_lookups(now);
        self.stop_probes(now);
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

    /// A broker that does not answer a goodbye must not seem busy for ever.
    fn forget_goodbyes(&mut self, now: Now, producer: ProducerId) {
        let goodbye = Waiter::Unregister(producer);
        let open = self.pending.iter().filter(|r| r.waiter == goodbye);
        let open: Vec<_> = open.map(|r| (r.conn, r.opaque)).collect();
        for (conn, opaque) in open {
            self.forget_request(conn, opaque);
            // It may have been the last thing that a server which wants us elsewhere owed us.
            self.close_if_left(now, conn);
        }
    }

    pub(crate) fn unregistered(&mut self, producer: ProducerId) {
        if let Some(closing) = self.closing_of(producer) {
            closing.goodbyes = closing.goodbyes.saturating_sub(1);
        }
    }

    /// The end: every operation that is left completes, every connection is closed.
    pub(crate) fn close_all(&mut self, now: Now) {
        let live = self.members.keys().into_iter().filter(|id| {
            let member = self.members.get(*id);
            member.is_some_and(|member| !member.is_over())
        });
        let live: Vec<_> = live.collect();
        for producer in &live {
            self.abandon_all(now, *producer);
            self.set_stage(*producer, Stage::Over);
        }
        self.stop_upkeep(now);
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
        for producer in live {
            self.end_member(now, producer);
        }
    }

    fn ops_of(&self, producer: ProducerId) -> Vec<OpId> {
        let ops = self.ops.iter();
        ops.filter(|(_, op)| op.producer == producer)
            .map(|(id, _)| id)
            .collect()
    }

    fn closing_of(&mut self, producer: ProducerId) -> Option<&mut Closing> {
        self.members.get_mut(producer)?.closing.as_mut()
    }

    fn stage_of(&self, producer: ProducerId) -> Option<Stage> {
        let closing = self.members.get(producer)?.closing.as_ref();
        closing.map(|closing| closing.stage)
    }

    fn set_stage(&mut self, producer: ProducerId, stage: Stage) {
        if let Some(member) = self.members.get_mut(producer) {
            member.closing.get_or_insert_with(Closing::new).stage = stage;
        }
    }
}
