//! Messages with a timer, and brokers that would ignore it: before 5.0 they deliver such a message
//! at once, without a word (PROTOCOL D.2). So it goes to a broker only when that one is known to be
//! young enough; its first answer on a connection tells, as a rule that to the heartbeat.

use rocketmq_proto::version;

use crate::engine::Engine;
use crate::error::AttemptFailure;
use crate::io::{ConnId, Now, OpId};
use crate::op::{Op, State};

impl Engine {
    /// Whether a message may go out on a connection now. Otherwise it waits for the broker's version,
    /// or its try has failed.
    pub(crate) fn may_carry(&mut self, now: Now, id: OpId, conn: ConnId) -> bool {
        let op = self.ops.get(id);
        let is_timed = |op: &&Op| op.as_send().is_some_and(|send| send.prepared.timed);
        let Some(op) = op.filter(is_timed) else {
            return true;
        };
        if self.members.config(op.producer).allow_ignored_timers {
            return true;
        }
        let (ops, conns) = (&self.ops, &mut self.peers.conns);
        let Some(link) = conns.get_mut(conn) else {
            return true;
        };
        match link.version {
            // A server that says no version is none of Apache's, which all do.
            Some(0) | Some(version::V5_0_0..) => true,
            Some(version) => {
                self.attempt_failed(now, id, AttemptFailure::TimerIgnored { version });
                false
            }
            None => {
                // Those who gave up leave their place behind; swept before the line is mostly that.
                if link.unsure.len() > 2 * ops.len() + 64 {
                    let waits = |op: &Op| op.state() == Some(State::Versioning { conn });
                    link.unsure.retain(|op| ops.get(*op).is_some_and(waits));
                }
                link.unsure.push_back(id);
                self.set_state(id, State::Versioning { conn });
                false
            }
        }
    }

    /// A server has told its version for the first time on a connection: what is signed for it follows
    /// its rules from now on, and messages that waited for it go on.
    pub(crate) fn version_told(&mut self, now: Now, conn: ConnId, version: i32) {
        let Some(link) = self.peers.conns.get_mut(conn) else {
            return;
        };
        link.version = Some(version);
        if let Some(seal) = link.seal.as_ref().and_then(|s| s.of_version(version)) {
            link.seal = Some(seal);
        }
        if let Some(peer) = self.peers.peers.get_mut(link.peer) {
            peer.version = Some(version);
        }
        for id in std::mem::take(&mut link.unsure) {
            if self.ops.get(id).and_then(Op::state) == Some(State::Versioning { conn }) {
                self.dispatch(now, id);
            }
        }
    }
}
