//! From settings to a running producer.

use std::io;
use std::thread::{self, JoinHandle};

use rocketmq_engine::Config;
use rocketmq_engine::driver::threads::{self, Serve, Spawn};
use rocketmq_engine::driver::{Setup, StartError, Supervisor};

use crate::driver::Driver;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`] and
/// [`Client::producer`](crate::Client::producer).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    callback_threads: usize,
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

    /// How many threads may run callbacks of [`Delivery::on_done`](threads::Delivery::on_done) at
    /// once. Default 4, at least 1 (Java: `callbackExecutor`, as many as processors). None is
    /// started before there is a callback to run.
    pub fn callback_threads(mut self, threads: usize) -> Self {
        self.callback_threads = threads.max(1);
        self
    }

    /// Starts the producer and its thread. Nothing is asked of any server yet: the first send is,
    /// or [`ready`](threads::Producer::ready).
    ///
    /// # Errors
    /// The first setting that is wrong, or that the system refused the thread.
    pub fn start(self) -> Result<Producer, StartError> {
        let (handle, supervisor) = self.setup.start()?;
        let group = handle.config().group.as_str();
        // A producer of a client is served with it.
        let io = supervisor.map(|supervisor| serve(supervisor, group));
        threads::Producer::start(handle, self.callback_threads, Spawner, io.transpose()?)
            .map(Producer::new)
    }
}

impl From<Setup> for Builder {
    fn from(setup: Setup) -> Self {
        Self {
            setup,
            callback_threads: 4,
        }
    }
}

/// The work of the thread that serves a producer, or the producers of a client.
pub(crate) fn serve(supervisor: Supervisor, name: &str) -> Result<Serve, StartError> {
    let driver = Driver::new(supervisor, format!("rmq-{name}-resolve")).map_err(|error| {
        StartError::Runtime(format!("the system gave nothing to poll with: {error}"))
    })?;
    Ok(Box::new(|| driver.run()))
}

/// Starts threads of the standard library.
#[derive(Debug)]
pub(crate) struct Spawner;

impl Spawn for Spawner {
    fn spawn(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(name).spawn(body)
    }
}
