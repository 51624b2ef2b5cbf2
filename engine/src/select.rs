//! Which queue: pure functions over a topic's queues (PROTOCOL F.1, F.3).

use crate::publish::{Broker, Publish};

/// Round robin from `counter`, which moves on: the first queue whose broker is not the one that
/// just failed and can be reached; else one on another broker; else plainly the next (F.1).
pub(crate) fn next_queue(
    publish: &Publish,
    counter: &mut u32,
    avoid: Option<&str>,
    is_reachable: impl Fn(&Broker) -> bool,
) -> Option<usize> {
    let count = publish.queues.len();
    if count == 0 {
        return None;
    }
    let start = *counter as usize % count;
    *counter = counter.wrapping_add(1);
    let around = || (start..count).chain(0..start);
    let is_other = |queue: &usize| Some(&*publish.broker_of(*queue).name) != avoid;
    around()
        .find(|queue| is_other(queue) && is_reachable(publish.broker_of(*queue)))
        .or_else(|| around().find(is_other))
        .or(Some(start))
}

/// The queue of a hash: its remainder, made positive (F.3, selector by hash).
pub(crate) fn by_hash(hash: i32, count: usize) -> Option<usize> {
    let count = i32::try_from(count).ok().filter(|count| *count > 0)?;
    usize::try_from((hash % count).abs()).ok()
}

/// A queue by chance, all alike (F.3, selector by random).
pub(crate) fn at_random(random: u64, count: usize) -> Option<usize> {
    let queue = random.checked_rem(u64::try_from(count).ok()?)?;
    usize::try_from(queue).ok()
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::{ShardKey, TopicName, TopicRoute};

    use super::*;

    /// Brokers a and b with two queues each: indices 0 and 1 on a, 2 and 3 on b.
    fn publish() -> Publish {
        let route = r#"{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},
            {"brokerName":"b","brokerAddrs":{"0":"h:2"}}],"queueDatas":[
            {"brokerName":"a","perm":6,"writeQueueNums":2},{"brokerName":"b","perm":6,"writeQueueNums":2}]}"#;
        let route = TopicRoute::decode(route.as_bytes()).unwrap();
        Publish::from_route(&TopicName::new("T").unwrap(), &route, None)
    }

    #[test]
    fn queues_are_taken_in_turn_also_when_the_counter_wraps() {
        let mut counter = u32::MAX - 1;
        let picks: Vec<_> = (0..5)
            .map(|_| next_queue(&publish(), &mut counter, None, |_| true).unwrap())
            .collect();
        assert_eq!(picks, [2, 3, 0, 1, 2]);
    }

    #[test]
    fn a_retry_avoids_the_broker_that_failed_unless_it_is_the_only_one() {
        let publish = publish();
        assert_eq!(next_queue(&publish, &mut 0, Some("a"), |_| true), Some(2));
        assert_eq!(
            next_queue(&publish, &mut 0, Some("a"), |b| &*b.name == "a"),
            Some(2)
        );
        let one = TopicRoute::decode(
            br#"{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],
                "queueDatas":[{"brokerName":"a","perm":6,"writeQueueNums":2}]}"#,
        )
        .unwrap();
        let one = Publish::from_route(&TopicName::new("T").unwrap(), &one, None);
        assert_eq!(next_queue(&one, &mut 1, Some("a"), |_| true), Some(1));
    }

    #[test]
    fn brokers_that_cannot_be_reached_are_passed_over_while_others_can() {
        let publish = publish();
        assert_eq!(
            next_queue(&publish, &mut 0, None, |b| &*b.name == "b"),
            Some(2)
        );
        assert_eq!(next_queue(&publish, &mut 0, None, |_| false), Some(0));
    }

    #[test]
    fn a_hash_picks_javas_queue_also_when_negative() {
        assert_eq!(by_hash(7, 4), Some(3));
        assert_eq!(by_hash(-7, 4), Some(3));
        assert_eq!(by_hash(i32::MIN, 3), Some(2));
        assert_eq!(by_hash(1, 0), None);
    }

    /// What `Math.abs(key.hashCode() % 7)` was in a Java 17 virtual machine.
    #[test]
    fn a_key_of_each_kind_goes_to_the_queue_that_java_sends_it_to() {
        let texts = [
            ("order-1", 6),
            ("polygenelubricants", 2),
            ("o-42", 3),
            ("\u{6807}\u{7b7e}", 4),
            ("\u{1f600}", 2),
            ("\u{43a}\u{43b}\u{44e}\u{447}", 4),
        ];
        for (key, queue) in texts {
            assert_eq!(by_hash(key.shard_hash(), 7), Some(queue), "{key}");
        }
        let longs = [
            (1_700_000_000_123, 2),
            (-5, 4),
            (i64::MAX, 2),
            (i64::MIN, 2),
            (4_294_967_299, 2),
            (-1, 0),
        ];
        for (key, queue) in longs {
            assert_eq!(by_hash(key.shard_hash(), 7), Some(queue), "{key} as Long");
        }
        for (key, queue) in [(7, 0), (-5, 5), (i32::MIN, 2), (i32::MAX, 1)] {
            assert_eq!(
                by_hash(key.shard_hash(), 7),
                Some(queue),
                "{key} as Integer"
            );
        }
    }

    #[test]
    fn chance_picks_each_queue_about_as_often_as_the_others_and_none_of_none() {
        let mut rng = crate::rng::Rng::new(1);
        let mut picked = [0_u32; 5];
        for _ in 0..5_000 {
            picked[at_random(rng.next(), 5).unwrap()] += 1;
        }
        assert!(
            picked.iter().all(|n| (900..1_100).contains(n)),
            "{picked:?}"
        );
        assert_eq!(at_random(1, 0), None);
    }
}
