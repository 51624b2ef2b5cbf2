//! Static topics of 5.x: logical queues that keep their numbers while they move from broker to
//! broker (PROTOCOL C.4 rule 2, C.7).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_proto::{TopicQueueMapping, TopicRoute};

use crate::engine::Engine;
use crate::io::{Now, OpId};
use crate::op::State;

/// With this begin the names of brokers that do not exist: those that logical queues name.
const MOCK: &str = "__syslo__";
/// The scope whose first two characters are left out of that name.
const GLOBAL_SCOPE: &str = "__global__";
/// Who holds a queue that no broker claims: nobody, so that sending to it fails.
const NOBODY: &str = "__syslo__none__";

/// A logical queue.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Logical<'a> {
    /// What it names as its broker.
    pub(crate) broker: Arc<str>,
    pub(crate) id: i32,
    /// The broker that holds it at present.
    pub(crate) holder: &'a str,
}

pub(crate) fn is_static(route: &TopicRoute) -> bool {
    route.order_conf.is_none() && !route.mapping.is_empty()
}

/// Whether a queue's broker is a name that stands for whoever holds the queue.
pub(crate) fn is_mock(broker: &str) -> bool {
    broker.starts_with(MOCK)
}

/// The logical queues of a static topic, sorted by number; of those that a name server claims, at
/// most so many.
pub(crate) fn logical_queues(route: &TopicRoute, most: usize) -> Vec<Logical<'_>> {
    let mut scopes: BTreeMap<&str, Vec<(&str, &TopicQueueMapping)>> = BTreeMap::new();
    for (key, mapping) in &route.mapping {
        let holder = match mapping.broker.as_str() {
            "" => key,
            name => name,
        };
        let scope = scopes.entry(&mapping.scope).or_default();
        scope.push((holder, mapping));
    }
    let mut queues = Vec::new();
    for (scope, mut mappings) in scopes {
        mappings.sort_by_key(|(_, mapping)| Reverse(mapping.epoch));
        let broker: Arc<str> = mock_name(scope).into();
        let mut holders = BTreeMap::new();
        for (holder, mapping) in &mappings {
            for id in mapping.current_ids.keys() {
                // The highest epoch came first.
                holders.entry(*id).or_insert(*holder);
            }
        }
        for id in (0..total(&mappings)).take(most - queues.len()) {
            queues.push(Logical {
                broker: broker.clone(),
                id,
                holder: holders.get(&id).copied().unwrap_or(NOBODY),
            });
        }
    }
    queues.sort_by_key(|queue| queue.id);
    queues
}

fn mock_name(scope: &str) -> String {
    let scope = match scope {
        GLOBAL_SCOPE => &GLOBAL_SCOPE[2..],
        other => other,
    };
    format!("{MOCK}{scope}")
}

/// How many logical queues there are: what the brokers of the newest epoch say.
fn total(mappings: &[(&str, &TopicQueueMapping)]) -> i32 {
    let newest = mappings.first().map(|(_, mapping)| mapping.epoch);
    let of_newest = mappings
        .iter()
        .filter(|(_, mapping)| Some(mapping.epoch) == newest);
    let totals = of_newest.map(|(_, mapping)| mapping.total_queues);
    totals.max().unwrap_or(0)
}

