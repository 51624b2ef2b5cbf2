//! Which queue, when brokers have records: pure functions over a topic's queues (PROTOCOL F.2).

use std::time::{Duration, Instant};

use super::FaultRules;
use crate::publish::{Broker, Publish};
use crate::rng::Rng;
use crate::select;

/// What speaks for and against a broker at this moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    /// Not passed over for its latency or a failure.
    pub(crate) available: bool,
    /// Its record does not say that it cannot be reached.
    pub(crate) reachable: bool,
    /// Its connection stands, or nothing is known against it (DESIGN 6, retry).
    pub(crate) sound: bool,
    pub(crate) latency: Duration,
    /// Until when it is passed over; `None` without a record.
    pub(crate) until: Option<Instant>,
}

/// What turns and what is drawn.
#[derive(Debug)]
pub(crate) struct Dice<'a> {
    /// Round robin over the topic's queues.
    pub(crate) counter: &'a mut u32,
    /// Round robin over the better half.
    pub(crate) turn: &'a mut u32,
    pub(crate) rng: &'a mut Rng,
}

/// The queue for a message; `avoid` is the broker whose try failed before.
pub(crate) fn next_queue(
    rules: FaultRules,
    publish: &Publish,
    dice: Dice<'_>,
    avoid: Option<&str>,
    standing: impl Fn(&Broker) -> Standing,
) -> Option<usize> {
    match rules {
        FaultRules::V4_9 => available_or_better_half(publish, dice, avoid, standing),
        FaultRules::V5_1 => in_three_steps(publish, dice, avoid, standing),
    }
}

/// 4.9: the next queue whose broker is available; if none is, a queue of one of the better half.
///
/// Java may choose the broker that just failed to store well enough; here another one comes first.
/// Java picks from the records of all brokers, and drops the record of one that does not have the
/// topic; here only brokers of the topic are candidates.
fn available_or_better_half(
    publish: &Publish,
    dice: Dice<'_>,
    avoid: Option<&str>,
    standing: impl Fn(&Broker) -> Standing,
) -> Option<usize> {
    let around = around(publish, dice.counter);
    let is_good = |queue: &usize| {
        let standing = standing(publish.broker_of(*queue));
        standing.available && standing.sound
    };
    let is_other = |queue: &usize| Some(&*publish.broker_of(*queue).name) != avoid;
    if let Some(queue) = around().find(|queue| is_other(queue) && is_good(queue)) {
        return Some(queue);
    }
    if let Some(queue) = around().find(is_good) {
        return Some(queue);
    }
    let mut brokers: Vec<_> = (publish.brokers().iter().enumerate())
        .map(|(index, broker)| (index, standing(broker)))
        .collect();
    if brokers.iter().any(|(_, standing)| standing.sound) {
        brokers.retain(|(_, standing)| standing.sound);
    }
    brokers.sort_by_key(|(_, s)| (!s.available, s.latency, s.until));
    let half = (brokers.len() / 2).max(1);
    let (broker, _) = brokers.get(*dice.turn as usize % half)?;
    *dice.turn = dice.turn.wrapping_add(1);
    let of_broker: Vec<usize> = publish.queues_of(*broker).collect();
    let draw = dice.rng.next() as usize;
    let drawn = draw.checked_rem(of_broker.len())?;
    of_broker.get(drawn).copied()
}

/// 5.x: available, else reachable, both not on the broker that just failed; else any.
fn in_three_steps(
    publish: &Publish,
    dice: Dice<'_>,
    avoid: Option<&str>,
    standing: impl Fn(&Broker) -> Standing,
) -> Option<usize> {
    if avoid.is_some() {
        // A retry begins anywhere (F.1).
        *dice.counter = dice.rng.next() as u32;
    }
    let start = *dice.counter;
    let around = around(publish, dice.counter);
    let is_other = |queue: &usize| Some(&*publish.broker_of(*queue).name) != avoid;
    let find = |is_good: fn(&Standing) -> bool| {
        around().find(|queue| is_other(queue) && is_good(&standing(publish.broker_of(*queue))))
    };
    find(|s| s.available && s.sound)
        .or_else(|| find(|s| s.reachable && s.sound))
        .or_else(|| {
            let is_sound = |broker: &Broker| standing(broker).sound;
            select::next_queue(publish, &mut { start }, avoid, is_sound)
        })
}

