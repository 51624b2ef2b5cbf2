//! What callers wait for. Each future has a name, so that it can be kept in a struct.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rocketmq_proto::{
    Batch, InvalidMessage, InvalidName, Message, MessageQueue, StoredMessage, TopicName,
};

use crate::admin::AdminRequest;
use crate::driver::{Handle, Ticket};
use crate::error::{Certainty, SendError};
use crate::io::{Now, Outcome};
use crate::receipt::SendReceipt;
use crate::shutdown::ShutdownReport;

macro_rules! futures {
    ($($(#[$doc:meta])+ $name:ident($read:expr) -> $output:ty;)+) => {$(
        $(#[$doc])+
        #[derive(Debug)]
        #[must_use = "does nothing until it is awaited"]
        pub struct $name(Call);

        impl $name {
            pub(super) fn new(handle: &Handle, request: Request) -> Self {
                Self(Call::Asked(handle.clone(), request))
            }
        }

        impl Future for $name {
            type Output = $output;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.0.poll_outcome(cx.waker()).map($read)
            }
        }
    )+};
}

futures! {
    /// The future of [`Producer::flush`](super::Producer::flush).
    FlushFuture(drop) -> ();

    /// The future of [`Producer::send_oneway`](super::Producer::send_oneway). Does nothing until it
    /// is polled; its budget runs from then on.
    OnewayFuture(Outcome::into_done) -> Result<(), SendError>;

    /// The future of [`Producer::publish_queues`](super::Producer::publish_queues).
    QueuesFuture(Outcome::into_queues) -> Result<Arc<[MessageQueue]>, SendError>;

    /// The future of [`Producer::ready`](super::Producer::ready).
    ReadyFuture(Outcome::into_done) -> Result<(), SendError>;

    /// The future of [`Producer::request`](super::Producer::request). Does nothing until it is
    /// polled; its budget runs from then on.
    RequestFuture(Outcome::into_reply) -> Result<StoredMessage, SendError>;

    /// The future of [`Producer::send`](super::Producer::send),
    /// [`Producer::send_batch`](super::Producer::send_batch) and
    /// [`Producer::reply`](super::Producer::reply). Does nothing until it is polled; its budget runs
    /// from then on.
    SendFuture(Outcome::into_receipt) -> Result<SendReceipt, SendError>;

    /// The future of [`Producer::shutdown`](super::Producer::shutdown). The shutdown begins when it
    /// is first polled.
    ShutdownFuture(Outcome::into_report) -> ShutdownReport;
}

/// The future of [`Producer::enqueue`](super::Producer::enqueue). Does nothing until it is polled;
/// the message's budget runs from then on.
#[derive(Debug)]
#[must_use = "does nothing until it is awaited"]
pub struct EnqueueFuture(Call);

/// A message that was taken; as a future, its confirmation. Needs no polling to make progress.
///
/// Dropping it discards the outcome: the message is sent all the same.
#[derive(Debug)]
#[must_use = "dropping a delivery discards the outcome of the send"]
pub struct Delivery(Ticket);

/// A question to a producer, from before it is put until it is answered.
#[derive(Debug)]
pub(super) enum Call {
    Asked(Handle, Request),
    Over,
    Waiting(Ticket),
}

#[derive(Debug)]
pub(super) enum Request {
    Admin(Result<Box<AdminRequest>, SendError>, Option<Duration>),
    Batch(Batch),
    Flush,
    Message(Message),
    Oneway(Message),
    Queues(Result<TopicName, InvalidName>),
    Ready(Result<TopicName, InvalidName>),
    Reply(Box<Result<Message, InvalidMessage>>),
    RoundTrip(Box<Message>, Duration),
    Shutdown(Duration),
}

impl EnqueueFuture {
    pub(super) fn new(handle: &Handle, message: Message) -> Self {
        Self(Call::new(handle, Request::Message(message)))
    }
}

impl Future for EnqueueFuture {
    type Output = Result<Delivery, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.0.ticket()?.poll_admitted(cx.waker()))?;
        match std::mem::replace(&mut self.0, Call::Over) {
            Call::Waiting(ticket) => Poll::Ready(Ok(Delivery(ticket))),
            _ => Poll::Ready(Err(over())),
        }
    }
}

impl Delivery {
    pub(super) fn new(ticket: Ticket) -> Self {
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

impl Call {
    pub(super) fn new(handle: &Handle, request: Request) -> Self {
        Self::Asked(handle.clone(), request)
    }

    pub(super) fn poll_outcome(&mut self, waker: &Waker) -> Poll<Outcome> {
        match self.ticket() {
            Ok(ticket) => ticket.poll_outcome(waker),
            Err(error) => Poll::Ready(Outcome::Failed(error)),
        }
    }

    /// Where the answer will be; puts the question if it has not been put.
    fn ticket(&mut self) -> Result<&mut Ticket, SendError> {
        if matches!(self, Self::Asked(..)) {
            if let Self::Asked(handle, request) = std::mem::replace(self, Self::Over) {
                *self = Self::Waiting(request.put(&handle)?);
            }
        }
        match self {
            Self::Waiting(ticket) => Ok(ticket),
            _ => Err(over()),
        }
    }
}

impl Request {
    fn put(self, handle: &Handle) -> Result<Ticket, SendError> {
        let now = Now::system();
        match self {
            Self::Admin(request, timeout) => handle.admin(now, *request?, timeout),
            Self::Batch(batch) => handle.send_batch(now, batch, true),
            Self::Flush => handle.flush(now),
            Self::Message(message) => handle.send(now, message, true),
            Self::Oneway(message) => handle.send_oneway(now, message),
            Self::Queues(topic) => handle.publish_queues(now, checked(topic)?),
            Self::Ready(topic) => handle.ready(now, checked(topic)?),
            Self::Reply(message) => handle.send(now, (*message)?, true),
            Self::RoundTrip(message, timeout) => handle.request(now, *message, timeout),
            Self::Shutdown(grace) => handle.shutdown(now, grace),
        }
    }
}

fn checked(topic: Result<TopicName, InvalidName>) -> Result<TopicName, SendError> {
    topic.map_err(|error| InvalidMessage::from(error).into())
}

/// A future was polled after it had answered.
fn over() -> SendError {
    SendError::closed(Certainty::Unknown)
}
