//! Events, for threads that wait for them.

use std::time::Duration;

use crate::driver::{self, park_on, park_until};
use crate::event::Event;
use crate::io::Now;

/// A subscription to a producer's events; as an iterator, it ends with the producer. When it is
/// full, the oldest event makes room.
#[derive(Debug)]
pub struct Events(driver::Events);

impl Events {
    pub(super) fn new(events: driver::Events) -> Self {
        Self(events)
    }

    /// Waits for the next event for so long at most; `None` when there was none, or when there
    /// will be none any more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        let deadline = Now::system().mono.checked_add(timeout);
        park_until(deadline, |waker| self.0.poll_next(waker)).flatten()
    }

    /// Takes the next event if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_next()
    }

    /// How many events were dropped since nobody took them.
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits for the next event; `None` once the producer is closed and all were taken.
    fn next(&mut self) -> Option<Event> {
        park_on(|waker| self.0.poll_next(waker))
    }
}
