//! The executor of the programs: async-std's.

use std::error::Error;

use async_global_executor::{GlobalExecutorConfig, init_with_config};
pub(crate) use async_std::task::{block_on, spawn};
pub(crate) use rocketmq_async_std::spawn::async_std as background;

/// Sets the number of threads, before anything runs.
#[allow(dead_code, reason = "not every program asks for it")]
pub(crate) fn set_threads(threads: usize) -> Result<(), Box<dyn Error>> {
    let config = GlobalExecutorConfig::default()
        .with_min_threads(threads)
        .with_max_threads(threads);
    init_with_config(config);
    Ok(())
}
