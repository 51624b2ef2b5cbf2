//! The queues that a topic can be sent to, derived from its route (PROTOCOL C.4, C.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_proto::{MessageQueue, QueueData, TopicName, TopicRoute, perm};
use rustc_hash::FxHashMap;

use crate::brokers::BrokerId;
use crate::io::Endpoint;
use crate::peer::PeerId;
use crate::static_topic;

/// More queues than any cluster has; what a broken name server claims beyond it is ignored.
const MAX_QUEUES: usize = 1 << 16;

/// A topic's queues, and who serves them. Never changed once made: a new route makes a new one
/// (PROTOCOL I 26).
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Publish {
    /// The queues, in the order of C.4.
    pub(crate) queues: Arc<[MessageQueue]>,
    /// For each queue the index of its broker.
    owners: Vec<u32>,
    brokers: Vec<Arc<Broker>>,
}

/// A broker that serves queues of a topic.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    pub(crate) name: Arc<str>,
    /// The master's address. `None` only for brokers that an order configuration or a static topic
    /// names and the route does not: sending to them must fail, never go elsewhere (PROTOCOL I 2).
    pub(crate) address: Option<Endpoint>,
    /// Its VIP port, if it can have one (C.6).
    vip: Option<Endpoint>,
    pub(crate) place: Place,
}

/// Where the engine keeps what it knows of a broker, so that a send need not look for it. What is
/// kept there may be gone, and is then found by name and address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) record: Option<BrokerId>,
    /// The server that sends go to.
    pub(crate) peer: Option<PeerId>,
}

impl Broker {
    /// One that is in no route.
    pub(crate) fn unrouted(name: Arc<str>, address: Option<Endpoint>) -> Arc<Self> {
        Arc::new(Self {
            name,
            address,
            ..Self::default()
        })
    }

    /// Where sends and admin calls go: the VIP port if that is wanted. Heartbeats and ends of
    /// transactions go to the master's own (C.6).
    pub(crate) fn send_address(&self, vip: bool) -> Option<&Endpoint> {
        let vip = self.vip.as_ref().filter(|_| vip);
        vip.or(self.address.as_ref())
    }
}

impl Eq for Broker {}

/// By what the route says of them.
impl PartialEq for Broker {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.address) == (&other.name, &other.address)
    }
}

impl Publish {
    /// The queues of a route: those of its order configuration, else its logical ones, else those
    /// that can be written to on a master. `at_most` clamps the queues of each broker, for the route
    /// of a default topic.
    pub(crate) fn from_route(topic: &TopicName, route: &TopicRoute, at_most: Option<i32>) -> Self {
        let masters: BTreeMap<&str, Endpoint> = route
            .brokers
            .iter()
            .filter_map(|broker| {
                let address = Endpoint::new(broker.addrs.get(&0)?).ok()?;
                Some((broker.name.as_str(), address))
            })
            .collect();
        let mut publish = Self::default();
        let mut queues = Vec::new();
        let mut owners = FxHashMap::default();
        let mut index_of = |brokers: &mut Vec<Arc<Broker>>, name| {
            *owners.entry(name).or_insert_with(|| {
                let address = masters.get(name).cloned();
                brokers.push(Arc::new(Broker {
                    name: Arc::from(name),
                    vip: address.as_ref().and_then(Endpoint::vip),
                    address,
                    place: Place::default(),
                }));
                brokers.len() - 1
            })
        };
        if at_most.is_none() && static_topic::is_static(route) {
            for queue in static_topic::logical_queues(route, MAX_QUEUES) {
                let holder = index_of(&mut publish.brokers, queue.holder);
                queues.push(MessageQueue::new(topic.clone(), queue.broker, queue.id));
                publish.owners.push(holder as u32);
            }
        } else {
            for (name, count) in counts(route, &masters, at_most) {
                let broker = index_of(&mut publish.brokers, name);
                publish.add(topic, broker, count, &mut queues);
            }
        }
        publish.queues = queues.into();
        publish
    }

