//! Flush: complete when every send submitted before it has completed (DESIGN 6).

use std::collections::VecDeque;

use crate::engine::{Accepted, Engine};
use crate::io::{Now, OpId, Outcome, ProducerId};
use crate::op::{Kind, Op};

/// Sends (or trace messages) are counted by generation; a flush begins a new one and waits for those before it.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    /// The oldest generation that is counted.
    first: u64,
    /// Live sends of each generation from `first` on; the last is the present one.
    live: VecDeque<usize>,
    /// Who waits until all generations up to this one are done.
    waiting: VecDeque<(u64, OpId)>,
}

impl Flushes {
    /// Counts a send in; returns its generation.
    pub(crate) fn enter(&mut self) -> u64 {
        match self.live.back_mut() {
            Some(count) => *count += 1,
            None => self.live.push_back(1),
        }
        self.present()
    }

    /// Counts a send out; returns the flushes that it was the last one for.
    pub(crate) fn leave(&mut self, generation: u64) -> Vec<OpId> {
        let index = generation.wrapping_sub(self.first) as usize;
        if let Some(count) = self.live.get_mut(index) {
            *count = count.saturating_sub(1);
        }
        while self.live.len() > 1 && self.live.front() == Some(&0) {
            self.live.pop_front();
            self.first += 1;
        }
        let mut done = Vec::new();
        while let Some(&(upto, op)) = self.waiting.front() {
            if upto >= self.first {
                break;
            }
            self.waiting.pop_front();
            done.push(op);
        }
        done
    }

    /// All sends that are counted.
    pub(crate) fn live(&self) -> usize {
        self.live.iter().sum()
    }

    /// Begins a new generation and puts a flush in line for those before it, if any lives.
    pub(crate) fn wait(&mut self, op: OpId) -> bool {
        if self.live.iter().all(|count| *count == 0) {
            return false;
        }
        self.waiting.push_back((self.present(), op));
        self.live.push_back(0);
        true
    }

    fn present(&self) -> u64 {
        self.first + (self.live.len() as u64).saturating_sub(1)
    }
}

impl Engine {
    pub(crate) fn begin_flush(&mut self, now: Now, producer: ProducerId) -> Accepted {
        self.close_batches(now);
        let id = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: None,
            timer: None,
            kind: Kind::Flush,
        });
        let member = self.members.get_mut(producer);
        let waits = member.is_some_and(|member| member.flushes.wait(id));
        if !waits && !self.waits_for_trace(now, producer, id) {
            self.finish(now, id, Outcome::Done);
        }
        Accepted {
            op: id,
            admitted: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Key;

    #[test]
    fn a_flush_waits_for_what_came_before_it_and_for_nothing_else() {
        let (first, second) = (OpId::new(1, 0), OpId::new(2, 0));
        let mut flushes = Flushes::default();
        assert!(!flushes.wait(first), "nothing to wait for");
        let a = flushes.enter();
        let b = flushes.enter();
        assert!(flushes.wait(first));
        let later = flushes.enter();
        assert!(flushes.wait(second));
        assert!(flushes.leave(b).is_empty());
        assert_eq!(flushes.leave(a), [first]);
        assert_eq!(flushes.leave(later), [second]);
        assert!(!flushes.wait(first));
    }

    #[test]
    fn a_later_send_that_ends_first_completes_no_flush() {
        let op = OpId::new(1, 0);
        let mut flushes = Flushes::default();
        let before = flushes.enter();
        assert!(flushes.wait(op));
        let after = flushes.enter();
        assert!(flushes.leave(after).is_empty());
        assert_eq!(flushes.leave(before), [op]);
    }
}
