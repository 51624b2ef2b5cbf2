//! The hub: the engine, what it wants done, and the one lock around both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocketmq_proto::{Batch, Message, TopicName, UniqueId, UniqueIdSeed, UniqueIds};

use super::events::Events;
use super::state::{After, Completed, State};
use super::ticket::{Slot, Ticket};
use super::work::Supervisor;
use crate::config::{Config, ConfigError};
use crate::engine::{Engine, Rejected};
use crate::error::SendError;
use crate::io::{Answer, Ask, CloseCause, ConnId, FrameSeq, Input, Now, OpId, Operation};
use crate::prepare::Prepared;
use crate::stats::Stats;

/// A producer's engine, shared by its callers and its actors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    ids: Mutex<UniqueIds>,
    state: Mutex<State>,
}

impl Hub {
    /// A producer and the supervisor that a runtime has to serve. Dropping the supervisor ends the
    /// producer: whatever is under way completes as closed.
    ///
    /// # Errors
    /// [`ConfigError`] names a setting that is out of bounds.
    pub fn new(
        config: Config,
        seed: u64,
        ids: UniqueIdSeed,
    ) -> Result<(Self, Supervisor), ConfigError> {
        let config = Arc::new(config);
        let hub = Self(Arc::new(Shared {
            config: config.clone(),
            ids: Mutex::new(UniqueIds::new(ids)),
            state: Mutex::new(State::new(Engine::new(config, seed)?)),
        }));
        let supervisor = Supervisor::new(hub.clone());
        Ok((hub, supervisor))
    }

