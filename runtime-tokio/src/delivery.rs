//! What callers wait for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use rocketmq_engine::driver::{self, Handle, Ticket};
use rocketmq_engine::proto::{Batch, Message};
use rocketmq_engine::{Event, Now, SendError, SendReceipt};

/// The future of [`Producer::send`](crate::Producer::send). Does nothing until it is polled; its
/// budget runs from then on.
#[derive(Debug)]
#[must_use = "a send does nothing until it is awaited"]
pub struct SendFuture(State);

#[derive(Debug)]
enum State {
    Batch(Handle, Batch),
    Message(Handle, Box<Message>),
    Over,
    Waiting(Ticket),
}

/// A message that was taken; as a future, its confirmation. Needs no polling to make progress.
///
/// Dropping it discards the outcome: the message is sent all the same.
#[derive(Debug)]
#[must_use = "dropping a delivery discards the outcome of the send"]
pub struct Delivery(Ticket);

/// A message that [`Producer::try_enqueue`](crate::Producer::try_enqueue) did not take.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TryEnqueueError {
    /// The message, as it was given.
    pub message: Box<Message>,
    /// Why.
    pub error: SendError,
}

/// A subscription to a producer's events.
#[derive(Debug)]
pub struct Events(driver::Events);

impl SendFuture {
    pub(crate) fn message(handle: Handle, message: Message) -> Self {
        Self(State::Message(handle, Box::new(message)))
    }

    pub(crate) fn batch(handle: Handle, batch: Batch) -> Self {
        Self(State::Batch(handle, batch))
    }
}

impl Future for SendFuture {
    type Output = Result<SendReceipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut ticket = match std::mem::replace(&mut self.0, State::Over) {
            State::Batch(handle, batch) => handle.send_batch(Now::system(), batch, true)?,
            State::Message(handle, message) => handle.send(Now::system(), *message, true)?,
            State::Waiting(ticket) => ticket,
            State::Over => return Poll::Pending,
        };
        match ticket.poll_outcome(cx.waker()) {
            Poll::Ready(outcome) => Poll::Ready(outcome.into_receipt()),
            Poll::Pending => {
                self.0 = State::Waiting(ticket);
                Poll::Pending
            }
        }
    }
}

impl Delivery {
    pub(crate) fn new(ticket: Ticket) -> Self {
        Self(ticket)
    }
}

impl Future for Delivery {
    type Output = Result<SendReceipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_outcome(cx.waker())
            .map(|outcome| outcome.into_receipt())
    }
}

impl Events {
    pub(crate) fn new(events: driver::Events) -> Self {
        Self(events)
    }

    /// Waits for the next event; `None` once the producer is closed and all were taken.
    ///
    /// # Cancel safety
    /// No event is lost when it is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.0.poll_next(cx.waker())).await
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
