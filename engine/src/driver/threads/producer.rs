//! The producer, as an application sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::{Batch, Message, MessageQueue, StoredMessage};

use super::admin::Admin;
use super::check_backs::CheckBackListener;
use super::crew::{Crew, Lead, Serve, Spawn};
use super::delivery::Delivery;
use super::events::Events;
use crate::admin::Question;
use crate::config::{Config, ConfigError};
use crate::driver::check_backs::caught;
use crate::driver::open::OpenTransaction;
use crate::driver::{Handle, StartError, Ticket, TryEnqueueError, park_on};
use crate::error::SendError;
use crate::io::{Endpoint, Now, Outcome};
use crate::receipt::SendReceipt;
use crate::shutdown::ShutdownReport;
use crate::stats::{BrokerStats, Stats};
use crate::transaction::{Decision, TransactionReceipt};

/// A RocketMQ producer. Cheap to clone; every method takes `&self`; share it freely among threads.
///
/// When the last clone is dropped, the producer goes on in the background with what is under way,
/// for at most 5 s, then closes. To know how that went, call [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Handle,
    crew: Arc<Crew>,
}

impl Producer {
    /// The producer behind a handle, for runtimes; an application takes its runtime's builder. `io`
    /// serves the handle's supervisor until the producer is closed, on a thread of its own named
    /// `rmq-<group>-io`; `None` for a producer that its client serves. Callbacks run on
    /// `callback_threads` threads at most, and on one at least, named `rmq-<group>-callback`; they
    /// are started when there are callbacks. A check-back listener runs on
    /// [`Config::check_concurrency`] threads named `rmq-<group>-check`.
    /// With `lead`, a caller that is alone in waiting for a broker moves the bytes itself meanwhile.
    ///
    /// # Errors
    /// The system gave no thread for `io`, or for the listener.
    pub fn start(
        handle: Handle,
        callback_threads: usize,
        listener: Option<CheckBackListener>,
        spawn: impl Spawn,
        io: Option<Serve>,
        lead: Option<Arc<dyn Lead>>,
    ) -> Result<Self, StartError> {
        let crew = Crew::start(&handle, callback_threads, listener, spawn, io, lead)
            .map_err(|error| StartError::Runtime(format!("the system gave no thread: {error}")))?;
        Ok(Self { handle, crew })
    }

    /// Sends a message and waits for the broker's confirmation. The call's budget (3 s, or
    /// [`Message::timeout`]) covers everything: room, route, connection and all tries.
    ///
    /// # Errors
    /// [`SendError`] says what is known about the message, and what was tried.
    pub fn send(&self, message: Message) -> Result<SendReceipt, SendError> {
        self.crew.waiting(|| {
            let ticket = self.handle.send(Now::system(), message, true)?;
            self.crew.outcome(ticket).into_receipt()
        })
    }

