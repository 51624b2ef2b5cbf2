//! The life of one send: permit, route, queue, tries, completion (DESIGN 4; PROTOCOL E.10 - E.12).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_proto::{CommandView, ResponseCode};

use crate::config::{AttemptTimeout, OnTimeout};
use crate::engine::{Accepted, Engine, later};
use crate::error::{AttemptFailure, AttemptReport, Certainty, SendError, SendErrorKind};
use crate::io::{Answer, Ask, CloseReason, ConnId, FrameSeq, Now, OpId, Outcome, Output};
use crate::op::{Attempt, Kind, Op, Send, State};
use crate::peer::{Link, Waiting};
use crate::prepare::{Prepared, Target};
use crate::publish::Publish;
use crate::receipt::{SendReceipt, SendStatus};
use crate::retry::{Step, next_step};
use crate::route::TopicId;
use crate::select;

/// No try is given less, unless less is left.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(1);

impl Engine {
    pub(crate) fn begin_send(
        &mut self,
        now: Now,
        prepared: Box<Prepared>,
        oneway: bool,
        may_wait: bool,
    ) -> Result<Accepted, Box<Prepared>> {
        let weight = prepared.weight();
        let pool = if oneway {
            &mut self.oneway_permits
        } else {
            &mut self.permits
        };
        let admitted = pool.try_take(weight);
        if !admitted && !may_wait {
            return Err(prepared);
        }
        let deadline = later(now.mono, prepared.timeout);
        let epoch = self.flushes.enter();
        let id = self.ops.insert(Op {
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Send(Send::new(prepared, oneway, epoch)),
        });
        if admitted {
            self.find_route(now, id);
            return Ok(Accepted { op: id, admitted });
        }
        self.set_state(id, State::Permit);
        self.pool(oneway).wait(id, weight);
        self.arm_op(id, deadline);
        Ok(Accepted { op: id, admitted })
    }

    /// A permit was handed over to a send that waited.
    pub(crate) fn admitted(&mut self, now: Now, id: OpId) {
        self.set_state(id, State::Running);
        self.outputs.push_back(Output::Admitted { op: id });
        self.find_route(now, id);
    }

    /// The route of its topic, or a place in the line for it.
    fn find_route(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let (Some(send), Some(deadline)) = (op.as_send(), op.deadline) else {
            return;
        };
        let topic_id = self
            .routes
            .topic(&send.prepared.topic, now.mono, &mut self.rng);
        let Some(topic) = self.routes.topics.get_mut(topic_id) else {
            return;
        };
        topic.used_at = now.mono;
        if let Some(publish) = topic.usable().cloned() {
            self.choose(now, id, topic_id, &publish);
            return;
        }
        self.wait_for_route(topic_id, id);
        self.set_state(id, State::Route(topic_id));
        self.arm_op(id, deadline);
        self.look_up(now, topic_id);
    }

