//! Check-backs for whoever runs a listener: taken one by one, off the way of the bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Poll, Waker};

use rocketmq_proto::StoredMessage;

use super::handle::Handle;
use super::hub::Hub;
use super::park::park_on;
use super::ticket::{Slot, Ticket};
use crate::check_back::CheckBack;
use crate::guard::discard;
use crate::io::{Now, OpId, ProducerId};
use crate::transaction::Decision;

/// A producer's check-backs (PROTOCOL G.2). Whoever makes one has to serve it; clones take turns, so
/// there may be as many listeners at work as there are clones.
///
/// On plain threads that is [`serve`](Self::serve); tasks have
/// [`asynchronous::CheckBackListener`](super::asynchronous::CheckBackListener).
#[derive(Clone, Debug)]
pub struct CheckBacks {
    hub: Hub,
    producer: ProducerId,
}

/// A check-back that a listener is to work on. Dropped without an answer, it is answered as unknown
/// when its time ([`Config::check_timeout`](crate::Config::check_timeout)) is over.
#[derive(Debug)]
pub struct CheckJob {
    hub: Hub,
    op: OpId,
    over: Ticket,
}

impl Handle {
    /// Begins to take check-backs; those that came before were dropped.
    pub fn check_backs(&self) -> CheckBacks {
        let producer = self.producer();
        self.lock().engine.listen_for_checks(producer);
        CheckBacks {
            hub: Hub::clone(self),
            producer,
        }
    }
}

impl CheckBacks {
    /// The next check-back, with the half message that it is about, or what has to be answered when
    /// that cannot be decompressed. `None` once the producer is closed. As long as there is none,
    /// `waker` is called when there may be one.
    pub fn poll_next(
        &mut self,
        now: Now,
        waker: &Waker,
    ) -> Poll<Option<(CheckJob, Result<StoredMessage, Decision>)>> {
        let slot = Slot::admitted();
        let taken = self.hub.with(|state| {
            if state.has_no_more_checks(self.producer) {
                return Poll::Ready(None);
            }
            let Some(check) = state.engine.take_check(now, self.producer) else {
                state.wait_for_check(waker);
                return Poll::Pending;
            };
            state.keep_slot(check.op, slot.clone());
            Poll::Ready(Some(check))
        });
        taken.map(|check: Option<CheckBack>| {
            let check = check?;
            let job = CheckJob {
                hub: self.hub.clone(),
                op: check.op,
                over: Ticket::new(None, check.op, slot),
            };
            Some((job, check.into_message()))
        })
    }

    /// Runs a listener on this thread until the producer is closed. A panic of it is answered as
    /// unknown, with its text.
    pub fn serve<D: Into<Decision>>(mut self, listener: impl Fn(StoredMessage) -> D) {
        while let Some((job, message)) = park_on(|waker| self.poll_next(Now::system(), waker)) {
            let decision = match message {
                Ok(message) => caught(|| listener(message).into()).unwrap_or_else(|failed| failed),
                Err(decision) => decision,
            };
            job.answer(Now::system(), decision);
        }
    }
}

impl CheckJob {
    /// Whether an answer would come too late, or the producer is closed; otherwise `waker` is called
    /// when that is so.
    pub fn poll_expired(&mut self, waker: &Waker) -> Poll<()> {
        self.over.poll_outcome(waker).map(drop)
    }

    /// Answers.
    pub fn answer(self, now: Now, decision: Decision) {
        self.hub
            .with(|state| state.engine.decided(now, self.op, decision));
    }
}

/// Runs the application's code, of which a panic is a decision as well.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Decision> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let decision = Decision::panicked(&*payload);
        // What it panicked with may panic again when it is dropped.
        discard(payload);
        decision
    })
}
