//! The engine's invariants, for tests (DESIGN 10.3).

use std::time::Instant;

use crate::engine::Engine;
use crate::op::{Kind, State};
use crate::peer::Link;
use crate::pending::Waiter;
use crate::route::Asked;

impl Engine {
    /// Checks what must hold between any two calls once all outputs were taken: permits = live
    /// admitted sends, every live operation has a deadline, the response table = requests in
    /// flight, no deadline in the past. For tests; its cost grows with what is in flight.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self, last_now: Instant) -> Result<(), String> {
        self.check_permits()?;
        self.check_ops()?;
        self.check_pending()?;
        self.check_links()?;
        let (entries, live) = (
            self.deadlines.len(),
            self.ops.len() + self.peers.peers.len(),
        );
        if entries > 2 * (live + self.routes.lookups.len()) + 200 {
            return Err(format!("{entries} deadlines are kept for {live} owners"));
        }
        match self.next_deadline() {
            Some(at) if at <= last_now => Err(format!(
                "a deadline {:?} in the past is still armed",
                last_now - at
            )),
            _ => Ok(()),
        }
    }

    fn check_permits(&self) -> Result<(), String> {
        for (oneway, pool) in [(false, &self.permits), (true, &self.oneway_permits)] {
            let held = self
                .ops
                .iter()
                .filter_map(|(_, op)| op.as_send())
                .filter(|send| send.oneway == oneway && send.state != State::Permit);
            let (count, bytes) = held.fold((0, 0), |(n, bytes), send| {
                (n + 1, bytes + send.prepared.weight())
            });
            if (count, bytes) != (pool.count(), pool.bytes()) {
                return Err(format!(
                    "{count} sends with {bytes} bytes hold permits for {} with {}",
                    pool.count(),
                    pool.bytes()
                ));
            }
        }
        Ok(())
    }

    fn check_ops(&self) -> Result<(), String> {
        for (id, op) in self.ops.iter() {
            if op.timer.is_none() && !matches!(op.kind, Kind::Flush | Kind::Shutdown) {
                return Err(format!("{id} has no deadline armed: {:?}", op.state()));
            }
            if op.state() == Some(State::Running) {
                return Err(format!("{id} waits for nothing"));
            }
            if let Some(State::InFlight { conn, opaque, .. }) = op.state() {
                let waits = self.pending.iter().any(|(number, request)| {
                    *number == opaque && request.conn == conn && request.waiter == Waiter::Op(id)
                });
                if !waits {
                    return Err(format!("{id} is in flight but not in the response table"));
                }
            }
        }
        Ok(())
    }

    fn check_pending(&self) -> Result<(), String> {
        for (opaque, request) in self.pending.iter() {
            let live = match &request.waiter {
                Waiter::Op(op) => matches!(
                    self.ops.get(*op).and_then(|op| op.state()),
                    Some(State::InFlight { conn, opaque: number, .. })
                        if conn == request.conn && number == *opaque
                ),
                Waiter::Heartbeat => self.peers.conns.get(request.conn).is_some_and(|link| {
                    link.heartbeat.is_some_and(|(number, _)| number == *opaque)
                }),
                Waiter::Lookup(lookup, _) => {
                    self.routes.lookups.get(*lookup).is_some_and(|lookup| {
                        let number = |asked: &Asked| asked.request.map(|(_, number, _)| number);
                        lookup
                            .asked
                            .iter()
                            .any(|asked| number(asked) == Some(*opaque))
                    })
                }
                Waiter::Unregister => true,
            };
            if !live || self.peers.conns.get(request.conn).is_none() {
                return Err(format!("request {opaque} waits for nobody: {request:?}"));
            }
        }
        for (id, conn) in self.peers.conns.iter() {
            let pending = self
                .pending
                .iter()
                .filter(|(_, request)| request.conn == id)
                .count();
            if pending != conn.pending {
                return Err(format!(
                    "{id} counts {} requests, not {pending}",
                    conn.pending
                ));
            }
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), String> {
        for (id, peer) in self.peers.peers.iter() {
            let sound = match peer.link {
                Link::Dialling(conn) => {
                    self.peers.conns.get(conn).is_some() && peer.timer.is_some()
                }
                Link::Ready(conn) => {
                    self.peers.conns.get(conn).is_some() && peer.waiting.is_empty()
                }
                Link::BackOff { .. } => peer.waiting.is_empty() || peer.timer.is_some(),
                Link::Idle => peer.waiting.is_empty(),
            };
            if !sound {
                return Err(format!(
                    "{id} at {} is in no sound state: {peer:?}",
                    peer.address
                ));
            }
        }
        Ok(())
    }
}
