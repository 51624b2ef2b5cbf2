//! From settings to a running producer.

use std::future::Future;

use rocketmq_engine::driver::asynchronous::CheckBackListener;
use rocketmq_engine::driver::{Setup, StartError, Supervisor};
use rocketmq_engine::proto::StoredMessage;
use rocketmq_engine::{Config, Decision};
use tokio::runtime::Handle;

use crate::driver::supervise;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`] and
/// [`Client::producer`](crate::Client::producer).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    listener: Option<CheckBackListener>,
}

impl Builder {
    /// The name servers to ask, as `host:port`; a text may hold several, separated by `;`
    /// (Java: `namesrvAddr`). No default. Replaces what was said before.
    pub fn name_servers<S: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.setup.name_servers(addresses);
        self
    }

    /// Changes any other setting; see [`Config`] for all of them and their defaults.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.setup.config(change);
        self
    }

    /// What answers when a broker asks about a half message whose end it does not know, which
    /// [`send_in_transaction`](rocketmq_engine::driver::asynchronous::Producer::send_in_transaction)
    /// needs: a closure that takes the half message, as it was stored and decompressed, and gives a
    /// future of a [`TransactionState`](crate::TransactionState), or of a `Result` of one. An error or
    /// a panic is answered as "unknown", as is taking longer than [`Config::check_timeout`], when the
    /// future is dropped; then the broker asks again, every 30 to 60 s and 15 times at most.
    ///
    /// It runs in tasks of its own, [`Config::check_concurrency`] of them, 1 by default. It must not
    /// rely on what this process remembers: brokers ask any producer of the group.
    pub fn check_back<F, T>(mut self, listener: F) -> Self
    where
        F: Fn(StoredMessage) -> T + Send + Sync + 'static,
        T: Future<Output: Into<Decision>> + Send + 'static,
    {
        self.listener = Some(CheckBackListener::new(listener));
        self
    }

    /// Starts the producer on the present tokio runtime. Nothing is asked of any server yet: the
    /// first send is, or [`ready`](rocketmq_engine::driver::asynchronous::Producer::ready).
    ///
    /// # Errors
    /// The first setting that is wrong, or that there is no runtime here.
    pub async fn start(self) -> Result<Producer, StartError> {
        let (handle, supervisor) = self.setup.start()?;
        // A producer of a client is served with it.
        supervisor.map_or(Ok(()), serve)?;
        if let Some(listener) = self.listener {
            let runtime = runtime()?;
            listener
                .tasks(&handle)
                .for_each(|task| drop(runtime.spawn(task)));
        }
        Ok(Producer::new(handle))
    }
}

impl From<Setup> for Builder {
    fn from(setup: Setup) -> Self {
        Self {
            setup,
            listener: None,
        }
    }
}

/// Serves a producer, or the producers of a client, on the present runtime.
pub(crate) fn serve(supervisor: Supervisor) -> Result<(), StartError> {
    runtime()?.spawn(supervise(supervisor));
    Ok(())
}

fn runtime() -> Result<Handle, StartError> {
    Handle::try_current().map_err(|_| {
        let why =
            "start() was called outside a tokio runtime: call it from a task or within block_on";
        StartError::Runtime(why.to_owned())
    })
}
