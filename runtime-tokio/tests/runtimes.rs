//! Several runtimes in one process: the producer lives in one of them, its callers where they like.

use std::time::Duration;

use rocketmq_testkit::{Cluster, Fault, FaultRule};
use rocketmq_tokio::{Certainty, Message, Producer, SendErrorKind, StartError};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_producer_of_one_runtime_is_used_from_another_and_from_none() {
    let (home, abroad) = (threads(2), alone());
    let cluster = cluster();
    let producer = start(&home, &cluster);
    let used_abroad = producer.clone();
    let receipt = abroad.block_on(async move {
        let sent = tokio::spawn(async move { used_abroad.send(message("abroad")).await });
        timeout(PATIENCE, sent).await.unwrap().unwrap().unwrap()
    });
    assert_eq!(receipt.attempts, 1);
    drop(abroad);

    let delivery = park(producer.enqueue(message("nowhere"))).unwrap();
    park(delivery).unwrap();
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 2);
}

/// Two runtimes of one thread each, one of which serves the other's producer: neither waits for the
/// other's thread.
#[test]
fn two_runtimes_of_one_thread_serve_each_others_callers() {
    let cluster = cluster();
    let serve = |runtime: Runtime| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let producer = start(&runtime, &cluster);
        let thread = std::thread::spawn(move || runtime.block_on(async { drop(stopped.await) }));
        (producer, stop, thread)
    };
    let (left, stop_left, left_thread) = serve(alone());
    let (right, stop_right, right_thread) = serve(alone());
    for at in 0..50 {
        park(left.send(message(&format!("left {at}")))).unwrap();
        park(right.send(message(&format!("right {at}")))).unwrap();
    }
    assert_eq!(cluster.broker(0).clients().len(), 2);
    drop(stop_left);
    left_thread.join().unwrap();
    let error = park(left.send(message("left alone"))).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    park(right.send(message("still here"))).unwrap();
    drop(stop_right);
    right_thread.join().unwrap();
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 101);
}

#[test]
fn when_its_runtime_is_dropped_callers_of_another_get_an_error() {
    let (home, abroad) = (threads(2), threads(1));
    let cluster = cluster();
    let producer = start(&home, &cluster);
    home.block_on(producer.ready(TOPIC)).unwrap();
    let silent = FaultRule::new(Fault::Swallow).sends();
    cluster.broker(0).inject(silent).unwrap();
    let sends: Vec<_> = (0..20)
        .map(|_| abroad.spawn(producer.send(message("x"))))
        .collect();
    while cluster.broker(0).faults_fired() < 20 {
        std::thread::park_timeout(Duration::from_millis(1));
    }

    drop(home);

    for send in sends {
        let ended = abroad.block_on(async { timeout(PATIENCE, send).await });
        let error = ended.expect("it must end").unwrap().unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::Unknown);
    }
    let later = abroad.block_on(producer.send(message("later")));
    assert_eq!(later.unwrap_err().certainty(), Certainty::NotSent);
    abroad.block_on(producer.flush());
    let report = abroad.block_on(producer.shutdown(PATIENCE));
    assert_eq!(report.abandoned, 20, "it says what became of them");
    assert_eq!(producer.stats().in_flight, 0);
}

#[test]
fn when_a_callers_runtime_is_dropped_the_producer_goes_on() {
    let (home, abroad) = (threads(2), threads(1));
    let cluster = cluster();
    let producer = start(&home, &cluster);
    home.block_on(producer.ready(TOPIC)).unwrap();
    let late = FaultRule::new(Fault::Delay(Duration::from_millis(200)));
    cluster.broker(0).inject(late.sends().times(20)).unwrap();
    for _ in 0..20 {
        abroad.spawn(producer.send(message("given up by its caller")));
    }
    while cluster.broker(0).faults_fired() < 20 {
        std::thread::park_timeout(Duration::from_millis(1));
    }

    drop(abroad);

    home.block_on(producer.flush());
    assert_eq!(producer.stats().in_flight, 0);
    home.block_on(producer.send(message("one more"))).unwrap();
    assert_eq!(cluster.broker(0).stored(TOPIC).len(), 21);
}

#[test]
fn without_a_runtime_there_is_no_start() {
    let builder = Producer::builder("nowhere").name_servers(["127.0.0.1:9876"]);
    let error = park(builder.start()).unwrap_err();
    assert!(matches!(error, StartError::Runtime(_)), "{error:?}");
    assert!(error.to_string().contains("outside a tokio runtime"));
}

fn cluster() -> Cluster {
    Cluster::builder().topic(TOPIC, 4).start().unwrap()
}

fn start(runtime: &Runtime, cluster: &Cluster) -> Producer {
    let builder = Producer::builder("runtimes").name_servers([cluster.name_server_list()]);
    runtime.block_on(builder.start()).unwrap()
}

fn message(body: &str) -> Message {
    Message::new(TOPIC, body.to_owned())
}

fn threads(count: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).enable_all().build().unwrap()
}

fn alone() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Waits for a future without any runtime.
fn park<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    rocketmq_tokio::engine::driver::park_on(|waker| {
        future
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker))
    })
}
