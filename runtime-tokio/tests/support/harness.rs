//! The suite's view of tokio: one harness for each kind of runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rocketmq_tokio::proto::{Batch, Message, MessageQueue};
use rocketmq_tokio::{
    Config, Delivery, Event, SendError, SendFuture, ShutdownReport, Stats, TryEnqueueError,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::suite::support::{PATIENCE, thread_waker, wait_for};
use crate::suite::{self, Harness, Sent};

/// A runtime of one thread, which the test's thread is not.
pub(crate) struct CurrentThread(Running);

/// A runtime of two threads.
pub(crate) struct MultiThread(Running);

impl Harness for CurrentThread {
    type Producer = Producer;

    fn new() -> Self {
        Self(Running::start(|| {
            Builder::new_current_thread().enable_all().build().unwrap()
        }))
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer, String> {
        self.0.producer(group, name_servers, change)
    }

    fn abort(self) {}
}

impl Harness for MultiThread {
    type Producer = Producer;

    fn new() -> Self {
        Self(Running::start(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2).enable_all().build().unwrap()
        }))
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer, String> {
        self.0.producer(group, name_servers, change)
    }

    fn abort(self) {}
}

/// A runtime that lives on a thread of its own and dies with this.
struct Running {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(build: fn() -> tokio::runtime::Runtime) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = build();
            tell.send(runtime.handle().clone()).unwrap();
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn producer(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer, String> {
        let builder = rocketmq_tokio::Producer::builder(group)
            .name_servers([name_servers])
            .config(change);
        let started = run(&self.handle, builder.start());
        started
            .map(|inner| Producer {
                inner,
                handle: self.handle.clone(),
            })
            .map_err(|error| error.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Runs a future as a task and waits for its end.
fn run<F>(handle: &Handle, future: F) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (tell, told) = mpsc::channel();
    handle.spawn(async move {
        let _ = tell.send(future.await);
    });
    told.recv_timeout(PATIENCE)
        .expect("a task must end, and this one hangs or panicked")
}

#[derive(Clone)]
pub(crate) struct Producer {
    inner: rocketmq_tokio::Producer,
    handle: Handle,
}

impl Producer {
    /// Calls within a task of the runtime.
    fn call<F, T>(&self, call: impl FnOnce(rocketmq_tokio::Producer) -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        run(&self.handle, call(self.inner.clone()))
    }
}

impl suite::Producer for Producer {
    type Events = Events;
    type Pending = Pending;

    fn send(&self, message: Message) -> Sent {
        self.call(|producer| producer.send(message))
    }

    fn send_at_once(&self, messages: Vec<Message>) -> Vec<Sent> {
        let spawn = |message| self.handle.spawn(self.inner.send(message));
        let tasks: Vec<_> = messages.into_iter().map(spawn).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            let outcome = wait_for(task, PATIENCE).expect("no send hangs");
            outcomes.push(outcome.unwrap());
        }
        outcomes
    }

    fn send_batch(&self, batch: Batch) -> Sent {
        self.call(|producer| producer.send_batch(batch))
    }

    fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.call(|producer| async move { producer.send_oneway(message).await })
    }

    fn enqueue(&self, message: Message) -> Result<Pending, SendError> {
        let delivery = self.call(|producer| async move { producer.enqueue(message).await });
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
        let topic = topic.to_owned();
        let queues = self.call(|producer| async move { producer.publish_queues(topic).await });
        queues.map(|queues| queues.to_vec())
    }

    fn ready(&self, topic: &str) -> Result<(), SendError> {
        let topic = topic.to_owned();
        self.call(|producer| async move { producer.ready(topic).await })
    }

    fn flush(&self) {
        self.call(|producer| async move { producer.flush().await });
    }

    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.call(|producer| async move { producer.shutdown(grace).await })
    }

    fn events(&self) -> Events {
        Events(self.inner.events())
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

pub(crate) enum Pending {
    Delivery(Delivery),
    Over(Sent),
    Send(SendFuture),
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

pub(crate) struct Events(rocketmq_tokio::Events);

impl suite::Events for Events {
    fn next_within(&mut self, patience: Duration) -> Option<Event> {
        wait_for(self.0.next(), patience).flatten()
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}
