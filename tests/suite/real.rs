//! What only real servers can show, beside the modules `sending` and `placing`: a broker that is killed.

use std::collections::HashSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rocketmq_engine::{SendReceipt, TransactionState};
use rocketmq_proto::{Message, StoredMessage};

use super::support::{PATIENCE, eventually, fresh, text, unique_id};
use super::{Harness, Pending, Producer, Sent, Servers, Transact, Transacts};
use crate::reader::Reader;

/// Held for reading by whoever needs two brokers, for writing by whoever kills one.
static WHOLE: RwLock<()> = RwLock::new(());

/// Real servers, both brokers of which stay alive as long as this.
pub(crate) struct Beside(
    Servers,
    #[allow(dead_code, reason = "it is held")] RwLockReadGuard<'static, ()>,
);

impl Deref for Beside {
    type Target = Servers;

    fn deref(&self) -> &Servers {
        &self.0
    }
}

pub(crate) fn beside_real_servers() -> Option<Beside> {
    let servers = Servers::real()?;
    let whole = WHOLE.read().unwrap_or_else(PoisonError::into_inner);
    Some(Beside(servers, whole))
}

/// How long a throughput may be down after a broker was killed.
const RECOVERY: Duration = Duration::from_secs(2);
/// The time over which a throughput is taken.
const WINDOW: Duration = Duration::from_millis(500);

pub(crate) fn a_killed_broker_loses_nothing_confirmed_and_costs_two_seconds<H: Harness>() {
    let Some(servers) = Servers::real() else {
        return;
    };
    let Some(victim) = Victim::from_env("broker-a") else {
        println!("left out: no ROCKETMQ_TEST_CLUSTER_DIR in the environment");
        return;
    };
    let _alone = WHOLE.write().unwrap_or_else(PoisonError::into_inner);
    let harness = H::new();
    let producer = servers.start(&harness, |config| {
        config.max_in_flight = 1000;
        // The name server forgets the broker at once; its return is noticed by asking.
        config.poll_interval = RECOVERY;
    });
    let topic = servers.make_topic(&producer, "killed");

    let load = Load::start(&producer, &topic);
    let full = rate_over(&producer, 4 * WINDOW);
    victim.kill();
    let killed_at = Instant::now();
    eventually("the throughput is back", || {
        rate_over(&producer, WINDOW) > full / 3.0
    });
    let recovered = killed_at.elapsed().saturating_sub(WINDOW);
    let degraded = rate_over(&producer, 4 * WINDOW);
    victim.restart();
    eventually("the broker is in use again", || {
        let message = Message::new(&*topic, "are you back?");
        let sent = producer.send(message);
        sent.is_ok_and(|receipt| &*receipt.queue.broker == victim.name)
    });
    let again = rate_over(&producer, 2 * WINDOW);
    let sent = load.stop();

    let (mut failed, mut twice) = (0, 0);
    let mut confirmed = HashSet::new();
    for outcome in sent {
        match outcome {
            Ok(receipt) => {
                twice += u32::from(receipt.attempts > 1);
                assert!(confirmed.insert(receipt.message_id));
            }
            Err(error) => {
                failed += 1;
                if failed <= 3 {
                    println!(
                        "failed: {error} ({}): {:?}",
                        error.certainty(),
                        error.attempts()
                    );
                }
            }
        }
    }
    println!(
        "{} confirmed, {twice} of them by a second or third try, {failed} failed; {full:.0}/s with two brokers, {degraded:.0}/s with one, {again:.0}/s \
         with two again; recovered after {recovered:.1?}",
        confirmed.len()
    );
    assert!(recovered <= RECOVERY, "recovered after {recovered:?} only");
    let mut reader = Reader::new(&servers.name_servers);
    eventually("every confirmed message is found", || {
        let stored = reader.read(&topic, confirmed.len(), PATIENCE).unwrap();
        let stored: HashSet<_> = stored.iter().map(unique_id).collect();
        let lost = confirmed.iter().filter(|id| !stored.contains(&***id));
        lost.count() == 0
    });
}

