//! Permits by count and by bytes, handed over in the order of asking (DESIGN 6, back-pressure;
//! PROTOCOL E.9, E.12).

use std::collections::VecDeque;

use crate::io::OpId;

/// One pool of permits. Whoever has to wait is admitted strictly first come, first served: a small
/// message never overtakes a large one that waits for bytes, so nobody starves.
#[derive(Debug)]
pub(crate) struct Permits {
    max_count: usize,
    max_bytes: usize,
    count: usize,
    bytes: usize,
    waiting: VecDeque<Waiting>,
    gone: usize,
}

#[derive(Debug)]
struct Waiting {
    op: OpId,
    bytes: usize,
}

impl Permits {
    pub(crate) const fn new(max_count: usize, max_bytes: usize) -> Self {
        Self {
            max_count,
            max_bytes,
            count: 0,
            bytes: 0,
            waiting: VecDeque::new(),
            gone: 0,
        }
    }

    /// Takes a permit at once if nobody waits and there is room.
    pub(crate) fn try_take(&mut self, bytes: usize) -> bool {
        if self.has_line() || !self.fits(bytes) {
            return false;
        }
        self.count += 1;
        self.bytes += bytes;
        true
    }

    /// Gets in line.
    pub(crate) fn wait(&mut self, op: OpId, bytes: usize) {
        self.waiting.push_back(Waiting { op, bytes });
    }

    /// Notes that one in line gave up; `still_waits` tells who did not.
    pub(crate) fn leave(&mut self, still_waits: impl Fn(OpId) -> bool) {
        self.gone += 1;
        if self.gone > 64 && self.gone * 2 > self.waiting.len() {
            self.waiting.retain(|waiting| still_waits(waiting.op));
            self.gone = 0;
        }
    }

    /// Counts in what is there whether it fits or not.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Gives a permit back.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        debug_assert!(self.count > 0 && self.bytes >= bytes);
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Hands a permit to the first in line, if there is room for it.
    pub(crate) fn hand_over(&mut self, still_waits: impl Fn(OpId) -> bool) -> Option<OpId> {
        while let Some(first) = self.waiting.front() {
            if !still_waits(first.op) {
                self.waiting.pop_front();
                self.gone = self.gone.saturating_sub(1);
                continue;
            }
            if !self.fits(first.bytes) {
                return None;
            }
            let first = self.waiting.pop_front()?;
            self.count += 1;
            self.bytes += first.bytes;
            return Some(first.op);
        }
        None
    }

    /// The first in line, if there is room for it: never so after [`hand_over`](Self::hand_over).
    pub(crate) fn kept_waiting(&self, still_waits: impl Fn(OpId) -> bool) -> Option<OpId> {
        let first = self
            .waiting
            .iter()
            .find(|waiting| still_waits(waiting.op))?;
        self.fits(first.bytes).then_some(first.op)
    }

    /// Whether anybody waits.
    pub(crate) fn has_line(&self) -> bool {
        self.waiting.len() > self.gone
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A message larger than the whole budget passes when it is alone: it must not wait for ever.
    fn fits(&self, bytes: usize) -> bool {
        self.count < self.max_count
            && (self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Key;

    fn op(n: u32) -> OpId {
        OpId::new(n, 0)
    }

    #[test]
    fn permits_are_handed_over_first_come_first_served_also_past_a_large_one() {
        let mut permits = Permits::new(10, 100);
        assert!(permits.try_take(60));
        permits.wait(op(1), 90);
        permits.wait(op(2), 1);
        assert!(!permits.try_take(1), "nobody overtakes the line");
        assert_eq!(permits.hand_over(|_| true), None);
        permits.give_back(60);
        assert_eq!(permits.hand_over(|_| true), Some(op(1)));
        assert_eq!(permits.hand_over(|_| true), Some(op(2)));
        assert_eq!((permits.count(), permits.bytes()), (2, 91));
    }

    #[test]
    fn a_message_larger_than_the_whole_budget_passes_alone() {
        let mut permits = Permits::new(10, 100);
        assert!(permits.try_take(1));
        assert!(!permits.try_take(1_000));
        permits.give_back(1);
        assert!(permits.try_take(1_000));
        assert!(!permits.try_take(1));
    }

    #[test]
    fn who_gave_up_waiting_leaves_no_permit_and_no_memory_behind() {
        let mut permits = Permits::new(1, 100);
        assert!(permits.try_take(1));
        for n in 0..1_000 {
            permits.wait(op(n), 1);
            permits.leave(|_| false);
        }
        assert!(
            permits.waiting.len() <= 130,
            "{} left in line",
            permits.waiting.len()
        );
        permits.give_back(1);
        assert_eq!(permits.hand_over(|_| false), None);
        assert_eq!((permits.count(), permits.bytes()), (0, 0));
        assert!(permits.try_take(1));
    }
}