    /// Notes where what is known of each broker is kept.
    pub(crate) fn locate(&mut self, mut find: impl FnMut(&Broker) -> Place) {
        for broker in self.brokers.iter_mut().filter_map(Arc::get_mut) {
            broker.place = find(broker);
        }
    }

    pub(crate) fn broker_of(&self, queue: usize) -> &Arc<Broker> {
        &self.brokers[self.owners[queue] as usize]
    }

    /// The queues of the broker with this index.
    pub(crate) fn queues_of(&self, broker: usize) -> impl Iterator<Item = usize> {
        let owners = self.owners.iter().enumerate();
        owners.filter_map(move |(queue, owner)| (*owner as usize == broker).then_some(queue))
    }

    /// The broker to send to for a queue: the one that it names, or that holds it at present.
    pub(crate) fn holder_of(&self, queue: &MessageQueue) -> Option<&Arc<Broker>> {
        if !static_topic::is_mock(&queue.broker) {
            return self.broker_named(&queue.broker);
        }
        let is_it = |known: &MessageQueue| known.id == queue.id && known.broker == queue.broker;
        let index = self.queues.iter().position(is_it)?;
        Some(self.broker_of(index))
    }

    pub(crate) fn broker_named(&self, name: &str) -> Option<&Arc<Broker>> {
        self.brokers.iter().find(|broker| &*broker.name == name)
    }

