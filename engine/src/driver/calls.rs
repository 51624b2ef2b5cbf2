//! What an application can ask of a producer: the same calls for every runtime.

use std::time::Duration;

use rocketmq_proto::{Batch, InvalidMessage, Message, TopicName};

use super::handle::Handle;
use super::hub::Hub;
use super::local::entropy;
use super::ticket::{Slot, Ticket};
use crate::admin::AdminRequest;
use crate::correlation::CorrelationId;
use crate::engine::Rejected;
use crate::error::SendError;
use crate::io::{Now, Operation};
use crate::prepare::Prepared;
use crate::receipt::SendReceipt;
use crate::transaction::Decision;

impl Handle {
    /// Sends a message. Its budget runs from `now`. Without `may_wait` it is refused when there is
    /// no permit at once.
    ///
    /// # Errors
    /// The message breaks a rule, the producer is shut down, or it is full.
    pub fn send(&self, now: Now, message: Message, may_wait: bool) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::message(self.config(), message, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), may_wait)
    }

    /// Sends a batch, as [`send`](Self::send) does a message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_batch(&self, now: Now, batch: Batch, may_wait: bool) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::batch(self.config(), batch, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), may_wait)
    }

    /// Sends a message without asking for an answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_oneway(&self, now: Now, message: Message) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::message(self.config(), message, id)?;
        self.submit(now, Operation::Oneway(Box::new(prepared)), true)
    }

    /// Sends a request and waits for the reply to it, for so long in all.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn request(
        &self,
        now: Now,
        message: Message,
        timeout: Duration,
    ) -> Result<Ticket, SendError> {
        let correlation =
            CorrelationId::random(u128::from(entropy()) << 64 | u128::from(entropy()));
        let id = || self.next_id(now);
        let prepared = Prepared::request(self.config(), message, timeout, correlation, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), true)
    }

    /// Sends the half message of a transaction (PROTOCOL G.1).
    ///
    /// # Errors
    /// As [`send`](Self::send), and when nobody takes [check-backs](Self::check_backs).
    pub fn send_half(&self, now: Now, message: Message) -> Result<Ticket, SendError> {
        if !self.lock().engine.is_listening_for_checks(self.producer()) {
            return Err(SendError::no_check_back());
        }
        let id = || self.next_id(now);
        let prepared = Prepared::half(self.config(), message, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), true)
    }

    /// Tells the broker that has a half message how its transaction ended.
    ///
    /// # Errors
    /// The receipt does not say where the half message is, or the producer is shut down.
    pub fn end_transaction(
        &self,
        now: Now,
        receipt: &SendReceipt,
        decision: Decision,
    ) -> Result<Ticket, SendError> {
        let prepared = Prepared::end_of(self.config(), receipt, decision)?;
        self.submit(now, Operation::EndTransaction(Box::new(prepared)), true)
    }

    /// Asks for the queues of a topic.
    ///
    /// # Errors
    /// The name breaks a rule, or the producer is shut down.
    pub fn publish_queues(&self, now: Now, topic: impl AsRef<str>) -> Result<Ticket, SendError> {
        let topic = parse(topic)?;
        let timeout = self.config().send_timeout;
        self.submit(now, Operation::PublishQueues { topic, timeout }, true)
    }

    /// Waits until a topic can be sent to.
    ///
    /// # Errors
    /// The name breaks a rule, or the producer is shut down.
    pub fn ready(&self, now: Now, topic: impl AsRef<str>) -> Result<Ticket, SendError> {
        let topic = parse(topic)?;
        let timeout = self.config().send_timeout;
        self.submit(now, Operation::Ready { topic, timeout }, true)
    }

    /// Asks something that is not a send.
    ///
    /// # Errors
    /// The producer is shut down, or too much is being asked already.
    pub fn admin(
        &self,
        now: Now,
        request: AdminRequest,
        timeout: Option<Duration>,
    ) -> Result<Ticket, SendError> {
        let timeout = timeout.unwrap_or_else(|| request.default_timeout(&self.0.config));
        let request = Box::new(request);
        self.submit(now, Operation::Admin { request, timeout }, true)
    }

    /// Waits for the end of all that was submitted before.
    ///
    /// # Errors
    /// The producer is shut down.
    pub fn flush(&self, now: Now) -> Result<Ticket, SendError> {
        self.submit(now, Operation::Flush, true)
    }

    /// Closes the producer, giving what is under way so much time.
    ///
    /// # Errors
    /// None; the signature is that of the others.
    pub fn shutdown(&self, now: Now, grace: Duration) -> Result<Ticket, SendError> {
        self.submit(now, Operation::Shutdown { grace }, true)
    }

    fn submit(&self, now: Now, operation: Operation, may_wait: bool) -> Result<Ticket, SendError> {
        let (slot, producer) = (Slot::admitted(), self.producer());
        let accepted = self.with(|state| {
            let accepted = if may_wait {
                state.engine.submit(now, producer, operation)
            } else {
                state.engine.try_submit(now, producer, operation)
            };
            let accepted = accepted.map_err(Box::new)?;
            if !accepted.admitted {
                slot.queue();
            }
            state.keep_slot(accepted.op, slot.clone());
            Ok::<_, Box<Rejected>>(accepted)
        });
        // What was refused is dropped here, where no lock is held: its drop may run the
        // application's code.
        let accepted = accepted.map_err(|rejected| rejected.error)?;
        let queued = (!accepted.admitted).then(|| Hub::clone(self));
        Ok(Ticket::new(queued, accepted.op, slot))
    }
}

fn parse(topic: impl AsRef<str>) -> Result<TopicName, SendError> {
    TopicName::new(topic).map_err(|error| InvalidMessage::from(error).into())
}
