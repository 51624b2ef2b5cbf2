//! Whether a server is open, and whether it goes on.

use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;

/// What a server does with who dials it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Listening {
    /// Connections are accepted and served. The default.
    #[default]
    Open,
    /// Connections are accepted and then left alone: nothing is read, nothing written.
    Silent,
    /// Connections are refused. Those that exist stay.
    Refuse,
}

/// What threads look at before they go on.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GateState {
    pub(super) listening: Listening,
    pub(super) paused: bool,
    /// Grows with each closing of the listener: an accept loop of an earlier one ends.
    pub(super) generation: u64,
}

impl Gate {
    pub(super) fn now(&self) -> GateState {
        *lock(&self.state)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }

    pub(super) fn wait_while_paused(&self) {
        let mut state = lock(&self.state);
        while state.paused {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
