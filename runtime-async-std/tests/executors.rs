//! Where a producer's tasks run, and what becomes of it when they do not.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rocketmq_async_std::engine::driver::asynchronous;
use rocketmq_async_std::{
    Builder, Certainty, Driver, Message, Producer, SendErrorKind, StartError, Task,
};
use rocketmq_testkit::{Cluster, Fault, FaultRule};

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_callers_hold_may_go_to_any_thread() {
    fn is_send<T: Send + 'static>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Task>();
    is_send::<Driver>();
    is_send::<Producer>();
    is_sync::<Producer>();
    is_send::<asynchronous::Delivery>();
    is_send::<asynchronous::EnqueueFuture>();
    is_send::<asynchronous::Events>();
    is_send::<asynchronous::FlushFuture>();
    is_send::<asynchronous::OnewayFuture>();
    is_send::<asynchronous::QueuesFuture>();
    is_send::<asynchronous::ReadyFuture>();
    is_send::<asynchronous::SendFuture>();
    is_send::<asynchronous::ShutdownFuture>();
}

/// One thread polls the driver and the caller, and there is no executor at all.
#[test]
fn a_driver_beside_its_caller_is_all_it_takes() {
    let cluster = cluster();
    let (producer, driver) = builder(&cluster).into_parts().unwrap();
    let mut driver = pin!(driver);
    let mut talk = pin!(async {
        let receipt = producer.send(message("one")).await.unwrap();
        assert_eq!(receipt.attempts, 1);
        let report = producer.shutdown(Duration::from_secs(5)).await;
        assert_eq!(report.abandoned, 0);
    });
    let mut talked = false;
    drive(|cx| {
        talked = talked || talk.as_mut().poll(cx).is_ready();
        driver.as_mut().poll(cx)
    });
    assert!(
        talked,
        "the driver is over when the producer is closed, not before"
    );
    assert_eq!(stored(&cluster), 1);
}

#[test]
fn a_driver_is_over_after_the_last_handle_was_dropped() {
    let cluster = cluster();
    let (producer, driver) = builder(&cluster).into_parts().unwrap();
    let mut driver = pin!(driver);
    let mut delivery = None;
    {
        let mut enqueue = pin!(producer.enqueue(message("last")));
        drive(|cx| match enqueue.as_mut().poll(cx) {
            Poll::Ready(taken) => {
                delivery = Some(taken.unwrap());
                Poll::Ready(())
            }
            Poll::Pending => {
                assert!(driver.as_mut().poll(cx).is_pending());
                Poll::Pending
            }
        });
    }
    drop(producer);
    drive(|cx| driver.as_mut().poll(cx));
    let outcome = drive(|cx| Pin::new(delivery.as_mut().unwrap()).poll(cx));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(stored(&cluster), 1);
}

#[test]
fn a_driver_that_is_dropped_in_mid_flight_leaves_nobody_waiting() {
    let cluster = cluster();
    cluster
        .broker(0)
        .inject(FaultRule::new(Fault::Swallow).sends())
        .unwrap();
    let (producer, driver) = builder(&cluster).into_parts().unwrap();
    let mut driver = Box::pin(driver);
    let mut sends: Vec<_> = (0..20).map(|_| producer.send(message("x"))).collect();
    drive(|cx| {
        for send in &mut sends {
            assert!(Pin::new(send).poll(cx).is_pending());
        }
        assert!(driver.as_mut().poll(cx).is_pending());
        match cluster.broker(0).faults_fired() {
            20.. => Poll::Ready(()),
            // The broker wakes nobody when it takes a message in.
            _ => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    });
    drop(driver);
    for send in sends {
        let mut send = pin!(send);
        let error = drive(|cx| send.as_mut().poll(cx)).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::Unknown);
    }
    let mut later = pin!(producer.send(message("later")));
    let error = drive(|cx| later.as_mut().poll(cx)).unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_eq!(producer.stats().in_flight, 0);
}

