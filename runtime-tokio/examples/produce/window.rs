//! What is under way, oldest first: results come out in the order in which the messages went in.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use rocketmq_tokio::{Batch, Certainty, Message, Producer, SendError};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::produce_report::Outcome;

/// Bodies under way at most, in KiB. Below the producer's own bound (100 MiB), so that no message
/// spends its time waiting for room there.
const KIB: usize = 64 * 1024;
/// Lines that may wait for the result of an earlier one: a slow one does not stop the others at once.
const WAITING: usize = 64 * 1024;

/// Lines that have no result yet, or wait for the result of an earlier one.
#[derive(Debug)]
pub(crate) struct Window {
    flights: VecDeque<Flight>,
    /// In all flights.
    lines: usize,
    /// Most lines under way.
    limit: usize,
    line_room: Arc<Semaphore>,
    kib_room: Arc<Semaphore>,
}

/// Lines that went together.
#[derive(Debug)]
struct Flight {
    lines: Vec<u64>,
    result: Pending,
}

#[derive(Debug)]
enum Pending {
    Over(SendError),
    UnderWay(JoinHandle<Outcome>),
}

/// The right to have lines under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    _lines: Result<OwnedSemaphorePermit, AcquireError>,
    _kib: Result<OwnedSemaphorePermit, AcquireError>,
}

impl Window {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            flights: VecDeque::new(),
            lines: 0,
            limit,
            line_room: Arc::new(Semaphore::new(limit)),
            kib_room: Arc::new(Semaphore::new(KIB)),
        }
    }

    /// Waits for room. What is larger than the whole window gets the whole window.
    pub(crate) fn room(&self, lines: usize, bytes: usize) -> impl Future<Output = Room> + use<> {
        // Both are small enough: the first by its argument's bound, the second by its constant.
        let lines = lines.min(self.limit) as u32;
        let kib = bytes.div_ceil(1024).min(KIB) as u32;
        let (line_room, kib_room) = (self.line_room.clone(), self.kib_room.clone());
        async move {
            Room {
                _lines: line_room.acquire_many_owned(lines).await,
                _kib: kib_room.acquire_many_owned(kib).await,
            }
        }
    }

    /// Whether the oldest results must be taken before more lines are sent.
    pub(crate) fn is_full(&self) -> bool {
        self.lines >= self.limit + WAITING
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Sends a message; they leave in the order of these calls. There is room, so it does not wait.
    pub(crate) async fn send(
        &mut self,
        producer: &Producer,
        line: u64,
        message: Message,
        room: Room,
    ) {
        match producer.enqueue(message).await {
            Ok(delivery) => self.push(vec![line], room, async { delivery.await.map(Some) }),
            Err(error) => self.refuse(vec![line], error),
        }
    }

    pub(crate) fn send_batch(
        &mut self,
        producer: &Producer,
        lines: Vec<u64>,
        batch: Batch,
        room: Room,
    ) {
        let sending = producer.send_batch(batch);
        self.push(lines, room, async { sending.await.map(Some) });
    }

    pub(crate) fn send_oneway(
        &mut self,
        producer: &Producer,
        line: u64,
        message: Message,
        room: Room,
    ) {
        let producer = producer.clone();
        let sending = async move { producer.send_oneway(message).await };
        self.push(vec![line], room, async { sending.await.map(|()| None) });
    }

    /// Lines that cannot be sent, in their place among the others.
    pub(crate) fn refuse(&mut self, lines: Vec<u64>, error: SendError) {
        self.lines += lines.len();
        let result = Pending::Over(error);
        self.flights.push_back(Flight { lines, result });
    }

    /// The result of the oldest. Dropping this loses nothing. Without any it never returns.
    pub(crate) async fn next(&mut self) -> (Vec<u64>, Outcome) {
        let Some(oldest) = self.flights.front_mut() else {
            return std::future::pending().await;
        };
        let outcome = match &mut oldest.result {
            Pending::Over(error) => Err(error.clone()),
            // A task that sends ends with its result, unless the runtime is torn down.
            Pending::UnderWay(task) => task
                .await
                .unwrap_or_else(|_| Err(SendError::closed(Certainty::Unknown))),
        };
        let lines = std::mem::take(&mut oldest.lines);
        self.lines -= lines.len();
        self.flights.pop_front();
        (lines, outcome)
    }

    fn push(
        &mut self,
        lines: Vec<u64>,
        room: Room,
        sending: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.lines += lines.len();
        let task = tokio::spawn(async move {
            let outcome = sending.await;
            drop(room);
            outcome
        });
        let result = Pending::UnderWay(task);
        self.flights.push_back(Flight { lines, result });
    }
}
