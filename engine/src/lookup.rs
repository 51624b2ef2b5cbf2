//! Asking name servers for a topic's route: one question at a time for each topic, each name server
//! tried once, all within the budget (PROTOCOL C.5, E.6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rocketmq_proto::header::GetRouteInfoRequest;
use rocketmq_proto::{CommandView, RequestCode, ResponseCode, TopicRoute};

use crate::engine::{Engine, Timer, later};
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::event::Event;
use crate::io::{CloseReason, ConnId, Endpoint, Now, OpId, Outcome, Output};
use crate::op::{Kind, State};
use crate::peer::{Conn, Waiting};
use crate::pending::Waiter;
use crate::publish::Publish;
use crate::route::{Asked, Lookup, LookupId, Topic, TopicId};

/// A refresh after an error asks again at most this often.
const REFRESH_PAUSE: Duration = Duration::from_millis(500);
/// A topic that had a route keeps it when name servers say that they know no such topic, so many
/// times in a row: one that was just restarted knows none for a while.
const KEPT_MISSES: u32 = 3;

impl Engine {
    /// Gets in line for a topic's route.
    pub(crate) fn wait_for_route(&mut self, id: TopicId, op: OpId) {
        let ops = &self.ops;
        let Some(topic) = self.routes.topics.get_mut(id) else {
            return;
        };
        // Those who gave up leave their place behind; swept before the line is mostly that.
        if topic.waiting.len() > 2 * ops.len() + 64 {
            topic.waiting.retain(|waiting| ops.get(*waiting).is_some());
        }
        topic.waiting.push_back(op);
    }

    /// Asks for a topic's route, unless that is under way. Who waits for it does so until `by`.
    pub(crate) fn look_up(&mut self, now: Now, id: TopicId, by: Option<Instant>) {
        let deadline = later(now.mono, self.config.api_timeout);
        let Some(topic) = self.routes.topics.get_mut(id) else {
            return;
        };
        let wanted_by = by.map_or(deadline, |by| by.min(deadline));
        if let Some(lookup) = topic.lookup {
            return self.hurry(now, lookup, wanted_by);
        }
        let lookup = Lookup {
            topic: id,
            fallback: false,
            missed: false,
            deadline,
            wanted_by,
            timer: None,
            asked: Vec::new(),
        };
        let lookup = self.routes.lookups.insert(lookup);
        topic.lookup = Some(lookup);
        self.ask_next(now, lookup);
    }

    /// Asks again after an error that speaks against the route, but not all the time.
    pub(crate) fn refresh(&mut self, now: Now, id: TopicId) {
        let Some(topic) = self.routes.topics.get(id) else {
            return;
        };
        let recently = |at: Instant| now.mono.saturating_duration_since(at) < REFRESH_PAUSE;
        if !topic.asked_at.is_some_and(recently) && self.closing.is_none() {
            self.look_up(now, id, None);
        }
    }

    /// Puts the question to the next name server. Returns whether there was one.
    fn ask_next(&mut self, now: Now, id: LookupId) -> bool {
        let Some(lookup) = self.routes.lookups.get(id) else {
            return false;
        };
        let peers = &self.peers;
        let next = self
            .routes
            .next_server(lookup, |server| peers.is_doubtful(server));
        let Some(server) = next else { return false };
        self.ask(now, id, server);
        true
    }

    fn ask(&mut self, now: Now, id: LookupId, server: Endpoint) {
        let peer = self.peers.at(&server);
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        let asked = Asked {
            server,
            request: None,
            failure: None,
        };
        lookup.asked.push(asked);
        self.arm_lookup(now, id);
        match self.reach(now, peer) {
            Some(conn) => self.ask_route(now, id, conn),
            None => self.wait_for(peer, Waiting::Lookup(id)),
        }
    }

    /// A name server gets an equal share of what is left, as long as there is another one, and one
    /// share stays for the send itself; the last one gets the rest. Its answer counts also later.
    fn arm_lookup(&mut self, now: Now, id: LookupId) {
        if let Some(lookup) = self.routes.lookups.get(id) {
            self.arm_lookup_at(id, self.end_of_share(now, lookup));
        }
    }