#[test]
fn a_driver_that_was_never_polled_leaves_nobody_waiting() {
    let (producer, driver) = builder(&cluster()).into_parts().unwrap();
    drop(driver);
    let mut send = pin!(producer.send(message("x")));
    let error = drive(|cx| send.as_mut().poll(cx)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
}

/// Dropped by the executor while the supervisor lives on: the connection is made anew.
#[test]
fn a_connection_whose_task_is_dropped_is_replaced() {
    let cluster = cluster();
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let keep = tasks.clone();
    let spawner = move |task| keep.lock().unwrap().push(async_std::task::spawn(task));
    let producer = builder(&cluster).start_with(spawner).unwrap();
    async_std::task::block_on(async {
        producer.send(message("before")).await.unwrap();
        // The first is the supervisor's.
        let connections = tasks.lock().unwrap().split_off(1);
        assert!(!connections.is_empty());
        for connection in connections {
            connection.cancel().await;
        }
        producer.send(message("after")).await.unwrap();
        producer.shutdown(Duration::from_secs(5)).await;
    });
    assert_eq!(stored(&cluster), 2);
}

#[test]
fn host_names_are_looked_up() {
    let cluster = cluster();
    let port = cluster
        .name_server_list()
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    let builder = Producer::builder("executors").name_servers([format!("localhost:{port}")]);
    let (producer, driver) = builder.into_parts().unwrap();
    let mut driver = pin!(driver);
    let mut ready = pin!(producer.ready(TOPIC));
    let outcome = drive(|cx| {
        assert!(driver.as_mut().poll(cx).is_pending());
        ready.as_mut().poll(cx)
    });
    outcome.unwrap();
}

#[test]
fn wrong_settings_are_told_at_every_kind_of_start() {
    let wrong = || Producer::builder("executors").name_servers(["nonsense"]);
    let told = wrong().start_with(drop).unwrap_err();
    assert!(matches!(told, StartError::Endpoint(_)), "{told}");
    let told = wrong().into_parts().map(drop).unwrap_err();
    assert!(matches!(told, StartError::Endpoint(_)), "{told}");
}

/// With both features on, `start` takes async-std's: see the manual of the crate.
#[cfg(feature = "async-std")]
#[test]
fn started_as_it_is_it_runs_on_async_stds_executor() {
    async_std::task::block_on(async {
        let cluster = cluster();
        let producer = builder(&cluster).start().await.unwrap();
        producer.send(message("x")).await.unwrap();
        producer.shutdown(Duration::from_secs(5)).await;
        assert_eq!(stored(&cluster), 1);
    });
    #[cfg(target_os = "linux")]
    {
        let threads = thread_names();
        assert!(threads.contains("async-std/runti"), "{threads}");
        assert!(!threads.contains("async-global-ex"), "{threads}");
    }
}

#[cfg(all(feature = "smol", not(feature = "async-std")))]
#[test]
fn started_as_it_is_it_runs_on_smols_executor() {
    smol::block_on(async {
        let cluster = cluster();
        let producer = builder(&cluster).start().await.unwrap();
        producer.send(message("x")).await.unwrap();
        producer.shutdown(Duration::from_secs(5)).await;
        assert_eq!(stored(&cluster), 1);
    });
    #[cfg(target_os = "linux")]
    {
        let threads = thread_names();
        assert!(threads.contains("smol-1"), "{threads}");
    }
}

#[cfg(feature = "smol")]
#[test]
fn smols_executor_can_be_named_whatever_else_is_there() {
    smol::block_on(async {
        let cluster = cluster();
        let producer = builder(&cluster)
            .start_with(rocketmq_async_std::spawn::smol)
            .unwrap();
        producer.send(message("x")).await.unwrap();
        producer.shutdown(Duration::from_secs(5)).await;
        assert_eq!(stored(&cluster), 1);
    });
}

fn cluster() -> Cluster {
    Cluster::builder()
        .brokers(1)
        .topic(TOPIC, 4)
        .start()
        .unwrap()
}

fn builder(cluster: &Cluster) -> Builder {
    Producer::builder("executors").name_servers([cluster.name_server_list()])
}

fn message(body: &'static str) -> Message {
    Message::new(TOPIC, body)
}

fn stored(cluster: &Cluster) -> usize {
    cluster.broker(0).stored(TOPIC).len()
}

/// Polls on this thread until there is an outcome. Fails the test when there is none in time.
fn drive<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let until = Instant::now() + PATIENCE;
    let waker = thread_waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(outcome) = poll(&mut cx) {
            return outcome;
        }
        let left = until.checked_duration_since(Instant::now());
        thread::park_timeout(left.expect("it must end, and it hangs"));
    }
}

fn thread_waker() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Arc::new(Unpark(thread::current())).into()
}

/// The names of this process's threads, of which the kernel keeps 15 bytes each.
#[cfg(all(any(feature = "async-std", feature = "smol"), target_os = "linux"))]
fn thread_names() -> String {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default()
    };
    threads.map(name).collect()
}
