//! Bytes on their way: from the driver to a server and back.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_engine::Input;
use rocketmq_testkit::{Action, PeerId, ServerNow};

use super::asking::request_in;
use super::net::NetEvent;
use super::wire::Finished;
use super::world::{Event, World};

impl World {
    /// The driver writes as much as the socket takes.
    pub(super) fn pump(&mut self, id: u64) {
        let most = if self.weather.chopped {
            self.rng.within(1, 400)
        } else {
            64 * 1024
        };
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        wire.is_pumping = false;
        if !wire.client_is_there || wire.is_broken {
            return;
        }
        let (bytes, finished) = wire.write(most);
        let burnt = wire.burn(bytes.len());
        if bytes.is_empty() {
            wire.offered = wire.written;
            return;
        }
        wire.is_pumping = true;
        let at = self.arrival(id, true);
        self.schedule_at(at, NetEvent::ToServer(id, bytes));
        // The bytes are gone; the thread that wrote them may take a while to go on.
        let most = if self.rng.chance(self.weather.stalls) {
            30_000
        } else {
            30
        };
        let after = self.rng.time(Duration::from_micros(most));
        self.schedule(after, Event::Net(NetEvent::Wrote(id, finished)));
        if burnt {
            self.break_wire(id);
        }
    }

    pub(super) fn wrote(&mut self, id: u64, finished: Finished) {
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        wire.is_pumping = false;
        if !wire.client_is_there {
            return;
        }
        let any = finished.upto > wire.written;
        wire.written = finished.upto.max(wire.written);
        wire.offered = wire.written;
        let more = !wire.outbox.is_empty() && !wire.is_broken;
        wire.is_pumping = more;
        if finished.wants_report || (any && self.plan.eager_reports) {
            let late = self.rng.time(Duration::from_micros(300));
            self.schedule(late, Event::Net(NetEvent::Flushed(id)));
        }
        if more {
            let after = self.delay() / 4 + self.draw_stall();
            self.schedule(after, Event::Net(NetEvent::Pump(id)));
        }
    }

    /// When bytes given to a wire now are at its other end: never before those given earlier.
    pub(super) fn arrival(&mut self, id: u64, to_server: bool) -> Duration {
        let at = self.now + self.delay();
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return at;
        };
        let last = if to_server {
            &mut wire.last_to_server
        } else {
            &mut wire.last_to_client
        };
        *last = at.max(*last);
        *last
    }

    /// Tells the engine what was written, and what may be by a write that has not returned. Whether
    /// there was anything to tell.
    pub(super) fn report(&mut self, id: u64) -> bool {
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return false;
        };
        if !wire.client_is_there {
            return false;
        }
        let (conn, written, offered) = (wire.conn, wire.written, wire.offered);
        let is_news = written > wire.reported;
        wire.reported = written;
        let unsealed = std::mem::take(&mut wire.unsealed);
        for (seq, error) in unsealed {
            self.feed(Input::Unsealed(conn, seq, error));
        }
        if is_news {
            self.feed(Input::Flushed(conn, written));
        }
        if offered > written {
            self.feed(Input::Offered(conn, offered));
        }
        is_news
    }

    pub(super) fn arrive_at_server(&mut self, id: u64, bytes: &[u8]) -> Result<(), String> {
        let now = ServerNow {
            unix_ms: self.unix_ms(),
        };
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return Ok(());
        };
        if !wire.server_is_there || wire.is_silent {
            return Ok(());
        }
        let address = self.net.servers[wire.server].address;
        let peer = SocketAddr::from(([10, 0, 2, 1], 40_000 + (id % 20_000) as u16));
        wire.at_server.extend_from_slice(bytes);
        let server = wire.server;
        if self.is_discovery(server) {
            self.ask_discovery(id);
            return Ok(());
        }
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return Ok(());
        };
        let (mut actions, mut asked) = (Vec::new(), Vec::new());
        let whole = loop {
            match wire.decoder.next_frame(&mut wire.at_server) {
                Ok(Some(frame)) => {
                    let conn = PeerId(id);
                    asked.extend(request_in(&frame));
                    let cluster = &mut self.cluster;
                    cluster.on_frame(now, address, conn, peer, &frame, &mut actions);
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        for asked in asked {
            self.consume(id, &asked)?;
        }
        for action in actions {
            self.act(action);
        }
        if !whole {
            self.end_at_server(id);
        }
        Ok(())
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Close { conn } => self.end_at_server(conn.0),
            Action::Register(_) => {}
            Action::ResetAfter { conn, bytes } => {
                self.server_writes(conn.0, &bytes);
                self.end_at_server(conn.0);
            }
            Action::Write { conn, bytes, after } if after.is_zero() => {
                self.server_writes(conn.0, &bytes);
            }
            Action::Write { conn, bytes, after } => {
                let event = NetEvent::ServerWrites(conn.0, bytes);
                self.schedule(after, Event::Net(event));
            }
        }
    }

    pub(super) fn server_writes(&mut self, id: u64, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = if self.weather.chopped {
                self.rng.within(1, 300)
            } else {
                rest.len()
            };
            let Some(wire) = self.net.wires.get_mut(&id) else {
                return;
            };
            if !wire.server_is_there || wire.is_silent || wire.is_broken {
                return;
            }
            let piece = wire.up_to_the_fuse(most.min(rest.len()));
            let burnt = wire.burn(piece);
            let part = Bytes::copy_from_slice(&rest[..piece]);
            rest = &rest[piece..];
            let at = self.arrival(id, false);
            self.schedule_at(at, NetEvent::ToClient(id, part));
            if burnt {
                return self.break_wire(id);
            }
        }
    }

    pub(super) fn arrive_at_client(&mut self, id: u64, bytes: &[u8]) {
        let Some(wire) = self.net.wires.get_mut(&id) else {
            return;
        };
        if !wire.client_is_there || bytes.is_empty() {
            return;
        }
        let conn = wire.conn;
        let mut buffer = std::mem::replace(&mut wire.at_client, BytesMut::new());
        buffer.extend_from_slice(bytes);
        self.feed(Input::Received(conn, &mut buffer));
        if let Some(wire) = self.net.wires.get_mut(&id) {
            wire.at_client = buffer;
        }
    }
}
