//! The engine's invariants, for tests (DESIGN 10.3).

use std::time::Instant;

use crate::engine::{Engine, Timer};
use crate::member::Member;
use crate::op::{Kind, Op, State};
use crate::peer::{Link, Waiting};
use crate::pending::Waiter;
use crate::route::Asked;

impl Engine {
    /// Checks what must hold between any two calls once all outputs were taken: permits = live
    /// admitted sends, every live operation has a deadline that will ring and is in the line that it
    /// waits in, the response table = requests in flight, nobody waits for a permit that is free, no
    /// connection stays for nothing, no deadline in the past. For tests; its cost grows with what is in flight.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self, last_now: Instant) -> Result<(), String> {
        self.check_permits()?;
        self.check_gathering()?;
        self.check_trace()?;
        self.check_ops()?;
        self.check_check_backs()?;
        self.check_pending()?;
        self.check_requests()?;
        self.check_links()?;
        self.check_routes()?;
        self.check_waits()?;
        self.check_timers()?;
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
                .filter(|send| send.carrier.is_none())
                .filter(|send| send.oneway == oneway && send.state != State::Permit);
            let conns = self.peers.conns.iter();
            let stuck = conns.flat_map(|(_, conn)| &conn.stuck);
            let weights = held.map(|send| send.prepared.weight());
            let weights = weights.chain(stuck.filter(|s| s.2 == oneway).map(|s| s.1));
            let (count, bytes) = weights.fold((0, 0), |(n, bytes), weight| (n + 1, bytes + weight));
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

    fn check_check_backs(&self) -> Result<(), String> {
        for (id, member) in self.members.iter() {
            let checks = &member.check_backs;
            let (waiting, most) = (checks.len(), member.config.max_waiting_checks);
            let bytes: usize = checks.weights().sum();
            if waiting > most || bytes != checks.bytes() {
                let counted = checks.bytes();
                return Err(format!(
                    "{waiting} check-backs of {bytes} bytes wait, counted as {counted}"
                ));
            }
            if waiting > 0 && (member.closing.is_some() || !self.is_listening_for_checks(id)) {
                return Err(format!("{waiting} check-backs wait for nobody"));
            }
        }
        Ok(())
    }

    fn check_ops(&self) -> Result<(), String> {
        for (id, op) in self.ops.iter() {
            // The first of a batch, or the frame, has the deadline of all.
            let is_gathered = matches!(op.state(), Some(State::Batched(_) | State::Gathered));
            let is_exempt = is_gathered || matches!(op.kind, Kind::Flush | Kind::Shutdown);
            if op.timer.is_none() && !is_exempt {
                return Err(format!("{id} has no deadline armed: {:?}", op.state()));
            }
            if op.deadline.zip(op.timer).is_some_and(|(end, at)| at > end)
                && !matches!(op.kind, Kind::Shutdown)
            {
                return Err(format!(
                    "{id} has a deadline armed after the end of its budget"
                ));
            }
            if let Kind::Admin(admin) = &op.kind {
                self.check_admin(id, admin)?;
            }
            if op.state() == Some(State::Running) {
                return Err(format!("{id} waits for nothing"));
            }
            if let Some(State::InFlight { conn, opaque, .. }) = op.state() {
                let waits = self.pending.iter().any(|request| {
                    request.opaque == opaque
                        && request.conn == conn
                        && request.waiter == Waiter::Op(id)
                });
                if !waits {
                    return Err(format!("{id} is in flight but not in the response table"));
                }
            }
        }
        let is_question = |op: &Op| matches!(op.kind, Kind::Admin(_) | Kind::Topic(_));
        let questions = self.ops.iter().filter(|(_, op)| is_question(op)).count();
        if questions != self.questions {
            return Err(format!(
                "{} questions are counted, not {questions}",
                self.questions
            ));
        }
        Ok(())
    }

