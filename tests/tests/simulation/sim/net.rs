//! The network: dials, bytes on their way, and all that can go wrong with them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::{CloseCause, ConnId, Endpoint, Frame, FrameSeq, Input};
use rocketmq_testkit::{ClusterState, PeerId};

use super::wire::{Finished, Fuse, Outgoing, Phase, Wire};
use super::world::{Event, World};

pub(super) struct Net {
    pub(super) servers: Vec<ServerPort>,
    pub(super) wires: BTreeMap<u64, Wire>,
    /// The connection that ended in this step.
    pub(super) just_closed: Option<ConnId>,
    /// The wires of connections that the engine holds.
    pub(super) conns: BTreeMap<ConnId, u64>,
    /// How many connections there ever were.
    pub(super) dials: u64,
    /// A connection that ended in this step, right after its driver had reported what was written:
    /// what the engine answered to the report may still name it.
    pub(super) just_ended: Option<ConnId>,
}

/// Where a server listens.
pub(super) struct ServerPort {
    pub(super) address: SocketAddr,
    /// The broker's name; `None` for a name server.
    pub(super) broker: Option<String>,
    pub(super) is_up: bool,
}

pub(super) enum NetEvent {
    ClientSeesEnd(u64, CloseCause),
    Dialled(u64, Result<(), ErrorKind>),
    /// The driver reports what it has written.
    Flushed(u64),
    Pump(u64),
    ServerSeesEnd(u64),
    ServerWrites(u64, Bytes),
    Stale(ConnId, Stale),
    ToClient(u64, Bytes),
    ToServer(u64, Bytes),
    /// A write returned to the driver.
    Wrote(u64, Finished),
}

/// News of a connection that is over for the engine.
#[derive(Clone, Copy)]
pub(super) enum Stale {
    Closed,
    Connected,
    Failed,
    Flushed,
    Received,
}

impl Net {
    pub(super) fn new(cluster: &ClusterState) -> Self {
        let port = |address, broker| ServerPort {
            address,
            broker,
            is_up: true,
        };
        let name_servers = cluster.name_servers().iter();
        let brokers = cluster.brokers().iter();
        let servers = name_servers
            .map(|server| port(server.address(), None))
            .chain(brokers.map(|broker| {
                let config = broker.config();
                port(config.address, Some(config.name.clone()))
            }));
        let discovery = port(SocketAddr::from(super::discovery::ADDRESS), None);
        Self {
            servers: servers.chain([discovery]).collect(),
            wires: BTreeMap::new(),
            just_closed: None,
            conns: BTreeMap::new(),
            dials: 0,
            just_ended: None,
        }
    }
}

impl World {
    /// The engine wants a connection.
    pub(super) fn dial(
        &mut self,
        conn: ConnId,
        to: &Endpoint,
        by: Duration,
        plain: bool,
    ) -> Result<(), String> {
        let address = to.to_string();
        // A broker serves its VIP port as well (PROTOCOL C.6).
        let vip = |port: &ServerPort| SocketAddr::new(port.address.ip(), port.address.port() - 2);
        let is_vip = |port: &ServerPort| {
            self.config.vip_channel && port.broker.is_some() && vip(port).to_string() == address
        };
        let known = |port: &ServerPort| port.address.to_string() == address || is_vip(port);
        let Some(server) = self.net.servers.iter().position(known) else {
            return Err(format!("{conn} is dialled to {to}, which is no server"));
        };
        if plain != self.is_discovery(server) {
            return Err(format!("{to} is dialled with plain: {plain}"));
        }
        if by < self.now {
            return Err(format!("{conn} is to be dialled by a time that is over"));
        }
        let twice = self.net.conns.values().any(|wire| {
            let wire = &self.net.wires[wire];
            wire.server == server && wire.phase == Phase::Dialling && !self.config.vip_channel
        });
        if twice {
            return Err(format!("{to} is dialled twice at once"));
        }
        self.net.dials += 1;
        let id = self.net.dials;
        let weather = self.weather;
        let fuse = self.draw_fuse();
        let wire = Wire::new(conn, server, fuse);
        self.net.wires.insert(id, wire);
        if self.net.conns.insert(conn, id).is_some() {
            return Err(format!("{conn} is dialled though it exists"));
        }
        let left = by - self.now;
        let (after, result) = if !self.net.servers[server].is_up || self.rng.chance(weather.refused)
        {
            (self.delay(), Err(ErrorKind::ConnectionRefused))
        } else if self.rng.chance(weather.ignored) {
            // The driver may report it itself, or leave it to the engine's own deadline.
            let after = if self.rng.chance(500) { left } else { 3 * left };
            (after, Err(ErrorKind::TimedOut))
        } else if self.rng.chance(weather.slow) {
            (self.rng.time(left * 3 / 2), Ok(()))
        } else {
            (self.delay(), Ok(()))
        };
        self.schedule(after, Event::Net(NetEvent::Dialled(id, result)));
        Ok(())
    }

