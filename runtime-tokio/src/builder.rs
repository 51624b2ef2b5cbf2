//! From settings to a running producer.

use rocketmq_engine::driver::{Handle, Hub, default_client_id, entropy, local_ip, unique_id_seed};
use rocketmq_engine::proto::{GroupName, InvalidName};
use rocketmq_engine::{Config, ConfigError, Endpoint, InvalidEndpoint};

use crate::driver::supervise;
use crate::producer::Producer;

/// Settings of a producer that is to be started. Made by [`Producer::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder(Result<Config, StartError>);

/// Why a producer cannot be started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name server's address cannot be read.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// The group's name breaks a rule (PROTOCOL E.4).
    #[error(transparent)]
    Group(#[from] InvalidName),
    /// There is no tokio runtime here.
    #[error("start() was called outside a tokio runtime: call it from a task or within block_on")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new(group: &str) -> Self {
        Self(
            GroupName::new(group)
                .map(Config::new)
                .map_err(StartError::Group),
        )
    }

    /// The name servers to ask, as `host:port`; a text may hold several, separated by `;`
    /// (Java: `namesrvAddr`). No default. Replaces what was said before.
    pub fn name_servers<S: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        if let Ok(config) = &mut self.0 {
            match parse_all(addresses) {
                Ok(servers) => config.name_servers = servers,
                Err(error) => self.0 = Err(error.into()),
            }
        }
        self
    }

    /// Changes any other setting; see [`Config`] for all of them and their defaults.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let Ok(config) = &mut self.0 {
            change(config);
        }
        self
    }

    /// Starts the producer on the present tokio runtime. Nothing is asked of any server yet: the
    /// first send is, or [`ready`](rocketmq_engine::driver::asynchronous::Producer::ready).
    ///
    /// # Errors
    /// The first setting that is wrong, or that there is no runtime here.
    pub async fn start(self) -> Result<Producer, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let mut config = self.0?;
        let ip = local_ip();
        if config.client_id.is_empty() {
            config.client_id = default_client_id(ip);
        }
        let ids = unique_id_seed(ip, config.utc_offset_seconds);
        let (hub, supervisor) = Hub::new(config, entropy(), ids)?;
        runtime.spawn(supervise(supervisor));
        Ok(Producer::new(Handle::new(hub)))
    }
}

fn parse_all<S: AsRef<str>>(
    addresses: impl IntoIterator<Item = S>,
) -> Result<Vec<Endpoint>, InvalidEndpoint> {
    let mut servers = Vec::new();
    for list in addresses {
        for address in list
            .as_ref()
            .split(';')
            .filter(|address| !address.trim().is_empty())
        {
            servers.push(Endpoint::new(address)?);
        }
    }
    Ok(servers)
}