/// All queues once, from the counter on, which moves by one.
fn around(publish: &Publish, counter: &mut u32) -> impl Fn() -> Turn {
    let count = publish.queues.len();
    let start = (*counter as usize).checked_rem(count).unwrap_or(0);
    *counter = counter.wrapping_add(1);
    move || Turn {
        start,
        step: 0,
        count,
    }
}

struct Turn {
    start: usize,
    step: usize,
    count: usize,
}

impl Iterator for Turn {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.step == self.count {
            return None;
        }
        let queue = (self.start + self.step) % self.count;
        self.step += 1;
        Some(queue)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rocketmq_proto::{TopicName, TopicRoute};

    use super::*;
    use crate::io::Now;

    const MS: Duration = Duration::from_millis(1);

    /// These brokers, with so many queues each; their queues are numbered through.
    fn publish(brokers: &[(&str, usize)]) -> Publish {
        let data = brokers.iter().map(|(name, _)| {
            format!(r#"{{"brokerName":"{name}","brokerAddrs":{{"0":"{name}:1"}}}}"#)
        });
        let queues = brokers.iter().map(|(name, queues)| {
            format!(r#"{{"brokerName":"{name}","perm":6,"writeQueueNums":{queues}}}"#)
        });
        let route = format!(
            r#"{{"brokerDatas":[{}],"queueDatas":[{}]}}"#,
            data.collect::<Vec<_>>().join(","),
            queues.collect::<Vec<_>>().join(",")
        );
        let route = TopicRoute::decode(route.as_bytes()).unwrap();
        Publish::from_route(&TopicName::new("T").unwrap(), &route, None)
    }

    /// A broker's standing in a few letters: `a`vailable, `r`eachable, `s`ound.
    fn letters(text: &str) -> Standing {
        Standing {
            available: text.contains('a'),
            reachable: text.contains('r'),
            sound: text.contains('s'),
            latency: Duration::ZERO,
            until: None,
        }
    }

    struct Game {
        counter: u32,
        turn: u32,
        rng: Rng,
    }

    impl Game {
        fn new() -> Self {
            Self {
                counter: 0,
                turn: 0,
                rng: Rng::new(1),
            }
        }

        fn next(
            &mut self,
            rules: FaultRules,
            publish: &Publish,
            avoid: Option<&str>,
            standing: impl Fn(&str) -> Standing,
        ) -> String {
            let dice = Dice {
                counter: &mut self.counter,
                turn: &mut self.turn,
                rng: &mut self.rng,
            };
            let standing = |broker: &Broker| standing(&broker.name);
            let queue = next_queue(rules, publish, dice, avoid, standing).unwrap();
            publish.broker_of(queue).name.to_string()
        }
    }

    /// One row a line of F.2, "choose": the standings of a, b and c, the broker that failed before,
    /// and which brokers are chosen in a few rounds.
    #[test]
    fn each_rule_chooses_the_brokers_that_the_table_says() {
        use FaultRules::{V4_9, V5_1};
        let rows: [(FaultRules, [&str; 3], Option<&str>, &str); 16] = [
            (V4_9, ["ars", "ars", "ars"], None, "abc"),
            (V4_9, ["rs", "ars", "ars"], None, "bc"),
            (V4_9, ["rs", "rs", "ars"], None, "c"),
            // Not known to 4.9, which has no such note.
            (V4_9, ["as", "ars", "rs"], None, "ab"),
            // Ours: another broker first, and connections that failed last.
            (V4_9, ["ars", "ars", "ars"], Some("a"), "bc"),
            (V4_9, ["ars", "rs", "rs"], Some("a"), "a"),
            (V4_9, ["ar", "ars", "rs"], None, "b"),
            (V4_9, ["ar", "rs", "r"], None, "b"),
            (V5_1, ["ars", "ars", "ars"], None, "abc"),
            (V5_1, ["ars", "ars", "ars"], Some("a"), "bc"),
            (V5_1, ["rs", "rs", "ars"], Some("a"), "c"),
            (V5_1, ["ars", "rs", "s"], Some("a"), "b"),
            (V5_1, ["rs", "s", "rs"], None, "ac"),
            (V5_1, ["s", "s", "s"], None, "abc"),
            (V5_1, ["s", "s", "s"], Some("b"), "ac"),
            (V5_1, ["ar", "s", "r"], None, "b"),
        ];
        let publish = publish(&[("a", 2), ("b", 2), ("c", 2)]);
        for (rules, standings, avoid, expected) in rows {
            let of = |name: &str| letters(standings[(name.as_bytes()[0] - b'a') as usize]);
            let mut game = Game::new();
            let chosen: BTreeSet<_> = (0..40)
                .map(|_| game.next(rules, &publish, avoid, of))
                .collect();
            let chosen: String = chosen.into_iter().collect();
            assert_eq!(chosen, expected, "{rules:?} {standings:?} {avoid:?}");
        }
    }

    #[test]
    fn queues_of_available_brokers_are_taken_in_turn() {
        let publish = publish(&[("a", 2), ("b", 1)]);
        for rules in [FaultRules::V4_9, FaultRules::V5_1] {
            let mut game = Game::new();
            let chosen: Vec<_> = (0..6)
                .map(|_| game.next(rules, &publish, None, |_| letters("ars")))
                .collect();
            assert_eq!(chosen.concat(), "aabaab");
        }
    }

    /// pickOneAtLeast: the better half of five is two, by latency, then by whose time ends first.
    #[test]
    fn when_all_are_passed_over_the_better_half_is_taken_in_turn() {
        let brokers = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)];
        let publish = publish(&brokers);
        let start = Now::system().mono;
        let of = |name: &str| {
            let (latency, ends) = match name {
                "a" => (900, 5),
                "b" => (600, 9),
                "c" => (30_000, 1),
                "d" => (600, 3),
                _ => (700, 4),
            };
            Standing {
                latency: latency * MS,
                until: Some(start + ends * MS),
                ..letters("rs")
            }
        };
        let mut game = Game::new();
        let chosen: Vec<_> = (0..6)
            .map(|_| game.next(FaultRules::V4_9, &publish, None, of))
            .collect();
        assert_eq!(chosen.concat(), "dbdbdb");
    }