    fn check_pending(&self) -> Result<(), String> {
        for request in self.pending.iter() {
            let opaque = &request.opaque;
            let live = match &request.waiter {
                Waiter::Admin(op, _) => matches!(
                    self.ops.get(*op).map(|op| &op.kind),
                    Some(Kind::Admin(admin)) if admin.waits_for(request.conn, *opaque)
                ),
                Waiter::Op(op) => matches!(
                    self.ops.get(*op).and_then(|op| op.state()),
                    Some(State::InFlight { conn, opaque: number, .. })
                        if conn == request.conn && number == *opaque
                ),
                Waiter::Earlier(op) => {
                    let send = self.ops.get(*op).and_then(Op::as_send);
                    send.is_some_and(|send| {
                        let mut earlier = send.earlier().iter();
                        earlier.any(|e| (e.conn, e.opaque) == (request.conn, *opaque))
                    })
                }
                Waiter::Heartbeat => self.peers.conns.get(request.conn).is_some_and(|link| {
                    link.heartbeat.is_some_and(|(number, _)| number == *opaque)
                }),
                Waiter::Lookup(asked) => self.routes.lookups.get(asked.0).is_some_and(|lookup| {
                    let number = |asked: &Asked| asked.request.map(|(_, number, _)| number);
                    lookup
                        .asked
                        .iter()
                        .any(|asked| number(asked) == Some(*opaque))
                }),
                Waiter::Probe(broker) => self.is_probe(*broker, request.conn, *opaque),
                Waiter::Unregister(producer) => {
                    let member = self.members.get(*producer);
                    member.is_some_and(Member::is_parting)
                }
            };
            if !live || self.peers.conns.get(request.conn).is_none() {
                return Err(format!("request {opaque} waits for nobody: {request:?}"));
            }
        }
        for (id, conn) in self.peers.conns.iter() {
            let pending = self
                .pending
                .iter()
                .filter(|request| request.conn == id)
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

    /// Whoever is to get a reply lives.
    fn check_requests(&self) -> Result<(), String> {
        for (correlation, op) in self.requests.iter() {
            let send = self.ops.get(*op).and_then(Op::as_send);
            if send.and_then(|send| send.prepared.correlation) != Some(*correlation) {
                return Err(format!("nobody waits for the reply to {correlation}"));
            }
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), String> {
        for (id, conn) in self.peers.conns.iter() {
            let link = self.peers.peers.get(conn.peer).map(|peer| peer.link);
            let is_its_peers = link == Some(Link::Ready(id)) || link == Some(Link::Dialling(id));
            if !is_its_peers && !conn.leaving {
                return Err(format!("{id} belongs to nobody: {conn:?}"));
            }
            if conn.leaving && conn.is_idle() {
                return Err(format!("{id} stays although nothing keeps it"));
            }
            if conn.flushed > conn.sent {
                return Err(format!("{id} has written more than there was"));
            }
        }
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

    /// Whoever waits in a line is in that line, and no permit lies idle while somebody wants one.
    fn check_waits(&self) -> Result<(), String> {
        for (id, op) in self.ops.iter() {
            let in_line = match op.state() {
                Some(State::Connecting(peer)) => self.peers.peers.get(peer).is_some_and(|peer| {
                    peer.waiting.contains(&Waiting::Op(id)) && peer.link != Link::Idle
                }),
                Some(State::Route(topic)) => self
                    .routes
                    .topics
                    .get(topic)
                    .is_some_and(|topic| topic.waiting.contains(&id) && topic.lookup.is_some()),
                Some(State::Versioning { conn }) => self
                    .peers
                    .conns
                    .get(conn)
                    .is_some_and(|link| link.unsure.contains(&id) && link.version.is_none()),
                Some(State::Writing { conn, seq }) => {
                    self.peers.conns.get(conn).is_some_and(|link| {
                        link.unwritten.contains(&(seq, id)) && link.flushed < seq
                    })
                }
                _ => true,
            };
            if !in_line {
                return Err(format!("{id} waits where nobody looks: {:?}", op.state()));
            }
        }
        let waits = |op| self.ops.get(op).and_then(Op::state) == Some(State::Permit);
        for pool in [&self.permits, &self.oneway_permits] {
            if let Some(op) = pool.kept_waiting(waits) {
                return Err(format!("{op} waits although there is room for it"));
            }
        }
        for (id, member) in self.members.iter() {
            let its_own = self.ops.iter().filter(|(_, op)| op.producer == id);
            let sends = its_own.filter(|(_, op)| op.is_callers_send());
            if sends.count() != member.flushes.live() {
                return Err("flushes wait for other sends than there are".to_owned());
            }
        }
        Ok(())
    }

    /// Topics and the questions about them know each other.
    fn check_routes(&self) -> Result<(), String> {
        for (id, lookup) in self.routes.lookups.iter() {
            let topic = self.routes.topics.get(lookup.topic);
            if topic.and_then(|topic| topic.lookup) != Some(id) {
                return Err(format!(
                    "{id} is asked for a topic that does not wait for it"
                ));
            }
            let waits = self.discovery.as_ref().is_some_and(|d| d.is_asking());
            if lookup.outstanding() == 0 && !waits {
                return Err(format!("{id} waits for no name server"));
            }
            if lookup.timer.is_none() {
                return Err(format!("{id} has no deadline armed"));
            }
        }
        for (id, topic) in self.routes.topics.iter() {
            if topic
                .lookup
                .is_some_and(|lookup| self.routes.lookups.get(lookup).is_none())
            {
                return Err(format!("{id} waits for a question that is over"));
            }
        }
        Ok(())
    }

    /// What is armed will ring.
    fn check_timers(&self) -> Result<(), String> {
        let mut entries: Vec<_> = self.deadlines.iter().collect();
        entries.sort_unstable();
        let ops = self.ops.iter().map(|(id, op)| (op.timer, Timer::Op(id)));
        let peers = self.peers.peers.iter();
        let peers = peers.map(|(id, peer)| (peer.timer, Timer::Peer(id)));
        let lookups = self.routes.lookups.iter();
        let lookups = lookups.map(|(id, lookup)| (lookup.timer, Timer::Lookup(id)));
        let traces = self.members.iter();
        let traces = traces.map(|(id, member)| (member.trace_due(), Timer::Trace(id)));
        let upkeep = [
            (self.poll_at, Timer::Poll),
            (self.heartbeat_at, Timer::Heartbeat),
            (self.brokers.timer, Timer::Health),
            (
                self.discovery.as_ref().and_then(|d| d.timer),
                Timer::Discovery,
            ),
        ];
        for (at, timer) in ops.chain(peers).chain(lookups).chain(traces).chain(upkeep) {
            if at.is_some_and(|at| entries.binary_search(&(at, timer)).is_err()) {
                return Err(format!("{timer:?} is armed but will not ring"));
            }
        }
        Ok(())
    }
}
