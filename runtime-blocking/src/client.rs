//! Several producers over the same connections.

use std::sync::Arc;

use rocketmq_engine::Config;
use rocketmq_engine::driver::threads::Spawn;
use rocketmq_engine::driver::{self, Setup, StartError};

use crate::builder::{Builder, Spawner, lead, serve};
use crate::lead::Lead;

/// What several producers share: connections, routes, heartbeats, room and the thread that moves
/// the bytes (PROTOCOL E.3). Cheap to clone.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rocketmq_blocking::Client;
///
/// let client = Client::builder().name_servers(["127.0.0.1:9876"]).start()?;
/// let orders = client.producer("order-service").start()?;
/// let bills = client.producer("bill-service").config(|c| c.retries = 5).start()?;
/// # Ok(())
/// # }
/// ```
///
/// Each producer has its own group, settings for its messages, flush, shutdown and callback
/// threads. The connections are closed when the last producer is shut down, and opened again when
/// another one is started; the thread, `rmq-client-io`, ends with the last clone and the last
/// producer.
#[derive(Clone, Debug)]
pub struct Client {
    client: driver::Client,
    lead: Arc<Lead>,
}

/// Settings of a client that is to be started. Made by [`Client::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct ClientBuilder(Setup);

impl Client {
    /// Begins with the defaults.
    pub fn builder() -> ClientBuilder {
        ClientBuilder(Setup::client())
    }

    /// Begins a producer of this group on this client, with the client's settings. Those that
    /// concern messages may be changed; those of the client are refused at the start when they
    /// differ, and so is a group that has a producer here already.
    pub fn producer(&self, group: impl AsRef<str>) -> Builder {
        Builder::on(Setup::on(&self.client, group.as_ref()), self.lead.clone())
    }
}

impl ClientBuilder {
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

    /// Starts the client and its thread. Nothing is asked of any server yet.
    ///
    /// # Errors
    /// The first setting that is wrong, or that the system refused the thread.
    pub fn start(self) -> Result<Client, StartError> {
        let (client, supervisor) = self.0.start_client()?;
        let lead = lead(supervisor, "client")?;
        Spawner
            .spawn("rmq-client-io".to_owned(), serve(lead.clone()))
            .map_err(|error| StartError::Runtime(format!("the system gave no thread: {error}")))?;
        Ok(Client { client, lead })
    }
}