    /// The engine gives a frame to write.
    pub(super) fn transmit(&mut self, conn: ConnId, mut frame: Frame) -> Result<(), String> {
        let Some(&id) = self.net.conns.get(&conn) else {
            if self.net.just_closed == Some(conn) {
                return Ok(());
            }
            return Err(format!("a frame for {conn}, which does not exist"));
        };
        if !self.seal(id, &mut frame) {
            return Ok(());
        }
        self.book_frame(id, &frame)?;
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return Err(format!("{conn} has no wire"));
        };
        if wire.phase != Phase::Open {
            return Err(format!("a frame for {conn}, which is not connected"));
        }
        if frame.seq != FrameSeq(wire.given.0 + 1) {
            let given = wire.given.0;
            return Err(format!("{conn}: frame {} after {given}", frame.seq.0));
        }
        wire.given = frame.seq;
        wire.outbox.push_back(Outgoing::new(&frame));
        if !wire.is_pumping {
            wire.is_pumping = true;
            let after = self.rng.time(Duration::from_micros(50)) + self.draw_stall();
            self.schedule(after, Event::Net(NetEvent::Pump(id)));
        }
        Ok(())
    }

    /// The engine closes a connection, or stops dialling it.
    pub(super) fn hang_up(&mut self, conn: ConnId) -> Result<(), String> {
        let Some(id) = self.net.conns.remove(&conn) else {
            return Err(format!("{conn} is closed though it does not exist"));
        };
        self.leave(id);
        self.draw_stale(conn);
        Ok(())
    }

    pub(super) fn net_event(&mut self, event: NetEvent) -> Result<(), String> {
        match event {
            NetEvent::ClientSeesEnd(id, cause) => self.client_sees_end(id, cause),
            NetEvent::Dialled(id, result) => self.dialled(id, result),
            NetEvent::Flushed(id) => {
                self.report(id);
            }
            NetEvent::Pump(id) => self.pump(id),
            NetEvent::ServerSeesEnd(id) => self.server_sees_end(id),
            NetEvent::ServerWrites(id, bytes) => self.server_writes(id, &bytes),
            NetEvent::Stale(conn, stale) => return self.stale(conn, stale),
            NetEvent::ToClient(id, bytes) => self.arrive_at_client(id, &bytes),
            NetEvent::ToServer(id, bytes) => self.arrive_at_server(id, &bytes)?,
            NetEvent::Wrote(id, finished) => self.wrote(id, finished),
        }
        Ok(())
    }

    /// Before a tick, the driver reports all that was written.
    pub(super) fn report_written(&mut self) {
        let ids: Vec<u64> = self.net.conns.values().copied().collect();
        for id in ids {
            self.report(id);
        }
    }

    /// Both ends of a connection see that it is broken, each in its time.
    pub(super) fn break_wire(&mut self, id: u64) {
        let (at_client, at_server) = (self.delay(), self.delay());
        let cause = CloseCause::Failed(ErrorKind::ConnectionReset);
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        wire.is_broken = true;
        self.schedule(at_client, Event::Net(NetEvent::ClientSeesEnd(id, cause)));
        self.schedule(at_server, Event::Net(NetEvent::ServerSeesEnd(id)));
    }

    pub(super) fn delay(&mut self) -> Duration {
        let most = self.weather.delay;
        Duration::from_micros(50) + self.rng.time(most)
    }

    pub(super) fn draw_stall(&mut self) -> Duration {
        if self.rng.chance(self.weather.stalls) {
            self.rng.time(Duration::from_millis(800))
        } else {
            Duration::ZERO
        }
    }

    fn draw_fuse(&mut self) -> Option<Fuse> {
        let length = self.rng.pick(&[30, 600, 3_000]);
        let at = self.rng.below(length);
        if self.rng.chance(self.weather.breaks) {
            Some(Fuse::Break(at))
        } else if self.rng.chance(self.weather.silences) {
            Some(Fuse::Silence(at))
        } else {
            None
        }
    }

    fn draw_stale(&mut self, conn: ConnId) {
        if !self.rng.chance(self.weather.stale) {
            return;
        }
        for _ in 0..2 {
            let stale = self.rng.pick(&[
                Stale::Closed,
                Stale::Connected,
                Stale::Failed,
                Stale::Flushed,
                Stale::Received,
            ]);
            let after = self.delay();
            self.schedule(after, Event::Net(NetEvent::Stale(conn, stale)));
        }
    }

    fn dialled(&mut self, id: u64, result: Result<(), ErrorKind>) {
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        if !wire.client_is_there || wire.phase != Phase::Dialling {
            return;
        }
        let (conn, server) = (wire.conn, wire.server);
        let result = match result {
            Ok(()) if !self.net.servers[server].is_up => Err(ErrorKind::ConnectionRefused),
            result => result,
        };
        match result {
            Ok(()) => {
                wire.phase = Phase::Open;
                wire.server_is_there = true;
                self.feed(Input::Connected(conn));
            }
            Err(kind) => {
                self.net.wires.remove(&id);
                self.net.conns.remove(&conn);
                self.feed(Input::ConnectFailed(conn, kind.into()));
            }
        }
    }

    /// The server closes: what it wrote before still arrives.
    pub(super) fn end_at_server(&mut self, id: u64) {
        self.server_sees_end(id);
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        wire.is_broken = true;
        let at = self.arrival(id, false);
        let cause = CloseCause::PeerClosed;
        self.schedule_at(at, NetEvent::ClientSeesEnd(id, cause));
    }

    fn server_sees_end(&mut self, id: u64) {
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut wire.server_is_there, false) {
            let address = self.net.servers[wire.server].address;
            self.cluster.on_closed(address, PeerId(id));
        }
        self.forget_ended(id);
    }

    fn client_sees_end(&mut self, id: u64, cause: CloseCause) {
        let Some(wire) = self.net.wires.get(&id) else {
            return;
        };
        let conn = wire.conn;
        if !wire.client_is_there {
            return;
        }
        if self.report(id) {
            self.net.just_ended = Some(conn);
        }
        // The report may have made the engine close it.
        if !self.net.conns.contains_key(&conn) || !self.engine.has_conn(conn) {
            return;
        }
        self.net.conns.remove(&conn);
        // What was written may have made room for a frame, just before the end was told.
        self.net.just_closed = Some(conn);
        self.leave(id);
        self.feed(Input::Closed(conn, cause));
        self.draw_stale(conn);
    }

    /// The client's end is gone; the server will notice.
    fn leave(&mut self, id: u64) {
        let at = self.arrival(id, true);
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        wire.client_is_there = false;
        wire.outbox.clear();
        if wire.phase == Phase::Open {
            self.schedule_at(at, NetEvent::ServerSeesEnd(id));
        }
        self.forget_ended(id);
    }

    fn forget_ended(&mut self, id: u64) {
        let wire = self.net.wires.get(&id);
        if wire.is_some_and(|wire| !wire.client_is_there && !wire.server_is_there) {
            self.net.wires.remove(&id);
        }
    }

    /// News of what is no longer there must change nothing.
    fn stale(&mut self, conn: ConnId, stale: Stale) -> Result<(), String> {
        let mut junk = BytesMut::from(&[0x7F, 1, 2, 3, 4, 5, 6, 7, 8][..]);
        self.feed(match stale {
            Stale::Closed => Input::Closed(conn, CloseCause::PeerClosed),
            Stale::Connected => Input::Connected(conn),
            Stale::Failed => Input::ConnectFailed(conn, ErrorKind::Other.into()),
            Stale::Flushed => Input::Flushed(conn, FrameSeq(u64::MAX)),
            Stale::Received => Input::Received(conn, &mut junk),
        });
        match self.engine.poll_output() {
            Some(output) => Err(format!("news of {conn}, which is over, led to {output:?}")),
            None => Ok(()),
        }
    }
}
