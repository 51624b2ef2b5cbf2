//! Several servers as one state, for simulations.

use std::net::SocketAddr;

use rocketmq_proto::Frame;

use crate::{Action, Broker, NameServer, PeerId, Registration, Server, ServerNow};

/// The name servers and brokers of one cluster without sockets. A topic that a broker creates shows in the routes of
/// every name server at once.
///
/// Made by [`ClusterBuilder::into_state`](crate::ClusterBuilder::into_state), or from servers of one's own.
#[derive(Debug)]
pub struct ClusterState {
    name_servers: Vec<NameServer>,
    brokers: Vec<Broker>,
}

impl ClusterState {
    /// Puts servers together and registers every broker at every name server.
    pub fn new(name_servers: Vec<NameServer>, brokers: Vec<Broker>) -> Self {
        let mut state = Self {
            name_servers,
            brokers,
        };
        state.register_all();
        state
    }

    /// Gives a frame to the server at this address. No [`Action::Register`] comes out: it is done already. A frame
    /// to an address where nobody listens closes its connection.
    pub fn on_frame(
        &mut self,
        now: ServerNow,
        server: SocketAddr,
        conn: PeerId,
        peer: SocketAddr,
        frame: &Frame,
        out: &mut Vec<Action>,
    ) {
        let before = out.len();
        match self.server_mut(server) {
            Some(server) => server.on_frame(now, conn, peer, frame, out),
            None => out.push(Action::Close { conn }),
        }
        self.carry_out_registrations(before, out);
    }

    /// A connection to this server is gone.
    pub fn on_closed(&mut self, server: SocketAddr, conn: PeerId) {
        if let Some(server) = self.server_mut(server) {
            server.on_closed(conn);
        }
    }

    /// Tells every name server of every broker, as brokers do every 30 s; needed after method calls that changed
    /// topics, or for a name server that forgot its routes.
    pub fn register_all(&mut self) {
        for broker in &mut self.brokers {
            // Marks the present version as announced.
            let _ = broker.take_registration();
            for name_server in &mut self.name_servers {
                name_server.register(broker.registration());
            }
        }
    }

    /// The server that listens at this address.
    pub fn server_mut(&mut self, at: SocketAddr) -> Option<&mut dyn Server> {
        if let Some(found) = self.name_servers.iter_mut().find(|s| s.address() == at) {
            return Some(found);
        }
        let found = self.brokers.iter_mut().find(|b| b.config().address == at)?;
        Some(found)
    }

    /// The name servers.
    pub fn name_servers(&self) -> &[NameServer] {
        &self.name_servers
    }

    /// The name servers, to be changed.
    pub fn name_servers_mut(&mut self) -> &mut [NameServer] {
        &mut self.name_servers
    }

    /// The brokers.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The brokers, to be changed; [`register_all`](Self::register_all) tells the name servers of it.
    pub fn brokers_mut(&mut self) -> &mut [Broker] {
        &mut self.brokers
    }

    fn carry_out_registrations(&mut self, from: usize, out: &mut Vec<Action>) {
        let mut at = from;
        while at < out.len() {
            if !matches!(out[at], Action::Register(_)) {
                at += 1;
                continue;
            }
            if let Action::Register(registration) = out.remove(at) {
                for name_server in &mut self.name_servers {
                    name_server.register(Registration::clone(&registration));
                }
            }
        }
    }
}
