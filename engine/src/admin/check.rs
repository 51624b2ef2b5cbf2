//! The invariants of requests under way, for tests (DESIGN 10.3).

use super::state::{AdminOp, TargetState};
use crate::engine::Engine;
use crate::io::{ConnId, OpId};
use crate::peer::Waiting;
use crate::pending::Waiter;

impl Engine {
    /// A request waits for its route or for a server, is in the line that it waits in, and asks no
    /// more servers at once than it may.
    pub(crate) fn check_admin(&self, id: OpId, admin: &AdminOp) -> Result<(), String> {
        let busy = admin.targets.iter().filter(|target| target.is_busy());
        let busy = busy.count();
        if busy > admin.width() {
            return Err(format!("{id} asks {busy} servers at once"));
        }
        let Some(topic) = admin.route else {
            if busy == 0 {
                return Err(format!("{id} waits for nothing"));
            }
            return self.check_targets(id, admin);
        };
        let topic = self.routes.topics.get(topic);
        let in_line = topic.is_some_and(|topic| topic.waiting.contains(&id));
        match in_line && busy == 0 && topic.is_some_and(|topic| topic.lookup.is_some()) {
            true => Ok(()),
            false => Err(format!("{id} waits for a route where nobody looks")),
        }
    }

    fn check_targets(&self, id: OpId, admin: &AdminOp) -> Result<(), String> {
        for (index, target) in admin.targets.iter().enumerate() {
            let in_line = match target.state {
                TargetState::Connecting(peer) => self
                    .peers
                    .peers
                    .get(peer)
                    .is_some_and(|peer| peer.waiting.contains(&Waiting::Op(id))),
                TargetState::InFlight { conn, opaque, .. } => self.pending.iter().any(|request| {
                    let waiter = Waiter::Admin(id, index as u32);
                    request.opaque == opaque && request.conn == conn && request.waiter == waiter
                }),
                TargetState::Over | TargetState::Waiting => true,
            };
            if !in_line {
                return Err(format!("{id} waits where nobody looks: {target:?}"));
            }
        }
        Ok(())
    }
}

impl AdminOp {
    /// Whether the request with this number on this connection is one of its own.
    pub(crate) fn waits_for(&self, conn: ConnId, opaque: i32) -> bool {
        self.in_flight().any(|flight| flight == (conn, opaque))
    }
}
