//! Several producers over the same connections.

use rocketmq_engine::Config;
use rocketmq_engine::driver::{self, Setup, StartError};

use crate::builder::{Builder, serve};

/// What several producers share: connections, routes, heartbeats and room (PROTOCOL E.3). Cheap to
/// clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rocketmq_tokio::Client;
///
/// let client = Client::builder().name_servers(["127.0.0.1:9876"]).start().await?;
/// let orders = client.producer("order-service").start().await?;
/// let bills = client.producer("bill-service").config(|c| c.retries = 5).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// Each producer has its own group, settings for its messages, flush and shutdown. The connections
/// are closed when the last producer is shut down, and opened again when another one is started.
#[derive(Clone, Debug)]
pub struct Client(driver::Client);

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
        Builder::from(Setup::on(&self.0, group.as_ref()))
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

    /// Starts the client on the present tokio runtime. Nothing is asked of any server yet.
    ///
    /// # Errors
    /// The first setting that is wrong, or that there is no runtime here.
    pub async fn start(self) -> Result<Client, StartError> {
        let (client, supervisor) = self.0.start_client()?;
        serve(supervisor)?;
        Ok(Client(client))
    }
}
