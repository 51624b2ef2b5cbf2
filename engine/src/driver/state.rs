//! What stands behind the hub's lock: the engine, and what it wants done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use super::events::Watchers;
use super::ticket::{Slot, remember, ring};
use super::wire::Wire;
use crate::config::Config;
use crate::dial::DialError;
use crate::engine::Engine;
use crate::error::SendError;
use crate::guard::discard;
use crate::hooks::HookCall;
use crate::io::{Ask, ConnId, Endpoint, Frame, FrameSeq, OpId, Outcome, Output, ProducerId};
use crate::prepare::Prepared;
use crate::slab::Key;
use crate::stats::Stats;

/// So much room is kept for each kind of news from one time to the next.
const KEPT: usize = 1024;

/// What stands behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) engine: Engine,
    /// Who waits for each operation, by its slot number.
    slots: Vec<Option<(OpId, Arc<Slot>)>>,
    /// What is to be written on each connection, by its slot number.
    pub(super) outboxes: Vec<Option<Outbox>>,
    pub(super) dials: VecDeque<Dial>,
    /// The supervisor, while it sleeps, and until when.
    pub(super) supervisor: Option<Waker>,
    pub(super) alarm: Option<Instant>,
    pub(super) watchers: Watchers,
    /// Hooks whose panics were swallowed.
    hook_panics: Arc<AtomicU64>,
    /// Who waits for a check-back: at most as many as run listeners.
    checkers: Vec<Waker>,
    /// Set when a panic was met under the lock: a bug of ours, and the end of this producer.
    broken: bool,
}

/// A connection to be made.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) conn: ConnId,
    pub(super) to: Endpoint,
    pub(super) by: Instant,
    /// Whether it is not encrypted in any case.
    pub(super) plain: bool,
}

/// The frames that wait to be written on one connection.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) conn: ConnId,
    pub(super) frames: VecDeque<Frame>,
    /// The writing end, when it waits for something.
    pub(super) writer: Option<Waker>,
    /// Whether a frame is what it waits for; otherwise it waits for the socket, and only the end of
    /// the connection concerns it.
    pub(super) wants_frames: bool,
    pub(super) progress: Arc<Progress>,
    /// As long as there are handshakes: until when, and how far they are.
    pub(super) handshake: Option<(Instant, Arc<Wire>)>,
}

/// What is to be done when the lock is released.
#[derive(Debug, Default)]
pub(super) struct After {
    /// The usual one, kept apart so that a send allocates nothing here.
    pub(super) waker: Option<Waker>,
    pub(super) wakers: Vec<Waker>,
    pub(super) admitted: Vec<Arc<Slot>>,
    pub(super) completed: Vec<Completed>,
    pub(super) closed: Vec<Outbox>,
    /// Settings of producers that are gone.
    pub(super) parted: Vec<Arc<Config>>,
    pub(super) asks: Vec<(OpId, Ask)>,
    pub(super) hooks: Vec<HookCall>,
    /// Where their panics are counted, when there are hooks.
    hook_panics: Option<Arc<AtomicU64>>,
}

#[derive(Debug)]
pub(super) struct Completed {
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) outcome: Option<Outcome>,
    /// Its drop may run the application's code.
    pub(super) spent: Option<Box<Prepared>>,
}

/// How far the writing of a connection is; told by its writing end without the lock.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last frame that was written whole.
    pub(super) written: AtomicU64,
    /// The last frame of the write that is under way: it may be written already.
    pub(super) offered: AtomicU64,
}

impl Progress {
    /// The last frame written whole, and the last that may be.
    pub(super) fn seen(&self) -> (FrameSeq, FrameSeq) {
        let written = self.written.load(Ordering::Acquire);
        let offered = self.offered.load(Ordering::Acquire);
        (FrameSeq(written), FrameSeq(offered.max(written)))
    }
}

