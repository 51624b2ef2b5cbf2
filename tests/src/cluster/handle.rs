//! What a test does with one server of a running cluster.

use std::{io, net::SocketAddr, sync::Arc};

use rocketmq_proto::{RequestCode, StoredMessage};

use super::{
    Listening,
    node::{Node, now},
};
use crate::{
    Broker, ClientSeen, FaultRule, Half, Heartbeat, RequestSeen, ScriptFull, Server, TopicConfig,
};

/// One server of a running [`Cluster`](crate::Cluster). It does not keep the server running.
#[derive(Debug)]
pub struct Handle<S> {
    node: Arc<Node<S>>,
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
        }
    }
}

impl<S: Server + Send + 'static> Handle<S> {
    pub(super) fn new(node: Arc<Node<S>>) -> Self {
        Self { node }
    }

    /// The server's name: that of the broker, or `namesrv-0` and so on.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Where it listens, or did; the same after a restart.
    pub fn addr(&self) -> SocketAddr {
        self.node.address()
    }

    /// Works on the server's state, which takes no request meanwhile. What it changes of topics is told to the name
    /// servers.
    pub fn with<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        self.node.with(work)
    }

    /// Adds a rule to the fault script.
    ///
    /// # Errors
    ///
    /// [`ScriptFull`] when too many rules are waiting.
    pub fn inject(&self, rule: FaultRule) -> Result<(), ScriptFull> {
        self.with(|server| server.faults().inject(rule))
    }

    /// Drops all rules of the fault script.
    pub fn clear_faults(&self) {
        self.with(|server| server.faults().clear());
    }

    /// How many faults were let loose so far.
    pub fn faults_fired(&self) -> u64 {
        self.with(|server| server.faults().fired())
    }

    /// The requests seen and remembered, oldest first.
    pub fn requests(&self) -> Vec<RequestSeen> {
        self.with(|server| server.requests().iter().collect())
    }

    /// How many requests with this code came in.
    pub fn count(&self, code: RequestCode) -> u64 {
        self.with(|server| server.requests().count(code))
    }

    /// What clients answered to requests of this server, oldest first.
    pub fn answers(&self) -> Vec<RequestSeen> {
        self.with(|server| server.requests().answers().collect())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.node.connections()
    }

    /// Kills the server: closes its listener and all its connections at once and waits for its threads. Name servers
    /// go on to list a broker, as they do for 120 s when a real one dies. What it stored stays in memory.
    pub fn stop(&self) {
        self.node.stop();
    }

    /// Starts the server anew on its old port with what it had stored; kills it first if it still runs.
    ///
    /// # Errors
    ///
    /// When the port was taken meanwhile.
    pub fn restart(&self) -> io::Result<()> {
        self.node.restart()
    }

    /// The same with its disk lost: a broker has no messages (its topics stay), a name server no routes until
    /// [`Cluster::register_all`](crate::Cluster::register_all).
    ///
    /// # Errors
    ///
    /// When the port was taken meanwhile.
    pub fn restart_empty(&self) -> io::Result<()> {
        self.node.stop();
        self.with(Server::forget);
        self.node.restart()
    }

    /// Makes the server half-open: it reads and writes nothing more, and closes nothing either. New connections are
    /// accepted, and treated the same.
    pub fn pause(&self) {
        self.node.pause(true);
    }

    /// Goes on where [`pause`](Self::pause) stopped; what came meanwhile is answered now.
    pub fn resume(&self) {
        self.node.pause(false);
    }

    /// Serves new connections, refuses them, or accepts them in silence. Connections that exist go on, but for those
    /// accepted in silence: they are closed when the server opens again.
    ///
    /// # Errors
    ///
    /// When the port was taken while connections were refused.
    pub fn listen(&self, listening: Listening) -> io::Result<()> {
        self.node.listen(listening)
    }

    /// Gives the server other TLS settings, or none: for connections that begin from now on. Feature `tls`.
    #[cfg(feature = "tls")]
    pub fn set_tls(&self, tls: Option<crate::Tls>) {
        self.node.secure(super::layer::Security { tls });
    }

    /// Closes every connection; the server goes on listening.
    pub fn close_connections(&self) {
        self.node.close_connections();
    }
}

impl Handle<Broker> {
    /// Every message of a topic, in the order in which it was stored.
    pub fn stored(&self, topic: &str) -> Vec<StoredMessage> {
        self.caught_up(|broker| broker.stored(topic))
    }

    /// Every message of every topic, those in system topics included.
    pub fn messages(&self) -> Vec<StoredMessage> {
        self.caught_up(|broker| broker.messages())
    }

    /// One past the last offset of a queue, which also counts when nothing is kept.
    pub fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        self.caught_up(|broker| broker.max_offset(topic, queue_id))
    }

    /// The clients that are alive.
    pub fn clients(&self) -> Vec<ClientSeen> {
        self.with(|broker| broker.clients(now()))
    }

    /// The heartbeats seen, oldest first.
    pub fn heartbeats(&self) -> Vec<Heartbeat> {
        self.with(|broker| broker.heartbeats().cloned().collect())
    }

    /// Half messages and what became of them.
    pub fn halves(&self) -> Vec<Half> {
        self.with(|broker| broker.halves().cloned().collect())
    }

    /// Asks producers about every open half message that is old enough, now instead of at the next time
    /// ([`BrokerConfig::check_interval_ms`](crate::BrokerConfig::check_interval_ms)). Returns how many questions went
    /// out.
    pub fn check_halves(&self) -> usize {
        self.node
            .act(|broker, actions| broker.check_halves(now(), actions))
    }

    /// Creates or replaces a topic; all name servers know it when this returns.
    pub fn create_topic(&self, name: impl Into<String>, config: TopicConfig) {
        self.with(|broker| broker.create_topic(name, config));
    }

    /// With the delayed messages delivered that are due.
    fn caught_up<R>(&self, work: impl FnOnce(&mut Broker) -> R) -> R {
        self.with(|broker| {
            broker.deliver_due(now());
            work(broker)
        })
    }
}
