//! The threads that run a producer's check-back listener.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use rocketmq_proto::StoredMessage;

use super::crew::Spawn;
use crate::driver::Handle;
use crate::io::Now;
use crate::transaction::Decision;

thread_local! {
    /// Whether this thread runs a listener, of whichever producer.
    static LISTENS: Cell<bool> = const { Cell::new(false) };
}

/// What answers the brokers' questions about half messages, for the builders of runtimes. Made of a
/// closure that takes the half message, as the broker stored it and decompressed, and gives a
/// [`TransactionState`](crate::TransactionState), or a `Result` of one.
#[derive(Clone)]
pub struct CheckBackListener(Arc<dyn Fn(StoredMessage) -> Decision + Send + Sync>);

/// The threads, which end with the producer.
#[derive(Debug, Default)]
pub(super) struct Listening {
    running: Arc<(Mutex<usize>, Condvar)>,
}

/// A thread that leaves, however it does.
struct Running(Arc<(Mutex<usize>, Condvar)>);

impl CheckBackListener {
    /// A listener. See the builder of the runtime.
    pub fn new<D: Into<Decision>>(
        listener: impl Fn(StoredMessage) -> D + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |message| listener(message).into()))
    }
}

impl Listening {
    /// Starts as many threads as [`Config::check_concurrency`](crate::Config) says.
    pub(super) fn start(
        listener: CheckBackListener,
        producer: &Handle,
        spawn: &impl Spawn,
    ) -> io::Result<Self> {
        let listening = Self::default();
        let checks = producer.check_backs();
        let config = producer.config();
        for _ in 0..config.check_concurrency {
            let (checks, listener) = (checks.clone(), listener.0.clone());
            let running = Running::enter(&listening.running);
            let body = move || {
                let _running = running;
                LISTENS.set(true);
                checks.serve(|message| listener(message));
            };
            spawn.spawn(format!("rmq-{}-check", config.group), Box::new(body))?;
        }
        Ok(listening)
    }

    /// Waits for the threads of a closed producer to end until `deadline`; not on one of them.
    pub(super) fn join(&self, deadline: Instant) {
        let (running, left) = &*self.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        while *running > 0 && !LISTENS.get() {
            let time = deadline.saturating_duration_since(Now::system().mono);
            if time.is_zero() {
                return;
            }
            let waited = left.wait_timeout(running, time);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Running {
    fn enter(running: &Arc<(Mutex<usize>, Condvar)>) -> Self {
        *running.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (running, left) = &*self.0;
        *running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        left.notify_all();
    }
}

impl fmt::Debug for CheckBackListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckBackListener")
    }
}
