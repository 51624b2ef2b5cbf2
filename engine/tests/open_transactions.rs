//! What a transaction holds between its half message and its end, as a future that nobody need finish
//! (DESIGN 6, shutdown).

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rocketmq_engine::driver::asynchronous::Producer;
use rocketmq_engine::driver::{CheckBacks, Handle, Setup, Supervisor, Work};
use rocketmq_engine::proto::Message;
use rocketmq_engine::{Now, SendErrorKind, TransactionState};

const GRACE: Duration = Duration::from_secs(60);

fn paying() -> (Handle, CheckBacks, Supervisor) {
    let mut setup = Setup::new("payers");
    setup.name_servers(["127.0.0.1:1"]);
    let (handle, supervisor) = setup.start().unwrap();
    let check_backs = handle.check_backs();
    (handle, check_backs, supervisor.unwrap())
}

#[test]
fn a_transaction_that_is_dropped_keeps_no_shutdown_waiting() {
    let (handle, _listening, mut supervisor) = paying();
    let local = |_, _| async { TransactionState::Commit };
    let producer = Producer::new(handle.clone());
    let transaction = producer.send_in_transaction(Message::new("orders", "paid"), local);
    let mut transaction = Box::pin(transaction);
    let mut cx = Context::from_waker(Waker::noop());
    let start = Now::system();
    assert!(transaction.as_mut().poll(&mut cx).is_pending());
    let _dial = supervisor.poll_work(start, Waker::noop());
    let mut closing = handle.shutdown(start, GRACE).unwrap();
    let later = Now {
        mono: start.mono + GRACE / 2,
        ..start
    };
    // The half message runs out of time, and the application has not heard of it yet.
    while !matches!(
        supervisor.poll_work(later, Waker::noop()),
        Work::Wait { .. }
    ) {}
    assert_eq!(handle.stats().in_flight, 0);
    assert!(closing.poll_outcome(Waker::noop()).is_pending());
    drop(transaction);
    assert!(closing.poll_outcome(Waker::noop()).is_ready());
}

#[test]
fn a_transaction_that_has_not_begun_or_is_over_keeps_no_shutdown_waiting() {
    let (handle, _listening, _supervisor) = paying();
    let local = |_, _| async { TransactionState::Commit };
    let producer = Producer::new(handle.clone());
    let transaction = producer.send_in_transaction(Message::new("orders", "paid"), local);
    let mut transaction = pin!(transaction);
    let mut closing = handle.shutdown(Now::system(), GRACE).unwrap();
    assert!(closing.poll_outcome(Waker::noop()).is_ready());
    let mut cx = Context::from_waker(Waker::noop());
    let outcome = match transaction.as_mut().poll(&mut cx) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the producer is closed"),
    };
    assert_eq!(outcome.unwrap_err().kind(), SendErrorKind::Closed);
}