    /// The queue for the next try (PROTOCOL F). A message with a queue of its own stays with it.
    pub(crate) fn choose(&mut self, now: Now, id: OpId, topic: TopicId, publish: &Arc<Publish>) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let index = match &send.prepared.target {
            Target::Any => {
                let Some(topic) = self.routes.topics.get_mut(topic) else {
                    return;
                };
                let avoid = send.attempt.as_ref().map(|attempt| &*attempt.broker);
                let peers = &self.peers;
                select::next_queue(publish, &mut topic.counter, avoid, |broker| {
                    broker
                        .address
                        .as_ref()
                        .is_some_and(|address| !peers.is_doubtful(address))
                })
            }
            Target::Hash(hash) => select::by_hash(*hash, publish.queues.len()),
            Target::Queue(queue) => {
                let attempt = Attempt {
                    broker: queue.broker.clone(),
                    address: publish
                        .broker_named(&queue.broker)
                        .and_then(|broker| broker.address.clone()),
                    queue_id: queue.id,
                    began: now.mono,
                };
                return self.begin_attempt(now, id, attempt);
            }
            Target::Select(message) => {
                let chosen = send.chosen.filter(|index| *index < publish.queues.len());
                if chosen.is_none() {
                    let ask = Ask::SelectQueue {
                        queues: publish.queues.clone(),
                        message: message.clone(),
                    };
                    self.set_state(id, State::Asking);
                    if let Some(deadline) = self.ops.get(id).and_then(|op| op.deadline) {
                        self.arm_op(id, deadline);
                    }
                    self.outputs.push_back(Output::Ask { op: id, ask });
                    return;
                }
                chosen
            }
        };
        // `publish` has queues: `find_route` and `selected` saw to it.
        let Some(index) = index else { return };
        let broker = publish.broker_of(index);
        let attempt = Attempt {
            broker: broker.name.clone(),
            address: broker.address.clone(),
            queue_id: publish.queues[index].id,
            began: now.mono,
        };
        self.begin_attempt(now, id, attempt);
    }

    /// The application's closure has chosen (PROTOCOL F.3, E.5 "selector").
    pub(crate) fn selected(&mut self, now: Now, id: OpId, answer: Answer) {
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        if send.state != State::Asking {
            return;
        }
        let why = match answer {
            Answer::Queue(Some(index)) => {
                send.chosen = Some(index);
                let topic = self
                    .routes
                    .topic(&send.prepared.topic, now.mono, &mut self.rng);
                let publish = self
                    .routes
                    .topics
                    .get(topic)
                    .and_then(|topic| topic.usable());
                match publish.cloned() {
                    Some(publish) if index < publish.queues.len() => {
                        return self.choose(now, id, topic, &publish);
                    }
                    Some(_) => "the queue selector chose a queue that does not exist",
                    None => return self.find_route(now, id),
                }
            }
            Answer::Queue(None) => "the queue selector chose no queue",
            Answer::Panicked => "the queue selector panicked",
        };
        let error = SendError::new(SendErrorKind::Selector, Certainty::NotSent, why);
        self.finish(now, id, Outcome::Failed(error));
    }

    fn begin_attempt(&mut self, now: Now, id: OpId, attempt: Attempt) {
        let by = self.attempt_deadline(now, id);
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        send.tries += 1;
        send.gone_away = false;
        send.attempt = Some(attempt);
        self.arm_op(id, by);
        self.dispatch(now, id);
    }

    /// When the next try must be over (DESIGN 6, deadline).
    fn attempt_deadline(&self, now: Now, id: OpId) -> Instant {
        let Some(op) = self.ops.get(id) else {
            return now.mono;
        };
        let (Some(send), Some(deadline)) = (op.as_send(), op.deadline) else {
            return now.mono;
        };
        let left = deadline.saturating_duration_since(now.mono);
        let share = match self.config.attempt_timeout {
            AttemptTimeout::At(most) => most,
            AttemptTimeout::Split => {
                left / self
                    .config
                    .retries
                    .saturating_add(1)
                    .saturating_sub(send.tries)
                    .max(1)
            }
            AttemptTimeout::Whole => left,
        };
        later(now.mono, share.max(SHORTEST_ATTEMPT)).min(deadline)
    }

    /// Sends the try that was begun, now or as soon as its broker is connected.
    fn dispatch(&mut self, now: Now, id: OpId) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let address = send
            .attempt
            .as_ref()
            .and_then(|attempt| attempt.address.as_ref());
        let Some(address) = address else {
            return self.attempt_failed(now, id, AttemptFailure::NoAddress);
        };
        let peer_id = self.peers.at(address);
        if let Some(peer) = self.peers.peers.get_mut(peer_id) {
            peer.is_broker = true;
        }
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
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        send.state = State::Running;
        let code = ResponseCode(answer.code);
        let Some(status) = SendStatus::of(code) else {
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
        let message_id = send.prepared.message_id.clone();
        let receipt = SendReceipt::read(
            status,
            answer,
            message_id,
            &send.prepared.topic,
            &attempt.broker,
            send.tries,
        );
        match receipt {
            Err(why) => self.attempt_failed(now, id, AttemptFailure::BadAnswer(why)),
            Ok(receipt)
                if status != SendStatus::SendOk
                    && self.config.retry_other_broker_when_not_stored =>
            {
                send.fallback = Some(Box::new(receipt));
                self.attempt_failed(now, id, AttemptFailure::NotStoredOk(status));
            }
            Ok(receipt) => self.finish(now, id, Outcome::Sent(Box::new(receipt))),
        }
    }

    /// A try failed: another one, now or after a pause, or the end (PROTOCOL E.10).
    pub(crate) fn attempt_failed(&mut self, now: Now, id: OpId, failure: AttemptFailure) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let left = op
            .deadline
            .map_or(Duration::ZERO, |d| d.saturating_duration_since(now.mono));
        let Some(send) = op.as_send_mut() else { return };
        send.state = State::Running;
        let step = next_step(&self.config, &failure, send.tries, left);
        let suspect = is_route_suspect(&failure);
        if let Some(attempt) = &send.attempt {
            send.failures.push(AttemptReport {
                broker: attempt.broker.clone(),
                address: attempt.address.clone(),
                elapsed: now.mono.saturating_duration_since(attempt.began),
                cause: failure,
            });
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
        if let Some(receipt) = send.fallback.take() {
            return self.finish(now, id, Outcome::Sent(receipt));
        }
        let certainty = send.certainty();
        let failures = std::mem::take(&mut send.failures);
        let topic = &send.prepared.topic;
        let error = SendError::after_attempts(topic, elapsed, timed_out, certainty, failures);
        self.finish(now, id, Outcome::Failed(error));
    }

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
                            peer.last_error.unwrap_or(std::io::ErrorKind::Other),
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
            State::Pausing => self.find_route(now, id),
            State::Writing { conn, .. } => self.disconnect(now, conn, CloseReason::Silent),
            State::Asking | State::Permit | State::Route(_) | State::Running => {
                let error = self.waited_too_long(now, id);
                self.finish(now, id, Outcome::Failed(error));
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
        if self.is_queued_there(now, id, conn, seq, since) {
            self.set_state(
                id,
                State::InFlight {
                    conn,
                    opaque,
                    seq,
                    since: now.mono,
                },
            );
            let again = self.attempt_deadline(now, id);
            return self.arm_op(id, again);
        }
        self.pending.take(conn, opaque);
        let began = self
            .ops
            .get(id)
            .and_then(Op::as_send)
            .and_then(|send| send.attempt.as_ref());
        let began = began.map_or(since, |attempt| attempt.began);
        let mut failure = AttemptFailure::NoReply(now.mono.saturating_duration_since(began));
        let mut close = None;
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.pending = link.pending.saturating_sub(1);
            close = match self.config.on_timeout {
                OnTimeout::Close => Some(CloseReason::Timeout),
                OnTimeout::CloseIfSilent if link.received_at <= since => Some(CloseReason::Silent),
                _ => None,
            };
            if let Some(why) = close.filter(|_| link.flushed < seq) {
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

    /// Whether the broker is alive and has not come to this request yet: answers arrive, and only to
    /// requests written before it. Sending it elsewhere would add to the load that delays it, and
    /// store it twice (DESIGN 6, deadline). With answers to later requests it counts as lost.
    fn is_queued_there(
        &self,
        now: Now,
        id: OpId,
        conn: ConnId,
        seq: FrameSeq,
        since: Instant,
    ) -> bool {
        let in_time = self
            .ops
            .get(id)
            .and_then(|op| op.deadline)
            .is_some_and(|deadline| deadline > now.mono);
        self.config.attempt_timeout == AttemptTimeout::Split
            && in_time
            && self.peers.conns.get(conn).is_some_and(|link| {
                link.answered_at.is_some_and(|at| at > since) && link.answered < seq
            })
    }

    fn waited_too_long(&self, now: Now, id: OpId) -> SendError {
        let Some(op) = self.ops.get(id) else {
            return SendError::closed(Certainty::NotSent);
        };
        let Some(send) = op.as_send() else {
            return SendError::closed(Certainty::NotSent);
        };
        let elapsed = now.mono.saturating_duration_since(op.since);
        let topic = &send.prepared.topic;
        let what = match send.state {
            State::Permit => format!(
                "no room within {elapsed:.1?} to send to topic {topic}: {} messages with {} bytes \
                 are under way; see max_in_flight and max_in_flight_bytes",
                self.permits.count(),
                self.permits.bytes()
            ),
            State::Route(id) => format!(
                "no route info of topic {topic} within {elapsed:.1?}: {}",
                self.describe_lookup(id)
            ),
            _ => format!("the queue selector for topic {topic} took more than {elapsed:.1?}"),
        };
        let failures = send.failures.clone();
        SendError::new(SendErrorKind::Timeout, send.certainty(), what).with_attempts(failures)
    }

    /// A send's error when no more can be done for it: the one that it met, knowing what its
    /// earlier tries left behind.
    pub(crate) fn fail_send(&mut self, now: Now, id: OpId, error: SendError) {
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        let failures = std::mem::take(&mut send.failures);
        let error = if failures.is_empty() {
            error
        } else {
            let certainty = certainty_of(&failures);
            SendError::new(error.kind(), certainty, error.to_string()).with_attempts(failures)
        };
        self.finish(now, id, Outcome::Failed(error));
    }

    pub(crate) fn set_state(&mut self, id: OpId, state: State) {
        if let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) {
            send.state = state;
        }
    }

    pub(crate) fn pool(&mut self, oneway: bool) -> &mut crate::permits::Permits {
        if oneway {
            &mut self.oneway_permits
        } else {
            &mut self.permits
        }
    }
}

impl Send {
    /// What is known about the message now (DESIGN 6, certainty).
    pub(crate) fn certainty(&self) -> Certainty {
        match self.state {
            State::InFlight { .. } => Certainty::Unknown,
            _ => certainty_of(&self.failures),
        }
    }
}

fn certainty_of(failures: &[AttemptReport]) -> Certainty {
    if failures.iter().any(|failure| failure.cause.may_be_stored()) {
        return Certainty::Unknown;
    }
    let was_refused =
        |failure: &AttemptReport| matches!(failure.cause, AttemptFailure::Answered { .. });
    if failures.iter().any(was_refused) {
        Certainty::Rejected
    } else {
        Certainty::NotSent
    }
}

/// Whether a failure says that the route may be out of date.
fn is_route_suspect(failure: &AttemptFailure) -> bool {
    match failure {
        AttemptFailure::Answered { code, .. } => {
            *code == ResponseCode::TOPIC_NOT_EXIST || *code == ResponseCode::NO_PERMISSION
        }
        AttemptFailure::BadAnswer(_) | AttemptFailure::NotStoredOk(_) => false,
        _ => true,
    }
}
