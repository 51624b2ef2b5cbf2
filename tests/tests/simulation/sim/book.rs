//! The book of what was asked for and what became of it: each operation completes exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rocketmq_engine::{OpId, Outcome, ProducerId};

#[derive(Default)]
pub(super) struct Book {
    pub(super) records: Vec<Record>,
    /// Operations that have not completed.
    live: BTreeMap<OpId, usize>,
    /// Which record a message belongs to.
    pub(super) by_key: BTreeMap<String, usize>,
    /// Messages with a timer, which brokers that ignore timers must never get.
    pub(super) timed: BTreeSet<String>,
    /// How many sends of a producer were live when it was first told to end.
    live_at_end: BTreeMap<ProducerId, u64>,
    /// Which request each correlation id was given to.
    pub(super) asked: BTreeMap<String, String>,
    /// Replies that brokers pushed, and those of which the engine said that they arrived.
    pub(super) pushes: i32,
    pub(super) pushes_taken: u64,
    /// Frames of sends so far.
    pub(super) turns: usize,
}

/// One call of the application.
pub(super) struct Record {
    pub(super) producer: ProducerId,
    pub(super) what: What,
    pub(super) topic: String,
    /// What is to be stored; several in a batch, none for questions.
    pub(super) messages: Vec<Expected>,
    pub(super) place: Place,
    /// By when it must be complete.
    pub(super) by: Option<Duration>,
    pub(super) admitted: bool,
    /// Whether it may share a frame with others.
    pub(super) may_share: bool,
    /// Whether it is a half message.
    pub(super) half: bool,
    /// Connection, broker and queue of each frame that carried it.
    pub(super) carried: Vec<Carried>,
    pub(super) end: Option<End>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    Admin,
    /// A check-back that a listener works on.
    Check,
    /// The end of a transaction.
    End,
    Flush,
    Oneway,
    Queues,
    Ready,
    Request,
    Send,
    Shutdown,
}

pub(super) struct Expected {
    pub(super) unique_key: String,
    pub(super) body: Bytes,
    pub(super) tag: String,
    pub(super) key: String,
    pub(super) flag: i32,
}

/// Where a message has to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Any,
    /// The index in the list of all queues, as Java computes it.
    Hash(i32),
    Queue(String, i32),
    /// Wherever chance has it, at the first try.
    Random,
    /// Wherever the closure, once asked, says.
    Select,
}

pub(super) struct Carried {
    /// Its place among all frames of the world.
    pub(super) turn: usize,
    pub(super) wire: u64,
    pub(super) broker: String,
    pub(super) queue_id: i32,
}

pub(super) enum End {
    Abandoned,
    /// Not even accepted.
    Refused,
    Outcome(Outcome),
}

impl Book {
    /// Enters an operation that was accepted.
    pub(super) fn accepted(&mut self, op: OpId, record: Record) -> Result<(), String> {
        let index = self.enter(record)?;
        match self.live.insert(op, index) {
            Some(_) => Err(format!("{op} was given to two operations")),
            None => Ok(()),
        }
    }

    /// Enters an operation that was refused.
    pub(super) fn refused(&mut self, mut record: Record) -> Result<(), String> {
        record.end = Some(End::Refused);
        self.enter(record).map(|_| ())
    }

    pub(super) fn admitted(&mut self, op: OpId) -> Result<(), String> {
        let record = self.live_record(op)?;
        if std::mem::replace(&mut record.admitted, true) {
            return Err(format!("{op} was admitted twice"));
        }
        Ok(())
    }