    /// Sends a message. Its budget runs from `now`. Without `may_wait` it is refused when there is
    /// no permit at once.
    ///
    /// # Errors
    /// The message breaks a rule, the producer is shut down, or it is full.
    pub fn send(&self, now: Now, message: Message, may_wait: bool) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::message(&self.0.config, message, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), may_wait)
    }

    /// Sends a batch, as [`send`](Self::send) does a message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_batch(&self, now: Now, batch: Batch, may_wait: bool) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::batch(&self.0.config, batch, id)?;
        self.submit(now, Operation::Send(Box::new(prepared)), may_wait)
    }

    /// Sends a message without asking for an answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_oneway(&self, now: Now, message: Message) -> Result<Ticket, SendError> {
        let id = || self.next_id(now);
        let prepared = Prepared::message(&self.0.config, message, id)?;
        self.submit(now, Operation::Oneway(Box::new(prepared)), true)
    }

    /// Asks for the queues of a topic.
    ///
    /// # Errors
    /// The producer is shut down.
    pub fn publish_queues(&self, now: Now, topic: TopicName) -> Result<Ticket, SendError> {
        let timeout = self.0.config.send_timeout;
        self.submit(now, Operation::PublishQueues { topic, timeout }, true)
    }

    /// Waits until a topic can be sent to.
    ///
    /// # Errors
    /// The producer is shut down.
    pub fn ready(&self, now: Now, topic: TopicName) -> Result<Ticket, SendError> {
        let timeout = self.0.config.send_timeout;
        self.submit(now, Operation::Ready { topic, timeout }, true)
    }

    /// Waits for the end of all that was submitted before.
    ///
    /// # Errors
    /// The producer is shut down.
    pub fn flush(&self, now: Now) -> Result<Ticket, SendError> {
        self.submit(now, Operation::Flush, true)
    }

    /// Closes the producer, giving what is under way so much time.
    ///
    /// # Errors
    /// None; the signature is that of the others.
    pub fn shutdown(&self, now: Now, grace: Duration) -> Result<Ticket, SendError> {
        self.submit(now, Operation::Shutdown { grace }, true)
    }

    /// Subscribes to the events from now on.
    pub fn events(&self) -> Events {
        self.lock().watchers.subscribe()
    }

    /// The numbers.
    pub fn stats(&self) -> Stats {
        self.lock().engine.stats()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine's invariants, for tests; see [`Engine::check`].
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self, now: Now) -> Result<(), String> {
        self.lock().engine.check(now.mono)
    }

    fn submit(&self, now: Now, operation: Operation, may_wait: bool) -> Result<Ticket, SendError> {
        let slot = Slot::new();
        let accepted = self.with(|state| {
            let accepted = if may_wait {
                state.engine.submit(now, operation)
            } else {
                state.engine.try_submit(now, operation)
            }
            .map_err(|rejected: Rejected| rejected.error)?;
            if accepted.admitted {
                slot.admit();
            }
            state.keep_slot(accepted.op, slot.clone());
            Ok::<_, SendError>(accepted)
        })?;
        Ok(Ticket::new(self.clone(), accepted.op, slot))
    }

    /// Withdraws an operation that has no permit yet.
    pub(super) fn abandon(&self, op: OpId) {
        let now = Now::system();
        let _dropped_after_the_lock = self.with(|state| {
            let spent = state.engine.abandon(now, op)?;
            Some((spent, state.take_slot(op)))
        });
    }

    /// Ends everything at once.
    pub(super) fn abort(&self, now: Now) {
        self.with(|state| state.engine.abort(now));
    }

    /// Takes in something about a connection.
    pub(super) fn input(&self, now: Now, input: Input<'_>) {
        self.with(|state| state.engine.handle(now, input));
    }

    /// A connection ended: first what was written on it, then its end.
    pub(super) fn closed(&self, now: Now, conn: ConnId, cause: CloseCause) {
        let outbox = self.with(|state| {
            let outbox = state.take_outbox(conn);
            if let Some(outbox) = &outbox {
                let seq = FrameSeq(outbox.written.load(Ordering::Acquire));
                state.engine.handle(now, Input::Flushed(conn, seq));
            }
            state.engine.handle(now, Input::Closed(conn, cause));
            outbox
        });
        if let Some(writer) = outbox.and_then(|outbox| outbox.writer) {
            writer.wake();
        }
    }

    /// Lets time pass: what was written counts before what is overdue.
    pub(super) fn tick(&self, now: Now) {
        self.with(|state| {
            for index in 0..state.outboxes.len() {
                let Some(outbox) = &state.outboxes[index] else {
                    continue;
                };
                let seq = FrameSeq(outbox.written.load(Ordering::Acquire));
                let conn = outbox.conn;
                state.engine.handle(now, Input::Flushed(conn, seq));
            }
            state.engine.handle(now, Input::Tick);
        });
    }

    /// Runs a piece of work under the lock, carries out what the engine then wants, and after the
    /// lock is released calls whom it concerns.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut after = After::default();
        let result = {
            let mut state = self.lock();
            let result = work(&mut state);
            state.carry_out(&mut after);
            result
        };
        self.call(after);
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        match self.0.state.lock() {
            Ok(state) => state,
            Err(poisoned) => {
                let mut state = poisoned.into_inner();
                state.break_off();
                state
            }
        }
    }

    fn call(&self, after: After) {
        if let Some(waker) = after.waker {
            waker.wake();
        }
        for waker in after.wakers {
            waker.wake();
        }
        for slot in after.admitted {
            slot.admit();
        }
        for Completed {
            slot,
            outcome,
            _spent,
        } in after.completed
        {
            if let Some(slot) = slot {
                slot.complete(outcome);
            }
        }
        for outbox in after.closed {
            if let Some(writer) = outbox.writer {
                writer.wake();
            }
        }
        for (op, ask) in after.asks {
            let answer = catch_unwind(AssertUnwindSafe(|| answer(&ask)));
            let answer = answer.unwrap_or(Answer::Panicked);
            let now = Now::system();
            self.with(|state| state.engine.answer(now, op, answer));
        }
    }

    fn next_id(&self, now: Now) -> UniqueId {
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next(now.unix_ms)
    }
}

/// Runs the application's own code.
fn answer(ask: &Ask) -> Answer {
    match ask {
        Ask::SelectQueue { queues, message } => match message.placement() {
            rocketmq_proto::Placement::Select(selector) => {
                Answer::Queue(selector.choose(queues, message))
            }
            _ => Answer::Queue(None),
        },
    }
}