    #[test]
    fn a_broker_that_is_picked_in_need_gets_any_of_the_queues_it_has() {
        let publish = publish(&[("a", 3), ("b", 5)]);
        let mut game = Game::new();
        let mut ids = BTreeSet::new();
        for _ in 0..200 {
            let dice = Dice {
                counter: &mut game.counter,
                turn: &mut game.turn,
                rng: &mut game.rng,
            };
            let of = |broker: &Broker| Standing {
                latency: if &*broker.name == "b" { MS } else { 2 * MS },
                ..letters("rs")
            };
            let queue = next_queue(FaultRules::V4_9, &publish, dice, None, of).unwrap();
            assert_eq!(&*publish.broker_of(queue).name, "b");
            ids.insert(publish.queues[queue].id);
        }
        assert_eq!(ids, (0..5).collect());
    }

    #[test]
    fn a_single_broker_is_chosen_whatever_speaks_against_it() {
        let publish = publish(&[("a", 2)]);
        for rules in [FaultRules::V4_9, FaultRules::V5_1] {
            for standing in ["", "r", "rs", "a", "ars"] {
                let mut game = Game::new();
                let chosen = game.next(rules, &publish, Some("a"), |_| letters(standing));
                assert_eq!(chosen, "a", "{rules:?} {standing}");
            }
        }
    }
}
