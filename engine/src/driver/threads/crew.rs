//! A producer's threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use super::callbacks::Callbacks;
use super::check_backs::{CheckBackListener, Listening};
use crate::driver::{Handle, Ticket, park_on};
use crate::io::{Now, Outcome};

/// How long a shutdown waits for callbacks and check-back listeners that are still running.
const CALLBACKS_END: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread is to write what it submits by itself.
    static WRITES_THROUGH: Cell<bool> = const { Cell::new(false) };
}

/// Whether the present thread, which has just put something into a connection's outbox, is to write
/// it by itself: it is the producer's only caller that waits for a broker, so it would have to wake
/// the thread that moves the bytes, and has nothing better to do. When there are several, one
/// thread that writes for all of them does it in fewer system calls.
///
/// For the waker of a connection's [writing end](crate::driver::ConnTx). A runtime that has all
/// bytes written by one thread does not ask.
pub fn writes_through() -> bool {
    WRITES_THROUGH.get()
}

/// How a runtime starts a thread; the engine itself starts none.
pub trait Spawn: fmt::Debug + Send + Sync + 'static {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// Why the system gave none.
    fn spawn(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;
}

/// What serves a supervisor until its producers are closed.
pub type Serve = Box<dyn FnOnce() + Send>;

/// How a caller that waits moves the bytes itself: of several threads that could, one leads.
pub trait Lead: fmt::Debug + Send + Sync {
    /// Serves all connections on the present thread until `is_over`, which is asked before each
    /// turn, and again when the waker it was given is called. Returns at once when another thread
    /// leads, and early when the producer is closed.
    fn lead(&self, is_over: &mut dyn FnMut(&Waker) -> bool);

    /// Lets no caller lead from now on. Asked for a producer with hooks: they run on the thread that
    /// leads, and may want a lock that a caller holds while it sends.
    fn leave_to_io_thread(&self);
}

/// The threads that serve one producer. Dropped with its last handle: they end by themselves then.
#[derive(Debug)]
pub(super) struct Crew {
    callbacks: Arc<Callbacks>,
    listening: Listening,
    io: Mutex<Option<JoinHandle<()>>>,
    lead: Option<Arc<dyn Lead>>,
    /// Callers that wait for a broker.
    callers: AtomicUsize,
}

/// A caller that waits; also one that leaves by a panic of the application's code is gone.
struct Caller<'a>(&'a AtomicUsize);

impl Crew {
    pub(super) fn start(
        producer: &Handle,
        callback_threads: usize,
        listener: Option<CheckBackListener>,
        spawn: impl Spawn,
        io: Option<Serve>,
        lead: Option<Arc<dyn Lead>>,
    ) -> io::Result<Arc<Self>> {
        let config = producer.config();
        let name = |role| format!("rmq-{}-{role}", config.group);
        let io = io.map(|io| spawn.spawn(name("io"), io)).transpose()?;
        if let Some(lead) = lead.as_ref().filter(|_| !config.hooks.is_empty()) {
            lead.leave_to_io_thread();
        }
        let listening = match listener {
            Some(listener) => Listening::start(listener, producer, &spawn)?,
            None => Listening::default(),
        };
        Ok(Arc::new(Self {
            callbacks: Callbacks::new(
                name("callback"),
                callback_threads.max(1),
                config.max_in_flight,
                spawn,
            ),
            listening,
            io: Mutex::new(io),
            lead,
            callers: AtomicUsize::new(0),
        }))
    }

    /// Runs a call that ends by waiting for the broker. The only one to do so writes by itself; see
    /// [`writes_through`].
    pub(super) fn waiting<T>(&self, call: impl FnOnce() -> T) -> T {
        let others = self.callers.fetch_add(1, Ordering::Relaxed);
        WRITES_THROUGH.set(others == 0);
        let _here = Caller(&self.callers);
        call()
    }

    /// Waits for the outcome of a call, within [`waiting`](Self::waiting). Whoever writes by itself
    /// also reads by itself, if nobody else does.
    pub(super) fn outcome(&self, mut ticket: Ticket) -> Outcome {
        if let Some(lead) = self.lead.as_ref().filter(|_| writes_through()) {
            let mut polled = ticket.poll_outcome(Waker::noop());
            if polled.is_pending() {
                lead.lead(&mut |waker| {
                    polled = ticket.poll_outcome(waker);
                    polled.is_ready()
                });
            }
            if let Poll::Ready(outcome) = polled {
                return outcome;
            }
        }
        park_on(|waker| ticket.poll_outcome(waker))
    }

    pub(super) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Waits for the threads of a closed producer to end.
    pub(super) fn join(&self) {
        // Held while joining, so that everybody who shuts down returns after the end.
        let mut io = self.io.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(io) = io.take() {
            // A panic of its was reported by the panic hook, and has completed every operation.
            let _ = io.join();
        }
        drop(io);
        let deadline = Now::system().mono + CALLBACKS_END;
        self.callbacks.join(deadline);
        self.listening.join(deadline);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.callbacks.close();
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        WRITES_THROUGH.set(false);
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
