//! Asking for the name servers themselves, over a connection like any other that happens to speak
//! HTTP (PROTOCOL H.1, H.2).

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::config::Config;
use crate::discovery::{Discovery, read_answer};
use crate::engine::{Engine, Timer, later};
use crate::event::{DisconnectReason, Event};
use crate::io::{CloseCause, CloseReason, ConnId, Now, Output};
use crate::peer::{PeerId, Waiting};
use crate::route::Lookup;

/// Where name servers are asked for, and how that stands.
#[derive(Debug)]
pub(crate) struct Discoverer {
    settings: Discovery,
    /// Made with the first question, and not found by its address: nothing else may go there.
    peer: Option<PeerId>,
    /// When it is asked again, or the end of the question that is under way; `None` before the first
    /// operation.
    pub(crate) timer: Option<Instant>,
    asking: Option<Asking>,
    /// Whether it ever gave a list.
    found: bool,
    /// Why it did not, the last time.
    failure: Option<String>,
}

/// A question under way.
#[derive(Debug, Default)]
struct Asking {
    /// Its connection, once that stands.
    conn: Option<ConnId>,
    /// What has arrived of the answer; never more than is read at most and one read.
    answer: BytesMut,
}

impl Discoverer {
    /// Only when no name server is configured.
    pub(crate) fn new(config: &Config) -> Option<Box<Self>> {
        let settings = config.discovery.clone()?;
        config.name_servers.is_empty().then(|| {
            Box::new(Self {
                settings,
                peer: None,
                timer: None,
                asking: None,
                found: false,
                failure: None,
            })
        })
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }
}

impl Engine {
    /// Asks, unless that is under way.
    pub(crate) fn discover(&mut self, now: Now) {
        let Some(discovery) = self.discovery.as_mut().filter(|d| !d.is_asking()) else {
            return;
        };
        discovery.asking = Some(Asking::default());
        let by = later(now.mono, discovery.settings.timeout);
        let (peers, server) = (&mut self.peers, discovery.settings.server());
        let peer = *discovery.peer.get_or_insert_with(|| peers.unlisted(server));
        self.arm_discovery(by);
        match self.reach(now, peer) {
            Some(conn) => self.ask_discovery(now, conn),
            None => self.wait_for(peer, Waiting::Discovery),
        }
    }

    /// Writes the question; the server is connected.
    pub(crate) fn ask_discovery(&mut self, now: Now, conn: ConnId) {
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        let Some(asking) = &mut discovery.asking else {
            return;
        };
        asking.conn = Some(conn);
        let question = discovery.settings.question(now.unix_ms);
        self.push_frame(conn, question, Bytes::new(), false, None);
    }

    /// Whether this connection speaks HTTP.
    pub(crate) fn is_discovery(&self, conn: ConnId) -> bool {
        let asking = self.discovery.as_ref().and_then(|d| d.asking.as_ref());
        asking.is_some_and(|asking| asking.conn == Some(conn))
    }

    pub(crate) fn is_discovery_peer(&self, peer: PeerId) -> bool {
        self.discovery
            .as_ref()
            .is_some_and(|d| d.peer == Some(peer))
    }

    pub(crate) fn discovery_received(&mut self, now: Now, arrived: &mut BytesMut) {
        if let Some(asking) = self.discovery.as_mut().and_then(|d| d.asking.as_mut()) {
            asking.answer.unsplit(arrived.split());
            self.read_discovery(now, false);
        }
    }

    /// Its connection is over, which may be how its answer ends.
    pub(crate) fn discovery_lost(&mut self, now: Now, reason: DisconnectReason) {
        match reason {
            DisconnectReason::Theirs(CloseCause::PeerClosed) => self.read_discovery(now, true),
            DisconnectReason::Theirs(cause) => {
                self.discovery_failed(now, CloseReason::Unused, cause.to_string());
            }
            DisconnectReason::Ours(why) => self.discovery_failed(now, why, why.to_string()),
        }
    }

