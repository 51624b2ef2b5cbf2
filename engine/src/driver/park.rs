//! Waiting on a thread: what plain threads have instead of an executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    static PARKER: (Arc<Parker>, Waker) = parker();
}

/// Polls until there is something, and sleeps in between; `None` when there was nothing by
/// `deadline`, if there is one. A deadline that has passed still polls once.
///
/// No wake-up is missed, wherever between the poll and the sleep it falls, and whoever else parks
/// and unparks this thread; one without a reason costs a poll. The waker belongs to the thread, so
/// waiting allocates nothing. `poll` itself must not wait in this way, and nothing of this is for
/// the task of an executor: it blocks the thread.
pub fn park_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Option<T> {
    // The thread-local one is gone while the thread is being torn down.
    let (parker, waker) = PARKER.try_with(Clone::clone).unwrap_or_else(|_| parker());
    loop {
        if let Poll::Ready(value) = poll(&waker) {
            return Some(value);
        }
        while !parker.take_ring() {
            if !park(deadline) {
                return None;
            }
        }
    }
}

/// The same without a deadline.
pub fn park_on<T>(mut poll: impl FnMut(&Waker) -> Poll<T>) -> T {
    loop {
        if let Some(value) = park_until(None, &mut poll) {
            return value;
        }
    }
}

/// A thread that can be rung out of its sleep.
#[derive(Debug)]
struct Parker {
    thread: Thread,
    /// Beside the thread's own token, which others who park this thread may take away.
    rung: AtomicBool,
}

impl Parker {
    fn take_ring(&self) -> bool {
        self.rung.swap(false, Ordering::Acquire)
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

fn parker() -> (Arc<Parker>, Waker) {
    let parker = Arc::new(Parker {
        thread: thread::current(),
        rung: AtomicBool::new(false),
    });
    let waker = Waker::from(parker.clone());
    (parker, waker)
}

/// Sleeps a while; false when the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where a driver of threads waits"
)]
fn park(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        thread::park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    thread::park_timeout(left);
    true
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "threads are what is tested here")]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Place {
        value: Option<u32>,
        waker: Option<Waker>,
    }

    impl Place {
        fn poll(&mut self, waker: &Waker) -> Poll<u32> {
            match self.value.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    self.waker = Some(waker.clone());
                    Poll::Pending
                }
            }
        }
    }

    #[test]
    fn no_wake_up_is_missed() {
        const ROUNDS: u32 = 20_000;
        let place = Mutex::new(Place::default());
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    // Only when somebody asked: the ring then falls anywhere around his sleep.
                    let waker = loop {
                        let mut place = place.lock().unwrap();
                        if let Some(waker) = place.waker.take() {
                            place.value = Some(round);
                            break waker;
                        }
                        drop(place);
                        thread::yield_now();
                    };
                    waker.wake();
                }
            });
            for round in 0..ROUNDS {
                assert_eq!(park_on(|waker| place.lock().unwrap().poll(waker)), round);
            }
        });
    }

    #[test]
    fn a_wake_up_during_the_poll_counts() {
        let mut polls = 0;
        let polled = park_on(|waker| {
            polls += 1;
            waker.wake_by_ref();
            // Takes the token of the thread, as a library that parks it might.
            thread::park_timeout(Duration::from_nanos(1));
            if polls == 3 {
                Poll::Ready(polls)
            } else {
                Poll::Pending
            }
        });
        assert_eq!(polled, 3);
    }

    #[test]
    fn wake_ups_without_a_reason_do_no_harm() {
        let thread = thread::current();
        for _ in 0..3 {
            thread.unpark();
        }
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut polls = 0;
        let nothing = park_until(Some(deadline), |_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!((nothing, polls), (None, 1), "a token alone is no ring");
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn a_deadline_that_has_passed_still_polls_once() {
        let past = Instant::now();
        assert_eq!(park_until(Some(past), |_| Poll::Ready(1)), Some(1));
        assert_eq!(park_until(Some(past), |_| Poll::<()>::Pending), None);
    }
}
