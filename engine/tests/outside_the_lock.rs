//! What runs the application's code runs where no lock is held (DESIGN 9, 4): a test that hangs here
//! has found a place where it does not.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::driver::{ConnTx, Handle, Setup, Work};
use rocketmq_engine::proto::{FrameDecoder, Message, RemotingCommand, ResponseCode, SerializeType};
use rocketmq_engine::{CheckForbiddenHook, Now, Outgoing, Refusal, SendErrorKind};

/// A body, or a hook, whose drop asks the producer something, which takes the lock.
struct Nosy {
    producer: Handle,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Nosy {
    fn as_ref(&self) -> &[u8] {
        b"body"
    }
}

impl CheckForbiddenHook for Nosy {
    fn check(&self, _: &Outgoing<'_>) -> Result<(), Refusal> {
        Ok(())
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

/// Its handle is gone while it drains, so that the engine is the last to hold them.
#[test]
fn the_settings_of_a_producer_that_has_drained_are_dropped_where_no_lock_is_held() {
    let mut setup = Setup::client();
    setup.name_servers(["127.0.0.1:1"]);
    let (client, mut supervisor) = setup.start_client().unwrap();
    let (watching, _) = Setup::on(&client, "watching").start().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    let nosy = Nosy {
        producer: watching,
        dropped: dropped.clone(),
    };
    let mut leaving = Setup::on(&client, "leaving");
    leaving.config(|config| config.hooks.forbidden.push(Arc::new(nosy)));
    let (leaving, _) = leaving.start().unwrap();
    let start = Now::system();
    let mut ticket = leaving
        .send(start, Message::new("orders", "x"), true)
        .unwrap();
    drop(leaving);
    let _dial = supervisor.poll_work(start, Waker::noop());
    assert!(ticket.poll_outcome(Waker::noop()).is_pending(), "it drains");
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    let later = Now {
        mono: start.mono + Duration::from_secs(10),
        ..start
    };
    while !matches!(
        supervisor.poll_work(later, Waker::noop()),
        Work::Wait { .. }
    ) {}
    assert!(ticket.poll_outcome(Waker::noop()).is_ready());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

/// Its drop is the application's code as well, and may panic again.
#[test]
fn what_a_queue_selector_panics_with_is_never_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let mut setup = Setup::new("careful");
    setup.name_servers(["127.0.0.1:1"]);
    let (producer, supervisor) = setup.start().unwrap();
    let mut supervisor = supervisor.unwrap();
    let message = Message::new("orders", "x").select(|_, _| panic_any(Bomb));
    let mut ticket = producer.send(Now::system(), message, true).unwrap();
    let Work::Dial(job) = supervisor.poll_work(Now::system(), Waker::noop()) else {
        panic!("nothing is dialled");
    };
    let (mut tx, mut rx) = job.connected(Now::system());
    let question = FrameDecoder::default().next_frame(&mut written(&mut tx));
    let opaque = question.unwrap().unwrap().command().unwrap().opaque;
    let route = r#"{"brokerDatas":[{"brokerName":"a","cluster":"c","brokerAddrs":{"0":"a:1"}}],
        "queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#;
    let answer = RemotingCommand::response(opaque, ResponseCode::SUCCESS, None).with_body(route);
    answer.encode(SerializeType::Json, rx.buffer()).unwrap();
    assert!(rx.received(Now::system()).is_continue());
    let Poll::Ready(outcome) = ticket.poll_outcome(Waker::noop()) else {
        panic!("the choice has failed");
    };
    let error = outcome.into_receipt().unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Selector);
}

/// What there is to be written.
fn written(tx: &mut ConnTx) -> BytesMut {
    let Poll::Ready(Some(batch)) = tx.poll_batch(Waker::noop()) else {
        panic!("nothing is written");
    };
    batch.write(|slices| slices.iter().flat_map(|slice| slice.iter()).collect())
}
