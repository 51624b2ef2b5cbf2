//! The threads that run the application's callbacks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rocketmq_engine::driver::{Ticket, park_on};
use rocketmq_engine::{Outcome, SendError, SendReceipt};

thread_local! {
    /// Whether this thread runs callbacks, of whichever producer.
    static RUNS_CALLBACKS: Cell<bool> = const { Cell::new(false) };
}

/// What [`Delivery::on_done`](crate::Delivery::on_done) was given.
pub(crate) type Callback = Box<dyn FnOnce(Result<SendReceipt, SendError>) + Send>;

/// A bounded pool of threads: started as callbacks are registered, kept until the producer is closed.
#[derive(Debug)]
pub(crate) struct Callbacks {
    name: String,
    max_threads: usize,
    max_registered: usize,
    panics: AtomicU64,
    state: Mutex<State>,
    /// Rung when there is a callback to run, or at the end.
    work: Condvar,
    /// Rung when a callback was run.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    due: VecDeque<Due>,
    /// Callbacks that were registered and not run to their end yet.
    registered: usize,
    threads: Vec<JoinHandle<()>>,
    running: usize,
    closed: bool,
}

struct Due {
    callback: Callback,
    outcome: Outcome,
}

/// A callback that waits for its outcome, woken by the ticket it holds: completion breaks the ring.
struct Registered {
    callbacks: Arc<Callbacks>,
    place: Mutex<Option<(Ticket, Callback)>>,
}

impl Callbacks {
    pub(crate) fn new(name: String, max_threads: usize, max_registered: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            max_threads,
            max_registered,
            panics: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
        })
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Has the callback run when the ticket has its outcome.
    pub(crate) fn register(self: &Arc<Self>, mut ticket: Ticket, callback: Callback) {
        if !self.reserve() {
            let outcome = park_on(|waker| ticket.poll_outcome(waker));
            return self.run(Due { callback, outcome });
        }
        let registered = Registered {
            callbacks: self.clone(),
            place: Mutex::new(Some((ticket, callback))),
        };
        Arc::new(registered).wake();
    }

    /// Lets the threads go when nothing is left to run.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Closes, and waits for the threads to end until `deadline`; not on one of them.
    pub(crate) fn join(&self, deadline: Instant) {
        self.close();
        if RUNS_CALLBACKS.get() {
            return;
        }
        let mut state = self.lock();
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.room.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            // A worker catches every panic of a callback, so there is nothing to learn here.
            let _ = thread.join();
        }
    }

    /// Takes a place for a callback; false when there is no thread to run it.
    fn reserve(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        while state.registered >= self.max_registered && !RUNS_CALLBACKS.get() {
            let waited = self.room.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.running <= state.registered.min(self.max_threads - 1) {
            self.hire(&mut state);
        }
        if state.running == 0 {
            return false;
        }
        state.registered += 1;
        true
    }

    /// Starts a thread, unless the system refuses it.
    fn hire(self: &Arc<Self>, state: &mut State) {
        state.threads.retain(|thread| !thread.is_finished());
        let callbacks = self.clone();
        let thread = thread::Builder::new().name(self.name.clone());
        if let Ok(thread) = thread.spawn(move || callbacks.work()) {
            state.threads.push(thread);
            state.running += 1;
        }
    }

    fn work(&self) {
        RUNS_CALLBACKS.set(true);
        while let Some(due) = self.next() {
            self.run(due);
            let mut state = self.lock();
            state.registered -= 1;
            if state.closed && state.registered == 0 {
                self.work.notify_all();
            }
            self.room.notify_all();
        }
        self.room.notify_all();
    }

    /// The next callback to run; `None` when there will be none any more.
    fn next(&self) -> Option<Due> {
        let mut state = self.lock();
        loop {
            if let Some(due) = state.due.pop_front() {
                return Some(due);
            }
            if state.closed && state.registered == 0 {
                state.running -= 1;
                return None;
            }
            let waited = self.work.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, due: Due) {
        let Due { callback, outcome } = due;
        let call = AssertUnwindSafe(|| callback(outcome.into_receipt()));
        if let Err(payload) = catch_unwind(call) {
            self.panics.fetch_add(1, Ordering::Relaxed);
            // Dropping what it panicked with would be another chance to panic.
            std::mem::forget(payload);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Registered {
    /// Called after the engine's lock was released, by whoever completed the operation.
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((mut ticket, callback)) = place.take() else {
            return;
        };
        match ticket.poll_outcome(&waker) {
            Poll::Pending => *place = Some((ticket, callback)),
            Poll::Ready(outcome) => {
                drop(place);
                let due = Due { callback, outcome };
                self.callbacks.lock().due.push_back(due);
                self.callbacks.work.notify_one();
            }
        }
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
