//! The threads that run the application's callbacks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use super::crew::Spawn;
use crate::driver::{Ticket, park_on};
use crate::guard::guarded;
use crate::io::{Now, Outcome};

thread_local! {
    /// Whether this thread runs callbacks, of whichever producer.
    static RUNS_CALLBACKS: Cell<bool> = const { Cell::new(false) };
}

/// What [`Delivery::on_done`](super::Delivery::on_done) was given.
pub(super) type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// A bounded pool of threads: started as callbacks are registered, kept until the producer is closed.
#[derive(Debug)]
pub(super) struct Callbacks {
    name: String,
    max_threads: usize,
    max_registered: usize,
    spawn: Box<dyn Spawn>,
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
    /// Threads of this `name`, at least one; callbacks beyond `max_registered` wait to be taken.
    pub(super) fn new(
        name: String,
        max_threads: usize,
        max_registered: usize,
        spawn: impl Spawn,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            max_threads,
            max_registered,
            spawn: Box::new(spawn),
            panics: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
        })
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Has the callback run when the ticket has its outcome.
    pub(super) fn register(self: &Arc<Self>, mut ticket: Ticket, callback: Callback) {
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
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Closes, and waits for the threads to end until `deadline`; not on one of them.
    pub(super) fn join(&self, deadline: Instant) {
        self.close();
        if RUNS_CALLBACKS.get() {
            return;
        }
        let mut state = self.lock();
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Now::system().mono);
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
        let work = Box::new(move || callbacks.work());
        if let Ok(thread) = self.spawn.spawn(self.name.clone(), work) {
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
        if guarded(|| callback(outcome)).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use rocketmq_proto::Message;

    use crate::driver::Setup;
    use crate::driver::threads::{Producer, Spawn};

    /// A system that has no threads left but the one it runs nothing on.
    #[derive(Debug)]
    struct Refusing;

    impl Spawn for Refusing {
        #[expect(
            clippy::disallowed_methods,
            reason = "the thread that moves the bytes, over at once"
        )]
        fn spawn(
            &self,
            name: String,
            body: Box<dyn FnOnce() + Send>,
        ) -> io::Result<std::thread::JoinHandle<()>> {
            if name.ends_with("-callback") {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(std::thread::spawn(body))
        }
    }

    #[test]
    fn when_the_system_refuses_a_thread_the_caller_runs_the_callback() {
        let mut setup = Setup::new("refused");
        setup.name_servers(["127.0.0.1:1"]);
        let (handle, supervisor) = setup.start().unwrap();
        let producer =
            Producer::start(handle, 1, None, Refusing, Some(Box::new(|| ())), None).unwrap();
        let delivery = producer.enqueue(Message::new("orders", "x")).unwrap();
        drop(supervisor);
        let (tell, told) = mpsc::channel();
        delivery.on_done(move |outcome| tell.send(outcome).unwrap());
        let outcome = told
            .try_recv()
            .expect("it was called before on_done returned");
        assert!(outcome.is_err());
    }
}
