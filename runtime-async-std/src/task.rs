//! Tasks, and a set of them that is one future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A piece of a producer's background work, for an executor: poll it to its end.
#[must_use = "a task that is dropped ends what it serves"]
pub struct Task(Pin<Box<dyn Future<Output = ()> + Send>>);

/// Tasks that are polled one by one, each only when it was woken, so that a wake-up costs the same
/// beside one connection as beside many.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Of the present turn; kept for its room.
    awake: Vec<usize>,
    bells: Arc<Bells>,
}

#[derive(Debug)]
struct Slot {
    task: Option<Task>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Which slots were woken, and whom to tell.
#[derive(Debug, Default)]
struct Bells(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    slots: Vec<usize>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Bell {
    slot: usize,
    /// Whether it is on the list, so that it is there once at most.
    rung: AtomicBool,
    bells: Arc<Bells>,
}

impl Task {
    pub(crate) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

impl Tasks {
    /// Takes a task in, to be polled at the next turn.
    pub(crate) fn push(&mut self, task: Task) {
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot::new(index, self.bells.clone()));
        }
        let slot = &mut self.slots[index];
        slot.task = Some(task);
        slot.bell.ring();
    }

    /// Polls every task that was woken, once. `Ready` when there are no tasks.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        self.bells.answer(waker, &mut self.awake);
        while let Some(index) = self.awake.pop() {
            let slot = &mut self.slots[index];
            // Before the poll: what rings from here on needs another.
            slot.bell.rung.swap(false, Ordering::AcqRel);
            let Some(task) = &mut slot.task else {
                continue;
            };
            let mut cx = Context::from_waker(&slot.waker);
            if Pin::new(task).poll(&mut cx).is_ready() {
                slot.task = None;
                self.free.push(index);
            }
        }
        if self.free.len() == self.slots.len() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Slot {
    fn new(slot: usize, bells: Arc<Bells>) -> Self {
        let bell = Arc::new(Bell {
            slot,
            rung: AtomicBool::new(false),
            bells,
        });
        Self {
            task: None,
            waker: bell.clone().into(),
            bell,
        }
    }
}

impl Bells {
    /// Swaps the list for an empty one. From now on `waker` is called when it gets its first entry:
    /// before the tasks are polled, so that what rings meanwhile is not missed.
    fn answer(&self, waker: &Waker, list: &mut Vec<usize>) {
        let mut rung = self.lock();
        rung.waker = Some(waker.clone());
        std::mem::swap(&mut rung.slots, list);
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let waker = {
            let mut rung = self.bells.lock();
            rung.slots.push(self.slot);
            rung.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
