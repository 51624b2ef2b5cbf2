//! What is promised of threads beyond the suite: how many there are, what they run, and that they end.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::{Event, Message, Producer, SendErrorKind};
use rocketmq_testkit::{Cluster, Fault, FaultRule};

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_thousand_callers_at_once_all_get_through() {
    let (cluster, producer) = start("callers");
    let barrier = Arc::new(Barrier::new(1000));
    let callers: Vec<_> = (0..1000)
        .map(|at| {
            let (producer, barrier) = (producer.clone(), barrier.clone());
            let call = move || {
                barrier.wait();
                producer.send(message(at)).unwrap().message_id
            };
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(call)
                .unwrap()
        })
        .collect();
    let ids = callers.into_iter().map(|caller| caller.join().unwrap());
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    assert_eq!(stored(&cluster), 1000);
    assert_eq!(producer.stats().in_flight, 0);
}

#[test]
fn one_thread_serves_all_connections_and_none_is_left_after_a_shutdown() {
    let cluster = Cluster::builder()
        .brokers(3)
        .topic(TOPIC, 4)
        .start()
        .unwrap();
    let producer = producer("left", &cluster);
    for at in 0..100 {
        producer.send(message(at)).unwrap();
    }
    assert_eq!(threads_of("left"), ["rmq-left-io"]);
    let (tell, told) = mpsc::channel();
    for at in 0..20 {
        let tell = tell.clone();
        let delivery = producer.enqueue(message(at)).unwrap();
        delivery.on_done(move |outcome| tell.send(outcome.is_ok()).unwrap());
    }
    for _ in 0..20 {
        assert!(told.recv_timeout(PATIENCE).unwrap());
    }
    let threads = threads_of("left").len();
    assert!(
        (2..=5).contains(&threads),
        "I/O and at most four for callbacks: {threads}"
    );
    producer.shutdown(PATIENCE);
    assert_eq!(threads_of("left"), [""; 0]);
}

#[test]
fn no_thread_is_left_when_a_server_takes_nothing_in_at_the_end() {
    let (cluster, producer) = start("stuck");
    producer.send(message(0)).unwrap();
    cluster.broker(0).pause();
    // More than the buffers of both sides take.
    for _ in 0..20 {
        let body = vec![b'x'; 4_000_000];
        let message = Message::new(TOPIC, body).timeout(PATIENCE);
        drop(producer.enqueue(message).unwrap());
    }
    let start = Instant::now();
    producer.shutdown(Duration::from_millis(100));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(threads_of("stuck"), [""; 0]);
}

#[test]
fn no_thread_is_left_when_a_dial_is_under_way_at_the_end() {
    // Reserved for documentation: nobody is there, and most networks do not say so.
    let producer = Producer::builder("dials")
        .name_servers(["192.0.2.1:9876"])
        .start()
        .unwrap();
    let delivery = producer.enqueue(message(0)).unwrap();
    producer.shutdown(Duration::ZERO);
    assert_eq!(delivery.wait().unwrap_err().kind(), SendErrorKind::Closed);
    assert_eq!(threads_of("dials"), [""; 0]);
}

#[test]
fn threads_end_by_themselves_when_the_last_handle_is_dropped() {
    let (cluster, producer) = start("dropped");
    let (tell, told) = mpsc::channel();
    let delivery = producer.enqueue(message(0)).unwrap();
    delivery.on_done(move |outcome| tell.send(outcome).unwrap());
    drop(producer);
    told.recv_timeout(PATIENCE).unwrap().unwrap();
    eventually("no thread is left", || threads_of("dropped").is_empty());
    assert_eq!(stored(&cluster), 1);
}

#[test]
fn callbacks_run_off_the_io_thread_and_may_send_and_wait() {
    let (_cluster, producer) = start("chain");
    let (tell, told) = mpsc::channel();
    let inner = producer.clone();
    let first = producer.enqueue(message(1)).unwrap();
    first.on_done(move |outcome| {
        outcome.unwrap();
        let name = thread::current().name().map(str::to_owned);
        inner.send(message(2)).unwrap();
        inner.enqueue(message(3)).unwrap().on_done(move |outcome| {
            tell.send((name, outcome)).unwrap();
        });
    });
    let (name, outcome) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(name.as_deref(), Some("rmq-chain-callback"));
    outcome.unwrap();
}

#[test]
fn a_callback_that_panics_is_counted_and_harms_nothing() {
    let (_cluster, producer) = start("panics");
    let (tell, told) = mpsc::channel();
    for at in 0..50 {
        let tell = tell.clone();
        let delivery = producer.enqueue(message(at)).unwrap();
        delivery.on_done(move |outcome| {
            outcome.unwrap();
            tell.send(at).unwrap();
            assert!(at % 2 == 0, "a callback panics, as this test wants");
        });
    }
    let mut done: Vec<_> = (0..50)
        .map(|_| told.recv_timeout(PATIENCE).unwrap())
        .collect();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..50), "each ran once");
    producer.send(message(50)).unwrap();
    assert_eq!(producer.shutdown(PATIENCE).abandoned, 0);
    assert_eq!(producer.callback_panics(), 25);
    assert_eq!(threads_of("panics"), [""; 0]);
}

