//! From settings to a running producer.

use rocketmq_engine::Config;
use rocketmq_engine::driver::{Setup, StartError, Supervisor};

use crate::driver::supervise;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`] and
/// [`Client::producer`](crate::Client::producer).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder(Setup);

impl Builder {
    /// The name servers to ask, as `host:port`; a text may hold several, separated by `;`
    /// (Java: `namesrvAddr`). No default. Replaces what was said before.
    pub fn name_servers<S: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.0.name_servers(addresses);
        self
    }

    /// Changes any other setting; see [`Config`] for all of them and their defaults.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.0.config(change);
        self
    }

    /// Starts the producer on the present tokio runtime. Nothing is asked of any server yet: the
    /// first send is, or [`ready`](rocketmq_engine::driver::asynchronous::Producer::ready).
    ///
    /// # Errors
    /// The first setting that is wrong, or that there is no runtime here.
    pub async fn start(self) -> Result<Producer, StartError> {
        let (handle, supervisor) = self.0.start()?;
        // A producer of a client is served with it.
        supervisor.map_or(Ok(()), serve)?;
        Ok(Producer::new(handle))
    }
}

impl From<Setup> for Builder {
    fn from(setup: Setup) -> Self {
        Self(setup)
    }
}

/// Serves a producer, or the producers of a client, on the present runtime.
pub(crate) fn serve(supervisor: Supervisor) -> Result<(), StartError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
        let why =
            "start() was called outside a tokio runtime: call it from a task or within block_on";
        StartError::Runtime(why.to_owned())
    })?;
    runtime.spawn(supervise(supervisor));
    Ok(())
}
