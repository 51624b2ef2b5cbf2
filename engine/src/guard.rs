//! Where the application's code runs, and where its panics end (PROTOCOL E.9).

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The application's code panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panicked;

/// Runs the application's code; a panic of it goes no further.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // Its drop would be the application's code again.
        std::mem::forget(payload);
        Panicked
    })
}

/// Drops what holds the application's code; a panic of that goes no further.
pub(crate) fn discard<T>(what: T) {
    let _swallowed = guarded(|| drop(what));
}
