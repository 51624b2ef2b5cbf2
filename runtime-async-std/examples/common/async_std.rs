//! The executor of the programs: async-std's.

use std::error::Error;
use std::future::Future;

use async_global_executor::{GlobalExecutorConfig, init_with_config};
pub(crate) use async_std::task::{block_on, spawn};
use rocketmq_async_std::StartError;
pub(crate) use rocketmq_async_std::spawn::async_std as background;
pub(crate) use rocketmq_async_std::{Builder, Producer};

/// Runs `main` on so many threads; to be called before anything runs.
pub(crate) fn run<T>(threads: u32, main: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    let config = GlobalExecutorConfig::default()
        .with_min_threads(threads as usize)
        .with_max_threads(threads as usize);
    init_with_config(config);
    Ok(block_on(main))
}

pub(crate) async fn start(builder: Builder) -> Result<Producer, StartError> {
    builder.start_with(background)
}
