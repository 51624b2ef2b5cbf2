//! How a cluster is put together.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use super::{Cluster, layer::Security, node::NodeOptions};
use crate::{
    Broker, BrokerConfig, ClusterState, Flavour, Keep, NameServer, TopicConfig,
    config::DEFAULT_REQUEST_LOG,
};

/// The most servers of a kind.
const MAX_SERVERS: usize = 250;

/// Settings of a [`Cluster`]; made by [`Cluster::builder`].
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    name_servers: usize,
    brokers: usize,
    port: Option<u16>,
    broker_port: Option<u16>,
    max_connections: usize,
    security: Security,
    topics: Vec<(String, TopicConfig)>,
    template: BrokerConfig,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self {
            name_servers: 1,
            brokers: 1,
            port: None,
            broker_port: None,
            max_connections: 1024,
            security: Security::default(),
            topics: Vec::new(),
            template: BrokerConfig::new("", nowhere),
        }
    }
}

impl ClusterBuilder {
    /// How many name servers, 1 by default, at most 250. All of them know all brokers.
    pub fn name_servers(mut self, count: usize) -> Self {
        self.name_servers = count.min(MAX_SERVERS);
        self
    }

    /// How many brokers, 1 by default, at most 250. They are named `broker-a`, `broker-b` and so on.
    pub fn brokers(mut self, count: usize) -> Self {
        self.brokers = count.min(MAX_SERVERS);
        self
    }

    /// The release to behave like; 5.3.3 by default.
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.template.flavour = flavour;
        self
    }

    /// Whether a send creates an unknown topic (Java `autoCreateTopicEnable`, default true).
    pub fn auto_create(mut self, enabled: bool) -> Self {
        self.template.auto_create_topics = enabled;
        self
    }

    /// A topic that every broker has from the start, readable and writeable.
    pub fn topic(self, name: impl Into<String>, queues_per_broker: i32) -> Self {
        self.topic_config(name, TopicConfig::new(queues_per_broker))
    }

    /// The same with all its settings.
    pub fn topic_config(mut self, name: impl Into<String>, config: TopicConfig) -> Self {
        self.topics.push((name.into(), config));
        self
    }

    /// The port of the first name server; further ones take the ports behind it. By default, and with 0, free ports
    /// between 20 000 and 32 000.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port).filter(|&port| port != 0);
        self
    }

    /// The port of the first broker; further ones take the ports behind it. Free ports by default and with 0.
    pub fn broker_port(mut self, port: u16) -> Self {
        self.broker_port = Some(port).filter(|&port| port != 0);
        self
    }

    /// Whether messages are counted and then thrown away ([`Keep::Nothing`]), and no request is remembered: for
    /// benchmarks that would fill the memory. False by default.
    pub fn discard(mut self, discard: bool) -> Self {
        (self.template.keep, self.template.request_log) = if discard {
            (Keep::Nothing, 0)
        } else {
            (Keep::Everything, DEFAULT_REQUEST_LOG)
        };
        self
    }

    /// The most connections that each server has at a time, 1024 by default; more are closed at once.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// All servers speak TLS too, or TLS only; see [`Tls`](crate::Tls). By default they speak plainly and close what is
    /// TLS. For servers without sockets it means nothing. Feature `tls`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::Tls) -> Self {
        self.security.tls = Some(tls);
        self
    }

    /// One who may send requests to all servers, name servers included; others are refused (PROTOCOL G.5). By default
    /// everybody may.
    pub fn account(mut self, access_key: impl Into<String>, secret: impl Into<String>) -> Self {
        let account = (access_key.into(), secret.into());
        self.template.accounts.extend([account]);
        self
    }

    /// Changes any other setting of all brokers. Name and address are set later, and the seed is different for each
    /// broker.
    pub fn configure_brokers(mut self, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        change(&mut self.template);
        self
    }

    /// Starts the servers; all of them listen and know each other when this returns.
    ///
    /// # Errors
    ///
    /// When a port is taken or a thread cannot be started.
    pub fn start(self) -> io::Result<Cluster> {
        Cluster::start(self)
    }

    /// The same servers without sockets, for a simulation: name servers at 10.0.0.1:9876 and up, brokers at
    /// 10.0.1.1:10911 and up. Ports asked for are used instead, without counting up.
    pub fn into_state(self) -> ClusterState {
        let at = |net: u8, index: usize, port: u16| {
            // At most MAX_SERVERS, so no host number is too large.
            let host = index as u8 + 1;
            SocketAddr::from((Ipv4Addr::new(10, 0, net, host), port))
        };
        let name_server = |index| self.name_server(at(0, index, self.port.unwrap_or(9876)));
        let broker = |index| self.broker(index, at(1, index, self.broker_port.unwrap_or(10_911)));
        let name_servers = (0..self.name_servers).map(name_server).collect();
        let brokers = (0..self.brokers).map(broker).collect();
        ClusterState::new(name_servers, brokers)
    }

    pub(super) fn name_server_count(&self) -> usize {
        self.name_servers
    }

    pub(super) fn broker_count(&self) -> usize {
        self.brokers
    }

    pub(super) fn port_of_name_server(&self, at: usize) -> Option<u16> {
        self.port.map(|port| port.saturating_add(at as u16))
    }

    pub(super) fn port_of_broker(&self, at: usize) -> Option<u16> {
        self.broker_port.map(|port| port.saturating_add(at as u16))
    }

    pub(super) fn node_options(&self) -> NodeOptions {
        NodeOptions {
            max_connections: self.max_connections,
            security: self.security.clone(),
        }
    }

    pub(super) fn name_server(&self, address: SocketAddr) -> NameServer {
        let log = self.template.request_log;
        let mut server = NameServer::new(address, self.template.flavour, log);
        server.set_accounts(self.template.accounts.clone());
        server
    }

    pub(super) fn broker(&self, at: usize, address: SocketAddr) -> Broker {
        let mut config = self.template.clone();
        config.name = broker_name(at);
        config.address = address;
        config.seed = config.seed.wrapping_add(at as u64);
        let mut broker = Broker::new(config);
        for (name, topic) in &self.topics {
            broker.create_topic(name.clone(), topic.clone());
        }
        broker
    }
}

/// `broker-a` to `broker-z`, then `broker-26` and so on.
fn broker_name(at: usize) -> String {
    match u8::try_from(at) {
        Ok(letter @ 0..26) => format!("broker-{}", char::from(b'a' + letter)),
        _ => format!("broker-{at}"),
    }
}
