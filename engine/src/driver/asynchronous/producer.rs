//! The producer, as an application sees it.

use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::{Batch, Message, StoredMessage, TopicName};

use super::admin::{Admin, AdminFuture};
use super::events::Events;
use super::futures::{
    Delivery, EnqueueFuture, FlushFuture, OnewayFuture, QueuesFuture, ReadyFuture, Request,
    RequestFuture, SendFuture, ShutdownFuture,
};
use super::transaction::TransactionFuture;
use crate::admin::Question;
use crate::config::{Config, ConfigError};
use crate::driver::{Handle, TryEnqueueError};
use crate::io::{Endpoint, Now};
use crate::receipt::SendReceipt;
use crate::stats::{BrokerStats, Stats};
use crate::transaction::Decision;

/// A RocketMQ producer. Cheap to clone; every method takes `&self`; share it freely.
///
/// When the last clone is dropped, the producer goes on in the background with what is under way,
/// for at most 5 s, then closes. To know how that went, call [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Handle,
}

impl Producer {
    /// The producer behind a handle, for runtimes; an application takes its runtime's builder.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Sends a message and waits for the broker's confirmation. The call's budget (3 s, or
    /// [`Message::timeout`]) covers everything: room, route, connection and all tries.
    ///
    /// # Errors
    /// [`SendError`](crate::SendError) says what is known about the message, and what was tried.
    ///
    /// # Cancel safety
    /// | dropped | what happens |
    /// |---|---|
    /// | before it was first polled | not sent |
    /// | while it waits for room | not sent; its place in the line is given up |
    /// | while it is gathered into a batch ([`AutoBatch`](crate::AutoBatch)) | sent all the same, the outcome is discarded |
    /// | after it was admitted, before its bytes were written | sent all the same, the outcome is discarded |
    /// | after its bytes were written | sent, the outcome is discarded |
    ///
    /// Once admitted it holds its room until the broker's answer or the end of its budget, dropped
    /// or not. Half a frame is never written.
    pub fn send(&self, message: Message) -> SendFuture {
        SendFuture::new(&self.handle, Request::Message(message))
    }

