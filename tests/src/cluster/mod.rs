//! The servers over real sockets on loopback, with plain threads.

mod builder;
mod conn;
mod gate;
mod handle;
mod layer;
mod node;
mod port;
mod timer;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Broker, NameServer, Registration, Server};

pub use builder::ClusterBuilder;
pub use gate::Listening;
pub use handle::Handle;

use {node::Node, timer::Timer};

/// Name servers and brokers that listen on 127.0.0.1 until this is dropped.
///
/// Dropping stops every server, closes every connection and joins every thread.
#[derive(Debug)]
pub struct Cluster {
    name_servers: Vec<Arc<Node<NameServer>>>,
    brokers: Vec<Arc<Node<Broker>>>,
}

impl Cluster {
    /// One name server and one broker, of 5.3.3, on free ports, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    fn start(builder: ClusterBuilder) -> io::Result<Self> {
        let timer = Arc::new(Timer::default());
        let mut name_servers = Vec::new();
        for at in 0..builder.name_server_count() {
            let listener = port::bind(builder.port_of_name_server(at))?;
            let server = builder.name_server(listener.local_addr()?);
            let name = format!("namesrv-{at}");
            let hub = Hub::default();
            let options = builder.node_options();
            name_servers.push(Node::start(name, server, listener, hub, &timer, options)?);
        }
        let mut brokers = Vec::new();
        for at in 0..builder.broker_count() {
            let listener = port::bind(builder.port_of_broker(at))?;
            let server = builder.broker(at, listener.local_addr()?);
            let name = server.config().name.clone();
            let hub = Hub(name_servers.clone());
            let options = builder.node_options();
            brokers.push(Node::start(name, server, listener, hub, &timer, options)?);
        }
        let cluster = Self {
            name_servers,
            brokers,
        };
        cluster.register_all();
        Ok(cluster)
    }

    /// The addresses of the name servers.
    pub fn name_servers(&self) -> Vec<SocketAddr> {
        self.name_servers
            .iter()
            .map(|node| node.address())
            .collect()
    }

    /// The same as one text, `host:port;host:port`, as every RocketMQ client takes it.
    pub fn name_server_list(&self) -> String {
        let all: Vec<_> = self
            .name_servers()
            .iter()
            .map(ToString::to_string)
            .collect();
        all.join(";")
    }

    /// A name server, counted from 0.
    ///
    /// # Panics
    ///
    /// When there are not so many, as indexing does.
    pub fn name_server(&self, at: usize) -> Handle<NameServer> {
        Handle::new(Arc::clone(&self.name_servers[at]))
    }

    /// A broker, counted from 0.
    ///
    /// # Panics
    ///
    /// When there are not so many, as indexing does.
    pub fn broker(&self, at: usize) -> Handle<Broker> {
        Handle::new(Arc::clone(&self.brokers[at]))
    }

    /// The broker of this name.
    pub fn broker_named(&self, name: &str) -> Option<Handle<Broker>> {
        let found = self.brokers.iter().find(|node| node.name() == name)?;
        Some(Handle::new(Arc::clone(found)))
    }

    /// All brokers.
    pub fn brokers(&self) -> Vec<Handle<Broker>> {
        let handle = |node| Handle::new(Arc::clone(node));
        self.brokers.iter().map(handle).collect()
    }

    /// Tells every name server of every broker, as real brokers do every 30 s. Needed only for a name server that
    /// was restarted empty, or after [`NameServer::unregister`].
    pub fn register_all(&self) {
        for broker in &self.brokers {
            let registration = broker.with(|broker| {
                // Marks the present version as announced.
                let _ = broker.take_registration();
                broker.registration()
            });
            for name_server in &self.name_servers {
                name_server.with(|server| server.register(registration.clone()));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for broker in &self.brokers {
            broker.stop();
        }
        for name_server in &self.name_servers {
            name_server.stop();
        }
    }
}

/// The name servers that a broker reports to.
#[derive(Debug, Default)]
struct Hub(Vec<Arc<Node<NameServer>>>);

impl Hub {
    fn register(&self, registration: &Registration) {
        for name_server in &self.0 {
            name_server.with(|server| server.register(registration.clone()));
        }
    }
}

/// A panic of a test while it held a lock says nothing about the state behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
