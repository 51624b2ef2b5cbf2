//! What is under way, oldest first: results come out in the order in which the messages went in.

use std::collections::VecDeque;

use rocketmq_tokio::{Batch, Delivery, Message, Producer, SendError, SendReceipt};
use tokio::task::JoinHandle;

use crate::produce_report::Outcome;

/// Bodies under way at most, unless a single message or batch is larger. Below the producer's own
/// bound (100 MiB), so that no message spends its time waiting for room there.
const BYTES: usize = 64 * 1024 * 1024;

/// Lines that have no result yet, or wait for the result of an earlier one.
#[derive(Debug)]
pub(crate) struct Window {
    flights: VecDeque<Flight>,
    limit: usize,
    lines: usize,
    bytes: usize,
}

/// Lines that went together.
#[derive(Debug)]
struct Flight {
    lines: Vec<u64>,
    bytes: usize,
    result: Pending,
}

#[derive(Debug)]
enum Pending {
    Batch(JoinHandle<Result<SendReceipt, SendError>>),
    Message(Delivery),
    Oneway(JoinHandle<Result<(), SendError>>),
    Over(SendError),
}

impl Window {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            flights: VecDeque::new(),
            limit,
            lines: 0,
            bytes: 0,
        }
    }

    pub(crate) fn has_room(&self, lines: usize, bytes: usize) -> bool {
        self.is_empty() || (self.lines + lines <= self.limit && self.bytes + bytes <= BYTES)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Sends a message. There is room for it, so this does not wait.
    pub(crate) async fn send(&mut self, producer: &Producer, line: u64, message: Message) {
        let bytes = message.body().len();
        let result = match producer.enqueue(message).await {
            Ok(delivery) => Pending::Message(delivery),
            Err(error) => Pending::Over(error),
        };
        self.push(vec![line], bytes, result);
    }

    pub(crate) fn send_batch(&mut self, producer: &Producer, lines: Vec<u64>, batch: Batch) {
        let bytes = batch.encoded_len();
        let sending = tokio::spawn(producer.send_batch(batch));
        self.push(lines, bytes, Pending::Batch(sending));
    }

    pub(crate) fn send_oneway(&mut self, producer: &Producer, line: u64, message: Message) {
        let bytes = message.body().len();
        let producer = producer.clone();
        let sending = tokio::spawn(async move { producer.send_oneway(message).await });
        self.push(vec![line], bytes, Pending::Oneway(sending));
    }

    /// Lines that cannot be sent, in their place among the others.
    pub(crate) fn refuse(&mut self, lines: Vec<u64>, error: SendError) {
        self.push(lines, 0, Pending::Over(error));
    }

    /// The result of the oldest. Dropping this loses nothing. Without any it never returns.
    pub(crate) async fn next(&mut self) -> (Vec<u64>, Outcome) {
        let Some(oldest) = self.flights.front_mut() else {
            return std::future::pending().await;
        };
        let outcome = oldest.result.outcome().await;
        let lines = std::mem::take(&mut oldest.lines);
        self.lines -= lines.len();
        self.bytes -= oldest.bytes;
        self.flights.pop_front();
        (lines, outcome)
    }

    fn push(&mut self, lines: Vec<u64>, bytes: usize, result: Pending) {
        self.lines += lines.len();
        self.bytes += bytes;
        self.flights.push_back(Flight {
            lines,
            bytes,
            result,
        });
    }
}

impl Pending {
    async fn outcome(&mut self) -> Outcome {
        match self {
            Self::Batch(sending) => joined(sending).await.map(Some),
            Self::Message(delivery) => delivery.await.map(Some),
            Self::Oneway(sending) => joined(sending).await.map(|()| None),
            Self::Over(error) => Err(error.clone()),
        }
    }
}

/// A task that sends ends with its result, unless the runtime is torn down.
async fn joined<T>(sending: &mut JoinHandle<Result<T, SendError>>) -> Result<T, SendError> {
    match sending.await {
        Ok(result) => result,
        Err(_) => Err(SendError::closed(rocketmq_tokio::Certainty::Unknown)),
    }
}
