//! The executor of the programs: smol's.

use std::env;
use std::error::Error;

use rocketmq_async_std::Task;
pub(crate) use smol::{block_on, spawn};

/// What `spawn::smol` of the feature `smol` does; here without the feature as well.
pub(crate) fn background(task: Task) {
    spawn(task).detach();
}

/// The number of threads is smol's to read: from `SMOL_THREADS`, 1 without.
#[allow(dead_code, reason = "not every program asks for it")]
pub(crate) fn set_threads(threads: usize) -> Result<(), Box<dyn Error>> {
    let set = env::var("SMOL_THREADS").unwrap_or_else(|_| "1".to_owned());
    if set != threads.to_string() {
        return Err(format!("run it with SMOL_THREADS={threads}: now it is {set}").into());
    }
    Ok(())
}
