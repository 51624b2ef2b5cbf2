//! Deadlines in time order. Most are set in the order in which they fall due, so they live in a
//! queue; the odd ones live in a heap. A deadline is cancelled by forgetting it at its owner: the
//! entry left behind is skipped, and swept when such entries are the majority (DESIGN 6, precise
//! timers; O(1) for the common case, flat from 1 to 65 000 in flight).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// Entries left behind are not worth a sweep below this number.
const SWEEP_FROM: usize = 64;

/// Deadlines of owners of kind `T`.
#[derive(Debug)]
pub(crate) struct Deadlines<T> {
    ordered: VecDeque<(Instant, T)>,
    odd: BinaryHeap<Reverse<(Instant, T)>>,
    cancelled: usize,
}

impl<T: Copy + Ord> Deadlines<T> {
    pub(crate) const fn new() -> Self {
        Self {
            ordered: VecDeque::new(),
            odd: BinaryHeap::new(),
            cancelled: 0,
        }
    }

    /// Sets a deadline. The owner remembers `at`; that is what makes the entry valid.
    pub(crate) fn set(&mut self, at: Instant, owner: T) {
        if self.ordered.back().is_none_or(|(last, _)| *last <= at) {
            self.ordered.push_back((at, owner));
        } else {
            self.odd.push(Reverse((at, owner)));
        }
    }

    /// Notes that an owner forgot its deadline.
    pub(crate) fn cancel(&mut self) {
        self.cancelled += 1;
    }

    /// Drops entries that are no longer valid from the front, and all of them when they are many.
    /// After it, [`next`](Self::next) is exact.
    pub(crate) fn tidy(&mut self, is_valid: impl Fn(Instant, T) -> bool) {
        if self.cancelled > SWEEP_FROM && self.cancelled * 2 > self.ordered.len() + self.odd.len() {
            self.ordered.retain(|&(at, owner)| is_valid(at, owner));
            self.odd.retain(|&Reverse((at, owner))| is_valid(at, owner));
            self.cancelled = 0;
            return;
        }
        while let Some(&(at, owner)) = self.ordered.front() {
            if is_valid(at, owner) {
                break;
            }
            self.ordered.pop_front();
            self.cancelled = self.cancelled.saturating_sub(1);
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
        let odd_first = match (self.ordered.front(), self.odd.peek()) {
            (Some((ordered, _)), Some(Reverse((odd, _)))) => odd < ordered,
            (None, Some(_)) => true,
            _ => false,
        };
        if self.next()? > now {
            return None;
        }
        if odd_first {
            return self.odd.pop().map(|Reverse(entry)| entry);
        }
        self.ordered.pop_front()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        let ordered = self.ordered.front().map(|(at, _)| *at);
        let odd = self.odd.peek().map(|Reverse((at, _))| *at);
        match (ordered, odd) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Instant, T)> {
        let odd = self.odd.iter().map(|Reverse(entry)| *entry);
        self.ordered.iter().copied().chain(odd)
    }

    /// How many entries are held, cancelled ones included.
    pub(crate) fn len(&self) -> usize {
        self.ordered.len() + self.odd.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::io::Now;

    #[test]
    fn deadlines_fall_due_in_time_order_whatever_the_order_of_setting() {
        let start = Now::system().mono;
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        for ms in [30, 10, 40, 20, 40] {
            deadlines.set(at(ms), ms);
        }
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_due(at(5)), None);
        let mut due = Vec::new();
        while let Some((_, ms)) = deadlines.pop_due(at(40)) {
            due.push(ms);
        }
        assert_eq!(due, [10, 20, 30, 40, 40]);
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
