//! Where lines come from, and what ends them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::vec;

use crate::lines::{Line, read_lines};

/// Parts of the input that are read ahead.
const READ_AHEAD: usize = 4;

/// The lines, as they are read.
pub(crate) struct Input {
    parts: Receiver<Part>,
    /// What is left of the last part that was read.
    part: vec::IntoIter<Line>,
    stop: Stop,
    interrupted: Arc<AtomicBool>,
    error: Option<io::Error>,
}

/// Ends the input before its end.
#[derive(Clone)]
pub(crate) struct Stop {
    stopped: Arc<AtomicBool>,
    parts: SyncSender<Part>,
}

/// What is yet to be read.
pub(crate) struct Source(SyncSender<Part>);

enum Part {
    End,
    Error(io::Error),
    Lines(Vec<Line>),
}

impl Input {
    /// To be called before there are other threads: Ctrl-C must reach the one that waits for it.
    pub(crate) fn new() -> (Self, Source) {
        let (tell, parts) = mpsc::sync_channel(READ_AHEAD);
        let stop = Stop {
            stopped: Arc::default(),
            parts: tell.clone(),
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        watch_for_interrupt(stop.clone(), interrupted.clone());
        let part = Vec::new().into_iter();
        (
            Self {
                parts,
                part,
                stop,
                interrupted,
                error: None,
            },
            Source(tell),
        )
    }

    /// The next line; `None` at the end of the input and after a stop.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        loop {
            if self.stop.stopped.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(line) = self.part.next() {
                return Some(line);
            }
            match self.parts.recv() {
                Ok(Part::Lines(lines)) => self.part = lines.into_iter(),
                Ok(Part::Error(error)) => {
                    self.error = Some(error);
                    return None;
                }
                Ok(Part::End) | Err(_) => return None,
            }
        }
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    pub(crate) fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

impl Stop {
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // When the channel is full, nobody waits at its other end.
        let _ = self.parts.try_send(Part::End);
    }
}

impl Source {
    /// Reads standard input, on a thread that nobody waits for: a read cannot be given up.
    pub(crate) fn read(self, limit: usize) {
        thread::spawn(move || {
            let take = |lines| self.0.send(Part::Lines(lines)).is_ok();
            let end = read_lines(io::stdin().lock(), limit, take);
            // Nobody is left to tell when this fails.
            let _ = self.0.send(end.map_or_else(Part::Error, |()| Part::End));
        });
    }
}

#[cfg(unix)]
fn watch_for_interrupt(stop: Stop, interrupted: Arc<AtomicBool>) {
    use nix::sys::signal::{SigSet, Signal};

    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    if signals.thread_block().is_err() {
        return;
    }
    thread::spawn(move || {
        if signals.wait().is_ok() {
            interrupted.store(true, Ordering::SeqCst);
            stop.stop();
        }
    });
}

#[cfg(not(unix))]
fn watch_for_interrupt(_stop: Stop, _interrupted: Arc<AtomicBool>) {}
