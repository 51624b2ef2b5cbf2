//! What name servers answer, and what becomes of those who waited for it (PROTOCOL C.5, E.6).

use std::sync::Arc;

use bytes::Bytes;
use rocketmq_proto::{CommandView, ResponseCode, TopicRoute};

use crate::denial::is_denial;
use crate::engine::Engine;
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::event::Event;
use crate::io::{Endpoint, Now, OpId, Outcome, Output};
use crate::op::{Kind, State};
use crate::publish::{Place, Publish};
use crate::route::{Lookup, LookupId, Topic, TopicId};

/// A topic that had a route keeps it when name servers say that they know no such topic, so many
/// times in a row: one that was just restarted knows none for a while.
const KEPT_MISSES: u32 = 3;
/// So much of a name server's words is told.
const MAX_REMARK: usize = 1024;

impl Engine {
    /// A name server answered.
    pub(crate) fn route_answered(
        &mut self,
        now: Now,
        id: LookupId,
        server: &Endpoint,
        answer: &CommandView<'_>,
        body: &Bytes,
    ) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        let fallback = lookup.fallback;
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS if !body.is_empty() => match TopicRoute::decode(body) {
                Ok(route) => {
                    self.routes.answered(server);
                    self.route_found(now, id, route, fallback);
                }
                Err(error) => self.lookup_failed(now, id, server, error.to_string()),
            },
            ResponseCode::TOPIC_NOT_EXIST if !fallback => self.topic_missed(now, id, server),
            code => {
                let remark = answer.remark.as_deref().unwrap_or("no remark");
                lookup.denied |= is_denial(code, remark);
                let remark = remark.lines().next().unwrap_or_default();
                let remark: String = remark.chars().take(MAX_REMARK).collect();
                self.lookup_failed(now, id, server, format!("{code}: {remark}"));
            }
        }
    }

    /// A name server knows no such topic. A new topic's place is where the default topic is (C.5);
    /// one that had a route keeps it until that was said several times over (I 18), unless all its
    /// brokers are out of reach as well: then it has gone with them.
    fn topic_missed(&mut self, now: Now, id: LookupId, server: &Endpoint) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        lookup.missed = true;
        let (peers, topic) = (&self.peers, self.routes.topics.get(lookup.topic));
        let is_served = |topic: &Topic| {
            let mut brokers = topic.publish.iter().flat_map(|publish| publish.brokers());
            brokers.any(|b| {
                b.address
                    .as_ref()
                    .is_some_and(|address| !peers.is_doubtful(address))
            })
        };
        let is_kept =
            |topic: &Topic| topic.route.is_some() && topic.misses < KEPT_MISSES && is_served(topic);
        if topic.is_some_and(is_kept) {
            return self.lookup_failed(now, id, server, "it knows no such topic".to_owned());
        }
        lookup.fallback = true;
        let asked = std::mem::take(&mut lookup.asked);
        self.routes.answered(server);
        self.forget_questions(now, asked);
        self.ask(now, id, server.clone());
    }

    /// A name server did not help: on to the next one.
    pub(crate) fn lookup_failed(&mut self, now: Now, id: LookupId, server: &Endpoint, why: String) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        lookup.failed(server, why);
        if !self.ask_next(now, id) {
            self.end_if_unanswered(now, id);
        }
    }

    /// The connection broke on which a name server was asked. Servers close those that are idle, and a
    /// question may meet just that: with nobody else to ask, the same one is asked once more.
    pub(crate) fn lookup_lost(&mut self, now: Now, id: LookupId, server: &Endpoint, why: String) {
        let is_listed = self.routes.is_name_server(server);
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        lookup.failed(server, why);
        if self.ask_next(now, id) {
            return;
        }
        let lookup = self.routes.lookups.get_mut(id);
        let is_first = lookup.is_some_and(|lookup| {
            lookup.outstanding() == 0 && !std::mem::replace(&mut lookup.again, true)
        });
        if is_listed && is_first {
            self.ask(now, id, server.clone());
        } else {
            self.end_if_unanswered(now, id);
        }
    }

    fn end_if_unanswered(&mut self, now: Now, id: LookupId) {
        let lookup = self.routes.lookups.get(id);
        if lookup.is_some_and(|lookup| lookup.outstanding() == 0) {
            self.end_lookup(now, id, None);
        }
    }

    fn route_found(&mut self, now: Now, id: LookupId, mut route: TopicRoute, fallback: bool) {
        route.brokers.sort_by(|a, b| a.name.cmp(&b.name));
        route.queues.sort_by(|a, b| a.broker.cmp(&b.broker));
        let Some(lookup) = self.routes.lookups.get(id) else {
            return;
        };
        let at_most = fallback.then_some(self.config.default_topic_queues);
        let Some(topic) = self.routes.topics.get_mut(lookup.topic) else {
            return;
        };
        topic.misses = 0;
        let unchanged = topic.route.as_ref() == Some(&route);
        if !unchanged || topic.publish.is_none() {
            let name = self.config.own_topic(&topic.name);
            let mut publish = Publish::from_route(&name, &route, at_most);
            if topic.publish.as_deref() != Some(&publish) {
                topic.epoch = topic.epoch.wrapping_add(1);
                self.outputs.push_back(Output::Event(Event::RouteChanged {
                    topic: name.into_owned(),
                    epoch: topic.epoch,
                    queues: publish.queues.len(),
                }));
                let (peers, brokers) = (&mut self.peers, &mut self.brokers);
                publish.locate(|broker| {
                    let address = broker.send_address(self.config.vip_channel);
                    Place {
                        record: address.map(|_| brokers.id(&broker.name)),
                        peer: address.map(|address| peers.at(address)),
                    }
                });
                topic.publish = Some(Arc::new(publish));
            }
            topic.clusters = clusters_of(&route);
            // A default topic's route is not the topic's own: the next answer is always news.
            topic.route = (!fallback).then_some(route);
        }
        let (topic_id, wants_replies) = (lookup.topic, topic.wants_replies);
        match topic.is_for_replies {
            // Only requests keep it in use: it must not keep itself, or lead to further ones.
            true => self.meet_brokers(now, topic_id),
            false if wants_replies => self.open_for_replies(now, topic_id),
            false => {}
        }
        self.end_lookup(now, id, Some(()));
    }

    /// A question is over: those who waited for the route go on, or fail.
    pub(crate) fn end_lookup(&mut self, now: Now, id: LookupId, found: Option<()>) {
        let Some(mut lookup) = self.routes.lookups.remove(id) else {
            return;
        };
        if lookup.timer.is_some() {
            self.deadlines.cancel();
        }
        let topic_id = lookup.topic;
        let Some(topic) = self.routes.topics.get_mut(topic_id) else {
            return;
        };
        topic.lookup = None;
        topic.asked_at = Some(now.mono);
        let name = self.config.own_topic(&topic.name).into_owned();
        let waiting = std::mem::take(&mut topic.waiting);
        if found.is_none() {
            topic.misses += u32::from(lookup.missed);
            let event = Event::RouteFailed {
                topic: name,
                error: self.describe_question(&lookup),
            };
            self.outputs.push_back(Output::Event(event));
        }
        // Who joined a question that ran out of time gets one of his own.
        let unanswered = found.is_none() && lookup.deadline <= now.mono && !self.is_closing();
        let mut again = None;
        for op in waiting {
            let deadline = self.ops.get(op).and_then(|op| op.deadline);
            match deadline.filter(|deadline| unanswered && *deadline > now.mono) {
                Some(deadline) => {
                    self.wait_for_route(topic_id, op);
                    again = again.max(Some(deadline));
                }
                None => self.route_settled(now, op, topic_id, &lookup),
            }
        }
        self.forget_questions(now, std::mem::take(&mut lookup.asked));
        if again.is_some() {
            self.look_up(now, topic_id, again);
        }
        self.poll_next(now);
    }

    /// Lets one who waited for the route go on with what is known now.
    fn route_settled(&mut self, now: Now, op: OpId, topic: TopicId, lookup: &Lookup) {
        let Some(known) = self.routes.topics.get(topic) else {
            return;
        };
        let publish = known.usable().cloned();
        let name = self.config.own_topic(&known.name).into_owned();
        let has_route = known.publish.is_some();
        let error = || match has_route {
            true => SendError::no_route(&name, "its route has no queue that can be written to"),
            false if lookup.fallback => SendError::no_route(&name, &self.describe_question(lookup)),
            false => SendError::new(
                if lookup.denied {
                    SendErrorKind::Denied
                } else {
                    SendErrorKind::NameServer
                },
                Certainty::NotSent,
                format!(
                    "no name server could be asked for topic {name}: {}",
                    self.describe_question(lookup)
                ),
            ),
        };
        match (self.ops.get(op).map(|op| &op.kind), publish) {
            (Some(Kind::Send(send)), publish) if send.state == State::Route(topic) => match publish
            {
                Some(publish) => self.choose(now, op, topic, &publish),
                None => self.fail_send(now, op, error()),
            },
            (Some(Kind::Admin(_)), _) => {
                let error = error();
                self.admin_routed(now, op, topic, &error);
            }
            (Some(Kind::Topic(_)), Some(publish)) => self.topic_found(now, op, &publish),
            (Some(Kind::Topic(_)), None) => self.finish(now, op, Outcome::Failed(error())),
            _ => {}
        }
    }
}

/// The clusters that a topic's brokers name, each once.
fn clusters_of(route: &TopicRoute) -> Arc<[String]> {
    let mut clusters: Vec<_> = route.brokers.iter().map(|b| b.cluster.clone()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    clusters.retain(|cluster| !cluster.is_empty());
    clusters.into()
}
