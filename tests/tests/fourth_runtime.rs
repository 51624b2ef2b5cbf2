//! The core of the behaviour suite on the runtime of `examples/fourth_runtime.rs`: one loop over plain
//! sockets, from outside the engine, is enough to keep every promise that needs no broken server.

use std::ops::Range;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_engine::driver::{self, Handle, Setup, Ticket, park_until};
use rocketmq_engine::{
    BrokerStats, Config, ConfigError, CreatedTopic, Event, NewTopic, Now, Outcome, QueryResult,
    Question, SendError, ShutdownReport, Stats,
};
use rocketmq_proto::{Batch, ClusterInfo, Message, MessageQueue, StoredMessage};

#[path = "../examples/fourth_runtime.rs"]
mod runtime;
#[allow(
    dead_code,
    unused_macros,
    reason = "the core of the suite does not use all of it"
)]
#[macro_use]
#[path = "../suite/mod.rs"]
mod suite;
#[path = "../../runtime-tokio/tests/support/reader.rs"]
mod reader;

use suite::support::PATIENCE;
use suite::{Harness, Sent};

suite_everywhere!(
    one_loop,
    crate::OneLoop,
    crate::suite::Servers::in_process()
);

struct OneLoop;

impl Harness for OneLoop {
    type Producer = Producer;

    fn new() -> Self {
        Self
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer, String> {
        let mut setup = Setup::new(group);
        setup.name_servers([name_servers]);
        setup.config(change);
        runtime::start(setup)
            .map(Producer)
            .map_err(|error| error.to_string())
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        let mut setup = Setup::client();
        setup.name_servers([name_servers]);
        let (client, supervisor) = setup.start_client().map_err(|error| error.to_string())?;
        thread::spawn(move || runtime::run(supervisor));
        let start = |group: &&str| runtime::start(Setup::on(&client, group)).map(Producer);
        let started: Result<_, _> = groups.iter().map(start).collect();
        started.map_err(|error| error.to_string())
    }

    fn abort(self) {}
}

#[derive(Clone)]
struct Producer(Handle);

impl suite::Producer for Producer {
    type Events = Events;
    type Pending = Pending;

    fn send(&self, message: Message) -> Sent {
        finish(self.0.send(Now::system(), message, true)?).into_receipt()
    }

    fn send_at_once(&self, messages: Vec<Message>) -> Vec<Sent> {
        let send = |message| {
            let producer = self.clone();
            thread::spawn(move || suite::Producer::send(&producer, message))
        };
        let threads: Vec<_> = messages.into_iter().map(send).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    }

    fn send_batch(&self, batch: Batch) -> Sent {
        finish(self.0.send_batch(Now::system(), batch, true)?).into_receipt()
    }

    fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        finish(self.0.send_oneway(Now::system(), message)?).into_done()
    }

    fn request(&self, message: Message, timeout: Duration) -> Result<StoredMessage, SendError> {
        finish(self.0.request(Now::system(), message, timeout)?).into_reply()
    }

    fn reply(&self, request: &StoredMessage, body: &'static str) -> Sent {
        self.send(Message::in_reply_to(request, body)?)
    }

    fn enqueue(&self, message: Message) -> Result<Pending, SendError> {
        let mut ticket = self.0.send(Now::system(), message, true)?;
        driver::park_on(|waker| ticket.poll_admitted(waker))?;
        Ok(Pending(ticket))
    }

    fn try_enqueue(&self, message: Message) -> Result<Pending, (Message, SendError)> {
        match self.0.try_enqueue(Now::system(), message) {
            Ok(ticket) => Ok(Pending(ticket)),
            Err(refused) => Err((*refused.message, refused.error)),
        }
    }

    fn forget(&self, _message: Message) {}

    fn begin(&self, message: Message) -> Pending {
        Pending(self.0.send(Now::system(), message, true).unwrap())
    }

    fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, SendError> {
        let queues = finish(self.0.publish_queues(Now::system(), topic)?).into_queues()?;
        Ok(queues.to_vec())
    }

    fn ready(&self, topic: &str) -> Result<(), SendError> {
        finish(self.0.ready(Now::system(), topic)?).into_done()
    }

    fn set_name_servers(&self, list: &str) -> Result<(), ConfigError> {
        self.0.set_name_servers(Now::system(), [list])
    }

    fn flush(&self) {
        if let Ok(ticket) = self.0.flush(Now::system()) {
            finish(ticket);
        }
    }

    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        finish(self.0.shutdown(Now::system(), grace).unwrap()).into_report()
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

impl Producer {
    fn ask<T>(&self, question: Question<T>, budget: Option<Duration>) -> Result<T, SendError> {
        let ticket = self.0.admin(Now::system(), question.request?, budget)?;
        finish(ticket).into_answer_of(question.read)
    }
}

macro_rules! call {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $kind),*) -> Result<$answer, SendError> {
            self.ask(Question::$name($($argument),*), None)
        })+
    };
}

impl suite::Admin for Producer {
    suite::admin_calls!(call);

    fn max_offset_within(&self, queue: &MessageQueue, budget: Duration) -> Result<i64, SendError> {
        self.ask(Question::max_offset(queue), Some(budget))
    }

    fn recall(&self, topic: &str, handle: &str) -> Result<String, SendError> {
        self.ask(Question::recall(topic, handle), None)
    }
}

struct Pending(Ticket);

impl suite::Pending for Pending {
    fn wait_within(mut self, patience: Duration) -> Option<Sent> {
        wait(&mut self.0, patience).map(Outcome::into_receipt)
    }
}

struct Events(driver::Events);

impl suite::Events for Events {
    fn next_within(&mut self, patience: Duration) -> Option<Event> {
        let deadline = Instant::now() + patience;
        park_until(Some(deadline), |waker| self.0.poll_next(waker)).flatten()
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}

fn finish(mut ticket: Ticket) -> Outcome {
    wait(&mut ticket, PATIENCE).expect("every operation must end, and this one hangs")
}

fn wait(ticket: &mut Ticket, patience: Duration) -> Option<Outcome> {
    let deadline = Instant::now() + patience;
    park_until(Some(deadline), |waker| -> Poll<Outcome> {
        ticket.poll_outcome(waker)
    })
}
