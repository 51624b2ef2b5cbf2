//! What scenarios share: servers, waiting, measuring.

use std::collections::HashMap;
use std::ffi::OsString;
use std::future::Future;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{env, fs};

use rocketmq_engine::{Config, SendError};
use rocketmq_proto::{Message, StoredMessage, TopicRoute, property};
use rocketmq_testkit::{Cluster, ClusterBuilder};

use super::{Harness, Producer};
use crate::reader::Reader;

/// How long anything may take that must happen. Nothing waits for so long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The most by which anything may be late (DESIGN 6, deadline).
pub(crate) const LATE: Duration = Duration::from_millis(100);
/// How long the thread that shows how late the machine is sleeps at a time.
const NAP: Duration = Duration::from_millis(2);
/// How many threads have to be woken, one after the other, between a deadline and the test: the runtime's, that
/// of the task that waits, the test's own.
const WAKE_UPS: u32 = 3;
/// A topic that every cluster in process has, with four queues on each broker.
pub(crate) const TOPIC: &str = "orders";

/// Servers that scenarios send to and read back from without knowing what they are.
pub(crate) struct Servers {
    pub(crate) name_servers: String,
    /// Those in this process, when it is them.
    pub(crate) cluster: Option<Cluster>,
}

impl Servers {
    /// Two brokers of the testkit. Always there; an option, as is [`real`](Self::real).
    #[allow(dead_code, reason = "not every target uses both")]
    pub(crate) fn in_process() -> Option<Self> {
        let cluster = cluster(2);
        Some(Self {
            name_servers: cluster.name_server_list(),
            cluster: Some(cluster),
        })
    }

    /// Those of `tests/scripts/real-servers.sh`; says so when they are not there.
    #[allow(dead_code, reason = "not every target uses both")]
    pub(crate) fn real() -> Option<Self> {
        let Ok(name_servers) = env::var("ROCKETMQ_NAMESRV") else {
            println!(
                "left out: no ROCKETMQ_NAMESRV in the environment; run it through \
                 tests/scripts/real-servers.sh"
            );
            return None;
        };
        Some(Self {
            name_servers,
            cluster: None,
        })
    }

    pub(crate) fn start<H: Harness>(
        &self,
        harness: &H,
        change: impl FnOnce(&mut Config),
    ) -> H::Producer {
        harness.start("suite", &self.name_servers, change).unwrap()
    }

    /// Everything in a topic, once there are so many messages.
    pub(crate) fn read(&self, topic: &str, count: usize) -> Vec<StoredMessage> {
        let stored = Reader::new(&self.name_servers).read(topic, count, PATIENCE);
        let stored = stored.unwrap();
        assert_eq!(stored.len(), count, "messages stored in {topic}");
        stored
    }

    /// A new topic that exists on all brokers: one message was sent to each of its queues.
    pub(crate) fn make_topic<P: Producer>(&self, producer: &P, name: &str) -> String {
        let topic = fresh(name);
        let queues = producer.publish_queues(&topic).unwrap();
        for queue in &queues {
            let message = Message::new(&*topic, "first").to(queue.clone());
            producer.send(message).unwrap();
        }
        let mut reader = Reader::new(&self.name_servers);
        let is_complete = |route: TopicRoute| {
            let count: i32 = route.queues.iter().map(|queue| queue.write_queues).sum();
            usize::try_from(count) == Ok(queues.len())
        };
        eventually("the topic is on every broker", || {
            reader.route(&topic).unwrap().is_some_and(is_complete)
        });
        topic
    }
}

/// A cluster in process with [`TOPIC`].
pub(crate) fn cluster(brokers: usize) -> Cluster {
    cluster_with(brokers, |builder| builder)
}

pub(crate) fn cluster_with(
    brokers: usize,
    change: impl FnOnce(ClusterBuilder) -> ClusterBuilder,
) -> Cluster {
    let builder = Cluster::builder().brokers(brokers).topic(TOPIC, 4);
    change(builder).start().unwrap()
}

/// A producer with default settings.
pub(crate) fn producer<H: Harness>(harness: &H, cluster: &Cluster) -> H::Producer {
    producer_with(harness, cluster, |_| {})
}

pub(crate) fn producer_with<H: Harness>(
    harness: &H,
    cluster: &Cluster,
    change: impl FnOnce(&mut Config),
) -> H::Producer {
    harness
        .start("suite", &cluster.name_server_list(), change)
        .unwrap()
}

/// A message to [`TOPIC`].
pub(crate) fn message(body: impl Into<String>) -> Message {
    Message::new(TOPIC, body.into())
}

