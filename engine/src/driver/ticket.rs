//! Where a caller waits for its operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::hub::Hub;
use crate::error::{Certainty, SendError};
use crate::guard::guarded;
use crate::io::{OpId, Outcome};

/// An accepted operation. As a future, its outcome.
///
/// Dropped before the operation has its permit, it withdraws it: nothing is sent. Dropped later, it
/// discards the outcome: the operation goes on, and its permit stays out until the answer or the
/// deadline (DESIGN 6, cancellation).
#[derive(Debug)]
pub struct Ticket {
    /// Where it is withdrawn, if it has to wait for a permit.
    queued: Option<Hub>,
    op: OpId,
    slot: Arc<Slot>,
}

/// The place of one outcome. Filled once, emptied once.
#[derive(Debug)]
pub(super) struct Slot(Mutex<SlotState>);

#[derive(Debug)]
enum SlotState {
    /// Waits for a permit.
    Queued(Option<Waker>),
    /// Under way.
    Admitted(Option<Waker>),
    Done {
        outcome: Outcome,
        admitted: bool,
    },
    Taken,
}

impl Ticket {
    /// The ticket of an operation that has its permit, unless it is `queued`.
    pub(super) fn new(queued: Option<Hub>, op: OpId, slot: Arc<Slot>) -> Self {
        Self { queued, op, slot }
    }

    /// Whether the operation has its permit; otherwise `waker` is called when it has.
    ///
    /// # Errors
    /// Why it ended without one.
    pub fn poll_admitted(&mut self, waker: &Waker) -> Poll<Result<(), SendError>> {
        if self.queued.is_none() {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.slot.lock();
        match &mut *state {
            SlotState::Queued(place) => {
                remember(place, waker);
                Poll::Pending
            }
            SlotState::Done {
                admitted: false,
                outcome: Outcome::Failed(_),
            } => Poll::Ready(take(&mut state).into_done()),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Takes the outcome; as long as there is none, `waker` is called when there is.
    ///
    /// After the outcome was taken, it is `Failed` with the kind `Closed`.
    pub fn poll_outcome(&mut self, waker: &Waker) -> Poll<Outcome> {
        let mut state = self.slot.lock();
        match &mut *state {
            SlotState::Queued(place) | SlotState::Admitted(place) => {
                remember(place, waker);
                Poll::Pending
            }
            SlotState::Done { .. } | SlotState::Taken => Poll::Ready(take(&mut state)),
        }
    }

    /// The operation's id.
    pub fn op(&self) -> OpId {
        self.op
    }
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll_outcome(cx.waker())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(hub) = &self.queued else { return };
        let queued = matches!(*self.slot.lock(), SlotState::Queued(_));
        if queued {
            hub.abandon(self.op);
        }
    }
}

impl Slot {
    /// For an operation that has its permit, as most have at once.
    pub(super) fn admitted() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SlotState::Admitted(None))))
    }

    /// The operation has to wait for a permit. Said before anybody waits here.
    pub(super) fn queue(&self) {
        *self.lock() = SlotState::Queued(None);
    }

    pub(super) fn admit(&self) {
        let mut state = self.lock();
        let SlotState::Queued(waker) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = SlotState::Admitted(None);
        drop(state);
        if let Some(waker) = waker {
            ring(waker);
        }
    }

    /// Stores the outcome, then wakes whoever waits. A second outcome is dropped.
    pub(super) fn complete(&self, outcome: Outcome) {
        let mut state = self.lock();
        let admitted = matches!(*state, SlotState::Admitted(_));
        let (SlotState::Queued(waker) | SlotState::Admitted(waker)) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = SlotState::Done { outcome, admitted };
        drop(state);
        if let Some(waker) = waker {
            ring(waker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Nothing under this lock panics; and if it did, the state would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(state: &mut SlotState) -> Outcome {
    match std::mem::replace(state, SlotState::Taken) {
        SlotState::Done { outcome, .. } => outcome,
        _ => Outcome::Failed(SendError::closed(Certainty::Unknown)),
    }
}

/// Calls a waker. It is the application's code: a panic in it must not keep others from theirs.
pub(super) fn ring(waker: Waker) {
    let _swallowed = guarded(|| waker.wake());
}

/// Keeps the waker to call, and spares the clone when it is the same as before.
pub(super) fn remember(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(known) if known.will_wake(waker) => {}
        _ => *place = Some(waker.clone()),
    }
}
