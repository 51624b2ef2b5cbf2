//! Deadlines in time order. Those of one kind are set in the order in which they fall due, so a few
//! queues hold almost all of them: each takes what is due no earlier than its last. What fits none
//! lives in a heap. A deadline is cancelled by forgetting it at its owner: the entry left behind is
//! skipped, and swept when such entries are the majority (DESIGN 6, precise timers; O(1) for the
//! common case, flat from 1 to 65 000 in flight).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// Entries left behind are not worth a sweep below this number.
const SWEEP_FROM: usize = 64;

/// Queues: upkeep's, those of tries, and two more for messages with time limits of their own.
const LANES: usize = 4;

/// Deadlines of owners of kind `T`.
#[derive(Debug)]
pub(crate) struct Deadlines<T> {
    lanes: [VecDeque<(Instant, T)>; LANES],
    odd: BinaryHeap<Reverse<(Instant, T)>>,
    cancelled: usize,
    /// Whether one that is not valid may have come to the front.
    is_untidy: bool,
}

impl<T: Copy + Ord> Deadlines<T> {
    pub(crate) const fn new() -> Self {
        Self {
            lanes: [const { VecDeque::new() }; LANES],
            odd: BinaryHeap::new(),
            cancelled: 0,
            is_untidy: false,
        }
    }

    /// Sets a deadline. The owner remembers `at`; that is what makes the entry valid.
    pub(crate) fn set(&mut self, at: Instant, owner: T) {
        let fits = |lane: &&mut VecDeque<_>| lane.back().is_none_or(|(last, _)| *last <= at);
        match self.lanes.iter_mut().find(fits) {
            Some(lane) => lane.push_back((at, owner)),
            None => self.odd.push(Reverse((at, owner))),
        }
    }

    /// Notes that an owner forgot its deadline.
    pub(crate) fn cancel(&mut self) {
        self.cancelled += 1;
        self.is_untidy = true;
    }

    /// Whether there is reason to [`tidy`](Self::tidy).
    pub(crate) fn is_untidy(&self) -> bool {
        self.is_untidy
    }

    /// Drops entries that are no longer valid from the front, and all of them when they are many.
    /// After it, [`next`](Self::next) is exact.
    pub(crate) fn tidy(&mut self, is_valid: impl Fn(Instant, T) -> bool) {
        self.is_untidy = false;
        if self.cancelled > SWEEP_FROM && self.cancelled * 2 > self.len() {
            for lane in &mut self.lanes {
                lane.retain(|&(at, owner)| is_valid(at, owner));
            }
            self.odd.retain(|&Reverse((at, owner))| is_valid(at, owner));
            self.cancelled = 0;
            return;
        }
        for lane in &mut self.lanes {
            while let Some(&(at, owner)) = lane.front() {
                if is_valid(at, owner) {
                    break;
                }
                lane.pop_front();
                self.cancelled = self.cancelled.saturating_sub(1);
            }
        }
        while let Some(&Reverse((at, owner))) = self.odd.peek() {
            if is_valid(at, owner) {
                break;
            }
            self.odd.pop();
            self.cancelled = self.cancelled.saturating_sub(1);
        }
    }

    /// Takes the earliest entry that is due at `now`, valid or not.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let first = self.next().filter(|first| *first <= now)?;
        self.is_untidy = true;
        let is_first =
            |lane: &&mut VecDeque<(Instant, T)>| lane.front().is_some_and(|(at, _)| *at == first);
        match self.lanes.iter_mut().find(is_first) {
            Some(lane) => lane.pop_front(),
            None => self.odd.pop().map(|Reverse(entry)| entry),
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        let fronts = self.lanes.iter().filter_map(|lane| lane.front());
        let odd = self.odd.peek().map(|Reverse(entry)| entry);
        fronts.chain(odd).map(|(at, _)| *at).min()
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Instant, T)> {
        let odd = self.odd.iter().map(|Reverse(entry)| *entry);
        self.lanes.iter().flatten().copied().chain(odd)
    }

    /// How many entries are held, cancelled ones included.
    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum::<usize>() + self.odd.len()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::io::Now;

    #[test]
    fn deadlines_fall_due_in_time_order_whatever_the_order_of_setting() {
        let start = Now::system().mono;
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        for ms in [60, 50, 30, 10, 40, 20, 5, 40] {
            deadlines.set(at(ms), ms);
        }
        assert_eq!(deadlines.odd.len(), 1, "more kinds than lanes");
        assert_eq!(deadlines.next(), Some(at(5)));
        assert_eq!(deadlines.pop_due(at(4)), None);
        let mut due = Vec::new();
        while let Some((_, ms)) = deadlines.pop_due(at(40)) {
            due.push(ms);
        }
        assert_eq!(due, [5, 10, 20, 30, 40, 40]);
        assert_eq!(deadlines.next(), Some(at(50)));
    }

    #[test]
    fn short_deadlines_beside_a_long_one_stay_out_of_the_heap() {
        let start = Now::system().mono;
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        deadlines.set(at(30_000), 0);
        for n in 1..=100 {
            deadlines.set(at(1_000 + n), n);
            if n % 10 == 0 {
                deadlines.set(at(10_000 + n), n);
            }
        }
        assert!(deadlines.odd.is_empty());
        assert_eq!(deadlines.next(), Some(at(1_001)));
    }

    /// An entry that was left behind and one set anew for the same moment look alike, so what is
    /// counted as cancelled is no proof of what is left.
    #[test]
    fn what_is_set_again_for_the_same_moment_rings_once() {
        let start = Now::system().mono;
        let at = |ms| start + Duration::from_millis(ms);
        let timers = RefCell::new(BTreeMap::new());
        let is_valid = |when, who| timers.borrow().get(&who) == Some(&when);
        let mut deadlines = Deadlines::new();
        for (owners, ms) in [
            (0..1, 10),
            (1..101, 3_000),
            (1..101, 1_000),
            (1..101, 3_000),
        ] {
            for who in owners {
                if timers.borrow_mut().insert(who, at(ms)).is_some() {
                    deadlines.cancel();
                }
                deadlines.set(at(ms), who);
                deadlines.tidy(is_valid);
            }
        }
        let mut rung = Vec::new();
        loop {
            deadlines.tidy(is_valid);
            let Some((when, who)) = deadlines.pop_due(at(3_000)) else {
                break;
            };
            assert!(is_valid(when, who), "{who} rings for nothing");
            timers.borrow_mut().remove(&who);
            rung.push(who);
        }
        rung.sort_unstable();
        assert_eq!(rung, (0..101).collect::<Vec<_>>());
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn entries_left_behind_do_not_pile_up() {
        let start = Now::system().mono;
        let mut deadlines = Deadlines::new();
        // One deadline that stays at the front, and ten thousand that are cancelled behind it.
        deadlines.set(start, 0_u32);
        for n in 1..=10_000_u32 {
            deadlines.set(start + Duration::from_micros(u64::from(n)), n);
            deadlines.cancel();
            deadlines.tidy(|_, owner| owner == 0);
        }
        assert!(
            deadlines.len() <= 2 * SWEEP_FROM + 2,
            "{} entries",
            deadlines.len()
        );
        assert_eq!(deadlines.next(), Some(start));
    }
}