/// A topic that nobody has used before.
pub(crate) fn fresh(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{number}", process::id())
}

/// Bodies as text, of all brokers, in the order of storing.
pub(crate) fn bodies(cluster: &Cluster, topic: &str) -> Vec<String> {
    let stored = cluster.brokers().into_iter().flat_map(|b| b.stored(topic));
    stored.map(|message| text(&message)).collect()
}

pub(crate) fn text(message: &StoredMessage) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

pub(crate) fn unique_id(message: &StoredMessage) -> &str {
    message.properties.get(property::UNIQ_KEY).unwrap()
}

/// Waits until something holds; fails the test when it does not come about.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "did not come about: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Nothing holds room any more.
pub(crate) fn is_at_rest(producer: &impl Producer) -> bool {
    let stats = producer.stats();
    stats.in_flight == 0 && stats.oneway_in_flight == 0 && stats.in_flight_bytes == 0
}

/// The producer still does what it is for, however long that takes: a connection may have to be made anew, after a
/// pause, and the settings of some scenarios leave no time for that on a busy machine.
pub(crate) fn assert_works(producer: &impl Producer, cluster: &Cluster) {
    let body = fresh("still working");
    let receipt = producer.send(message(&body).timeout(PATIENCE)).unwrap();
    let broker = cluster.broker_named(&receipt.queue.broker).unwrap();
    let stored = broker.stored(TOPIC);
    assert!(stored.iter().any(|message| text(message) == body));
    assert!(is_at_rest(producer), "{:?}", producer.stats());
}

/// Runs something that must end `after` so long: not earlier, and at most [`LATE`] later. A thread that sleeps
/// beside it, again and again, and what the system says of all threads show how late the machine itself is; that much
/// is forgiven.
pub(crate) fn on_time<R>(after: Duration, work: impl FnOnce() -> R) -> R {
    let (result, took, allowed) = timed(after, work);
    assert!(
        took >= after,
        "took {took:?}, must not end before {after:?}"
    );
    assert!(took <= allowed, "took {took:?} instead of {after:?}");
    result
}

/// The same for something that may end earlier.
pub(crate) fn within<R>(limit: Duration, work: impl FnOnce() -> R) -> R {
    let (result, took, allowed) = timed(limit, work);
    assert!(took <= allowed, "took {took:?}, more than {limit:?}");
    result
}

fn timed<R>(after: Duration, work: impl FnOnce() -> R) -> (R, Duration, Duration) {
    let (is_over, over) = mpsc::channel::<()>();
    let sleeper = thread::spawn(move || worst_wake_up(&over));
    let held_up = held_up_by_thread();
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    drop(is_over);
    let machine = sleeper.join().unwrap();
    let waits = held_up_by_thread()
        .into_iter()
        .map(|(thread, now)| now.saturating_sub(held_up.get(&thread).copied().unwrap_or_default()));
    let waited = waits.max().unwrap_or_default();
    let allowed = after + LATE + WAKE_UPS * machine + waited;
    (result, took, allowed)
}

/// How long each thread of this process has been ready to run and was not let, if the system tells. One that sleeps
/// is let in sooner than one that works, so the sleeper alone does not show how busy the machine is.
fn held_up_by_thread() -> HashMap<OsString, Duration> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let held_up = threads.filter_map(|thread| {
        let thread = thread.ok()?;
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = text.split_whitespace().nth(1)?.parse().ok()?;
        Some((thread.file_name(), Duration::from_nanos(nanos)))
    });
    held_up.collect()
}

/// How much later than asked for a thread that merely sleeps was woken, at worst.
fn worst_wake_up(over: &mpsc::Receiver<()>) -> Duration {
    let mut worst = Duration::ZERO;
    loop {
        let start = Instant::now();
        let woken = over.recv_timeout(NAP);
        worst = worst.max(start.elapsed().saturating_sub(NAP));
        if woken != Err(mpsc::RecvTimeoutError::Timeout) {
            return worst;
        }
    }
}

/// The text must name all of this.
pub(crate) fn assert_says(error: &SendError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}

/// Waits for a future on this thread, without a runtime; `None` when it takes longer.
#[allow(dead_code, reason = "threads have no futures")]
pub(crate) fn wait_for<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    let until = Instant::now() + patience;
    let mut future = pin!(future);
    let waker = thread_waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        let left = until.checked_duration_since(Instant::now())?;
        thread::park_timeout(left);
    }
}

/// Wakes the thread that calls this.
#[allow(dead_code, reason = "threads have no futures")]
pub(crate) fn thread_waker() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Arc::new(Unpark(thread::current())).into()
}
