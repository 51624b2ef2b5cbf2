//! The application replaces the list of name servers, whatever is under way (PROTOCOL E.6, I 16).

use rocketmq_engine::Endpoint;

use super::world::World;

impl World {
    /// Some of the name servers there are, in whatever order, some perhaps twice.
    pub(super) fn relist(&mut self) -> Result<(), String> {
        let count = self.rng.within(1, 3);
        let servers = (0..count).map(|_| self.rng.within(1, self.plan.name_servers));
        let servers = servers.map(name_server).collect();
        self.list(servers)
    }

    /// All of them again.
    pub(super) fn list_all(&mut self) -> Result<(), String> {
        self.list((1..=self.plan.name_servers).map(name_server).collect())
    }

    fn list(&mut self, servers: Vec<Endpoint>) -> Result<(), String> {
        self.trace
            .line(self.now, || format!("< name servers {servers:?}"));
        let now = self.moment();
        self.is_relisted = true;
        let set = self.engine.set_name_servers(now, servers.clone());
        set.map_err(|error| error.to_string())?;
        self.drain()?;
        if self.is_ending() {
            return Ok(());
        }
        for wire in self.net.conns.values() {
            let port = &self.net.servers[self.net.wires[wire].server];
            let address = port.address.to_string();
            if port.broker.is_none() && !servers.iter().any(|s| s.as_str() == address) {
                return Err(format!(
                    "{address} is no longer listed, but still connected"
                ));
            }
        }
        Ok(())
    }
}

fn name_server(host: usize) -> Endpoint {
    Endpoint::new(format!("10.0.0.{host}:9876")).expect("a legal address")
}