    /// Sends a batch as one frame; its members are stored together, or not at all.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn send_batch(&self, batch: Batch) -> SendFuture {
        SendFuture::new(&self.handle, Request::Batch(batch))
    }

    /// Waits for room only, then returns a [`Delivery`] that holds the place of the confirmation.
    /// Messages enqueued one after the other to one queue are written in that order.
    ///
    /// # Errors
    /// The message breaks a rule, the producer is shut down, or there was no room in time.
    ///
    /// # Cancel safety
    /// Dropped before it returned, the message is not sent.
    pub fn enqueue(&self, message: Message) -> EnqueueFuture {
        EnqueueFuture::new(&self.handle, message)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// Gives the message back when there is no room ([`Full`](crate::SendErrorKind::Full)), or when
    /// it cannot be sent at all.
    pub fn try_enqueue(&self, message: Message) -> Result<Delivery, TryEnqueueError> {
        self.handle
            .try_enqueue(Now::system(), message)
            .map(Delivery::new)
    }

    /// Sends a message without asking for a confirmation; returns when its bytes were handed to the
    /// socket. What the broker then does with it is not known (PROTOCOL E.11).
    ///
    /// # Errors
    /// As [`send`](Self::send), up to that moment.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn send_oneway(&self, message: Message) -> OnewayFuture {
        OnewayFuture::new(&self.handle, Request::Oneway(message))
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
    ///
    /// # Cancel safety
    /// As [`send`](Self::send); a reply that comes for a request that was dropped is discarded.
    pub fn request(&self, message: Message, timeout: Duration) -> RequestFuture {
        RequestFuture::new(&self.handle, Request::RoundTrip(Box::new(message), timeout))
    }

    /// Replies to a request that a consumer read, as [`Message::in_reply_to`] makes the reply. The
    /// receipt says that a broker pushed it to the requester, who may have given up by then.
    ///
    /// # Errors
    /// The message is no request ([`InvalidMessage`](crate::SendErrorKind::InvalidMessage), Java:
    /// 10007); or as [`send`](Self::send): brokers that do not know the requester refuse it with
    /// code 1, which is tried again elsewhere.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn reply(&self, request: &StoredMessage, body: impl Into<Bytes>) -> SendFuture {
        let reply = Message::in_reply_to(request, body);
        SendFuture::new(&self.handle, Request::Reply(Box::new(reply)))
    }

    /// Sends a message that is delivered only if a local transaction takes place: first as a half
    /// message, which no consumer sees; when a broker has confirmed that, `local` is run, with the
    /// message as it was given and its confirmation; then the broker is told what came of it
    /// (PROTOCOL G.1).
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
    /// the end could not be told, the [receipt](crate::TransactionReceipt::end) says so.
    ///
    /// # Cancel safety
    /// | dropped | what happens |
    /// |---|---|
    /// | before the half message was admitted | not sent, as [`send`](Self::send) |
    /// | later, before its confirmation | the half message is sent, `local` is not run; the listener is asked |
    /// | while `local` runs | `local` is dropped where it waits, the half message stays; the listener is asked |
    /// | after `local` | the broker is told all the same |
    pub fn send_in_transaction<F, T>(&self, message: Message, local: F) -> TransactionFuture<F, T>
    where
        F: FnOnce(Message, SendReceipt) -> T,
        T: Future<Output: Into<Decision>>,
    {
        TransactionFuture::new(&self.handle, message, local)
    }

    /// The queues that a topic can be sent to, in the order of PROTOCOL C.4.
    ///
    /// # Errors
    /// The name is wrong, or no name server gave a route within the send timeout.
    pub fn publish_queues(&self, topic: impl AsRef<str>) -> QueuesFuture {
        QueuesFuture::new(&self.handle, Request::Queues(TopicName::new(topic)))
    }

    /// Waits until a topic can be sent to: its route is known, and one of its brokers is connected.
    /// For start-up probes, and to spare the first message the wait.
    ///
    /// # Errors
    /// That did not come about within the send timeout; the text names the addresses.
    pub fn ready(&self, topic: impl AsRef<str>) -> ReadyFuture {
        ReadyFuture::new(&self.handle, Request::Ready(TopicName::new(topic)))
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
    ///
    /// # Cancel safety
    /// Dropped before it was first polled, nothing is recalled; dropped later, the outcome is
    /// discarded.
    pub fn recall(&self, topic: impl AsRef<str>, handle: impl AsRef<str>) -> AdminFuture<String> {
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

    /// The numbers of each broker now: how long it took, how often it failed, whether it is passed
    /// over. One for each broker of the routes in use, in the order of their names.
    pub fn broker_stats(&self) -> Vec<BrokerStats> {
        self.handle.broker_stats()
    }

    /// The producer's settings.
    pub fn settings(&self) -> &Config {
        self.handle.config()
    }

    /// Waits until everything sent before has been confirmed or has failed.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing else.
    pub fn flush(&self) -> FlushFuture {
        FlushFuture::new(&self.handle, Request::Flush)
    }

    /// Closes the producer for all its clones: no new message is taken, what is under way may
    /// finish within `grace`, every broker is told, every connection is closed. Takes at most a
    /// second longer than `grace`.
    ///
    /// A local transaction that is still running is waited for within `grace`; if it takes longer, or
    /// its future is not polled, its half message stays, and the next producer of the group is asked
    /// about it. So do not await this within one.
    ///
    /// # Cancel safety
    /// Dropped before it was first polled, nothing happens; dropped later, the shutdown goes on in
    /// the background.
    pub fn shutdown(&self, grace: Duration) -> ShutdownFuture {
        ShutdownFuture::new(&self.handle, Request::Shutdown(grace))
    }
}
