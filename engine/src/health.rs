//! What tries tell of brokers: their numbers, and with fault tolerance who is passed over, who is
//! probed, and what is told of it (PROTOCOL F.2; the pure rules are in `fault`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rocketmq_proto::RequestCode;
use rocketmq_proto::header::GetMaxOffsetRequest;
use rustc_hash::FxHashSet;

use crate::brokers::BrokerId;
use crate::engine::{Engine, Timer, later};
use crate::error::AttemptFailure;
use crate::event::Event;
use crate::fault::{Dice, Item, PROBE_ROUND, Standing, TryEnd, next_queue};
use crate::io::{ConnId, Endpoint, Now, OpId, Output};
use crate::op::{Attempt, Op};
use crate::pending::Waiter;
use crate::publish::{Broker, Publish};
use crate::route::TopicId;
use crate::select;

impl Engine {
    /// The queue for a message that may go anywhere.
    pub(crate) fn any_queue(
        &mut self,
        now: Now,
        topic: TopicId,
        publish: &Publish,
        avoid: Option<&str>,
    ) -> Option<usize> {
        let topic = self.routes.topics.get_mut(topic)?;
        let (peers, brokers) = (&self.peers, &mut self.brokers);
        let vip = self.config.vip_channel;
        let is_sound = |broker: &Broker| peers.is_sound(broker, vip);
        let Some(settings) = &self.config.fault_tolerance else {
            return select::next_queue(publish, &mut topic.counter, avoid, is_sound);
        };
        let mut turn = brokers.turn;
        let dice = Dice {
            counter: &mut topic.counter,
            turn: &mut turn,
            rng: &mut self.rng,
        };
        let queue = next_queue(settings.rules, publish, dice, avoid, |broker| {
            let item = brokers.item_of(broker);
            Standing {
                available: item.is_none_or(|item| item.is_available(now.mono)),
                reachable: item.is_none_or(|item| item.reachable),
                sound: is_sound(broker),
                latency: item.map_or(Duration::ZERO, |item| item.latency),
                until: item.and_then(|item| item.until),
            }
        });
        brokers.turn = turn;
        queue
    }

    /// The present try of a send is over. That a oneway message was written is no news of its
    /// broker, so it is not told here.
    pub(crate) fn try_over(&mut self, now: Now, id: OpId, failure: Option<&AttemptFailure>) {
        let Some(send) = self.ops.get(id).and_then(Op::as_send) else {
            return;
        };
        let Some(attempt) = &send.attempt else { return };
        let (again, end) = (send.tries > 1, failure.map_or(TryEnd::Ok, TryEnd::of));
        let took = now.mono.saturating_duration_since(attempt.began);
        let broker = &attempt.broker;
        // A name without an address is nobody's, and could be anything that a caller made up.
        if broker.address.is_none() && self.brokers.item(&broker.name).is_none() {
            return;
        }
        if let Some(record) = self.brokers.record_of(broker) {
            record.numbers.count(took, end == TryEnd::Ok, again);
        }
        if self.config.fault_tolerance.is_some() {
            let name = broker.name.clone();
            self.note(now, &name, took, end);
        }
    }

    /// An answer came to a try that was given up before: its broker works after all.
    pub(crate) fn confirmed_late(&mut self, now: Now, attempt: &Attempt) {
        let took = now.mono.saturating_duration_since(attempt.began);
        self.note(now, &attempt.broker.name, took, TryEnd::Ok);
    }

    fn note(&mut self, now: Now, name: &Arc<str>, took: Duration, end: TryEnd) {
        let Some(settings) = &self.config.fault_tolerance else {
            return;
        };
        let Some(record) = self.brokers.record(name) else {
            return;
        };
        let item = record.item.get_or_insert_with(|| Item::new(now.mono));
        let was_told = item.told;
        item.update(settings, now.mono, took, end);
        let is_told = self.tell(now, name);
        if was_told || is_told {
            self.arm_health(now);
        }
    }

    /// Says so when a broker begins or ceases to be passed over; gives back whether it is.
    fn tell(&mut self, now: Now, name: &Arc<str>) -> bool {
        let Some(item) = self.brokers.item_mut(name) else {
            return false;
        };
        let is_isolated = item.is_isolated(now.mono);
        if std::mem::replace(&mut item.told, is_isolated) == is_isolated {
            return is_isolated;
        }
        let broker = name.clone();
        let event = if is_isolated {
            let left = item.until.map(|u| u.saturating_duration_since(now.mono));
            let lasting = left.unwrap_or_default();
            Event::BrokerIsolated { broker, lasting }
        } else {
            Event::BrokerReachable { broker }
        };
        self.outputs.push_back(Output::Event(event));
        is_isolated
    }

    /// Arms the one deadline of all records: somebody's time is over, a probe is due, or its answer
    /// is. None while nobody is passed over, so that an idle producer sleeps.
    pub(crate) fn arm_health(&mut self, now: Now) {
        let Some(settings) = &self.config.fault_tolerance else {
            return;
        };
        // Before the first operation and after the last there is no upkeep, and nothing to watch.
        let watches = self.poll_at.is_some();
        let is_asked = |item: &Item| settings.probe && !item.reachable;
        if !self.brokers.items().any(|(_, item)| is_asked(item)) {
            self.brokers.round = None;
        } else if self.brokers.round.is_none() {
            self.brokers.round = Some(later(now.mono, PROBE_ROUND));
        }
        let items = self.brokers.items().map(|(_, item)| item);
        let ends = items.flat_map(|item| {
            let over = item.until.filter(|until| item.told && *until > now.mono);
            let answer = item.probe.map(|(.., at)| later(at, settings.probe_timeout));
            [over, answer].into_iter().flatten()
        });
        let next = ends.chain(self.brokers.round).min().filter(|_| watches);
        self.set_health_timer(next);
    }

