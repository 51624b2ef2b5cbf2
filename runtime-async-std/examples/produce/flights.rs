//! What is under way: how much of it there may be, and in which order its results are told.

use std::future::{Future, poll_fn};
use std::io::Stdout;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use smol::channel::Receiver;
use smol::future::poll_once;

use crate::produce_report::{Outcome, Report};

/// Bodies under way at most, unless a single message or batch is larger. Below the producer's own
/// bound (100 MiB), so that no message spends its time waiting for room there.
const BYTES: usize = 64 * 1024 * 1024;

/// Lines that went together, and what will become of them.
pub(crate) struct Flight {
    pub(crate) lines: Vec<u64>,
    pub(crate) outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

/// How much may be under way. One task asks for room.
#[derive(Debug)]
pub(crate) struct Room {
    lines: usize,
    taken: Mutex<Taken>,
}

/// The right to be under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    room: Arc<Room>,
    lines: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Taken {
    lines: usize,
    bytes: usize,
    waiting: Option<Waker>,
}

/// Reports results in the order in which the flights began, until there are no more. Whoever reads
/// them gets what there is before this waits. Sets `broken` when nobody reads them any more.
pub(crate) async fn report_all(
    flights: Receiver<Flight>,
    mut report: Report<Stdout>,
    broken: Arc<AtomicBool>,
) -> Report<Stdout> {
    loop {
        let next = match poll_once(flights.recv()).await {
            Some(next) => next,
            None => {
                show(&mut report);
                flights.recv().await
            }
        };
        let Ok(mut flight) = next else {
            show(&mut report);
            return report;
        };
        let outcome = match poll_once(&mut flight.outcome).await {
            Some(outcome) => outcome,
            None => {
                show(&mut report);
                flight.outcome.await
            }
        };
        report.settled(&flight.lines, &outcome);
        broken.fetch_or(report.broken().is_some(), Ordering::Relaxed);
    }
}

fn show(report: &mut Report<Stdout>) {
    if report.is_dirty() {
        report.flush();
    }
}

impl Room {
    pub(crate) fn new(lines: usize) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self { lines, taken })
    }

    /// Waits for room. What is larger than all of it goes alone.
    pub(crate) async fn take(self: &Arc<Self>, lines: usize, bytes: usize) -> Permit {
        poll_fn(|cx| {
            let mut taken = self.lock();
            let fits = taken.lines + lines <= self.lines && taken.bytes + bytes <= BYTES;
            if !fits && taken.lines > 0 {
                taken.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            taken.lines += lines;
            taken.bytes += bytes;
            Poll::Ready(())
        })
        .await;
        let room = self.clone();
        Permit { room, lines, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.lines -= self.lines;
        taken.bytes -= self.bytes;
        let waiting = taken.waiting.take();
        drop(taken);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}