#[test]
fn every_callback_is_called_also_when_the_producer_is_closed() {
    let (cluster, producer) = start("closed");
    producer.ready(TOPIC).unwrap();
    cluster.broker(0).pause();
    let called = Arc::new(AtomicUsize::new(0));
    let mut kept = Vec::new();
    for at in 0..20 {
        let delivery = producer.enqueue(message(at)).unwrap();
        if at >= 10 {
            kept.push(delivery);
            continue;
        }
        let called = called.clone();
        delivery.on_done(move |outcome| {
            assert_eq!(outcome.unwrap_err().kind(), SendErrorKind::Closed);
            called.fetch_add(1, Ordering::Relaxed);
        });
    }
    producer.shutdown(Duration::ZERO);
    assert_eq!(
        called.load(Ordering::Relaxed),
        10,
        "all were run before it returned"
    );
    assert_eq!(threads_of("closed"), [""; 0]);
    for delivery in kept {
        let called = called.clone();
        delivery.on_done(move |_| {
            called.fetch_add(1, Ordering::Relaxed);
        });
    }
    eventually("those registered later run too", || {
        called.load(Ordering::Relaxed) == 20
    });
    eventually("and their threads end", || threads_of("closed").is_empty());
}

#[test]
fn a_shutdown_within_a_callback_does_not_wait_for_itself() {
    let (_cluster, producer) = start("within");
    let (tell, told) = mpsc::channel();
    let inner = producer.clone();
    producer.enqueue(message(0)).unwrap().on_done(move |_| {
        tell.send(inner.shutdown(Duration::from_secs(1))).unwrap();
    });
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().abandoned, 0);
    eventually("no thread is left", || threads_of("within").is_empty());
}

#[test]
fn a_shutdown_does_not_wait_for_ever_for_a_callback() {
    let (_cluster, producer) = start("blocked");
    let (tell, told) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    producer.enqueue(message(0)).unwrap().on_done(move |_| {
        begun.send(()).unwrap();
        let _ = told.recv();
    });
    has_begun.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    producer.shutdown(PATIENCE);
    assert!(start.elapsed() < Duration::from_secs(3));
    drop(tell);
    eventually("its thread ends with it", || {
        threads_of("blocked").is_empty()
    });
}

#[test]
fn callbacks_that_wait_to_be_run_are_bounded() {
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let producer = Producer::builder("bounded")
        .name_servers([cluster.name_server_list()])
        .config(|config| config.max_in_flight = 2)
        .callback_threads(1)
        .start()
        .unwrap();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let registered = Arc::new(AtomicUsize::new(0));
    let caller = {
        let (producer, gate, registered) = (producer.clone(), gate.clone(), registered.clone());
        thread::spawn(move || {
            for at in 0..5 {
                let gate = gate.clone();
                let delivery = producer.enqueue(message(at)).unwrap();
                delivery.on_done(move |_| drop(gate.lock()));
                registered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    eventually("two are registered", || {
        registered.load(Ordering::Relaxed) == 2
    });
    eventually("three are sent", || producer.stats().sent == 3);
    assert_eq!(
        registered.load(Ordering::Relaxed),
        2,
        "the third waits for room"
    );
    drop(closed);
    caller.join().unwrap();
    producer.shutdown(PATIENCE);
    assert_eq!(registered.load(Ordering::Relaxed), 5);
}

#[test]
fn waiting_with_a_limit_gives_the_delivery_back() {
    let (cluster, producer) = start("limit");
    producer.ready(TOPIC).unwrap();
    let late = FaultRule::new(Fault::Delay(Duration::from_millis(300)));
    cluster.broker(0).inject(late.sends().times(1)).unwrap();
    let delivery = producer.enqueue(message(0)).unwrap();
    let delivery = delivery.try_take().unwrap_err();
    // Whatever else this thread is unparked for changes nothing.
    thread::current().unpark();
    let start = Instant::now();
    let delivery = delivery
        .wait_timeout(Duration::from_millis(50))
        .unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50));
    thread::current().unpark();
    delivery.wait_timeout(Duration::MAX).unwrap().unwrap();
    let done = producer.enqueue(message(1)).unwrap();
    producer.flush();
    done.try_take().unwrap().unwrap();
}

#[test]
fn events_are_an_iterator_that_ends_with_the_producer() {
    let (_cluster, producer) = start("events");
    let mut events = producer.events();
    assert!(events.try_next().is_none());
    assert!(events.next_timeout(Duration::from_millis(10)).is_none());
    let watcher = thread::spawn(move || events.collect::<Vec<Event>>());
    producer.send(message(0)).unwrap();
    producer.shutdown(PATIENCE);
    assert!(!watcher.join().unwrap().is_empty());
}

#[test]
fn a_host_name_is_looked_up_without_holding_up_anything() {
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let port = cluster.name_server(0).addr().port();
    let producer = Producer::builder("names")
        .name_servers([format!("localhost:{port}")])
        .start()
        .unwrap();
    producer.send(message(0)).unwrap();
    let nowhere = Producer::builder("nowhere")
        .name_servers(["does-not-exist.invalid:9876"])
        .config(|config| config.send_timeout = Duration::from_millis(500))
        .start()
        .unwrap();
    let error = nowhere.send(message(0)).unwrap_err();
    assert!(
        error.to_string().contains("does-not-exist.invalid"),
        "{error}"
    );
}

fn start(group: &str) -> (Cluster, Producer) {
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let producer = producer(group, &cluster);
    (cluster, producer)
}

fn producer(group: &str, cluster: &Cluster) -> Producer {
    let name_servers = [cluster.name_server_list()];
    Producer::builder(group)
        .name_servers(name_servers)
        .start()
        .unwrap()
}

fn message(at: usize) -> Message {
    Message::new(TOPIC, at.to_string())
}

fn stored(cluster: &Cluster) -> usize {
    cluster.broker(0).stored(TOPIC).len()
}

/// The names of the threads of a group's producer, as the kernel keeps them: cut to 15 bytes.
fn threads_of(group: &str) -> Vec<String> {
    let prefix: String = format!("rmq-{group}-").chars().take(15).collect();
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let names = names.map(|name| name.trim_end().to_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "did not come about: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}
