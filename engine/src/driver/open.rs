//! A transaction between its half message and its end, when only the application works on it.

use super::Handle;
use crate::io::Now;

/// Keeps a shutdown waiting, within its grace, until it is dropped (DESIGN 6, shutdown).
#[derive(Debug)]
pub(super) struct OpenTransaction(Handle);

impl OpenTransaction {
    pub(super) fn new(handle: &Handle) -> Self {
        handle.with(|state| state.engine.transaction_begun(handle.producer()));
        Self(handle.clone())
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        let producer = self.0.producer();
        let now = Now::system();
        self.0
            .with(|state| state.engine.transaction_over(now, producer));
    }
}
