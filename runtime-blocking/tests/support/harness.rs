//! The suite's view of plain threads.

use std::fs;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rocketmq_blocking::proto::{Batch, ClusterInfo, Message, MessageQueue, StoredMessage};
use rocketmq_blocking::{
    BrokerStats, Config, ConfigError, CreatedTopic, Decision, Delivery, Event, NewTopic,
    QueryResult, SendError, SendErrorKind, SendReceipt, ShutdownReport, Stats, TransactionReceipt,
    TryEnqueueError,
};

use crate::suite::support::eventually;
use crate::suite::{self, Harness, Listener, Sent, Transacts};

/// Small: a scenario starts a thousand.
const STACK: usize = 128 * 1024;

/// There is no runtime that could end: the nearest to it is that all producers are shut down
/// without any grace.
pub(crate) struct Threads(Mutex<Vec<Weak<rocketmq_blocking::Producer>>>);

impl Harness for Threads {
    type Producer = Producer;

    fn new() -> Self {
        Self(Mutex::default())
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer, String> {
        let builder = rocketmq_blocking::Producer::builder(group)
            .name_servers([name_servers])
            .config(change);
        self.started(builder)
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        let builder = rocketmq_blocking::Client::builder().name_servers([name_servers]);
        let client = builder.start().map_err(|error| error.to_string())?;
        let start = |group| self.started(client.producer(group));
        groups.iter().map(start).collect()
    }

    fn abort(self) {
        let producers = self.0.into_inner().unwrap();
        for producer in producers.iter().filter_map(Weak::upgrade) {
            producer.shutdown(Duration::ZERO);
        }
    }
}

impl Transacts for Threads {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        let builder = rocketmq_blocking::Producer::builder(group)
            .name_servers([name_servers])
            .config(change)
            .check_back(move |message| listener(message));
        self.started(builder)
    }
}

impl Threads {
    fn started(&self, builder: rocketmq_blocking::Builder) -> Result<Producer, String> {
        let producer = Arc::new(builder.start().map_err(|error| error.to_string())?);
        self.0.lock().unwrap().push(Arc::downgrade(&producer));
        Ok(Producer(producer))
    }
}

#[derive(Clone)]
pub(crate) struct Producer(Arc<rocketmq_blocking::Producer>);

impl Producer {
    /// A thread that sends; the name of its folder in /proc comes through the channel before.
    fn sending(&self, message: Message, tell: mpsc::Sender<String>) -> JoinHandle<Sent> {
        let producer = self.0.clone();
        let sending = move || {
            let itself = fs::read_link("/proc/thread-self").unwrap();
            tell.send(format!("/proc/{}/stat", itself.display()))
                .unwrap();
            producer.send(message)
        };
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(sending)
            .unwrap()
    }
}

impl suite::Transact for Producer {
    fn transact(
        &self,
        message: Message,
        local: impl FnOnce(&Message, &SendReceipt) -> Decision + Send + 'static,
    ) -> Result<TransactionReceipt, SendError> {
        self.0.send_in_transaction(message, local)
    }
}

impl suite::Producer for Producer {
    type Events = Events;
    type Pending = Pending;

    /// A call that blocks cannot be given up.
    const CAN_CANCEL: bool = false;

    fn send(&self, message: Message) -> Sent {
        self.0.send(message)
    }

    fn send_at_once(&self, messages: Vec<Message>) -> Vec<Sent> {
        let (tell, _told) = mpsc::channel();
        let send = |message| self.sending(message, tell.clone());
        let threads: Vec<_> = messages.into_iter().map(send).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    }

    fn send_batch(&self, batch: Batch) -> Sent {
        self.0.send_batch(batch)
    }

    fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.0.send_oneway(message)
    }

    fn request(&self, message: Message, timeout: Duration) -> Result<StoredMessage, SendError> {
        self.0.request(message, timeout)
    }

    fn reply(&self, request: &StoredMessage, body: &'static str) -> Sent {
        self.0.reply(request, body)
    }

    fn enqueue(&self, message: Message) -> Result<Pending, SendError> {
        self.0.enqueue(message).map(Pending::Delivery)
    }

    fn try_enqueue(&self, message: Message) -> Result<Pending, (Message, SendError)> {
        match self.0.try_enqueue(message) {
            Ok(delivery) => Ok(Pending::Delivery(delivery)),
            Err(TryEnqueueError { message, error }) => Err((*message, error)),
        }
    }

    /// There is no send before it is made.
    fn forget(&self, _message: Message) {}

    fn begin(&self, message: Message) -> Pending {
        match self.0.try_enqueue(message) {
            Ok(delivery) => Pending::Delivery(delivery),
            Err(refused) if refused.error.kind() == SendErrorKind::Full => {
                let (tell, told) = mpsc::channel();
                let thread = self.sending(*refused.message, tell);
                wait_until_asleep(&told.recv().unwrap());
                Pending::from_thread(thread)
            }
            Err(refused) => Pending::Over(Box::new(Err(refused.error))),
        }
    }

    fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, SendError> {
        self.0.publish_queues(topic).map(|queues| queues.to_vec())
    }

    fn ready(&self, topic: &str) -> Result<(), SendError> {
        self.0.ready(topic)
    }

    fn set_name_servers(&self, list: &str) -> Result<(), ConfigError> {
        self.0.set_name_servers([list])
    }

    fn flush(&self) {
        self.0.flush();
    }

    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.0.shutdown(grace)
    }

    fn events(&self) -> Events {
        Events(self.0.events())
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn broker_stats(&self) -> Vec<BrokerStats> {
        self.0.broker_stats()
    }
}

macro_rules! call {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $kind),*) -> Result<$answer, SendError> {
            self.0.admin().$name($($argument),*)
        })+
    };
}

impl suite::Admin for Producer {
    suite::admin_calls!(call);

    fn max_offset_within(&self, queue: &MessageQueue, budget: Duration) -> Result<i64, SendError> {
        self.0.admin().timeout(budget).max_offset(queue)
    }

    fn recall(&self, topic: &str, handle: &str) -> Result<String, SendError> {
        self.0.recall(topic, handle)
    }
}

/// Waits until a thread sleeps, seen twice: then it has got in line.
fn wait_until_asleep(stat: &str) {
    let mut seen = 0;
    eventually("the thread waits for room", || {
        let stat = fs::read_to_string(stat).unwrap();
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        seen = if state == Some('S') { seen + 1 } else { 0 };
        seen == 2
    });
}

pub(crate) enum Pending {
    Blocked(Receiver<Sent>),
    Delivery(Delivery),
    Over(Box<Sent>),
}

impl Pending {
    fn from_thread(thread: JoinHandle<Sent>) -> Self {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Nobody may be left who wants to know.
            let _ = tell.send(thread.join().unwrap());
        });
        Self::Blocked(told)
    }
}

impl suite::Pending for Pending {
    fn wait_within(self, patience: Duration) -> Option<Sent> {
        match self {
            Self::Blocked(told) => told.recv_timeout(patience).ok(),
            Self::Delivery(delivery) => delivery.wait_timeout(patience).ok(),
            Self::Over(outcome) => Some(*outcome),
        }
    }
}

pub(crate) struct Events(rocketmq_blocking::Events);

impl suite::Events for Events {
    fn next_within(&mut self, patience: Duration) -> Option<Event> {
        self.0.next_timeout(patience)
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}
