//! From settings to a producer that a runtime only has to serve.

use std::sync::Arc;

use rocketmq_proto::{GroupName, InvalidName};

use super::client::Client;
use super::handle::Handle;
use super::hub::Hub;
use super::local::{default_client_id, entropy, local_ip, unique_id_seed};
use super::work::Supervisor;
use crate::config::{Config, ConfigError};
use crate::io::InvalidEndpoint;
use crate::name_servers::parse_name_servers;

/// The group under which a client that has no producer yet keeps its settings; no broker hears it.
const NO_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// The settings of a producer, or of a client, that is to be started: what the builders of all
/// runtimes have in common. The first thing that is wrong is kept and told at the
/// [start](Self::start).
#[derive(Debug)]
pub struct Setup {
    config: Result<Config, StartError>,
    /// The client that the producer joins; `None` for one of its own.
    client: Option<Client>,
}

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
    /// The runtime cannot carry a producer here and now.
    #[error("no producer can run here: {0}")]
    Runtime(String),
}

impl Setup {
    /// Begins with the name of the producer group.
    pub fn new(group: &str) -> Self {
        let group = GroupName::new(group).map_err(StartError::Group);
        Self {
            config: group.map(Config::new),
            client: None,
        }
    }

    /// Begins with settings that were put together or read before.
    pub fn from_config(config: Config) -> Self {
        Self {
            config: Ok(config),
            client: None,
        }
    }

    /// Begins a client that producers will share.
    pub fn client() -> Self {
        Self::new(NO_GROUP)
    }

    /// Begins a producer on a client, with the client's settings.
    pub fn on(client: &Client, group: &str) -> Self {
        let group = GroupName::new(group).map_err(StartError::Group);
        let config = group.map(|group| Config {
            group,
            ..client.settings().clone()
        });
        Self {
            config,
            client: Some(client.clone()),
        }
    }

    /// The name servers, as `host:port`; a text may hold several, separated by `;` (Java:
    /// `namesrvAddr`). Replaces what was said before.
    pub fn name_servers<S: AsRef<str>>(&mut self, addresses: impl IntoIterator<Item = S>) {
        if let Ok(config) = &mut self.config {
            match parse_name_servers(addresses) {
                Ok(servers) => config.name_servers = servers,
                Err(error) => self.config = Err(error.into()),
            }
        }
    }

    /// Changes any other setting.
    pub fn config(&mut self, change: impl FnOnce(&mut Config)) {
        if let Ok(config) = &mut self.config {
            change(config);
        }
    }

    /// A producer, and the supervisor by which it is served, unless it joined a client: whoever
    /// serves that serves this one as well. Asks nothing of any server.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn start(self) -> Result<(Handle, Option<Supervisor>), StartError> {
        let config = self.config?;
        if let Some(client) = self.client {
            let handle = Handle::join(client.hub().clone(), Arc::new(config))?;
            return Ok((handle, None));
        }
        let (hub, supervisor) = open(config)?;
        let config = hub.client_config().clone();
        Ok((Handle::join(hub, config)?, Some(supervisor)))
    }

    /// A client, and the supervisor by which its producers are served.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn start_client(self) -> Result<(Client, Supervisor), StartError> {
        let (hub, supervisor) = open(self.config?)?;
        Ok((Client::new(hub), supervisor))
    }
}

/// Fills in the client id and the seeds.
fn open(mut config: Config) -> Result<(Hub, Supervisor), StartError> {
    let ip = local_ip();
    if config.client_id.is_empty() {
        config.client_id = config.client_id_of(default_client_id(ip));
    }
    config.derive_namespace();
    let ids = unique_id_seed(ip, config.utc_offset_seconds);
    Ok(Hub::new(config, entropy(), ids)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_as_a_url() {
        let mut setup = Setup::new("g");
        setup.name_servers(["http://MQ_INST_1_a.mq.example:80"]);
        let config = setup.config.unwrap();
        assert_eq!(config.name_servers[0].as_str(), "MQ_INST_1_a.mq.example:80");
    }

    #[test]
    fn a_text_may_hold_several_name_servers() {
        let mut setup = Setup::new("g");
        setup.name_servers(["10.0.0.1:9876; 10.0.0.2:9876;", "http://ns:1"]);
        let config = setup.config.unwrap();
        let servers: Vec<_> = config.name_servers.iter().map(|s| s.as_str()).collect();
        assert_eq!(servers, ["10.0.0.1:9876", "10.0.0.2:9876", "ns:1"]);
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_told_at_the_start() {
        let mut setup = Setup::new("no spaces");
        setup.name_servers(["nonsense"]);
        assert!(matches!(setup.start(), Err(StartError::Group(_))));

        let mut setup = Setup::new("g");
        setup.name_servers(["nonsense"]);
        setup.config(|config| config.retries = 1000);
        assert!(matches!(setup.start(), Err(StartError::Endpoint(_))));

        assert!(matches!(
            Setup::new("g").start(),
            Err(StartError::Config(_))
        ));
    }
}
