//! The servers that we know by address, and the connections to them: dialling, back-off, closing
//! (DESIGN 6; PROTOCOL E.7, E.8). The engine's own methods for it are in `link`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_proto::FrameDecoder;
use rustc_hash::FxHashMap;

use crate::dial::DialError;
use crate::io::{ConnId, Endpoint, FrameSeq, OpId};
use crate::publish::Broker;
use crate::request::Overtaken;
use crate::route::LookupId;
use crate::seal::Seal;
use crate::slab::{Slab, id};

id! {
    /// A server, by its address.
    pub(crate) PeerId, "peer"
}

/// A server that we talk to, or tried to.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: Endpoint,
    pub(crate) link: Link,
    /// Where its last dial went, when the address map said so.
    pub(crate) mapped: Option<Endpoint>,
    /// Who waits for the connection, in the order of asking.
    pub(crate) waiting: VecDeque<Waiting>,
    /// Failures since something last arrived from it.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<DialError>,
    pub(crate) timer: Option<Instant>,
    /// The release that it said it is, on its last connection (PROTOCOL A.5).
    pub(crate) version: Option<i32>,
    /// Whether it is a broker's master: it gets heartbeats, and is dialled again when lost.
    pub(crate) is_broker: bool,
}

/// The way to a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// After a failure: not to be dialled before this time.
    BackOff { until: Instant },
    /// Being dialled.
    Dialling(ConnId),
    /// None, and nothing speaks against dialling.
    Idle,
    /// Connected.
    Ready(ConnId),
}

/// Who waits for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Waiting {
    Discovery,
    Lookup(LookupId),
    Op(OpId),
}

/// A connection, from the dial on.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: PeerId,
    pub(crate) decoder: FrameDecoder,
    /// What requests on it need before they are written.
    pub(crate) seal: Option<Arc<Seal>>,
    /// The last frame given out.
    pub(crate) sent: FrameSeq,
    /// The last frame known to be written whole.
    pub(crate) flushed: FrameSeq,
    /// The last frame that may be written.
    pub(crate) offered: FrameSeq,
    /// When the youngest try began that a broker has answered: older ones were overtaken.
    pub(crate) answered_try: Option<Instant>,
    /// When a broker last answered a send.
    pub(crate) answered_at: Option<Instant>,
    /// When something last arrived; at first, when it was connected.
    pub(crate) received_at: Instant,
    /// The last heartbeat: its correlation number, and when it went out.
    pub(crate) heartbeat: Option<(i32, Instant)>,
    /// The server's version (PROTOCOL A.5), once it has answered anything; 0 when it says none.
    pub(crate) version: Option<i32>,
    /// Messages that wait for that version.
    pub(crate) unsure: VecDeque<OpId>,
    /// Requests that wait for an answer on it.
    pub(crate) pending: usize,
    /// Whether the server asked us to go away: no new request goes on it (E.13).
    pub(crate) leaving: bool,
    /// Answers to the server's own requests that are not known to be written.
    pub(crate) answers: VecDeque<FrameSeq>,
    /// Frames whose tries are over and that are not known to be written: they still take memory, so
    /// each holds a permit until it is written or the connection ends. Weight, and which pool.
    pub(crate) stuck: VecDeque<(FrameSeq, usize, bool)>,
    /// Oneway sends whose frames are not known to be written.
    pub(crate) unwritten: VecDeque<(FrameSeq, OpId)>,
    /// Answers that come after the reply to their request, and concern nobody.
    pub(crate) overtaken: Overtaken,
}

