//! Events, as futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver;
use crate::event::Event;

/// A subscription to a producer's events. When it is full, the oldest event makes room.
#[derive(Debug)]
pub struct Events(driver::Events);

/// The future of [`Events::next`].
#[derive(Debug)]
#[must_use = "does nothing until it is awaited"]
pub struct NextEvent<'a>(&'a mut Events);

impl Events {
    pub(super) fn new(events: driver::Events) -> Self {
        Self(events)
    }

    /// Waits for the next event; `None` once the producer is closed and all were taken.
    ///
    /// # Cancel safety
    /// No event is lost when it is dropped.
    #[expect(
        clippy::should_implement_trait,
        reason = "the word that streams use; an iterator would have to block"
    )]
    pub fn next(&mut self) -> NextEvent<'_> {
        NextEvent(self)
    }

    /// The same for implementors of streams.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_next(cx.waker())
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

impl Future for NextEvent<'_> {
    type Output = Option<Event>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_next(cx)
    }
}
