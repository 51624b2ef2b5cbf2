//! The executor of the programs: tokio's.

use std::error::Error;
use std::future::Future;

use rocketmq_tokio::StartError;
pub(crate) use rocketmq_tokio::{Builder, Producer};
use tokio::runtime;

/// Runs `main` on so many threads.
pub(crate) fn run<T>(threads: u32, main: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    let mut builder = match threads {
        1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(threads as usize)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(main))
}

/// Runs a task, which ends with what the future ends with.
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send {
    let task = tokio::spawn(task);
    async {
        task.await
            .expect("no task of the programs panics or is aborted")
    }
}

pub(crate) async fn start(builder: Builder) -> Result<Producer, StartError> {
    builder.start().await
}