    pub(crate) fn brokers(&self) -> &[Arc<Broker>] {
        &self.brokers
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    fn add(
        &mut self,
        topic: &TopicName,
        broker: usize,
        count: i32,
        queues: &mut Vec<MessageQueue>,
    ) {
        for id in 0..count {
            if queues.len() == MAX_QUEUES {
                return;
            }
            let name = self.brokers[broker].name.clone();
            queues.push(MessageQueue::new(topic.clone(), name, id));
            self.owners.push(broker as u32);
        }
    }
}

/// Broker names and their numbers of queues, in the order of C.4; of a default topic at most so
/// many, by what can be read (C.5).
fn counts<'a>(
    route: &'a TopicRoute,
    masters: &BTreeMap<&str, Endpoint>,
    at_most: Option<i32>,
) -> Vec<(&'a str, i32)> {
    if let Some(order) = route
        .order_conf
        .as_deref()
        .filter(|order| !order.is_empty())
    {
        // `name:n;name:n`; a malformed item is skipped (C.4 rule 1).
        return order
            .split(';')
            .filter_map(|item| item.split_once(':'))
            .filter_map(|(name, count)| Some((name.trim(), count.trim().parse().ok()?)))
            .filter(|(_, count)| *count > 0)
            .take(MAX_QUEUES)
            .collect();
    }
    let is_served = |queue: &&QueueData| {
        queue.perm & perm::WRITE != 0 && masters.contains_key(queue.broker.as_str())
    };
    let count = |queue: &QueueData| match at_most {
        Some(most) => most.min(queue.read_queues),
        None => queue.write_queues,
    };
    let mut counts: Vec<_> = route
        .queues
        .iter()
        .filter(is_served)
        .map(|queue| (queue.broker.as_str(), count(queue)))
        .filter(|(_, count)| *count > 0)
        .collect();
    counts.sort_by_key(|(name, _)| *name);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(route: &str, at_most: Option<i32>) -> Vec<String> {
        let route = TopicRoute::decode(route.as_bytes()).unwrap();
        let publish = Publish::from_route(&TopicName::new("T").unwrap(), &route, at_most);
        publish
            .queues
            .iter()
            .map(|queue| format!("{}:{}", queue.broker, queue.id))
            .collect()
    }

    /// The queues keep their own numbers and a broker's name that stands for whoever holds them.
    #[test]
    fn a_static_topic_has_its_logical_queues_whatever_the_brokers_permissions() {
        let mapping = r#""topicQueueMappingByBroker":{
            "a":{"bname":"a","currIdMap":{"1":0},"epoch":1,"totalQueues":3},
            "b":{"bname":"b","currIdMap":{"0":5},"epoch":1,"totalQueues":3}},"queueDatas""#;
        let text = route(&queue("a", 4, 2), "null").replace("\"queueDatas\"", mapping);
        let logical = [
            "__syslo__global__:0",
            "__syslo__global__:1",
            "__syslo__global__:2",
        ];
        assert_eq!(names(&text, None), logical);

        let topic = TopicName::new("T").unwrap();
        let route = TopicRoute::decode(text.as_bytes()).unwrap();
        let publish = Publish::from_route(&topic, &route, None);
        let held = |broker: &str, id| {
            let queue = MessageQueue::new(topic.clone(), broker, id);
            let holder = publish.holder_of(&queue)?;
            Some((holder.name.to_string(), holder.address.is_some()))
        };
        assert_eq!(held("__syslo__global__", 0), Some(("b".into(), true)));
        assert_eq!(held("__syslo__global__", 1), Some(("a".into(), true)));
        let nobodys = Some(("__syslo__none__".into(), false));
        assert_eq!(held("__syslo__global__", 2), nobodys);
        assert_eq!(held("__syslo__global__", 3), None);
        assert_eq!(held("a", 7), Some(("a".into(), true)), "by its real name");
        let order = text.replace("\"orderTopicConf\":null", "\"orderTopicConf\":\"a:1\"");
        assert_eq!(names(&order, None), ["a:0"], "rule 1 comes first");
    }

    fn route(queues: &str, order: &str) -> String {
        format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{0:"10.0.0.2:1"}},"brokerName":"b"}},
                {{"brokerAddrs":{{0:"10.0.0.1:1",1:"10.0.0.9:1"}},"brokerName":"a"}},
                {{"brokerAddrs":{{1:"10.0.0.3:1"}},"brokerName":"no-master"}}],
                "orderTopicConf":{order},"queueDatas":[{queues}]}}"#
        )
    }

    fn queue(broker: &str, perm: i32, count: i64) -> String {
        format!(
            r#"{{"brokerName":"{broker}","perm":{perm},"readQueueNums":9,"writeQueueNums":{count}}}"#
        )
    }

    #[test]
    fn queues_come_sorted_by_broker_from_writable_masters_alone() {
        let queues = [
            queue("b", 6, 1),
            queue("a", 2, 2),
            queue("no-master", 6, 4),
            queue("c", 6, 1),
        ];
        assert_eq!(
            names(&route(&queues.join(","), "null"), None),
            ["a:0", "a:1", "b:0"]
        );
        assert_eq!(names(&route(&queue("a", 4, 4), "null"), None), [""; 0]);
    }

    #[test]
    fn the_route_of_a_default_topic_is_clamped() {
        assert_eq!(
            names(&route(&queue("a", 7, 8), "null"), Some(2)),
            ["a:0", "a:1"]
        );
    }

    #[test]
    fn an_order_configuration_wins_and_its_broken_items_are_skipped() {
        let conf = r#""b:1;a:2;;junk;x:y;a""#;
        assert_eq!(
            names(&route(&queue("a", 6, 4), conf), None),
            ["b:0", "a:0", "a:1"]
        );
    }

    #[test]
    fn an_order_configuration_of_a_hundred_thousand_brokers_costs_no_more_than_its_length() {
        let items: Vec<_> = (0..100_000).map(|n| format!("b{n}:{}", n % 2)).collect();
        let conf = format!("\"{}\"", items.join(";"));
        assert_eq!(names(&route(&queue("a", 6, 4), &conf), None).len(), 50_000);
    }

    #[test]
    fn a_claim_of_two_billion_queues_is_bounded() {
        assert_eq!(
            names(&route(&queue("a", 6, 2_147_483_647), "null"), None).len(),
            MAX_QUEUES
        );
        assert_eq!(names(&route(&queue("a", 6, -5), "null"), None).len(), 0);
    }
}
