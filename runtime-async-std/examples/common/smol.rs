//! The executor of the programs: smol's.

use std::env;
use std::error::Error;
use std::future::Future;

pub(crate) use rocketmq_async_std::{Builder, Producer};
use rocketmq_async_std::{StartError, Task};
pub(crate) use smol::{block_on, spawn};

/// What `spawn::smol` of the feature `smol` does; here without the feature as well.
pub(crate) fn background(task: Task) {
    spawn(task).detach();
}

/// Runs `main` on so many threads. Their number is smol's to read: from `SMOL_THREADS`, 1 without.
pub(crate) fn run<T>(threads: u32, main: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    let set = env::var("SMOL_THREADS").unwrap_or_else(|_| "1".to_owned());
    if set != threads.to_string() {
        return Err(format!("run it with SMOL_THREADS={threads}: now it is {set}").into());
    }
    Ok(block_on(main))
}

pub(crate) async fn start(builder: Builder) -> Result<Producer, StartError> {
    builder.start_with(background)
}
