//! From settings to a running producer.

use std::io;
use std::thread::{self, JoinHandle};

use rocketmq_engine::Config;
use rocketmq_engine::driver::threads::{self, Spawn};
use rocketmq_engine::driver::{Setup, StartError};

use crate::driver::Driver;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    callback_threads: usize,
}

impl Builder {
    pub(crate) fn new(group: &str) -> Self {
        Self {
            setup: Setup::new(group),
            callback_threads: 4,
        }
    }

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
        let resolver = format!("rmq-{}-resolve", handle.config().group);
        let driver = Driver::new(supervisor, resolver).map_err(|error| {
            StartError::Runtime(format!("the system gave nothing to poll with: {error}"))
        })?;
        threads::Producer::start(handle, self.callback_threads, Spawner, || driver.run())
            .map(Producer::new)
    }
}

#[derive(Debug)]
struct Spawner;

impl Spawn for Spawner {
    fn spawn(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(name).spawn(body)
    }
}
