//! A transaction, as a future.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use rocketmq_proto::Message;

use super::check_back::poll_caught;
use crate::driver::check_backs::caught;
use crate::driver::open::OpenTransaction;
use crate::driver::{Handle, Ticket};
use crate::error::{Certainty, SendError};
use crate::guard::discard;
use crate::io::Now;
use crate::receipt::SendReceipt;
use crate::transaction::{Decision, TransactionReceipt};

/// The future of [`Producer::send_in_transaction`](super::Producer::send_in_transaction): `F` is the
/// local transaction, `T` the future that it makes. Does nothing until it is polled; the half
/// message's budget runs from then on.
#[must_use = "does nothing until it is awaited"]
pub struct TransactionFuture<F, T> {
    handle: Handle,
    stage: Stage<F, T>,
    /// From the first poll to the end.
    open: Option<OpenTransaction>,
}

enum Stage<F, T> {
    Asked(Box<Message>, F),
    Half(Ticket, Box<Message>, F),
    Local(Pin<Box<T>>, Box<SendReceipt>),
    Ended(Ticket, Box<TransactionReceipt>),
    Over,
}

/// What a step came to.
enum Step<F, T> {
    Next(Stage<F, T>),
    Wait(Stage<F, T>),
    Done(Result<Box<TransactionReceipt>, SendError>),
}

impl<F, T> TransactionFuture<F, T>
where
    F: FnOnce(Message, SendReceipt) -> T,
    T: Future<Output: Into<Decision>>,
{
    pub(super) fn new(handle: &Handle, message: Message, local: F) -> Self {
        Self {
            handle: handle.clone(),
            stage: Stage::Asked(Box::new(message), local),
            open: None,
        }
    }

    fn step(&self, stage: Stage<F, T>, cx: &mut Context<'_>) -> Step<F, T> {
        match stage {
            Stage::Asked(message, local) => {
                match self
                    .handle
                    .send_half(Now::system(), Message::clone(&message))
                {
                    Ok(ticket) => Step::Next(Stage::Half(ticket, message, local)),
                    Err(error) => Step::Done(Err(error)),
                }
            }
            Stage::Half(mut ticket, message, local) => match ticket.poll_outcome(cx.waker()) {
                Poll::Pending => Step::Wait(Stage::Half(ticket, message, local)),
                Poll::Ready(outcome) => match outcome.into_receipt() {
                    Ok(receipt) => self.run(receipt, *message, local),
                    Err(error) => Step::Done(Err(error)),
                },
            },
            Stage::Local(mut local, receipt) => match poll_caught(local.as_mut(), cx) {
                Poll::Pending => Step::Wait(Stage::Local(local, receipt)),
                Poll::Ready(decision) => {
                    discard(local);
                    self.end(*receipt, decision)
                }
            },
            Stage::Ended(mut ticket, mut receipt) => match ticket.poll_outcome(cx.waker()) {
                Poll::Pending => Step::Wait(Stage::Ended(ticket, receipt)),
                Poll::Ready(outcome) => {
                    receipt.end = outcome.into_done();
                    Step::Done(Ok(receipt))
                }
            },
            Stage::Over => Step::Done(Err(SendError::closed(Certainty::Unknown))),
        }
    }

    /// The half message is there.
    fn run(&self, receipt: SendReceipt, message: Message, local: F) -> Step<F, T> {
        if let Some(decision) = Decision::of_status(receipt.status) {
            return self.end(receipt, decision);
        }
        let given = receipt.clone();
        match caught(|| Box::pin(local(message, given))) {
            Ok(local) => Step::Next(Stage::Local(local, Box::new(receipt))),
            Err(decision) => self.end(receipt, decision),
        }
    }

    fn end(&self, receipt: SendReceipt, decision: Decision) -> Step<F, T> {
        let mut receipt = Box::new(TransactionReceipt::new(receipt, &decision));
        let ended = self
            .handle
            .end_transaction(Now::system(), &receipt.receipt, decision);
        match ended {
            Ok(ticket) => Step::Next(Stage::Ended(ticket, receipt)),
            Err(error) => {
                receipt.end = Err(error);
                Step::Done(Ok(receipt))
            }
        }
    }
}

impl<F, T> Future for TransactionFuture<F, T>
where
    F: FnOnce(Message, SendReceipt) -> T,
    T: Future<Output: Into<Decision>>,
{
    type Output = Result<TransactionReceipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if matches!(self.stage, Stage::Asked(..)) {
            self.open = Some(OpenTransaction::new(&self.handle));
        }
        loop {
            let stage = mem::replace(&mut self.stage, Stage::Over);
            match self.step(stage, cx) {
                Step::Next(stage) => self.stage = stage,
                Step::Wait(stage) => {
                    self.stage = stage;
                    return Poll::Pending;
                }
                Step::Done(outcome) => {
                    self.open = None;
                    return Poll::Ready(outcome.map(|receipt| *receipt));
                }
            }
        }
    }
}

/// Nothing in it is pinned but what is in a box of its own.
impl<F, T> Unpin for TransactionFuture<F, T> {}

impl<F, T> fmt::Debug for TransactionFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Asked(..) => "not begun",
            Stage::Half(..) => "half message under way",
            Stage::Local(..) => "local transaction",
            Stage::Ended(..) => "end under way",
            Stage::Over => "over",
        };
        f.debug_tuple("TransactionFuture").field(&stage).finish()
    }
}
