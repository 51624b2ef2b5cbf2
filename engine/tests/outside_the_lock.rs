//! What runs the application's code runs where no lock is held (DESIGN 9, 4): a test that hangs here
//! has found a place where it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::driver::{Handle, Setup, Work};
use rocketmq_engine::proto::Message;
use rocketmq_engine::{Now, SendErrorKind};

/// A body whose drop asks the producer something, which takes the lock.
struct Nosy {
    producer: Handle,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Nosy {
    fn as_ref(&self) -> &[u8] {
        b"body"
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        assert_eq!(self.producer.stats().in_flight, 0);
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_refused_message_is_dropped_where_no_lock_is_held() {
    let mut setup = Setup::new("nosy");
    setup.name_servers(["127.0.0.1:1"]);
    let (producer, supervisor) = setup.start().unwrap();
    let mut supervisor = supervisor.unwrap();
    let closing = producer.shutdown(Now::system(), Duration::ZERO).unwrap();
    while !matches!(
        supervisor.poll_work(Now::system(), Waker::noop()),
        Work::Exit
    ) {}
    drop(closing);
    let dropped = Arc::new(AtomicUsize::new(0));
    let nosy = Nosy {
        producer: producer.clone(),
        dropped: dropped.clone(),
    };
    let message = Message::new("orders", Bytes::from_owner(nosy));
    let refused = producer.send(Now::system(), message, true).map(drop);
    assert_eq!(refused.unwrap_err().kind(), SendErrorKind::Closed);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}
