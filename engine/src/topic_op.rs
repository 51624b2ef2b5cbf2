//! Questions about a topic: its queues, and whether it can be sent to (DESIGN 7, `publish_queues`
//! and `ready`).

use std::time::Duration;

use rocketmq_proto::{InvalidMessage, TopicName};

use crate::dial::DialError;
use crate::engine::{Accepted, Engine, later};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::event::dialled_as;
use crate::io::{Endpoint, Now, OpId, Outcome, ProducerId};
use crate::op::{Kind, Op, TopicOp, Want};
use crate::peer::Waiting;
use crate::publish::Publish;

impl Engine {
    pub(crate) fn begin_topic(
        &mut self,
        now: Now,
        producer: ProducerId,
        topic: TopicName,
        timeout: Duration,
        want: Want,
    ) -> Accepted {
        let deadline = later(now.mono, timeout);
        self.questions += 1;
        let wire = self.config.wire_topic(&topic);
        let topic = wire.clone().unwrap_or(topic);
        let topic_id = self.routes.topic(&topic, now.mono, &mut self.rng);
        let op = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Topic(TopicOp {
                topic,
                want,
                dialling: 0,
            }),
        });
        self.arm_op(op, deadline);
        if let Err(error) = wire {
            let error = SendError::from(InvalidMessage::from(error));
            self.finish(now, op, Outcome::Failed(error));
            return Accepted { op, admitted: true };
        }
        if let Some(topic) = self.routes.topics.get_mut(topic_id) {
            topic.used_at = now.mono;
            match topic.usable().cloned() {
                Some(publish) => self.topic_found(now, op, &publish),
                None => {
                    self.wait_for_route(topic_id, op);
                    self.look_up(now, topic_id, Some(deadline));
                }
            }
        }
        Accepted { op, admitted: true }
    }

    /// The topic has queues: they are the answer, or one of their brokers has to be connected.
    pub(crate) fn topic_found(&mut self, now: Now, id: OpId, publish: &Publish) {
        let Some(want) = self.topic_op(id).map(|topic| topic.want) else {
            return;
        };
        if want == Want::Queues {
            return self.finish(now, id, Outcome::Queues(publish.queues.clone()));
        }
        let addresses: Vec<_> = publish
            .brokers()
            .iter()
            .filter_map(|broker| broker.send_address(self.config.vip_channel).cloned())
            .collect();
        let mut dialling = 0;
        for address in &addresses {
            let peer_id = self.peers.at(address);
            self.note_master(now, peer_id);
            if self.reach(now, peer_id).is_some() {
                return self.finish(now, id, Outcome::Done);
            }
            self.wait_for(peer_id, Waiting::Op(id));
            dialling += 1;
        }
        if let Some(topic) = self.topic_op(id) {
            topic.dialling = dialling;
        }
    }

    /// One of the topic's brokers cannot be reached; fails with the last of them.
    pub(crate) fn topic_unreachable(
        &mut self,
        now: Now,
        id: OpId,
        address: &Endpoint,
        error: DialError,
    ) {
        let Some(topic_op) = self.topic_op(id) else {
            return;
        };
        topic_op.dialling = topic_op.dialling.saturating_sub(1);
        if topic_op.dialling > 0 {
            return;
        }
        let topic = topic_op.topic.clone();
        let mapped = dialled_as(&self.peers.mapped(address));
        let text = format!(
            "no broker of topic {} can be reached; the last, {address}{mapped}: {error}",
            self.config.own_topic(&topic)
        );
        let error = SendError::new(SendErrorKind::Connection, Certainty::NotSent, text);
        self.finish(now, id, Outcome::Failed(error));
    }

    pub(crate) fn topic_due(&mut self, now: Now, id: OpId) {
        let Some(topic) = self.topic_op(id).map(|topic| topic.topic.clone()) else {
            return;
        };
        let topic_id = self.routes.topic(&topic, now.mono, &mut self.rng);
        let known = self
            .routes
            .topics
            .get(topic_id)
            .is_some_and(|t| t.usable().is_some());
        let topic = self.config.own_topic(&topic);
        let text = if known {
            format!("no broker of topic {topic} was connected in time")
        } else {
            format!(
                "no route info of topic {topic} in time: {}",
                self.describe_lookup(topic_id)
            )
        };
        let error = SendError::new(SendErrorKind::Timeout, Certainty::NotSent, text);
        self.finish(now, id, Outcome::Failed(error));
    }

    fn topic_op(&mut self, id: OpId) -> Option<&mut TopicOp> {
        match &mut self.ops.get_mut(id)?.kind {
            Kind::Topic(topic) => Some(topic),
            _ => None,
        }
    }
}
