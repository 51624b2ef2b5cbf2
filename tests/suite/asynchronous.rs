//! The producers of all async runtimes, as the suite sees them: they share one face, so all that differs is who
//! runs the callers' tasks.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rocketmq_engine::driver::{TryEnqueueError, asynchronous};
use rocketmq_engine::{
    BrokerStats, ConfigError, CreatedTopic, Decision, Event, NewTopic, QueryResult, SendError,
    SendReceipt, ShutdownReport, Stats, TransactionReceipt,
};
use rocketmq_proto::{Batch, ClusterInfo, Message, MessageQueue, StoredMessage};

use crate::suite::support::{PATIENCE, thread_waker, wait_for};
use crate::suite::{self, Sent};

/// Runs callers.
pub(crate) trait Spawn: Clone + Send + 'static {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Begins a future as a task; its outcome comes through the channel.
pub(crate) fn begin<F>(spawner: &impl Spawn, future: F) -> Receiver<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (tell, told) = mpsc::channel();
    spawner.spawn(async move {
        let _ = tell.send(future.await);
    });
    told
}

pub(crate) fn end<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(PATIENCE)
        .expect("a task must end, and this one hangs or panicked")
}

#[derive(Clone)]
pub(crate) struct Producer<S> {
    inner: asynchronous::Producer,
    spawner: S,
}

impl<S: Spawn> Producer<S> {
    pub(crate) fn new(inner: &asynchronous::Producer, spawner: S) -> Self {
        let inner = inner.clone();
        Self { inner, spawner }
    }

    fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        end(&begin(&self.spawner, future))
    }
}

impl<S: Spawn> suite::Producer for Producer<S> {
    type Events = Events;
    type Pending = Pending;

    fn send(&self, message: Message) -> Sent {
        self.call(self.inner.send(message))
    }

    fn send_at_once(&self, messages: Vec<Message>) -> Vec<Sent> {
        let spawn = |message| begin(&self.spawner, self.inner.send(message));
        let tasks: Vec<_> = messages.into_iter().map(spawn).collect();
        tasks.iter().map(end).collect()
    }

    fn send_batch(&self, batch: Batch) -> Sent {
        self.call(self.inner.send_batch(batch))
    }

    fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.call(self.inner.send_oneway(message))
    }

    fn request(&self, message: Message, timeout: Duration) -> Result<StoredMessage, SendError> {
        self.call(self.inner.request(message, timeout))
    }

    fn reply(&self, request: &StoredMessage, body: &'static str) -> Sent {
        self.call(self.inner.reply(request, body))
    }

    fn enqueue(&self, message: Message) -> Result<Pending, SendError> {
        let delivery = self.call(self.inner.enqueue(message));
        delivery.map(Pending::Delivery)
    }

    fn try_enqueue(&self, message: Message) -> Result<Pending, (Message, SendError)> {
        match self.inner.try_enqueue(message) {
            Ok(delivery) => Ok(Pending::Delivery(delivery)),
            Err(TryEnqueueError { message, error }) => Err((*message, error)),
        }
    }

    fn forget(&self, message: Message) {
        drop(self.inner.send(message));
    }

    fn begin(&self, message: Message) -> Pending {
        let mut send = self.inner.send(message);
        let waker = thread_waker();
        match Pin::new(&mut send).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => Pending::Over(outcome),
            Poll::Pending => Pending::Send(send),
        }
    }

    fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, SendError> {
        let queues = self.call(self.inner.publish_queues(topic));
        queues.map(|queues| queues.to_vec())
    }

    fn ready(&self, topic: &str) -> Result<(), SendError> {
        self.call(self.inner.ready(topic))
    }

    fn set_name_servers(&self, list: &str) -> Result<(), ConfigError> {
        self.inner.set_name_servers([list])
    }

    fn flush(&self) {
        self.call(self.inner.flush());
    }

    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.call(self.inner.shutdown(grace))
    }

    fn events(&self) -> Events {
        Events(self.inner.events())
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn broker_stats(&self) -> Vec<BrokerStats> {
        self.inner.broker_stats()
    }
}

macro_rules! call {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $kind),*) -> Result<$answer, SendError> {
            self.call(self.inner.admin().$name($($argument),*))
        })+
    };
}

impl<S: Spawn> suite::Admin for Producer<S> {
    suite::admin_calls!(call);

    fn max_offset_within(&self, queue: &MessageQueue, budget: Duration) -> Result<i64, SendError> {
        self.call(self.inner.admin().timeout(budget).max_offset(queue))
    }

    fn recall(&self, topic: &str, handle: &str) -> Result<String, SendError> {
        self.call(self.inner.recall(topic, handle))
    }
}

/// Runs what may block on a thread of its own, since it must not on the runtime's.
fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send {
    type Done<T> = (Option<thread::Result<T>>, Option<Waker>);
    let ours: Arc<Mutex<Done<T>>> = Arc::new(Mutex::new((None, None)));
    let theirs = ours.clone();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let mut done = theirs.lock().unwrap();
        done.0 = Some(result);
        if let Some(waker) = done.1.take() {
            waker.wake();
        }
    });
    poll_fn(move |cx| {
        let mut done = ours.lock().unwrap();
        match done.0.take() {
            Some(result) => {
                drop(done);
                Poll::Ready(result.unwrap_or_else(|panic| resume_unwind(panic)))
            }
            None => {
                done.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
}

impl<S: Spawn> suite::Transact for Producer<S> {
    fn transact(
        &self,
        message: Message,
        local: impl FnOnce(&Message, &SendReceipt) -> Decision + Send + 'static,
    ) -> Result<TransactionReceipt, SendError> {
        let local = |message, receipt| elsewhere(move || local(&message, &receipt));
        self.call(self.inner.send_in_transaction(message, local))
    }
}

pub(crate) enum Pending {
    Delivery(asynchronous::Delivery),
    Over(Sent),
    Send(asynchronous::SendFuture),
}

impl suite::Pending for Pending {
    fn wait_within(self, patience: Duration) -> Option<Sent> {
        match self {
            Self::Delivery(delivery) => wait_for(delivery, patience),
            Self::Over(outcome) => Some(outcome),
            Self::Send(send) => wait_for(send, patience),
        }
    }
}

pub(crate) struct Events(asynchronous::Events);

impl suite::Events for Events {
    fn next_within(&mut self, patience: Duration) -> Option<Event> {
        wait_for(self.0.next(), patience).flatten()
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}
