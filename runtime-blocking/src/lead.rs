//! Who moves the bytes: the producer's own thread, or a caller that has to wait anyway.
//!
//! One thread at a time leads: it has the [`Driver`], sleeps in its poll and serves all connections.
//! A caller that leads takes its answer by itself; nobody has to wake it.
//!
//! | state | the driver is | the I/O thread |
//! |---|---|---|
//! | kept | with the I/O thread | leads; callers are parked and woken |
//! | led | with a caller | sleeps; looks after [`PATIENCE`] once, then until it is called |
//! | free | in its place: nobody waits for anything | sleeps, for [`PATIENCE`] at most |
//! | over | gone: the producer is closed | has ended |
//!
//! *Kept* becomes *free* when lone callers come in quick succession and nothing is under way; *free*
//! becomes *led* with the next one, and *led* becomes *free* when it has its outcome. *Led* becomes
//! *kept* when others wait for something as the caller leaves; *free* becomes *kept* when no caller
//! comes, and at once when the bell rings. So an idle producer's thread sleeps in the poll.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_engine::driver::threads;

use crate::bell::{Bell, CallersBell};
use crate::driver::Driver;

/// How long nobody moves bytes at most. What a server says unasked waits for so long.
const PATIENCE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Lead {
    place: Mutex<Place>,
    /// A lone caller came and found the I/O thread leading.
    missed: AtomicBool,
    patience: Duration,
    bell: Arc<Bell>,
    /// The doorbell for the caller that leads.
    caller: Waker,
}

#[derive(Debug)]
struct Place {
    /// What is served, while it is free.
    driver: Option<Box<Driver>>,
    /// Whether it is the I/O thread's as soon as it is free.
    reserved: bool,
    /// Whether no caller may have it any more.
    kept: bool,
    /// How often callers have led.
    leads: u64,
    over: bool,
}

/// The driver, in the hands of the thread that leads. Goes back to its place in the end.
struct Leading<'a> {
    lead: &'a Lead,
    /// `None` when a turn panicked, and at the end.
    driver: Option<Box<Driver>>,
}

impl Lead {
    pub(crate) fn new(driver: Driver) -> Self {
        let bell = driver.bell().clone();
        Self {
            place: Mutex::new(Place {
                driver: Some(Box::new(driver)),
                reserved: true,
                kept: false,
                leads: 0,
                over: false,
            }),
            missed: AtomicBool::new(false),
            patience: PATIENCE,
            caller: Arc::new(CallersBell(bell.clone())).into(),
            bell,
        }
    }

    /// The I/O thread: serves the producer until it is closed.
    pub(crate) fn run(&self) {
        self.bell.is_heard_here();
        while let Some(mut leading) = self.stand_by() {
            let mut missed_at = None;
            while !(self.is_to_stand_aside(&mut missed_at) && leading.is_quiet()) {
                if !leading.turn() {
                    return leading.end();
                }
            }
        }
    }

    /// Waits until the I/O thread is to lead; `None` when there is nothing to lead any more.
    fn stand_by(&self) -> Option<Leading<'_>> {
        let mut seen = None;
        loop {
            let mut place = self.lock();
            if place.over {
                return None;
            }
            // Without a new lead since the last look the callers have gone, or one leads for long.
            if place.reserved || seen == Some(place.leads) || self.bell.has_work() {
                place.reserved = place.driver.is_none();
                if let Some(driver) = place.driver.take() {
                    return Some(Leading::new(self, driver));
                }
            }
            let (reserved, leads) = (place.reserved, place.leads);
            drop(place);
            seen = Some(leads);
            if reserved {
                thread::park();
            } else {
                thread::park_timeout(self.patience);
            }
        }
    }

    /// Whether lone callers come in quick succession.
    fn is_to_stand_aside(&self, missed_at: &mut Option<Instant>) -> bool {
        if !self.missed.load(Ordering::Relaxed) {
            return false;
        }
        self.missed.store(false, Ordering::Relaxed);
        let now = Instant::now();
        let before = missed_at.replace(now);
        before.is_some_and(|before| now.duration_since(before) <= self.patience)
    }

    /// A lone caller takes the driver, if nobody has it.
    fn take(&self) -> Option<Leading<'_>> {
        let mut place = self.lock();
        if place.kept {
            return None;
        }
        let driver = match place.driver.take() {
            Some(driver) if !place.reserved => driver,
            other => {
                place.driver = other;
                self.missed.store(true, Ordering::Relaxed);
                return None;
            }
        };
        place.leads += 1;
        Some(Leading::new(self, driver))
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        // Nothing under this lock panics.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl threads::Lead for Lead {
    fn lead(&self, is_over: &mut dyn FnMut(&Waker) -> bool) {
        let Some(mut leading) = self.take() else {
            return;
        };
        while !is_over(&self.caller) && leading.turn() {}
    }

    fn leave_to_io_thread(&self) {
        let mut place = self.lock();
        place.kept = true;
        place.reserved |= place.driver.is_some();
        self.bell.call();
    }
}

impl<'a> Leading<'a> {
    fn new(lead: &'a Lead, driver: Box<Driver>) -> Self {
        Self {
            lead,
            driver: Some(driver),
        }
    }

    /// One turn; false when the producer is closed.
    fn turn(&mut self) -> bool {
        // Not in its place while it runs: if it panics, it is gone.
        let Some(mut driver) = self.driver.take() else {
            return false;
        };
        let goes_on = driver.turn();
        self.driver = Some(driver);
        goes_on
    }

    fn is_quiet(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.is_quiet())
    }

    /// The producer is closed.
    fn end(mut self) {
        self.driver = None;
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let Lead { bell, .. } = self.lead;
        let mut place = self.lead.lock();
        // Looked at under the lock: who came to lead before this is seen, who comes later finds it free.
        let is_quiet = self.is_quiet();
        place.driver = self.driver.take();
        place.over = place.driver.is_none();
        place.reserved |= !is_quiet || place.kept;
        if place.reserved || place.over {
            bell.call();
        } else {
            bell.unattended();
        }
    }
}

#[cfg(test)]
#[path = "lead_tests.rs"]
mod tests;
