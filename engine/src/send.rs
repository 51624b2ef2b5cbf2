//! The way of one send up to its tries: permit, route, queue (DESIGN 4; PROTOCOL E.9, C.5, F).

use std::sync::Arc;

use crate::engine::{Accepted, Engine, later};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::io::{Answer, Ask, Now, OpId, Outcome, Output, ProducerId};
use crate::op::{Attempt, Kind, Op, Send, State};
use crate::prepare::{Prepared, Target};
use crate::publish::{Broker, Publish};
use crate::route::TopicId;
use crate::select;

impl Engine {
    pub(crate) fn begin_send(
        &mut self,
        now: Now,
        producer: ProducerId,
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
        let member = self.members.get_mut(producer);
        let epoch = member.map_or(0, |member| member.flushes.enter());
        let correlation = prepared.correlation.filter(|_| !oneway);
        let id = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Send(Send::new(prepared, oneway, epoch)),
        });
        if let Some(correlation) = correlation {
            self.requests.expect(correlation, id);
        }
        if admitted {
            self.start(now, id);
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
        if !self.ops.get(id).is_some_and(Op::is_own) {
            self.outputs.push_back(Output::Admitted { op: id });
        }
        self.start(now, id);
    }

    /// The route of its topic, or a place in the line for it.
    pub(crate) fn find_route(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let (Some(send), Some(deadline)) = (op.as_send(), op.deadline) else {
            return;
        };
        if let Some(conn) = send.prepared.asked_on() {
            return self.answer_on(now, id, conn);
        }
        let topic_id = self
            .routes
            .topic(&send.prepared.topic, now.mono, &mut self.rng);
        let Some(topic) = self.routes.topics.get_mut(topic_id) else {
            return;
        };
        topic.used_at = now.mono;
        let usable = topic.usable().cloned();
        if send.prepared.correlation.is_some() {
            self.open_for_replies(now, topic_id);
        }
        if let Some(publish) = usable {
            self.choose(now, id, topic_id, &publish);
            return;
        }
        self.wait_for_route(topic_id, id);
        self.set_state(id, State::Route(topic_id));
        self.arm_op(id, deadline);
        self.look_up(now, topic_id, Some(deadline));
    }

    /// The queue for the next try (PROTOCOL F). A message with a queue of its own stays with it.
    pub(crate) fn choose(&mut self, now: Now, id: OpId, topic: TopicId, publish: &Arc<Publish>) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let index = match &send.prepared.target {
            Target::Any => {
                let avoid = send.attempt.as_ref().map(|attempt| attempt.broker.clone());
                let avoid = avoid.as_ref().map(|broker| &*broker.name);
                self.any_queue(now, topic, publish, avoid)
            }
            Target::Hash(hash) => select::by_hash(*hash, publish.queues.len()),
            Target::Queue(queue) => {
                // The end of a transaction goes to the broker's own port (PROTOCOL G.1, I 35).
                let vip = self.config.vip_channel && send.prepared.end.is_none();
                let holder = publish.holder_of(queue).cloned();
                let nobody = || Broker::unrouted(queue.broker.clone(), None);
                let attempt = Attempt {
                    broker: holder.unwrap_or_else(nobody),
                    vip,
                    queue_id: queue.id,
                    began: now.mono,
                };
                return self.begin_attempt(now, id, attempt);
            }
            Target::Random => {
                let count = publish.queues.len();
                let chosen = send.chosen().filter(|index| *index < count);
                let index = chosen.or_else(|| select::at_random(self.rng.next(), count));
                if let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) {
                    send.past_mut().chosen = index;
                }
                index
            }
            Target::Select(message) => {
                let chosen = send.chosen().filter(|index| *index < publish.queues.len());
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
        let attempt = Attempt {
            broker: publish.broker_of(index).clone(),
            vip: self.config.vip_channel,
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
                send.past_mut().chosen = Some(index);
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
        // Not the first question when the topic has fewer queues than at an earlier try.
        let error = SendError::new(SendErrorKind::Selector, Certainty::NotSent, why);
        self.fail_send(now, id, error);
    }

    /// A send's error when no more can be done for it: the one that it met, knowing what its
    /// earlier tries left behind.
    pub(crate) fn fail_send(&mut self, now: Now, id: OpId, error: SendError) {
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        if let Some(fallback) = send.take_fallback() {
            // The last result is kept, and is better than an error (PROTOCOL E.10).
            return self.confirmed_by(now, id, fallback.attempt, fallback.receipt);
        }
        let failures = send.take_failures();
        let error = if failures.is_empty() {
            error
        } else {
            let certainty = SendError::certainty_of(&failures);
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
            // Its frame was given out and may yet be written.
            State::InFlight { .. } | State::Writing { .. } => Certainty::Unknown,
            State::AwaitingReply => Certainty::Stored,
            _ => SendError::certainty_of(self.failures()),
        }
    }
}
