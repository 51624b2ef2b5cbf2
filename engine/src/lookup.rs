//! Asking name servers for a topic's route: one question at a time for each topic, each name server
//! tried once, all within the budget (PROTOCOL C.5, E.6). The answers are heard in `lookup_answer`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rocketmq_proto::RequestCode;
use rocketmq_proto::header::GetRouteInfoRequest;

use crate::engine::{Engine, Timer, later};
use crate::io::{CloseReason, ConnId, Endpoint, Now, OpId};
use crate::peer::{Conn, Waiting};
use crate::pending::Waiter;
use crate::route::{Asked, Lookup, LookupId, TopicId};

/// A refresh after an error asks again at most this often.
const REFRESH_PAUSE: Duration = Duration::from_millis(500);

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
            denied: false,
            again: false,
            deadline,
            wanted_by,
            timer: None,
            asked: Vec::new(),
        };
        let lookup = self.routes.lookups.insert(lookup);
        topic.lookup = Some(lookup);
        if !self.ask_next(now, lookup) {
            // No name server is known yet: discovery goes on with it, or ends it.
            self.arm_lookup_at(lookup, deadline);
            self.discover(now);
        }
    }

    /// Asks again after an error that speaks against the route, but not all the time.
    pub(crate) fn refresh(&mut self, now: Now, id: TopicId) {
        let Some(topic) = self.routes.topics.get(id) else {
            return;
        };
        let recently = |at: Instant| now.mono.saturating_duration_since(at) < REFRESH_PAUSE;
        if !topic.asked_at.is_some_and(recently) && !self.is_closing() {
            self.look_up(now, id, None);
        }
    }

    /// Puts the question to the next name server. Returns whether there was one.
    pub(crate) fn ask_next(&mut self, now: Now, id: LookupId) -> bool {
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

    pub(crate) fn ask(&mut self, now: Now, id: LookupId, server: Endpoint) {
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
    pub(crate) fn arm_lookup(&mut self, now: Now, id: LookupId) {
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
        if lookup.timer == Some(at) {
            return;
        }
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
        let waiter = Waiter::Lookup(Box::new((id, server.clone())));
        let opaque = self.transmit_request(conn, code, &header, Bytes::new(), waiter);
        let lookup = self.routes.lookups.get_mut(id);
        if let Some(asked) = lookup.and_then(|l| l.asked.iter_mut().find(|a| a.awaits(&server))) {
            asked.request = Some((conn, opaque, now.mono));
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

    /// Waits no longer for answers to a question that is over, and closes connections on which
    /// nothing has arrived since it was asked (PROTOCOL E.6: the next call goes elsewhere).
    pub(crate) fn forget_questions(&mut self, now: Now, asked: Vec<Asked>) {
        for asked in asked {
            let (Some((conn, opaque, at)), None) = (asked.request, asked.failure) else {
                continue;
            };
            self.forget_request(conn, opaque);
            self.close_if_left(now, conn);
            let overdue = later(at, self.config.api_timeout / 2) <= now.mono;
            let silent = |link: &Conn| link.received_at <= at;
            if overdue && self.peers.conns.get(conn).is_some_and(silent) {
                self.disconnect(now, conn, CloseReason::Silent);
            }
        }
    }

    /// How the question for a topic stands, for an error text.
    pub(crate) fn describe_lookup(&self, id: TopicId) -> String {
        let topic = self.routes.topics.get(id);
        let lookup = topic
            .and_then(|t| t.lookup)
            .and_then(|id| self.routes.lookups.get(id));
        lookup.map_or_else(
            || "no name server was asked".to_owned(),
            |lookup| self.describe_question(lookup),
        )
    }
}
