//! From settings to a running producer.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rocketmq_engine::driver::threads::{self, CheckBackListener, Serve, Spawn};
use rocketmq_engine::driver::{Setup, StartError, Supervisor};
use rocketmq_engine::proto::StoredMessage;
use rocketmq_engine::{Config, Decision};

use crate::driver::Driver;
use crate::lead::Lead;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`] and
/// [`Client::producer`](crate::Client::producer).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    callback_threads: usize,
    listener: Option<CheckBackListener>,
    /// What leads for the client that the producer joins.
    lead: Option<Arc<Lead>>,
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

    /// What answers when a broker asks about a half message whose end it does not know, which
    /// [`send_in_transaction`](threads::Producer::send_in_transaction) needs: a closure that takes
    /// the half message, as it was stored and decompressed, and gives a
    /// [`TransactionState`](crate::TransactionState), or a `Result` of one. An error or a panic is
    /// answered as "unknown", as is taking longer than [`Config::check_timeout`]; then the broker asks
    /// again, every 30 to 60 s and 15 times at most.
    ///
    /// It runs on threads of its own, [`Config::check_concurrency`] of them, 1 by default. It must
    /// not rely on what this process remembers: brokers ask any producer of the group.
    pub fn check_back<D: Into<Decision>>(
        mut self,
        listener: impl Fn(StoredMessage) -> D + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(CheckBackListener::new(listener));
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
        let (lead, io) = match supervisor {
            Some(supervisor) => {
                let lead = lead(supervisor, group)?;
                (Some(lead.clone()), Some(serve(lead)))
            }
            None => (self.lead, None),
        };
        let (callbacks, listener) = (self.callback_threads, self.listener);
        let lead = lead.map(|lead| lead as Arc<dyn threads::Lead>);
        threads::Producer::start(handle, callbacks, listener, Spawner, io, lead).map(Producer::new)
    }

    /// Begins a producer of a client.
    pub(crate) fn on(setup: Setup, lead: Arc<Lead>) -> Self {
        let lead = Some(lead);
        Self {
            lead,
            ..Self::from(setup)
        }
    }
}

impl From<Setup> for Builder {
    fn from(setup: Setup) -> Self {
        Self {
            setup,
            callback_threads: 4,
            listener: None,
            lead: None,
        }
    }
}

/// What moves the bytes of a producer, or of the producers of a client.
pub(crate) fn lead(supervisor: Supervisor, name: &str) -> Result<Arc<Lead>, StartError> {
    let driver = Driver::new(supervisor, format!("rmq-{name}-resolve")).map_err(|error| {
        StartError::Runtime(format!("the system gave nothing to poll with: {error}"))
    })?;
    Ok(Arc::new(Lead::new(driver)))
}

/// The work of the thread that moves them unless a caller does.
pub(crate) fn serve(lead: Arc<Lead>) -> Serve {
    Box::new(move || lead.run())
}

/// Starts threads of the standard library.
#[derive(Debug)]
pub(crate) struct Spawner;

impl Spawn for Spawner {
    fn spawn(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(name).spawn(body)
    }
}
