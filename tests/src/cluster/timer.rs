//! Answers that are to be late. The thread starts with the first of them.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{conn::Conn, lock};

#[derive(Debug, Default)]
pub(super) struct Timer(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    late: Sender<Late>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Late {
    due: Instant,
    conn: Arc<Conn>,
    bytes: Bytes,
}

impl Timer {
    /// Writes the bytes after this time; not at all if the connection is gone by then.
    pub(super) fn write_later(
        &self,
        after: Duration,
        conn: Arc<Conn>,
        bytes: Bytes,
    ) -> io::Result<()> {
        // A delay beyond what the clock can count is never over.
        let Some(due) = Instant::now().checked_add(after) else {
            return Ok(());
        };
        let mut running = lock(&self.0);
        let running = match &mut *running {
            Some(running) => running,
            stopped => stopped.insert(Running::start()?),
        };
        let gone = |_| io::Error::other("the timer thread ended");
        running.late.send(Late { due, conn, bytes }).map_err(gone)
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let (late, waiting) = channel();
        let name = "testkit timer".to_owned();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || run(&waiting))?;
        Ok(Self { late, thread })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Running { late, thread }) = running.take() {
            drop(late);
            let _ = thread.join();
        }
    }
}

/// Ends when the sender is dropped; what is late then is never written.
fn run(waiting: &Receiver<Late>) {
    let mut heap: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut late = std::collections::HashMap::new();
    let mut arrivals = 0;
    loop {
        let now = Instant::now();
        while heap.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((_, arrival))) = heap.pop() else {
                break;
            };
            if let Some(Late { conn, bytes, .. }) = late.remove(&arrival) {
                conn.write(&bytes);
            }
        }
        let next = match heap.peek() {
            Some(Reverse((due, _))) => {
                waiting.recv_timeout(due.saturating_duration_since(Instant::now()))
            }
            None => waiting.recv().map_err(RecvTimeoutError::from),
        };
        match next {
            Ok(one) => {
                arrivals += 1;
                heap.push(Reverse((one.due, arrivals)));
                late.insert(arrivals, one);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