    fn set_health_timer(&mut self, at: Option<Instant>) {
        if self.brokers.timer == at {
            return;
        }
        if std::mem::replace(&mut self.brokers.timer, at).is_some() {
            self.deadlines.cancel();
        }
        if let Some(at) = at {
            self.deadlines.set(at, Timer::Health);
        }
    }

    /// The deadline of the records.
    pub(crate) fn health_due(&mut self, now: Now) {
        self.brokers.timer = None;
        let Some(settings) = &self.config.fault_tolerance else {
            return;
        };
        let (timeout, interval) = (settings.probe_timeout, settings.probe_interval);
        let round = self.brokers.round.is_some_and(|round| round <= now.mono);
        if round {
            self.brokers.round = None;
        }
        for name in self.brokers.suspects() {
            let Some(item) = self.brokers.item_mut(&name) else {
                continue;
            };
            if item
                .probe
                .is_some_and(|(.., at)| later(at, timeout) <= now.mono)
            {
                self.forget_probe(now, &name);
            }
            self.tell(now, &name);
            let Some(item) = self.brokers.item_mut(&name) else {
                continue;
            };
            let rests = item.reachable || item.probe.is_some() || item.probe_from > now.mono;
            if round && !rests {
                item.probe_from = later(now.mono, interval);
                self.probe(now, &name);
            }
        }
        self.arm_health(now);
    }

    /// Asks a broker a small question, if it is connected; else sees to it that it is dialled.
    fn probe(&mut self, now: Now, name: &Arc<str>) {
        let Some((topic, address)) = self.topic_at(name) else {
            // No route names it any more.
            self.brokers.forget(name);
            return;
        };
        let peer_id = self.peers.at(&address);
        if let Some(peer) = self.peers.peers.get_mut(peer_id) {
            peer.is_broker = true;
        }
        let Some(conn) = self.reach(now, peer_id) else {
            return;
        };
        let header = GetMaxOffsetRequest {
            topic: topic.into(),
            queue_id: 0,
            committed: Some(true),
            broker_name: Some((&**name).into()),
        };
        let (code, waiter) = (
            RequestCode::GET_MAX_OFFSET,
            Waiter::Probe(self.brokers.id(name)),
        );
        let opaque = self.transmit_request(conn, code, &header, Bytes::new(), waiter);
        if let Some(item) = self.brokers.item_mut(name) {
            item.probe = Some((conn, opaque, now.mono));
        }
    }

    /// A topic that a broker serves, and where.
    fn topic_at(&self, name: &str) -> Option<(String, Endpoint)> {
        self.routes.topics.iter().find_map(|(_, topic)| {
            let broker = topic.publish.as_ref()?.broker_named(name)?;
            Some((topic.name.to_string(), broker.address.clone()?))
        })
    }

    /// Any answer to a probe shows that the broker can be reached, also that it lacks the topic:
    /// Java takes only a success for one, and passes over such a broker for ever (PROTOCOL F.2).
    pub(crate) fn probe_answered(&mut self, now: Now, broker: BrokerId) {
        let Some(record) = self.brokers.get_mut(broker) else {
            return;
        };
        let name = record.name.clone();
        if let Some(item) = &mut record.item {
            item.probe = None;
            item.reachable = true;
        }
        self.tell(now, &name);
        self.arm_health(now);
    }

    /// The connection of a probe is over.
    pub(crate) fn probe_lost(&mut self, now: Now, broker: BrokerId) {
        let record = self.brokers.get_mut(broker);
        if let Some(item) = record.and_then(|record| record.item.as_mut()) {
            item.probe = None;
        }
        self.arm_health(now);
    }

    /// Drops what is known of brokers that no route names any more.
    pub(crate) fn forget_brokers(&mut self, now: Now) {
        let topics = self.routes.topics.iter();
        let publishes = topics.filter_map(|(_, topic)| topic.publish.as_ref());
        let named: FxHashSet<&Arc<str>> = publishes
            .flat_map(|publish| publish.brokers())
            .map(|broker| &broker.name)
            .collect();
        let names = self.brokers.names();
        let gone: Vec<_> = names
            .filter(|name| !named.contains(name))
            .cloned()
            .collect();
        for name in gone {
            self.forget_probe(now, &name);
            self.brokers.forget(&name);
        }
        self.arm_health(now);
    }

    /// No probe and no wake-up from now on.
    pub(crate) fn stop_probes(&mut self, now: Now) {
        for name in self.brokers.suspects() {
            self.forget_probe(now, &name);
        }
        self.brokers.round = None;
        self.set_health_timer(None);
    }

    fn forget_probe(&mut self, now: Now, name: &str) {
        let item = self.brokers.item_mut(name);
        if let Some((conn, opaque, _)) = item.and_then(|item| item.probe.take()) {
            self.forget_request(conn, opaque);
            self.close_if_left(now, conn);
        }
    }

    /// Whether a probe waits for this number.
    pub(crate) fn is_probe(&self, broker: BrokerId, conn: ConnId, opaque: i32) -> bool {
        let record = self.brokers.get(broker);
        let probe = record.and_then(|record| record.item.as_ref()?.probe);
        probe.is_some_and(|(on, number, _)| (on, number) == (conn, opaque))
    }
}
