//! The two ends of a connection, as the driver gives them to a runtime, without a socket (DESIGN 5, 9).

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use rocketmq_engine::driver::{ConnRx, ConnTx, DialJob, Handle, Hub, Supervisor, Ticket, Work};
use rocketmq_engine::{Config, DialError, Endpoint, Event, Now, ProxyFailure, ProxyRule};
use rocketmq_proto::{GroupName, UniqueIdSeed};

/// What a proxy answers that wants no password and connects us.
const WELCOME: [u8; 2] = [5, 0];
const CONNECTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A producer that has just begun to dial its name server.
struct Dialling {
    hub: Handle,
    supervisor: Supervisor,
    job: DialJob,
    _ticket: Ticket,
}

fn dialling(change: impl FnOnce(&mut Config)) -> Dialling {
    let mut config = Config::new(GroupName::new("g").unwrap());
    config.name_servers = vec![Endpoint::new("10.0.0.1:9876").unwrap()];
    config.client_id = "me".to_owned();
    change(&mut config);
    let ids = UniqueIdSeed {
        ip: [10, 0, 0, 9].into(),
        pid: 1,
        hash: 1,
        utc_offset_seconds: 0,
    };
    let (hub, mut supervisor) = Hub::new(config, 1, ids).unwrap();
    let handle = Handle::join(hub.clone(), hub.client_config().clone()).unwrap();
    let ticket = handle.publish_queues(Now::system(), "orders").unwrap();
    let Work::Dial(job) = supervisor.poll_work(Now::system(), Waker::noop()) else {
        panic!("nothing is dialled");
    };
    Dialling {
        hub: handle,
        supervisor,
        job,
        _ticket: ticket,
    }
}

fn through_a_proxy(config: &mut Config) {
    let proxy = Endpoint::new("10.0.0.2:1080").unwrap();
    config.proxies = vec![ProxyRule::new("10.0.0.0/8", proxy).unwrap()];
}

/// Writes all that there is.
fn written(tx: &mut ConnTx, waker: &Waker) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Poll::Ready(Some(batch)) = tx.poll_batch(waker) {
        let count = batch.write(|slices| bytes.write_vectored(slices).unwrap());
        tx.wrote(count);
    }
    bytes
}

fn arrives(rx: &mut ConnRx, bytes: &[u8]) -> bool {
    rx.buffer().extend_from_slice(bytes);
    rx.received(Now::system()).is_continue()
}

#[test]
fn a_connection_that_ends_while_its_socket_takes_nothing_wakes_who_writes() {
    let dialling = dialling(|_| {});
    let (mut tx, _rx) = dialling.job.connected(Now::system());
    let count = Arc::new(Count::default());
    let waker = count.clone().into();
    assert!(matches!(tx.poll_batch(&waker), Poll::Ready(Some(_))));
    // The socket took nothing, and the runtime asks again before it waits.
    assert!(matches!(tx.poll_batch(&waker), Poll::Ready(Some(_))));
    assert_eq!(count.get(), 0);
    drop(dialling.supervisor);
    assert_eq!(count.get(), 1);
    assert!(matches!(tx.poll_batch(&waker), Poll::Ready(None)));
}

#[test]
fn frames_wait_for_the_proxy_and_follow_at_once() {
    let dialling = dialling(through_a_proxy);
    assert_eq!(dialling.job.to().as_str(), "10.0.0.2:1080");
    let (mut tx, mut rx) = dialling.job.connected(Now::system());
    let count = Arc::new(Count::default());
    let waker = count.clone().into();
    assert_eq!(written(&mut tx, &waker), [5, 1, 0]);
    assert!(arrives(&mut rx, &WELCOME));
    assert_eq!(count.get(), 1);
    let target = [5, 1, 0, 1, 10, 0, 0, 1, 0x26, 0x94];
    assert_eq!(written(&mut tx, &waker), target);
    assert!(arrives(&mut rx, &CONNECTED));
    assert!(count.get() > 1);
    let request = written(&mut tx, &waker);
    let text = String::from_utf8_lossy(&request);
    assert!(text.contains("\"topic\":\"orders\""), "{text}");
}

#[test]
fn a_proxy_that_answers_before_it_is_asked_confuses_nothing() {
    let dialling = dialling(through_a_proxy);
    let (mut tx, mut rx) = dialling.job.connected(Now::system());
    assert!(arrives(&mut rx, &[&WELCOME[..], &CONNECTED].concat()));
    let bytes = written(&mut tx, Waker::noop());
    assert_eq!(bytes[..5], [5, 1, 0, 5, 1]);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("\"topic\":\"orders\""), "{text}");
}

#[test]
fn a_handshake_ends_with_the_time_of_its_dial_and_names_who_is_late() {
    let mut dialling = dialling(through_a_proxy);
    let by = dialling.job.by();
    let (mut tx, mut rx) = dialling.job.connected(Now::system());
    let mut events = dialling.hub.events();
    let count = Arc::new(Count::default());
    written(&mut tx, &count.clone().into());
    let late = Now {
        mono: by,
        ..Now::system()
    };
    dialling.supervisor.poll_work(late, Waker::noop());
    assert_eq!(count.get(), 1);
    assert!(matches!(tx.poll_batch(Waker::noop()), Poll::Ready(None)));
    assert!(!arrives(&mut rx, &WELCOME));
    let Poll::Ready(Some(Event::ConnectFailed { error, .. })) = events.poll_next(Waker::noop())
    else {
        panic!("nobody was told");
    };
    assert_eq!(error, DialError::Proxy(ProxyFailure::TimedOut));
}

#[test]
fn a_proxy_that_cannot_be_reached_is_not_taken_for_the_server() {
    let dialling = dialling(through_a_proxy);
    let mut events = dialling.hub.events();
    let refused = std::io::ErrorKind::ConnectionRefused;
    dialling.job.failed(Now::system(), &refused.into());
    let Poll::Ready(Some(Event::ConnectFailed { error, .. })) = events.poll_next(Waker::noop())
    else {
        panic!("nobody was told");
    };
    assert_eq!(error, DialError::Proxy(ProxyFailure::Unreachable(refused)));
}