    pub(super) fn completed(&mut self, op: OpId, outcome: Outcome) -> Result<(), String> {
        let record = self.live_record(op)?;
        if !record.admitted && !matches!(outcome, Outcome::Failed(_)) {
            return Err(format!("{op} succeeded without a permit"));
        }
        let fits = matches!(
            (record.what, &outcome),
            (_, Outcome::Failed(_))
                | (
                    What::Check | What::End | What::Flush | What::Oneway | What::Ready,
                    Outcome::Done
                )
                | (What::Admin, Outcome::Admin(_))
                | (What::Queues, Outcome::Queues(_))
                | (What::Request, Outcome::Replied(_))
                | (What::Send, Outcome::Sent(_))
                | (What::Shutdown, Outcome::Shutdown(_))
        );
        if !fits {
            return Err(format!("{op}, a {:?}, ended as {outcome:?}", record.what));
        }
        let report = match &outcome {
            Outcome::Shutdown(report) => Some(*report),
            _ => None,
        };
        let producer = record.producer;
        record.end = Some(End::Outcome(outcome));
        self.live.remove(&op);
        let Some(report) = report else { return Ok(()) };
        let counted = report.delivered + report.failed + report.abandoned;
        let live = self.live_at_end.get(&producer);
        if live != Some(&counted) {
            return Err(format!("{live:?} sends were under way, but: {report:?}"));
        }
        Ok(())
    }

    /// A waiting operation was taken back.
    pub(super) fn abandoned(&mut self, op: OpId) -> Result<(), String> {
        let record = self.live_record(op)?;
        if record.admitted {
            return Err(format!("{op} was given back though it was admitted"));
        }
        record.end = Some(End::Abandoned);
        self.live.remove(&op);
        Ok(())
    }

    /// After a tick, nothing may be live beyond its time (DESIGN 6, deadline).
    pub(super) fn check_overdue(&self, now: Duration) -> Result<(), String> {
        for (op, index) in &self.live {
            let record = &self.records[*index];
            if record.by.is_some_and(|by| by <= now) {
                let (what, by) = (record.what, record.by);
                return Err(format!("{op}, a {what:?}, is live though due at {by:?}"));
            }
        }
        Ok(())
    }

    /// Time stood still: whoever waits for a shutdown waits so much longer, since its second stage
    /// begins when the first is seen to be over.
    pub(super) fn stood_still(&mut self, time: Duration) {
        for index in self.live.values() {
            let record = &mut self.records[*index];
            if record.what == What::Shutdown {
                record.by = record.by.map(|by| by + time);
            }
        }
    }

    pub(super) fn is_live(&self, op: OpId) -> bool {
        self.live.contains_key(&op)
    }

    pub(super) fn live_record(&mut self, op: OpId) -> Result<&mut Record, String> {
        let Some(index) = self.live.get(&op) else {
            return Err(format!("{op} does not exist, or has completed before"));
        };
        Ok(&mut self.records[*index])
    }

    /// A producer is told to end.
    pub(super) fn ends(&mut self, producer: ProducerId) {
        let sends = self.live.values().map(|index| &self.records[*index]);
        let its_own = sends.filter(|record| record.producer == producer && record.is_send());
        let live = its_own.count() as u64;
        self.live_at_end.entry(producer).or_insert(live);
    }

    /// Whether a producer was told to end.
    pub(super) fn is_ending(&self, producer: ProducerId) -> bool {
        self.live_at_end.contains_key(&producer)
    }

    /// Sends that have not completed.
    pub(super) fn live_sends(&self) -> u64 {
        let live = self.live.values().map(|index| &self.records[*index]);
        live.filter(|record| record.is_send()).count() as u64
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (&OpId, &Record)> {
        self.live
            .iter()
            .map(|(op, index)| (op, &self.records[*index]))
    }

    pub(super) fn ops_waiting(&self) -> Vec<OpId> {
        self.live()
            .filter(|(_, record)| !record.admitted)
            .map(|(op, _)| *op)
            .collect()
    }

    fn enter(&mut self, record: Record) -> Result<usize, String> {
        let index = self.records.len();
        for message in &record.messages {
            let key = message.unique_key.clone();
            if self.by_key.insert(key, index).is_some() {
                return Err(format!("two messages are {}", message.unique_key));
            }
        }
        self.records.push(record);
        Ok(index)
    }
}

impl Record {
    fn is_send(&self) -> bool {
        matches!(self.what, What::Oneway | What::Request | What::Send)
    }
}
