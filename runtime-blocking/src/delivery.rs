//! What callers hold on to.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rocketmq_engine::driver::{self, Ticket, park_on, park_until};
use rocketmq_engine::{Event, SendError, SendReceipt};

use crate::callbacks::Callbacks;

/// A message that was taken, and the place of its confirmation. Needs nobody's waiting to make
/// progress.
///
/// Dropping it discards the outcome: the message is sent all the same.
#[derive(Debug)]
#[must_use = "dropping a delivery discards the outcome of the send"]
pub struct Delivery {
    ticket: Ticket,
    callbacks: Arc<Callbacks>,
}

/// A subscription to a producer's events; as an iterator, it ends with the producer.
#[derive(Debug)]
pub struct Events(driver::Events);

impl Delivery {
    pub(crate) fn new(ticket: Ticket, callbacks: Arc<Callbacks>) -> Self {
        Self { ticket, callbacks }
    }

    /// Waits for the confirmation.
    ///
    /// # Errors
    /// As [`Producer::send`](crate::Producer::send).
    pub fn wait(mut self) -> Result<SendReceipt, SendError> {
        park_on(|waker| self.ticket.poll_outcome(waker)).into_receipt()
    }

    /// Waits for so long at most.
    ///
    /// # Errors
    /// The delivery itself, when there is no outcome yet; otherwise the inner result is that of
    /// [`wait`](Self::wait).
    pub fn wait_timeout(
        mut self,
        timeout: Duration,
    ) -> Result<Result<SendReceipt, SendError>, Self> {
        let deadline = Instant::now().checked_add(timeout);
        match park_until(deadline, |waker| self.ticket.poll_outcome(waker)) {
            Some(outcome) => Ok(outcome.into_receipt()),
            None => Err(self),
        }
    }

    /// Takes the outcome if there is one.
    ///
    /// # Errors
    /// The delivery itself, when there is none yet.
    pub fn try_take(mut self) -> Result<Result<SendReceipt, SendError>, Self> {
        match self.ticket.poll_outcome(Waker::noop()) {
            Poll::Ready(outcome) => Ok(outcome.into_receipt()),
            Poll::Pending => Err(self),
        }
    }

    /// Has `callback` called with the outcome: once, always, also when there is one already, and
    /// also at a shutdown. It runs on one of the producer's callback threads
    /// ([`Builder::callback_threads`](crate::Builder::callback_threads), 4 by default), never on
    /// those that move bytes and never under a lock, so it may send, wait and block; while it
    /// blocks, others queue behind it. Callbacks start in the order in which confirmations arrive.
    ///
    /// A callback that panics harms nothing else: the program's panic hook reports it as any other
    /// panic, [`Producer::callback_panics`](crate::Producer::callback_panics) counts it, and its
    /// thread goes on with the next one.
    ///
    /// Callbacks that were not run yet are bounded by
    /// [`Config::max_in_flight`](crate::Config::max_in_flight): at that number this call waits for
    /// one of them to end, except within a callback. When the system refuses the first callback
    /// thread, this call waits for the confirmation and runs the callback itself.
    pub fn on_done(self, callback: impl FnOnce(Result<SendReceipt, SendError>) + Send + 'static) {
        self.callbacks.register(self.ticket, Box::new(callback));
    }
}

impl Events {
    pub(crate) fn new(events: driver::Events) -> Self {
        Self(events)
    }

    /// Waits for the next event for so long at most; `None` when there was none, or when there
    /// will be none any more.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
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
