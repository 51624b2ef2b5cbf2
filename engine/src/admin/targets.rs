//! Whom to ask: a pure function over what is known of a topic (PROTOCOL B.8 to B.14, C.6).

use std::time::Instant;

use rocketmq_proto::{BrokerData, OffsetMessageId, TopicName, TopicRoute};

use super::request::AdminRequest;
use super::state::Target;
use crate::io::Endpoint;
use crate::publish::Publish;

/// What is known of a topic.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Its own route.
    pub(super) route: Option<&'a TopicRoute>,
    /// Its queues, which may be those of a default topic.
    pub(super) publish: Option<&'a Publish>,
    /// Whether the name servers were asked just now: nothing better is to be had.
    pub(super) is_fresh: bool,
}

/// Why there is nobody to ask.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// The broker that a queue or a handle names.
    Broker(String),
    /// A master.
    Masters,
    /// The topic.
    Topic,
}

impl AdminRequest {
    pub(super) fn asks_name_servers(&self) -> bool {
        matches!(self, Self::ClusterInfo | Self::TopicList)
    }

    /// The topic whose route says whom to ask; `None` for what concerns no topic.
    pub(super) fn route_topic(&self) -> Option<TopicName> {
        match self {
            Self::ClusterInfo | Self::TopicList | Self::View(_) => None,
            // Checked when the request was made.
            Self::CreateTopic(new) => TopicName::new(&new.key_topic).ok(),
            Self::EarliestStoreTime(queue)
            | Self::MaxOffset(queue)
            | Self::MinOffset(queue)
            | Self::SearchOffset { queue, .. } => Some(queue.topic.clone()),
            Self::Find { topic, .. } | Self::Recall { topic, .. } => Some(topic.clone()),
            Self::Query(query) => Some(query.topic.clone()),
        }
    }
}

/// The servers to ask about a topic.
pub(super) fn targets(
    request: &AdminRequest,
    known: Known<'_>,
    now: Instant,
) -> Result<Vec<Target>, Missing> {
    let master = |name: &str, address| vec![Target::master(name, address, now)];
    match request {
        AdminRequest::ClusterInfo | AdminRequest::TopicList | AdminRequest::View(_) => Ok(vec![]),
        AdminRequest::CreateTopic(_) => masters(known, now),
        AdminRequest::EarliestStoreTime(queue)
        | AdminRequest::MaxOffset(queue)
        | AdminRequest::MinOffset(queue)
        | AdminRequest::SearchOffset { queue, .. } => match known.master(&queue.broker) {
            Some(address) => Ok(master(&queue.broker, address)),
            None => Err(Missing::Broker(queue.broker.to_string())),
        },
        AdminRequest::Find { id, .. } => {
            let brokers = brokers(known, now)?;
            let store = id
                .parse::<OffsetMessageId>()
                .ok()
                .map(|id| Endpoint::of(id.addr));
            let broker = store.and_then(|store| known.broker_at(&store, now));
            // Nobody: the question is put by unique id, to all of them.
            Ok(broker.filter(|_| !brokers.is_empty()).into_iter().collect())
        }
        AdminRequest::Query(_) => brokers(known, now),
        AdminRequest::Recall { broker, .. } => match known.master(broker) {
            Some(address) => Ok(master(broker, address)),
            // Any broker of the topic, once it is certain that nobody knows better (B.14).
            None if known.is_fresh => masters(known, now).map(|mut masters| {
                masters.truncate(1);
                masters
            }),
            None => Err(Missing::Broker(broker.clone())),
        },
    }
}

/// Every master, by its name.
fn masters(known: Known<'_>, now: Instant) -> Result<Vec<Target>, Missing> {
    let route = known.route.ok_or(Missing::Topic)?;
    let mut masters: Vec<_> = route
        .brokers
        .iter()
        .filter_map(|broker| Some((broker.name.as_str(), master_of(broker)?)))
        .collect();
    masters.sort_by_key(|(name, _)| *name);
    masters.dedup_by_key(|(name, _)| *name);
    if masters.is_empty() {
        return Err(Missing::Masters);
    }
    let target = |(name, address)| Target::master(name, address, now);
    Ok(masters.into_iter().map(target).collect())
}

/// One address of every broker: its master, else the slave with the lowest number, where Java takes
/// any.
fn brokers(known: Known<'_>, now: Instant) -> Result<Vec<Target>, Missing> {
    let mut targets: Vec<_> = match (known.route, known.publish) {
        (Some(route), _) => {
            let target = |broker: &BrokerData| {
                if let Some(master) = master_of(broker) {
                    return Target::master(broker.name.as_str(), master, now);
                }
                let slave = broker.addrs.values().find_map(|a| Endpoint::new(a).ok());
                Target::new(broker.name.as_str(), slave, now)
            };
            route.brokers.iter().map(target).collect()
        }
        // A topic that was sent to before its own route was known.
        (None, Some(publish)) if !known.is_fresh => {
            let brokers = publish.brokers().iter();
            brokers
                .filter_map(|broker| {
                    let address = broker.address.clone()?;
                    Some(Target::master(broker.name.clone(), address, now))
                })
                .collect()
        }
        _ => return Err(Missing::Topic),
    };
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    if targets.is_empty() {
        return Err(Missing::Topic);
    }
    Ok(targets)
}

fn master_of(broker: &BrokerData) -> Option<Endpoint> {
    Endpoint::new(broker.addrs.get(&0)?).ok()
}

impl Known<'_> {
    fn master(&self, name: &str) -> Option<Endpoint> {
        let of_route = |route: &TopicRoute| {
            let mut brokers = route.brokers.iter().filter(|broker| broker.name == name);
            brokers.find_map(master_of)
        };
        let of_publish = |publish: &Publish| publish.broker_named(name)?.address.clone();
        let own = self.route.and_then(of_route);
        own.or_else(|| self.publish.and_then(of_publish))
    }

    /// The broker of the topic at an address: unique ids look like offset ids, and name addresses that
    /// are none.
    fn broker_at(&self, address: &Endpoint, now: Instant) -> Option<Target> {
        let is_there = |broker: &&BrokerData| broker.addrs.values().any(|a| a == address.as_str());
        let of_route = self
            .route
            .and_then(|route| route.brokers.iter().find(is_there));
        if let Some(broker) = of_route {
            let name = broker.name.as_str();
            return Some(match master_of(broker).as_ref() == Some(address) {
                true => Target::master(name, address.clone(), now),
                false => Target::new(name, Some(address.clone()), now),
            });
        }
        let brokers = self.publish.map(Publish::brokers).unwrap_or_default();
        let broker = brokers
            .iter()
            .find(|b| b.address.as_ref() == Some(address))?;
        Some(Target::master(broker.name.clone(), address.clone(), now))
    }
}