impl Engine {
    /// A broker does not hold the queue any more: the new route says who does, and the same try
    /// goes there. Once for each send, and not counted, as with GO_AWAY: it has not been handled.
    pub(crate) fn follow_queue(&mut self, now: Now, id: OpId) {
        let Some(op) = self.ops.get_mut(id) else {
            return;
        };
        let Some(deadline) = op.deadline else { return };
        let Some(send) = op.as_send_mut() else { return };
        send.tries = send.tries.saturating_sub(1);
        let topic = self
            .routes
            .topic(&send.prepared.topic, now.mono, &mut self.rng);
        self.wait_for_route(topic, id);
        self.set_state(id, State::Route(topic));
        self.arm_op(id, deadline);
        self.look_up(now, topic, Some(deadline));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epoch, total, and the logical queues held, for brokers a, b and so on.
    fn route(brokers: &[(i64, i32, &[i32])]) -> TopicRoute {
        let names = ["a", "b", "c", "d"];
        let mappings = names
            .iter()
            .zip(brokers)
            .map(|(name, (epoch, total, ids))| {
                let ids: Vec<_> = ids
                    .iter()
                    .map(|id| format!(r#""{id}":{}"#, id + 10))
                    .collect();
                format!(
                    r#""{name}":{{"bname":"{name}","currIdMap":{{{}}},"dirty":false,"epoch":{epoch},
                    "scope":"__global__","topic":"T","totalQueues":{total}}}"#,
                    ids.join(",")
                )
            });
        let mappings: Vec<_> = mappings.collect();
        let text = format!(
            r#"{{"topicQueueMappingByBroker":{{{}}}}}"#,
            mappings.join(",")
        );
        TopicRoute::decode(text.as_bytes()).unwrap()
    }

    fn holders(route: &TopicRoute) -> Vec<(i32, &str)> {
        let queues = logical_queues(route, 100);
        queues
            .iter()
            .map(|queue| (queue.id, queue.holder))
            .collect()
    }

    #[test]
    fn each_logical_queue_is_held_by_the_broker_with_the_highest_epoch_that_claims_it() {
        let rows = [
            (
                "one epoch",
                route(&[(1, 4, &[0, 2]), (1, 4, &[1, 3])]),
                vec![(0, "a"), (1, "b"), (2, "a"), (3, "b")],
            ),
            (
                "queue 1 has moved from b to a, and b does not know yet",
                route(&[(2, 2, &[0, 1]), (1, 2, &[1])]),
                vec![(0, "a"), (1, "a")],
            ),
            (
                "the topic has grown, and a does not know yet",
                route(&[(1, 2, &[0, 1]), (2, 4, &[2, 3])]),
                vec![(0, "a"), (1, "a"), (2, "b"), (3, "b")],
            ),
            (
                "nobody claims queue 1",
                route(&[(1, 3, &[0, 2])]),
                vec![(0, "a"), (1, NOBODY), (2, "a")],
            ),
            (
                "a claim beyond the total, and one below zero",
                route(&[(1, 1, &[-1, 0, 7])]),
                vec![(0, "a")],
            ),
        ];
        for (what, route, expected) in rows {
            assert_eq!(holders(&route), expected, "{what}");
        }
    }

    #[test]
    fn the_name_of_a_queues_broker_is_made_of_the_scope() {
        assert_eq!(mock_name("__global__"), "__syslo__global__");
        assert_eq!(mock_name("eu"), "__syslo__eu");
        let mut two = route(&[(1, 2, &[0, 1]), (1, 1, &[0])]);
        two.mapping.get_mut("b").unwrap().scope = "eu".into();
        let queues = logical_queues(&two, 100);
        let named: Vec<_> = queues
            .iter()
            .map(|queue| (queue.id, &*queue.broker, queue.holder))
            .collect();
        let expected = [
            (0, "__syslo__global__", "a"),
            (0, "__syslo__eu", "b"),
            (1, "__syslo__global__", "a"),
        ];
        assert_eq!(named, expected);
        assert!(named.iter().all(|(_, broker, _)| is_mock(broker)));
    }

    #[test]
    fn a_topic_is_static_when_it_has_mappings_and_no_order_configuration_at_all() {
        let mut topic = route(&[(1, 1, &[0])]);
        assert!(is_static(&topic));
        topic.order_conf = Some(String::new());
        assert!(!is_static(&topic));
        assert!(!is_static(&TopicRoute::default()));
    }

    #[test]
    fn a_claim_of_two_billion_queues_is_bounded() {
        let route = route(&[(1, i32::MAX, &[0]), (1, i32::MIN, &[1])]);
        assert_eq!(logical_queues(&route, 100).len(), 100);
    }
}
