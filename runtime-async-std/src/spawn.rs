//! Spawners for [`Builder::start_with`](crate::Builder::start_with), one for each feature.

#[cfg(any(feature = "async-std", feature = "smol"))]
use crate::task::Task;

/// Spawns on async-std's executor, the one of `async_std::task::spawn`.
#[cfg(feature = "async-std")]
pub fn async_std(task: Task) {
    use async_global_executor::{GlobalExecutorConfig, init_with_config, spawn};

    // As async-std sets its executor up: whoever comes first does it for both.
    let config = GlobalExecutorConfig::default()
        .with_env_var("ASYNC_STD_THREAD_COUNT")
        .with_thread_name_fn(|| "async-std/runtime".to_owned());
    init_with_config(config);
    spawn(task).detach();
}

/// Spawns on smol's global executor, the one of [`smol::spawn`].
#[cfg(feature = "smol")]
pub fn smol(task: Task) {
    smol::spawn(task).detach();
}
