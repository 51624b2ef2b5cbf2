//! What happens without being asked: the route poll and the heartbeats, and what goes with them
//! (PROTOCOL C.5, C.6, E.3).

use rocketmq_proto::RequestCode;
use rustc_hash::FxHashSet;

use crate::engine::{Engine, Timer, later};
use crate::io::{CloseReason, ConnId, Endpoint, Now};
use crate::peer::{Link, PeerId};
use crate::pending::Waiter;
use crate::publish::Broker;

/// Route questions of one poll that are under way at once.
const POLL_WIDTH: usize = 16;

impl Engine {
    /// Arms the periodic tasks, at the first operation.
    pub(crate) fn start_upkeep(&mut self, now: Now) {
        if self.poll_at.is_some() {
            return;
        }
        self.schedule_poll(now);
        self.schedule_heartbeat(now);
        self.arm_health(now);
        self.discover(now);
    }

    fn schedule_poll(&mut self, now: Now) {
        let at = later(now.mono, self.config.poll_interval);
        self.poll_at = Some(at);
        self.deadlines.set(at, Timer::Poll);
    }

    fn schedule_heartbeat(&mut self, now: Now) {
        let at = later(now.mono, self.config.heartbeat_interval);
        self.heartbeat_at = Some(at);
        self.deadlines.set(at, Timer::Heartbeat);
    }

    /// Asks for every route again, a few at a time; forgets topics that nobody uses (I 18, I 39).
    pub(crate) fn poll_due(&mut self, now: Now) {
        self.schedule_poll(now);
        let keep = self.config.forget_topic_after;
        for id in self.routes.topics.keys() {
            let Some(topic) = self.routes.topics.get(id) else {
                continue;
            };
            let unused = now.mono.saturating_duration_since(topic.used_at) >= keep;
            if unused && topic.waiting.is_empty() && topic.lookup.is_none() {
                self.routes.forget(id);
            }
        }
        self.routes.polling = self.routes.topics.keys().into();
        self.poll_next(now);
    }

    /// Goes on with the poll as questions are answered.
    pub(crate) fn poll_next(&mut self, now: Now) {
        while self.routes.lookups.len() < POLL_WIDTH && !self.is_closing() {
            let Some(topic) = self.routes.polling.pop_front() else {
                return;
            };
            self.look_up(now, topic, None);
        }
    }

    /// Cleans up, then a heartbeat to every broker, dialling those that are not connected (E.3).
    pub(crate) fn heartbeat_due(&mut self, now: Now) {
        self.schedule_heartbeat(now);
        self.close_silent(now);
        let masters = self.masters(|broker| broker.address.as_ref());
        let vips = match self.config.vip_channel {
            true => self.masters(|broker| broker.send_address(true)),
            false => Vec::new(),
        };
        self.clean_offline(now, &[masters.clone(), vips.clone()].concat());
        self.forget_brokers(now);
        for address in &masters {
            let peer_id = self.peers.at(address);
            if let Some(peer) = self.peers.peers.get_mut(peer_id) {
                peer.is_broker = true;
            }
            if let Some(conn) = self.reach(now, peer_id) {
                self.send_heartbeat(now, conn);
            }
        }
        // VIP connections that stand are kept alive too, or brokers close them after 120 s without
        // a send; Java does not, and its next send then times out.
        for address in vips.iter().filter(|address| !masters.contains(address)) {
            let peer = self.peers.known(address);
            let link = peer.and_then(|peer| self.peers.peers.get(peer));
            if let Some(Link::Ready(conn)) = link.map(|peer| peer.link) {
                self.send_heartbeat(now, conn);
            }
        }
    }

    /// Closes connections on which nothing at all arrived since a heartbeat that is an interval old:
    /// they are half-open, whether a route still names their broker or not (DESIGN 6, timeout policy).
    fn close_silent(&mut self, now: Now) {
        let interval = self.config.heartbeat_interval;
        for id in self.peers.conns.keys() {
            let is_silent = self.peers.conns.get(id).is_some_and(|link| {
                link.heartbeat.is_some_and(|(opaque, at)| {
                    // Answered within one step of a coarse clock counts as well.
                    self.pending.waits(id, opaque)
                        && link.received_at <= at
                        && now.mono.saturating_duration_since(at) >= interval
                })
            });
            if is_silent {
                self.disconnect(now, id, CloseReason::Silent);
            }
        }
    }

    /// Notes that a server is a broker's master. Who was connected before that was known gets its
    /// first heartbeat now.
    pub(crate) fn note_master(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        let is_news = !std::mem::replace(&mut peer.is_broker, true);
        if let (Link::Ready(conn), true) = (peer.link, is_news) {
            self.send_heartbeat(now, conn);
        }
    }

    pub(crate) fn send_heartbeat(&mut self, now: Now, conn: ConnId) {
        let last = self.peers.conns.get(conn).and_then(|link| link.heartbeat);
        if let Some((unanswered, _)) = last {
            self.forget_request(conn, unanswered);
        }
        let (code, body) = (RequestCode::HEART_BEAT, self.heartbeat_body.clone());
        let opaque = self.transmit_request(conn, code, &(), body, Waiter::Heartbeat);
        if let Some(link) = self.peers.conns.get_mut(conn) {
            link.heartbeat = Some((opaque, now.mono));
        }
    }

    /// Such addresses of the masters of all routes in use, each once, in a stable order.
    fn masters(&self, of: impl Fn(&Broker) -> Option<&Endpoint>) -> Vec<Endpoint> {
        let mut masters: Vec<_> = self
            .routes
            .topics
            .iter()
            .filter_map(|(_, topic)| topic.publish.as_ref())
            .flat_map(|publish| publish.brokers())
            .filter_map(|broker| of(broker).cloned())
            .collect();
        masters.sort_unstable();
        masters.dedup();
        masters
    }

    /// Forgets brokers that no route names any more and that nobody waits for (C.6).
    fn clean_offline(&mut self, now: Now, masters: &[Endpoint]) {
        let masters: FxHashSet<&Endpoint> = masters.iter().collect();
        for id in self.peers.peers.keys() {
            let Some(peer) = self.peers.peers.get(id) else {
                continue;
            };
            let busy = match peer.link {
                Link::Ready(conn) => self.peers.conns.get(conn).is_some_and(|link| {
                    // A heartbeat alone may be unanswered for ever, and needs no answer.
                    let beat = link.heartbeat.map(|(opaque, _)| opaque);
                    let beats = beat.is_some_and(|opaque| self.pending.waits(conn, opaque));
                    link.pending > usize::from(beats)
                }),
                _ => !peer.waiting.is_empty(),
            };
            let named =
                masters.contains(&peer.address) || self.routes.is_name_server(&peer.address);
            if !named && !busy && !self.is_discovery_peer(id) {
                self.forget_peer(now, id);
            }
        }
    }
}
