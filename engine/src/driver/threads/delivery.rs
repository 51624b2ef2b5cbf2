//! What callers hold on to.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::callbacks::Callbacks;
use crate::driver::{Ticket, park_on, park_until};
use crate::error::SendError;
use crate::io::{Now, Outcome};
use crate::receipt::SendReceipt;

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

impl Delivery {
    pub(super) fn new(ticket: Ticket, callbacks: Arc<Callbacks>) -> Self {
        Self { ticket, callbacks }
    }

    /// Waits for the confirmation.
    ///
    /// # Errors
    /// As [`Producer::send`](super::Producer::send).
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
        let deadline = Now::system().mono.checked_add(timeout);
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
    /// also at a shutdown. It runs on one of the producer's callback threads (4 at most, unless its
    /// builder was told otherwise), never on those that move bytes and never under a lock, so it may
    /// send, wait and block; while it blocks, others queue behind it. Callbacks start in the order in
    /// which confirmations arrive.
    ///
    /// A callback that panics harms nothing else: the program's panic hook reports it as any other
    /// panic, [`Producer::callback_panics`](super::Producer::callback_panics) counts it, and its
    /// thread goes on with the next one.
    ///
    /// Callbacks that were not run yet are bounded by
    /// [`Config::max_in_flight`](crate::Config::max_in_flight): at that number this call waits for
    /// one of them to end, except within a callback. When the system refuses the first callback
    /// thread, this call waits for the confirmation and runs the callback itself.
    pub fn on_done(self, callback: impl FnOnce(Result<SendReceipt, SendError>) + Send + 'static) {
        let callback = |outcome: Outcome| callback(outcome.into_receipt());
        self.callbacks.register(self.ticket, Box::new(callback));
    }
}