/// All peers and connections.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) peers: Slab<PeerId, Peer>,
    pub(crate) conns: Slab<ConnId, Conn>,
    by_address: FxHashMap<Endpoint, PeerId>,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self {
            peers: Slab::new(),
            conns: Slab::new(),
            by_address: FxHashMap::default(),
        }
    }

    /// The peer at an address, made when it is new.
    pub(crate) fn at(&mut self, address: &Endpoint) -> PeerId {
        if let Some(id) = self.by_address.get(address) {
            return *id;
        }
        let id = self.unlisted(address);
        self.by_address.insert(address.clone(), id);
        id
    }

    /// The peer that was at an address when it was last looked for, or the one that is now.
    pub(crate) fn known_or_at(&mut self, known: Option<PeerId>, address: &Endpoint) -> PeerId {
        match known.filter(|id| self.peers.get(*id).is_some()) {
            Some(id) => id,
            None => self.at(address),
        }
    }

    /// A peer of its own, which is not found by its address.
    pub(crate) fn unlisted(&mut self, address: &Endpoint) -> PeerId {
        self.peers.insert(Peer {
            address: address.clone(),
            link: Link::Idle,
            mapped: None,
            waiting: VecDeque::new(),
            failures: 0,
            last_error: None,
            timer: None,
            version: None,
            is_broker: false,
        })
    }

    /// The peer at an address, if there is one.
    pub(crate) fn known(&self, address: &Endpoint) -> Option<PeerId> {
        self.by_address.get(address).copied()
    }

    /// All connections to a peer, those that are being left included.
    pub(crate) fn conns_of(&self, peer: PeerId) -> Vec<ConnId> {
        let of_peer = self.conns.iter().filter(|(_, conn)| conn.peer == peer);
        of_peer.map(|(id, _)| id).collect()
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        let peer = self.peers.remove(id)?;
        if self.by_address.get(&peer.address) == Some(&id) {
            self.by_address.remove(&peer.address);
        }
        Some(peer)
    }

    /// Whether a message should rather not go there: its last connection failed, and nothing has
    /// arrived from it since.
    pub(crate) fn is_doubtful(&self, address: &Endpoint) -> bool {
        let peer = self.known(address).and_then(|id| self.peers.get(id));
        peer.is_some_and(|peer| peer.failures > 0)
    }

    /// Whether a broker has an address to send to that is not doubtful.
    pub(crate) fn is_sound(&self, broker: &Broker, vip: bool) -> bool {
        match broker.place.peer.and_then(|id| self.peers.get(id)) {
            Some(peer) => peer.failures == 0,
            None => {
                let address = broker.send_address(vip);
                address.is_some_and(|address| !self.is_doubtful(address))
            }
        }
    }

    /// Where the server at this address is dialled, when that is elsewhere.
    pub(crate) fn mapped(&self, address: &Endpoint) -> Option<Endpoint> {
        self.peers.get(self.known(address)?)?.mapped.clone()
    }

    pub(crate) fn address_of(&self, conn: ConnId) -> Option<&Endpoint> {
        let peer = self.conns.get(conn)?.peer;
        self.peers.get(peer).map(|peer| &peer.address)
    }
}

impl Conn {
    pub(crate) fn new(peer: PeerId, decoder: FrameDecoder, now: Instant) -> Self {
        Self {
            peer,
            decoder,
            seal: None,
            sent: FrameSeq::default(),
            flushed: FrameSeq::default(),
            offered: FrameSeq::default(),
            answered_try: None,
            answered_at: None,
            received_at: now,
            heartbeat: None,
            version: None,
            unsure: VecDeque::new(),
            pending: 0,
            leaving: false,
            answers: VecDeque::new(),
            stuck: VecDeque::new(),
            unwritten: VecDeque::new(),
            overtaken: Overtaken::default(),
        }
    }

    /// Whether nothing is owed on it any more, either way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending == 0 && self.unwritten.is_empty() && self.answers.is_empty()
    }
}

/// The pause after so many failures in a row: doubling, bounded.
pub(crate) fn back_off(failures: u32, min: Duration, max: Duration) -> Duration {
    min.saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_dials_doubles_up_to_its_bound() {
        let ms = Duration::from_millis;
        let pauses: Vec<_> = [1, 2, 3, 6, 99]
            .map(|n| back_off(n, ms(100), ms(2000)))
            .into();
        assert_eq!(pauses, [ms(100), ms(200), ms(400), ms(2000), ms(2000)]);
    }
}