    /// Sends a batch as one frame; its members are stored together, or not at all.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_batch(&self, batch: Batch) -> Result<SendReceipt, SendError> {
        self.crew.waiting(|| {
            let ticket = self.handle.send_batch(Now::system(), batch, true)?;
            self.crew.outcome(ticket).into_receipt()
        })
    }

    /// Waits for room only, then returns a [`Delivery`] that holds the place of the confirmation.
    /// Messages enqueued one after the other to one queue are written in that order.
    ///
    /// # Errors
    /// The message breaks a rule, the producer is shut down, or there was no room in time.
    pub fn enqueue(&self, message: Message) -> Result<Delivery, SendError> {
        let mut ticket = self.handle.send(Now::system(), message, true)?;
        park_on(|waker| ticket.poll_admitted(waker))?;
        Ok(self.delivery(ticket))
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// Gives the message back when there is no room ([`Full`](crate::SendErrorKind::Full)), or when
    /// it cannot be sent at all.
    pub fn try_enqueue(&self, message: Message) -> Result<Delivery, TryEnqueueError> {
        let ticket = self.handle.try_enqueue(Now::system(), message)?;
        Ok(self.delivery(ticket))
    }

    /// Sends a message without asking for a confirmation; returns when its bytes were handed to the
    /// socket. What the broker then does with it is not known (PROTOCOL E.11).
    ///
    /// # Errors
    /// As [`send`](Self::send), up to that moment.
    pub fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.crew.waiting(|| {
            let ticket = self.handle.send_oneway(Now::system(), message)?;
            self.crew.outcome(ticket).into_done()
        })
    }

    /// Sends a request and waits for the reply of the consumer that takes it, for `timeout` in all
    /// (Java: `request`). It ends exactly once: with the reply, when sending fails, or when the time
    /// is up; the broker's confirmation alone ends nothing.
    ///
    /// A request counts as under way until then and holds its room all that time, so
    /// [`max_in_flight`](Config::max_in_flight) bounds the requests that are open, and
    /// [`flush`](Self::flush) waits for them. A retry may have a consumer see the request twice, as
    /// with any message.
    ///
    /// # Errors
    /// As [`send`](Self::send), when it could not be sent. When it was stored and no reply came, the
    /// kind is [`NoReply`](crate::SendErrorKind::NoReply) (Java: 10006) and the certainty
    /// [`Stored`](crate::Certainty::Stored).
    pub fn request(&self, message: Message, timeout: Duration) -> Result<StoredMessage, SendError> {
        self.crew.waiting(|| {
            let ticket = self.handle.request(Now::system(), message, timeout)?;
            self.crew.outcome(ticket).into_reply()
        })
    }

    /// Replies to a request that a consumer read, as [`Message::in_reply_to`] makes the reply. The
    /// receipt says that a broker pushed it to the requester, who may have given up by then.
    ///
    /// # Errors
    /// The message is no request ([`InvalidMessage`](crate::SendErrorKind::InvalidMessage), Java:
    /// 10007); or as [`send`](Self::send): brokers that do not know the requester refuse it with
    /// code 1, which is tried again elsewhere.
    pub fn reply(
        &self,
        request: &StoredMessage,
        body: impl Into<Bytes>,
    ) -> Result<SendReceipt, SendError> {
        self.send(Message::in_reply_to(request, body)?)
    }

    /// Sends a message that is delivered only if a local transaction takes place: first as a half
    /// message, which no consumer sees; when a broker has confirmed that, `local` is run on this
    /// thread, with the message as it was given and its confirmation; then the broker is told what
    /// came of it (PROTOCOL G.1).
    ///
    /// `local` gives a [`TransactionState`](crate::TransactionState), or a `Result` of one. An error,
    /// or a panic, stands for "unknown" and is told to the broker. A half message that is not stored
    /// safely ([`SendStatus`](crate::SendStatus)) is rolled back, and `local` is not run.
    ///
    /// Whenever the broker does not get to know the end, it asks for it later, this producer or
    /// another one of the group: the check-back listener, without which a transaction is refused, has
    /// to know the answer then, after a crash of this process as well. So `local` should write down
    /// what it did under the receipt's `message_id`, in the transaction itself. It has no deadline;
    /// when it takes longer than the broker's patience (6 s), the listener is asked meanwhile, and
    /// both answers count: let the listener say "unknown" as long as the transaction is under way.
    ///
    /// The message's delay, if it asks for one, is dropped: half messages have none. Its
    /// [timeout](Message::timeout) is that of the half message alone.
    ///
    /// # Errors
    /// As [`send`](Self::send): then there is no half message, or with
    /// [`Certainty::Unknown`](crate::Certainty::Unknown) one that the listener is asked about; `local`
    /// was not run. [`NoCheckBack`](crate::SendErrorKind::NoCheckBack) without a listener. When only
    /// the end could not be told, the [receipt](TransactionReceipt::end) says so.
    pub fn send_in_transaction<D: Into<Decision>>(
        &self,
        message: Message,
        local: impl FnOnce(&Message, &SendReceipt) -> D,
    ) -> Result<TransactionReceipt, SendError> {
        let _open = OpenTransaction::new(&self.handle);
        let half = message.clone();
        let receipt = self.crew.waiting(|| {
            let ticket = self.handle.send_half(Now::system(), half)?;
            self.crew.outcome(ticket).into_receipt()
        })?;
        let decision = Decision::of_status(receipt.status).unwrap_or_else(|| {
            caught(|| local(&message, &receipt).into()).unwrap_or_else(|failed| failed)
        });
        let mut receipt = TransactionReceipt::new(receipt, &decision);
        receipt.end = self.crew.waiting(|| {
            let (handle, half) = (&self.handle, &receipt.receipt);
            let ticket = handle.end_transaction(Now::system(), half, decision)?;
            self.crew.outcome(ticket).into_done()
        });
        Ok(receipt)
    }

    /// The queues that a topic can be sent to, in the order of PROTOCOL C.4.
    ///
    /// # Errors
    /// The name is wrong, or no name server gave a route within the send timeout.
    pub fn publish_queues(&self, topic: impl AsRef<str>) -> Result<Arc<[MessageQueue]>, SendError> {
        outcome(self.handle.publish_queues(Now::system(), topic)?).into_queues()
    }

    /// Waits until a topic can be sent to: its route is known, and one of its brokers is connected.
    /// For start-up probes, and to spare the first message the wait.
    ///
    /// # Errors
    /// That did not come about within the send timeout; the text names the addresses.
    pub fn ready(&self, topic: impl AsRef<str>) -> Result<(), SendError> {
        outcome(self.handle.ready(Now::system(), topic)?).into_done()
    }

    /// Questions about topics, offsets and messages, and the making of topics.
    pub fn admin(&self) -> Admin {
        Admin::new(self.handle.clone())
    }

    /// Takes back a message of a 5.3.2 or later broker that is to be delivered later, with the
    /// [`recall_handle`](crate::SendReceipt::recall_handle) of its receipt. Gives the message's unique
    /// id (Java: `recallMessage`; PROTOCOL B.14). A broker says yes also when the message was
    /// delivered already.
    ///
    /// # Errors
    /// The handle is none, or the broker refused: its code and words are in the error. An older broker
    /// does not know the request (code 3).
    pub fn recall(
        &self,
        topic: impl AsRef<str>,
        handle: impl AsRef<str>,
    ) -> Result<String, SendError> {
        self.admin().ask(Question::recall(topic, handle.as_ref()))
    }

    /// What happens to this producer, from now on. Bounded to 1024 events; when nobody takes them,
    /// the oldest are dropped and counted.
    pub fn events(&self) -> Events {
        Events::new(self.handle.events())
    }

    /// The producer's numbers now.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// The numbers of each broker now: how long it took, how often it failed, whether it is passed
    /// over. One for each broker of the routes in use, in the order of their names.
    pub fn broker_stats(&self) -> Vec<BrokerStats> {
        self.handle.broker_stats()
    }

    /// Callbacks of [`Delivery::on_done`] that panicked so far.
    pub fn callback_panics(&self) -> u64 {
        self.crew.callbacks().panics()
    }

    /// Replaces the list of name servers (Java: `setNamesrvAddr`, which does nothing once started).
    /// A text may hold several, separated by `;`. Takes effect at once: connections to those that are
    /// no longer listed are closed, questions under way go to the others (PROTOCOL E.6, I 16).
    /// Discovery, if it was configured, ends.
    ///
    /// # Errors
    /// An address is not `host:port`, or there is none; the old list stays.
    pub fn set_name_servers<S: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = S>,
    ) -> Result<(), ConfigError> {
        self.handle.set_name_servers(Now::system(), addresses)
    }

    /// The name servers that are asked now: those configured, set or discovered last.
    pub fn name_servers(&self) -> Vec<Endpoint> {
        self.handle.name_servers()
    }

    /// The producer's settings.
    pub fn settings(&self) -> &Config {
        self.handle.config()
    }

    /// Waits until everything sent before has been confirmed or has failed. Callbacks may still be
    /// running then.
    pub fn flush(&self) {
        if let Ok(ticket) = self.handle.flush(Now::system()) {
            outcome(ticket);
        }
    }

    /// Closes the producer for all its clones: no new message is taken, what is under way may
    /// finish within `grace`, every broker is told, every connection is closed. Takes at most a
    /// second longer than `grace`, and another one for callbacks and check-back listeners that are
    /// still running. After it all of the producer's threads have ended, except those of callbacks
    /// and listeners that go on for longer; from within a callback it waits for no callback, within a
    /// listener for no listener.
    ///
    /// A local transaction that is still running is waited for within `grace`; if it takes longer, its
    /// half message stays, and the next producer of the group is asked about it. So do not call this
    /// from within one.
    pub fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let report = match self.handle.shutdown(Now::system(), grace) {
            Ok(ticket) => outcome(ticket).into_report(),
            Err(_) => ShutdownReport::default(),
        };
        self.crew.join();
        report
    }

    fn delivery(&self, ticket: Ticket) -> Delivery {
        Delivery::new(ticket, self.crew.callbacks().clone())
    }
}

fn outcome(mut ticket: Ticket) -> Outcome {
    park_on(|waker| ticket.poll_outcome(waker))
}