impl After {
    /// Calls whom it concerns: first every outcome finds its place, then whatever runs the
    /// application's code, each piece of it on its own, so that a panic in one harms no other.
    /// Returns the questions that are left. What remains are empty lists, to be filled again.
    pub(super) fn call(&mut self) -> Vec<(OpId, Ask)> {
        for slot in self.admitted.drain(..) {
            slot.admit();
        }
        for Completed { slot, outcome, .. } in &mut self.completed {
            if let (Some(slot), Some(outcome)) = (slot.take(), outcome.take()) {
                slot.complete(outcome);
            }
        }
        for waker in self.waker.take().into_iter().chain(self.wakers.drain(..)) {
            ring(waker);
        }
        for outbox in &mut self.closed {
            if let Some(writer) = outbox.writer.take() {
                ring(writer);
            }
        }
        for Completed { spent, .. } in self.completed.drain(..) {
            if let Some(spent) = spent {
                discard(spent);
            }
        }
        for outbox in self.closed.drain(..) {
            discard(outbox);
        }
        for config in self.parted.drain(..) {
            discard(config);
        }
        if let Some(panics) = self.hook_panics.take() {
            for call in self.hooks.drain(..) {
                panics.fetch_add(call.run(), Ordering::Relaxed);
            }
        }
        std::mem::take(&mut self.asks)
    }

    /// For lists that are kept: a burst leaves no more room behind than usual times need.
    pub(super) fn shrink(&mut self) {
        self.admitted.shrink_to(KEPT);
        self.completed.shrink_to(KEPT);
        self.closed.shrink_to(KEPT);
        self.hooks.shrink_to(KEPT);
        self.parted.shrink_to(KEPT);
        self.wakers.shrink_to(KEPT);
    }
}

