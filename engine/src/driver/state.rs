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
    waker: Option<Waker>,
    admitted: Vec<Arc<Slot>>,
    completed: Vec<Completed>,
    /// Kept apart so that most sends need not even look.
    seldom: Option<Box<Seldom>>,
}

/// What most sends leave nothing of.
#[derive(Debug, Default)]
struct Seldom {
    wakers: Vec<Waker>,
    closed: Vec<Outbox>,
    /// Settings of producers that are gone.
    parted: Vec<Arc<Config>>,
    asks: Vec<(OpId, Ask)>,
    hooks: Vec<HookCall>,
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
        if !self.admitted.is_empty() {
            self.admitted.drain(..).for_each(|slot| slot.admit());
        }
        for Completed { slot, outcome, .. } in &mut self.completed {
            if let (Some(slot), Some(outcome)) = (slot.take(), outcome.take()) {
                slot.complete(outcome);
            }
        }
        if let Some(waker) = self.waker.take() {
            ring(waker);
        }
        let seldom = self.seldom.take().map(|mut seldom| {
            seldom.ring();
            seldom
        });
        while let Some(Completed { spent, .. }) = self.completed.pop() {
            if let Some(spent) = spent {
                discard(spent);
            }
        }
        seldom.map_or_else(Vec::new, |seldom| seldom.call())
    }

    /// For lists that are kept: a burst leaves no more room behind than usual times need.
    pub(super) fn shrink(&mut self) {
        self.admitted.shrink_to(KEPT);
        self.completed.shrink_to(KEPT);
    }

    fn wake(&mut self, waker: Waker) {
        match self.waker {
            None => self.waker = Some(waker),
            Some(_) => self.seldom().wakers.push(waker),
        }
    }

    fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }
}

impl Seldom {
    fn ring(&mut self) {
        self.wakers.drain(..).for_each(ring);
        for outbox in &mut self.closed {
            if let Some(writer) = outbox.writer.take() {
                ring(writer);
            }
        }
    }

    fn call(self) -> Vec<(OpId, Ask)> {
        self.closed.into_iter().for_each(discard);
        self.parted.into_iter().for_each(discard);
        if let Some(panics) = self.hook_panics {
            for call in self.hooks {
                panics.fetch_add(call.run(), Ordering::Relaxed);
            }
        }
        self.asks
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
                Output::Ask { op, ask } => after.seldom().asks.push((op, ask)),
                Output::Hook(call) => {
                    let seldom = after.seldom();
                    seldom.hooks.push(call);
                    seldom.hook_panics = Some(self.hook_panics.clone());
                }
                Output::CheckBack => after.seldom().wakers.append(&mut self.checkers),
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
                    after.seldom().closed.extend(self.take_outbox(conn));
                }
                Output::Event(event) => {
                    self.watchers.publish(&event, &mut after.seldom().wakers);
                }
                Output::Transmit { conn, frame } => {
                    let Some(outbox) = self.outbox(conn) else {
                        continue;
                    };
                    outbox.frames.push_back(frame);
                    if !std::mem::take(&mut outbox.wants_frames) {
                        continue;
                    }
                    if let Some(writer) = outbox.writer.take() {
                        after.wake(writer);
                    }
                }
            }
        }
        let parted = self.engine.take_parted();
        if !parted.is_empty() {
            after.seldom().parted.extend(parted);
        }
        let closed = self.engine.is_closed();
        if closed {
            self.watchers.close(&mut after.seldom().wakers);
        }
        if closed || !self.dials.is_empty() || self.is_supervisor_late() {
            if let Some(supervisor) = self.supervisor.take() {
                after.wake(supervisor);
            }
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.engine.stats();
        stats.hook_panics += self.hook_panics.load(Ordering::Relaxed);
        stats
    }

    /// Whether something is due before the sleeping supervisor's alarm.
    fn is_supervisor_late(&self) -> bool {
        match (self.engine.next_deadline(), self.alarm) {
            (Some(next), Some(alarm)) => next < alarm,
            (next, _) => next.is_some(),
        }
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
        let seldom = after.seldom();
        seldom.wakers.append(&mut self.checkers);
        seldom
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