    /// Somebody joins who has less time than those before: the present name server gets less.
    fn hurry(&mut self, now: Now, id: LookupId, wanted_by: Instant) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        if wanted_by >= lookup.wanted_by {
            return;
        }
        lookup.wanted_by = wanted_by;
        if let Some(lookup) = self.routes.lookups.get(id) {
            let at = self.end_of_share(now, lookup);
            if lookup.timer.is_none_or(|timer| at < timer) {
                self.arm_lookup_at(id, at);
            }
        }
    }

    fn end_of_share(&self, now: Now, lookup: &Lookup) -> Instant {
        let left = lookup.wanted_by.saturating_duration_since(now.mono);
        match u32::try_from(self.routes.untried(lookup)) {
            Ok(0) | Err(_) => lookup.deadline,
            Ok(untried) => later(now.mono, left / (untried + 2)),
        }
    }

    fn arm_lookup_at(&mut self, id: LookupId, at: Instant) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        if lookup.timer.replace(at).is_some() {
            self.deadlines.cancel();
        }
        self.deadlines.set(at, Timer::Lookup(id));
    }

    /// Writes the question; the name server is connected.
    pub(crate) fn ask_route(&mut self, now: Now, id: LookupId, conn: ConnId) {
        let Some(server) = self.peers.address_of(conn).cloned() else {
            return;
        };
        let Some(lookup) = self.routes.lookups.get(id) else {
            return;
        };
        let Some(topic) = self.routes.topics.get(lookup.topic) else {
            return;
        };
        if !lookup.asked.iter().any(|asked| asked.awaits(&server)) {
            return;
        }
        let name = if lookup.fallback {
            self.config.create_topic_key.clone()
        } else {
            topic.name.to_string()
        };
        let header = GetRouteInfoRequest {
            topic: name.into(),
            accept_standard_json_only: Some(true),
        };
        let code = RequestCode::GET_ROUTEINFO_BY_TOPIC;
        let waiter = Waiter::Lookup(id, server.clone());
        let opaque = self.transmit_request(conn, code, &header, Bytes::new(), waiter);
        let lookup = self.routes.lookups.get_mut(id);
        if let Some(asked) = lookup.and_then(|l| l.asked.iter_mut().find(|a| a.awaits(&server))) {
            asked.request = Some((conn, opaque, now.mono));
        }
    }

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
                let remark = remark.lines().next().unwrap_or_default();
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

    /// Waits no longer for answers to a question that is over, and closes connections on which
    /// nothing has arrived since it was asked (PROTOCOL E.6: the next call goes elsewhere).
    pub(crate) fn forget_questions(&mut self, now: Now, asked: Vec<Asked>) {
        for asked in asked {
            let (Some((conn, opaque, at)), None) = (asked.request, asked.failure) else {
                continue;
            };
            self.forget_request(conn, opaque);
            let overdue = later(at, self.config.api_timeout / 2) <= now.mono;
            let silent = |link: &Conn| link.received_at <= at;
            if overdue && self.peers.conns.get(conn).is_some_and(silent) {
                self.disconnect(now, conn, CloseReason::Silent);
            }
        }
    }

    /// A name server did not help: on to the next one.
    pub(crate) fn lookup_failed(&mut self, now: Now, id: LookupId, server: &Endpoint, why: String) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        lookup.failed(server, why);
        if self.ask_next(now, id) {
            return;
        }
        let Some(lookup) = self.routes.lookups.get(id) else {
            return;
        };
        if lookup.outstanding() == 0 {
            self.end_lookup(now, id, None);
        }
    }

    pub(crate) fn lookup_due(&mut self, now: Now, id: LookupId) {
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        lookup.timer = None;
        if lookup.deadline > now.mono && self.ask_next(now, id) {
            return;
        }
        let Some(lookup) = self.routes.lookups.get_mut(id) else {
            return;
        };
        if lookup.deadline <= now.mono {
            return self.end_lookup(now, id, None);
        }
        // Nobody left to ask: what was asked may still be answered.
        lookup.timer = Some(lookup.deadline);
        self.deadlines.set(lookup.deadline, Timer::Lookup(id));
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
            let publish = Publish::from_route(&topic.name, &route, at_most);
            if topic.publish.as_deref() != Some(&publish) {
                topic.epoch = topic.epoch.wrapping_add(1);
                self.outputs.push_back(Output::Event(Event::RouteChanged {
                    topic: topic.name.clone(),
                    epoch: topic.epoch,
                    queues: publish.queues.len(),
                }));
                topic.publish = Some(Arc::new(publish));
            }
            // A default topic's route is not the topic's own: the next answer is always news.
            topic.route = (!fallback).then_some(route);
        }
        self.end_lookup(now, id, Some(()));
    }

    /// A question is over: those who waited for the route go on, or fail.
    fn end_lookup(&mut self, now: Now, id: LookupId, found: Option<()>) {
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
        let name = topic.name.clone();
        let waiting = std::mem::take(&mut topic.waiting);
        if found.is_none() {
            topic.misses += u32::from(lookup.missed);
            let event = Event::RouteFailed {
                topic: name.clone(),
                error: lookup.describe(),
            };
            self.outputs.push_back(Output::Event(event));
        }
        // Who joined a question that ran out of time gets one of his own.
        let unanswered = found.is_none() && lookup.deadline <= now.mono && self.closing.is_none();
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
        let name = known.name.clone();
        let has_route = known.publish.is_some();
        let error = || match has_route {
            true => SendError::no_route(&name, "its route has no queue that can be written to"),
            false if lookup.fallback => SendError::no_route(&name, &lookup.describe()),
            false => SendError::new(
                SendErrorKind::NameServer,
                Certainty::NotSent,
                format!(
                    "no name server could be asked for topic {name}: {}",
                    lookup.describe()
                ),
            ),
        };
        match (self.ops.get(op).map(|op| &op.kind), publish) {
            (Some(Kind::Send(send)), publish) if send.state == State::Route(topic) => match publish
            {
                Some(publish) => self.choose(now, op, topic, &publish),
                None => self.fail_send(now, op, error()),
            },
            (Some(Kind::Topic(_)), Some(publish)) => self.topic_found(now, op, &publish),
            (Some(Kind::Topic(_)), None) => self.finish(now, op, Outcome::Failed(error())),
            _ => {}
        }
    }

    /// How the question for a topic stands, for an error text.
    pub(crate) fn describe_lookup(&self, id: TopicId) -> String {
        let topic = self.routes.topics.get(id);
        let lookup = topic
            .and_then(|t| t.lookup)
            .and_then(|id| self.routes.lookups.get(id));
        lookup.map_or_else(|| "no name server was asked".to_owned(), Lookup::describe)
    }
}
