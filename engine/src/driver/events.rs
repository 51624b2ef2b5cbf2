//! Events for whoever wants to watch: bounded, lossy, counted (DESIGN 7).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use super::ticket::remember;
use crate::event::Event;

/// Events that one watcher has not taken yet, at most.
const CAPACITY: usize = 1024;

/// A subscription to a producer's events. When it is full, the oldest event makes room.
#[derive(Debug)]
pub struct Events(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    lost: u64,
    closed: bool,
    waker: Option<Waker>,
}

/// All subscriptions of a producer.
#[derive(Debug, Default)]
pub(super) struct Watchers(Vec<Weak<Mutex<Queue>>>);

impl Events {
    /// Takes the next event; `None` once the producer is closed and all were taken.
    pub fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Event>> {
        let mut queue = lock(&self.0);
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                remember(&mut queue.waker, waker);
                Poll::Pending
            }
        }
    }

    /// Takes the next event if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        lock(&self.0).events.pop_front()
    }

    /// How many events were dropped since nobody took them.
    pub fn lost(&self) -> u64 {
        lock(&self.0).lost
    }
}

impl Watchers {
    pub(super) fn subscribe(&mut self) -> Events {
        let queue = Arc::new(Mutex::new(Queue::default()));
        self.0.retain(|watcher| watcher.strong_count() > 0);
        self.0.push(Arc::downgrade(&queue));
        Events(queue)
    }

    /// Hands an event to every watcher; returns whom to wake.
    pub(super) fn publish(&self, event: &Event, wakers: &mut Vec<Waker>) {
        for queue in self.0.iter().filter_map(Weak::upgrade) {
            let mut queue = lock(&queue);
            if queue.events.len() == CAPACITY {
                queue.events.pop_front();
                queue.lost += 1;
            }
            queue.events.push_back(event.clone());
            wakers.extend(queue.waker.take());
        }
    }

    /// Tells every watcher that nothing more will come.
    pub(super) fn close(&mut self, wakers: &mut Vec<Waker>) {
        for queue in self.0.drain(..).filter_map(|watcher| watcher.upgrade()) {
            let mut queue = lock(&queue);
            queue.closed = true;
            wakers.extend(queue.waker.take());
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Nothing under this lock panics.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
