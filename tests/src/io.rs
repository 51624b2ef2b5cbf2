//! Everything that crosses the border between a server's state and the outside.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::Registration;

/// The server's clock, passed in with every frame: no state machine here reads one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServerNow {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

impl ServerNow {
    /// A clock reading as the signed number that the protocol's headers carry.
    pub(crate) fn millis(self) -> i64 {
        i64::try_from(self.unix_ms).unwrap_or(i64::MAX)
    }
}

/// One connection, as whoever drives the servers names it. A number is used once per server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId(pub u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What a server wants done after it was given a frame. Exhaustive on purpose: a new command must
/// break every driver at compile time.
#[derive(Clone, Debug)]
pub enum Action {
    /// Close the connection at once.
    Close {
        /// Which one.
        conn: PeerId,
    },
    /// Tell every name server; see [`NameServer::register`](crate::NameServer::register).
    Register(Box<Registration>),
    /// Write these bytes, which need not be whole frames, then reset the connection.
    ResetAfter {
        /// Which one.
        conn: PeerId,
        /// Written before the end; may be empty.
        bytes: Bytes,
    },
    /// Write these bytes. Usually an answer to the frame just handled, but a reply message is pushed
    /// to another connection than the one that it came in on.
    Write {
        /// Where to. Ignored when it is gone by then.
        conn: PeerId,
        /// As they go over the wire, length word included.
        bytes: Bytes,
        /// How long to wait first; zero nearly always.
        after: Duration,
    },
}