/// A broker first asks after 6 s, and looks every 30 to 60 s.
const CHECK_BACK: Duration = Duration::from_secs(150);

pub(crate) fn a_transaction_is_delivered_at_once_or_when_the_broker_has_asked_or_never<
    H: Transacts,
>() {
    let Some(servers) = beside_real_servers() else {
        return;
    };
    let harness = H::new();
    let listener = |half: StoredMessage| match &half.body[..] {
        b"asked, paid" => TransactionState::Commit.into(),
        _ => TransactionState::Rollback.into(),
    };
    let (group, listener) = (fresh("payers"), Arc::new(listener));
    let started = harness.start_transacting(&group, &servers.name_servers, listener, |_| {});
    let producer = started.unwrap();
    let topic = servers.make_topic(&producer, "transactions");
    let queues = producer.publish_queues(&topic).unwrap().len();
    for (body, state) in [
        ("paid", TransactionState::Commit),
        ("not paid", TransactionState::Rollback),
        ("asked, paid", TransactionState::Unknown),
        ("asked, not paid", TransactionState::Unknown),
    ] {
        let local = move |_: &Message, _: &SendReceipt| state.into();
        let message = Message::new(&*topic, body);
        producer.transact(message, local).unwrap().end.unwrap();
    }
    let since = Instant::now();
    while producer.stats().checks < 2 {
        let stats = producer.stats();
        assert!(since.elapsed() < CHECK_BACK, "nobody asked: {stats:?}");
        thread::sleep(WINDOW);
    }
    println!("asked about both within {:.1?}", since.elapsed());
    // One message came first to each queue.
    let mut bodies: Vec<_> = servers.read(&topic, queues + 2).iter().map(text).collect();
    bodies.retain(|body| body != "first");
    bodies.sort_unstable();
    assert_eq!(bodies, ["asked, paid", "paid"]);
}

/// Confirmed messages a second, over so much time from now.
fn rate_over(producer: &impl Producer, time: Duration) -> f64 {
    let (start, before) = (Instant::now(), producer.stats().sent);
    thread::sleep(time);
    (producer.stats().sent - before) as f64 / start.elapsed().as_secs_f64()
}

/// Messages sent without a pause, as many at once as the producer takes.
struct Load {
    stop: Arc<AtomicBool>,
    collector: thread::JoinHandle<Vec<Sent>>,
}

impl Load {
    fn start<P: Producer>(producer: &P, topic: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (give, take) = mpsc::sync_channel::<Result<P::Pending, _>>(100_000);
        let (producer, topic, stopped) = (producer.clone(), topic.to_owned(), stop.clone());
        thread::spawn(move || {
            let body = "x".repeat(256);
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let message = Message::new(&*topic, body.clone());
                let message = message.key(format!("message-{number}"));
                give.send(producer.enqueue(message)).unwrap();
            }
        });
        let collector = thread::spawn(move || {
            let wait = |taken: Result<P::Pending, _>| taken.and_then(Pending::wait);
            take.into_iter().map(wait).collect()
        });
        Self { stop, collector }
    }

    fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.collector.join().unwrap()
    }
}

/// A server that `tests/scripts/real-servers.sh` lets us kill.
struct Victim {
    name: &'static str,
    cluster: PathBuf,
}

impl Victim {
    fn from_env(name: &'static str) -> Option<Self> {
        let cluster = env::var_os("ROCKETMQ_TEST_CLUSTER_DIR")?;
        Some(Self {
            name,
            cluster: Path::new(&cluster).to_owned(),
        })
    }

    fn kill(&self) {
        let pid = fs::read_to_string(self.cluster.join(format!("{}.pid", self.name))).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(killed.unwrap().success());
    }

    fn restart(&self) {
        let start = self.cluster.join(format!("{}.start", self.name));
        assert!(Command::new(start).status().unwrap().success());
    }
}
