//! The list of name servers, replaced at run time: by the application, or by discovery (PROTOCOL
//! E.6, H.1, I 16).

use std::io::ErrorKind;

use rocketmq_proto::TopicName;

use crate::config::ConfigError;
use crate::engine::Engine;
use crate::event::Event;
use crate::io::{CloseReason, Endpoint, InvalidEndpoint, Now, Output};
use crate::peer::{PeerId, Waiting};

impl Engine {
    /// Replaces the list of name servers. Connections to those that are no longer listed are closed,
    /// questions that were put to them go to the others. An equal list changes nothing. Discovery, if there was any, ends: this list counts from now on.
    ///
    /// # Errors
    /// The list is empty.
    pub fn set_name_servers(
        &mut self,
        now: Now,
        servers: Vec<Endpoint>,
    ) -> Result<(), ConfigError> {
        if servers.is_empty() {
            return Err(ConfigError {
                field: "name_servers",
                value: "[]".to_owned(),
                bound: "must name at least one",
            });
        }
        self.stop_discovery(now);
        self.replace_name_servers(now, servers);
        self.settle(now);
        Ok(())
    }

    /// The name servers that are asked now, in the order of asking.
    pub fn name_servers(&self) -> &[Endpoint] {
        self.routes.name_servers()
    }

    /// Asks for the routes of these topics, if they are not known, and goes on without waiting.
    pub(crate) fn prefetch(&mut self, now: Now, topics: &[TopicName]) {
        if topics.is_empty() {
            return;
        }
        self.start_upkeep(now);
        for name in topics {
            // A name that the namespace makes too long is refused when it is used.
            let Ok(name) = self.config.wire_topic(name) else {
                continue;
            };
            let id = self.routes.topic(&name, now.mono, &mut self.rng);
            let topic = self.routes.topics.get(id);
            if topic.is_some_and(|topic| topic.usable().is_none()) {
                self.routes.polling.push_back(id);
            }
        }
        self.poll_next(now);
    }

    pub(crate) fn replace_name_servers(&mut self, now: Now, servers: Vec<Endpoint>) {
        let Some(gone) = self.routes.replace_servers(servers, &mut self.rng) else {
            return;
        };
        self.outputs
            .push_back(Output::Event(Event::NameServersChanged {
                servers: self.routes.name_servers().into(),
            }));
        for server in gone {
            self.take_back_questions(now, &server);
            if let Some(peer) = self.peers.known(&server) {
                self.part_from(now, peer);
            }
        }
        self.resume_lookups(now);
    }

    /// Questions that this name server has not answered go to others.
    fn take_back_questions(&mut self, now: Now, server: &Endpoint) {
        for id in self.routes.lookups.keys() {
            let asked = self.routes.lookups.get(id).and_then(|lookup| {
                let mut open = lookup.asked.iter().filter(|a| a.failure.is_none());
                open.find(|asked| asked.server == *server)
            });
            let Some(request) = asked.map(|asked| asked.request) else {
                continue;
            };
            if let Some((conn, opaque, _)) = request {
                self.forget_request(conn, opaque);
                self.close_if_left(now, conn);
            }
            self.lookup_failed(now, id, server, CloseReason::NotListed.to_string());
        }
    }

    /// Closes the connections to what was a name server; what is a broker as well goes on as that.
    fn part_from(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.peers.get_mut(id) else {
            return;
        };
        peer.waiting
            .retain(|who| !matches!(who, Waiting::Lookup(_)));
        if peer.is_broker {
            return;
        }
        let waiting = std::mem::take(&mut peer.waiting);
        for conn in self.peers.conns_of(id) {
            self.disconnect(now, conn, CloseReason::NotListed);
        }
        self.fail_waiting(now, id, waiting, ErrorKind::ConnectionAborted.into());
        self.forget_peer(now, id);
    }

    /// Questions that are under way go on with the new list.
    fn resume_lookups(&mut self, now: Now) {
        for id in self.routes.lookups.keys() {
            let idle = self
                .routes
                .lookups
                .get(id)
                .is_some_and(|lookup| lookup.outstanding() == 0);
            if idle {
                self.ask_next(now, id);
            } else {
                self.arm_lookup(now, id);
            }
        }
    }
}

/// The addresses of a list; each text may hold several, separated by `;`. Of the form
/// `http://host:port` the part after the last `/` counts (PROTOCOL E.1).
pub(crate) fn parse_name_servers<S: AsRef<str>>(
    addresses: impl IntoIterator<Item = S>,
) -> Result<Vec<Endpoint>, InvalidEndpoint> {
    let mut servers = Vec::new();
    for list in addresses {
        let list = list.as_ref().split(';').map(str::trim);
        for address in list.filter(|address| !address.is_empty()) {
            let is_url = address.starts_with("http://") || address.starts_with("https://");
            let last = address.rsplit('/').next().filter(|_| is_url);
            servers.push(Endpoint::new(last.unwrap_or(address))?);
        }
    }
    Ok(servers)
}