impl State {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            slots: Vec::new(),
            outboxes: Vec::new(),
            dials: VecDeque::new(),
            supervisor: None,
            alarm: None,
            watchers: Watchers::default(),
            hook_panics: Arc::default(),
            checkers: Vec::new(),
            broken: false,
        }
    }

    /// Does what the engine wants, as far as that is possible under the lock; the rest goes to
    /// `after`.
    pub(super) fn carry_out(&mut self, after: &mut After) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Admitted { op } => {
                    after.admitted.extend(self.slot(op).cloned());
                }
                Output::Ask { op, ask } => after.asks.push((op, ask)),
                Output::Hook(call) => {
                    after.hooks.push(call);
                    after.hook_panics = Some(self.hook_panics.clone());
                }
                Output::CheckBack => after.wakers.append(&mut self.checkers),
                Output::Complete { op, outcome, spent } => {
                    let slot = self.take_slot(op);
                    after.completed.push(Completed {
                        slot,
                        outcome: Some(outcome),
                        spent,
                    });
                }
                Output::Connect {
                    conn,
                    to,
                    by,
                    plain,
                } => {
                    self.keep_outbox(conn);
                    self.dials.push_back(Dial {
                        conn,
                        to,
                        by,
                        plain,
                    });
                }
                Output::Disconnect { conn, .. } => {
                    after.closed.extend(self.take_outbox(conn));
                }
                Output::Event(event) => self.watchers.publish(&event, &mut after.wakers),
                Output::Transmit { conn, frame } => {
                    let Some(outbox) = self.outbox(conn) else {
                        continue;
                    };
                    outbox.frames.push_back(frame);
                    if !std::mem::take(&mut outbox.wants_frames) {
                        continue;
                    }
                    if let Some(writer) = outbox.writer.take() {
                        match &after.waker {
                            None => after.waker = Some(writer),
                            Some(_) => after.wakers.push(writer),
                        }
                    }
                }
            }
        }
        after.parted.extend(self.engine.take_parted());
        if self.engine.is_closed() {
            self.watchers.close(&mut after.wakers);
        }
        if self.is_supervisor_wanted() {
            after.wakers.extend(self.supervisor.take());
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.engine.stats();
        stats.hook_panics += self.hook_panics.load(Ordering::Relaxed);
        stats
    }

    /// Whether the sleeping supervisor has something to do before its alarm.
    fn is_supervisor_wanted(&self) -> bool {
        let sooner = match (self.engine.next_deadline(), self.alarm) {
            (Some(next), Some(alarm)) => next < alarm,
            (next, _) => next.is_some(),
        };
        sooner || !self.dials.is_empty() || self.engine.is_closed()
    }

    pub(super) fn outbox(&mut self, conn: ConnId) -> Option<&mut Outbox> {
        let outbox = self.outboxes.get_mut(conn.slot() as usize)?.as_mut()?;
        (outbox.conn == conn).then_some(outbox)
    }

    fn keep_outbox(&mut self, conn: ConnId) {
        let outbox = Outbox {
            conn,
            frames: VecDeque::new(),
            writer: None,
            wants_frames: false,
            progress: Arc::default(),
            handshake: None,
        };
        *place(&mut self.outboxes, conn.slot()) = Some(outbox);
    }

    pub(super) fn take_outbox(&mut self, conn: ConnId) -> Option<Outbox> {
        self.outbox(conn)?;
        self.outboxes.get_mut(conn.slot() as usize)?.take()
    }

    pub(super) fn keep_slot(&mut self, op: OpId, slot: Arc<Slot>) {
        *place(&mut self.slots, op.slot()) = Some((op, slot));
    }

    fn slot(&self, op: OpId) -> Option<&Arc<Slot>> {
        let (known, slot) = self.slots.get(op.slot() as usize)?.as_ref()?;
        (*known == op).then_some(slot)
    }

    pub(super) fn take_slot(&mut self, op: OpId) -> Option<Arc<Slot>> {
        self.slot(op)?;
        self.slots
            .get_mut(op.slot() as usize)?
            .take()
            .map(|(_, slot)| slot)
    }

    /// Whether no check-back of a producer will come any more.
    pub(super) fn has_no_more_checks(&self, producer: ProducerId) -> bool {
        self.broken || self.engine.has_no_more_checks(producer)
    }

    /// Calls `waker` when a check-back comes, or the producer is closed.
    pub(super) fn wait_for_check(&mut self, waker: &Waker) {
        if !self.checkers.iter().any(|known| known.will_wake(waker)) {
            self.checkers.push(waker.clone());
        }
    }

    /// After a panic under the lock: the engine's state cannot be trusted, so nobody is left
    /// waiting for it. Returns whom that concerns.
    pub(super) fn break_off(&mut self) -> After {
        let mut after = After::default();
        if std::mem::replace(&mut self.broken, true) {
            return after;
        }
        for (_, slot) in self.slots.iter_mut().filter_map(Option::take) {
            let outcome = Outcome::Failed(SendError::closed(crate::Certainty::Unknown));
            after.completed.push(Completed {
                slot: Some(slot),
                outcome: Some(outcome),
                spent: None,
            });
        }
        after.wakers.append(&mut self.checkers);
        after
            .closed
            .extend(self.outboxes.iter_mut().filter_map(Option::take));
        after
    }
}

impl Outbox {
    /// Calls `writer` when the connection is over, and when there is a frame if that is wanted.
    pub(super) fn wait(&mut self, writer: &Waker, wants_frames: bool) {
        remember(&mut self.writer, writer);
        self.wants_frames = wants_frames;
    }

    /// Why the handshakes took too long, when they did.
    pub(super) fn too_late(&mut self, now: Instant) -> Option<DialError> {
        let (by, wire) = self.handshake.as_ref()?;
        if wire.is_established() {
            self.handshake = None;
            return None;
        }
        (*by <= now).then(|| wire.too_late())
    }
}

fn place<T>(places: &mut Vec<Option<T>>, index: u32) -> &mut Option<T> {
    let index = index as usize;
    if places.len() <= index {
        places.resize_with(index + 1, || None);
    }
    &mut places[index]
}
