//! What a name server and a broker have in common.

use std::net::SocketAddr;

use rocketmq_proto::Frame;

use crate::{Action, FaultScript, PeerId, Registration, RequestLog, ServerNow};

/// A server as a plain state machine: frames and the time go in, actions come out. It reads no clock, opens no
/// socket and starts no thread, so the same one runs over sockets in a [`Cluster`](crate::Cluster) and in a
/// simulation under a virtual clock.
pub trait Server {
    /// Handles one frame from a connection and appends what is to be done, in that order.
    ///
    /// * `now`: the clock of whoever drives the server.
    /// * `conn`: the connection; answers name it again.
    /// * `peer`: the other end of the connection, stored as the born host of messages.
    fn on_frame(
        &mut self,
        now: ServerNow,
        conn: PeerId,
        peer: SocketAddr,
        frame: &Frame,
        out: &mut Vec<Action>,
    );

    /// The connection is gone, for whatever reason.
    fn on_closed(&mut self, conn: PeerId);

    /// Forgets what a loss of the disk would lose: a broker its messages (its topics stay), a name server its
    /// routes.
    fn forget(&mut self);

    /// What the name servers should be told since this was last asked. Frames report it themselves as
    /// [`Action::Register`]; this is for changes made by method calls.
    fn take_registration(&mut self) -> Option<Registration>;

    /// The fault script.
    fn faults(&mut self) -> &mut FaultScript;

    /// The requests seen so far.
    fn requests(&self) -> &RequestLog;
}
