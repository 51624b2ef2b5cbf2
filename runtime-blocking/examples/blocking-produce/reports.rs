//! The thread that reports results, in the order in which the lines went in.

use std::io::{self, Stdout};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::{self, JoinHandle};

use rocketmq_blocking::{Certainty, SendError};

use crate::input::Stop;
use crate::produce_report::{Outcome, Report};

/// Lines that may wait for the result of an earlier one: a slow one does not stop the others at once.
const WAITING: usize = 64 * 1024;

/// Takes lines whose results are to be reported.
pub(crate) struct Reports {
    flights: SyncSender<Flight>,
    thread: JoinHandle<Report<Stdout>>,
}

/// Lines that went together.
struct Flight {
    lines: Vec<u64>,
    outcome: Receiver<Outcome>,
}

impl Reports {
    pub(crate) fn start(stop: Stop) -> Self {
        let (flights, coming) = mpsc::sync_channel(WAITING);
        let thread = thread::spawn(move || report(&coming, &stop));
        Self { flights, thread }
    }

    /// These lines are next. Their outcome goes into the channel that this returns.
    pub(crate) fn next(&self, lines: Vec<u64>) -> SyncSender<Outcome> {
        let (tell, outcome) = mpsc::sync_channel(1);
        // The thread only ends with this.
        let _ = self.flights.send(Flight { lines, outcome });
        tell
    }

    /// Waits for all results.
    pub(crate) fn finish(self) -> Report<Stdout> {
        drop(self.flights);
        self.thread
            .join()
            .unwrap_or_else(|_| Report::new(io::stdout()))
    }
}

fn report(flights: &Receiver<Flight>, stop: &Stop) -> Report<Stdout> {
    let mut report = Report::new(io::stdout());
    while let Some(Flight { lines, outcome }) = next(flights, &mut report) {
        // A producer answers every send, so the channel is not closed without an outcome.
        let lost = |_| Err(SendError::closed(Certainty::Unknown));
        let outcome = next(&outcome, &mut report).ok_or(()).unwrap_or_else(lost);
        report.settled(&lines, &outcome);
        if report.broken().is_some() {
            stop.stop();
        }
    }
    report.flush();
    report
}

/// Whoever reads the results gets what there is before this waits.
fn next<T>(from: &Receiver<T>, report: &mut Report<Stdout>) -> Option<T> {
    match from.try_recv() {
        Ok(value) => Some(value),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            if report.is_dirty() {
                report.flush();
            }
            from.recv().ok()
        }
    }
}