    fn read_discovery(&mut self, now: Now, is_over: bool) {
        let Some(asking) = self.discovery.as_ref().and_then(|d| d.asking.as_ref()) else {
            return;
        };
        let servers = match read_answer(&asking.answer, is_over) {
            Ok(None) => return,
            Ok(Some(servers)) => servers,
            Err(error) => return self.discovery_failed(now, CloseReason::Garbage, error),
        };
        self.end_discovery(now, CloseReason::Answered);
        if let Some(discovery) = &mut self.discovery {
            (discovery.found, discovery.failure) = (true, None);
            let next = later(now.mono, discovery.settings.interval);
            self.arm_discovery(next);
        }
        self.replace_name_servers(now, servers);
    }

    /// What was known stays in use; those who wait for a first list have waited for nothing. What is
    /// left of the connection is closed since `why`.
    pub(crate) fn discovery_failed(&mut self, now: Now, why: CloseReason, error: String) {
        self.end_discovery(now, why);
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        let event = Event::DiscoveryFailed {
            url: discovery.settings.url(),
            error: error.clone(),
        };
        discovery.failure = Some(error);
        let pause = match discovery.found {
            true => discovery.settings.interval,
            false => discovery.settings.retry,
        };
        self.arm_discovery(later(now.mono, pause));
        self.outputs.push_back(Output::Event(event));
        for id in self.routes.lookups.keys() {
            let lookup = self.routes.lookups.get(id);
            if lookup.is_some_and(|lookup| lookup.outstanding() == 0) {
                self.end_lookup(now, id, None);
            }
        }
    }

    /// The question is over, and with it the connection.
    fn end_discovery(&mut self, now: Now, why: CloseReason) {
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        discovery.asking = None;
        let Some(peer) = discovery.peer else { return };
        if let Some(peer) = self.peers.peers.get_mut(peer) {
            peer.waiting.clear();
        }
        self.arm_peer(peer, None);
        for conn in self.peers.conns_of(peer) {
            self.disconnect(now, conn, why);
        }
    }

    /// Time to ask again, or the time of a question is over.
    pub(crate) fn discovery_due(&mut self, now: Now) {
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        discovery.timer = None;
        let Some(asking) = &discovery.asking else {
            return self.discover(now);
        };
        let why = match asking.conn {
            Some(_) => CloseReason::Timeout,
            None => CloseReason::DialTimeout,
        };
        let error = format!("no answer within {:?}", discovery.settings.timeout);
        self.discovery_failed(now, why, error);
    }

    /// Asks no more until there is work again.
    pub(crate) fn pause_discovery(&mut self, now: Now) {
        self.end_discovery(now, CloseReason::Unused);
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        if discovery.timer.take().is_some() {
            self.deadlines.cancel();
        }
        if let Some(peer) = discovery.peer.take() {
            self.forget_peer(now, peer);
        }
    }

    /// Asks no more: the application has given a list.
    pub(crate) fn stop_discovery(&mut self, now: Now) {
        self.pause_discovery(now);
        self.discovery = None;
    }

    /// How a question for a route stands or ended, for an error text.
    pub(crate) fn describe_question(&self, lookup: &Lookup) -> String {
        let Some(discovery) = self.discovery.as_ref().filter(|_| lookup.asked.is_empty()) else {
            return lookup.describe();
        };
        let how = match &discovery.failure {
            Some(failure) => failure,
            None => "no answer yet",
        };
        let url = &discovery.settings;
        format!("no name server is known, and asking {url} for them failed: {how}")
    }

    fn arm_discovery(&mut self, at: Instant) {
        let Some(discovery) = &mut self.discovery else {
            return;
        };
        if discovery.timer == Some(at) {
            return;
        }
        if discovery.timer.replace(at).is_some() {
            self.deadlines.cancel();
        }
        self.deadlines.set(at, Timer::Discovery);
    }
}
