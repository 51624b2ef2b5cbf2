//! One server with its listener, its connections and its threads.

use std::{
    collections::HashMap,
    io::{self, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use rocketmq_proto::{FrameDecoder, FrameLimits};

use super::{
    Hub,
    conn::Conn,
    gate::{Gate, GateState, Listening},
    layer::Security,
    lock,
    timer::Timer,
};
use crate::{Action, PeerId, Server, ServerNow};

/// What is read at once.
const READ_ROOM: usize = 256 * 1024;
const STACK: usize = 512 * 1024;

#[derive(Clone, Debug)]
pub(super) struct NodeOptions {
    pub(super) max_connections: usize,
    pub(super) security: Security,
}

#[derive(Debug)]
pub(super) struct Node<S> {
    name: String,
    address: SocketAddr,
    max_connections: usize,
    security: Mutex<Security>,
    server: Mutex<S>,
    hub: Hub,
    timer: Arc<Timer>,
    listener: Mutex<Option<JoinHandle<()>>>,
    gate: Gate,
    peers: Mutex<HashMap<PeerId, Peer>>,
    next_conn: AtomicU64,
}

#[derive(Debug)]
struct Peer {
    conn: Arc<Conn>,
    /// None for one that was accepted in silence.
    thread: Option<JoinHandle<()>>,
}

impl<S: Server + Send + 'static> Node<S> {
    pub(super) fn start(
        name: String,
        server: S,
        listener: TcpListener,
        hub: Hub,
        timer: &Arc<Timer>,
        options: NodeOptions,
    ) -> io::Result<Arc<Self>> {
        let node = Arc::new(Self {
            name,
            address: listener.local_addr()?,
            max_connections: options.max_connections,
            security: Mutex::new(options.security),
            server: Mutex::new(server),
            hub,
            timer: Arc::clone(timer),
            listener: Mutex::default(),
            gate: Gate::default(),
            peers: Mutex::default(),
            next_conn: AtomicU64::new(1),
        });
        node.open(listener)?;
        Ok(node)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works on the server's state, and tells the name servers what changed.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        let mut server = lock(&self.server);
        let result = work(&mut server);
        let registration = server.take_registration();
        drop(server);
        if let Some(registration) = registration {
            self.hub.register(&registration);
        }
        result
    }

    /// Has the server do something that no request asked for, and writes what it says.
    pub(super) fn act<R>(&self, work: impl FnOnce(&mut S, &mut Vec<Action>) -> R) -> R {
        let mut actions = Vec::new();
        let result = self.with(|server| work(server, &mut actions));
        for action in actions {
            let Action::Write { conn, bytes, .. } = action else {
                continue;
            };
            let peers = lock(&self.peers);
            let conn = peers.get(&conn).map(|peer| Arc::clone(&peer.conn));
            drop(peers);
            if let Some(conn) = conn {
                conn.write(&bytes);
            }
        }
        result
    }

    pub(super) fn listen(self: &Arc<Self>, listening: Listening) -> io::Result<()> {
        let before = self.gate.now().listening;
        if listening == Listening::Refuse {
            self.close_listener();
        } else if lock(&self.listener).is_none() {
            self.open(TcpListener::bind(self.address)?)?;
        }
        self.gate.change(|state| state.listening = listening);
        // Who was accepted in silence is never served: it would have to be read from a thread of its own.
        if before == Listening::Silent && listening == Listening::Open {
            self.close_unserved();
        }
        Ok(())
    }

    /// Stops reading and writing without closing anything, or goes on.
    pub(super) fn pause(&self, paused: bool) {
        self.gate.change(|state| state.paused = paused);
        for peer in lock(&self.peers).values() {
            peer.conn.pause(paused);
        }
    }

    /// Closes the listener and every connection at once, and waits for the threads.
    pub(super) fn stop(&self) {
        self.close_listener();
        let peers: Vec<_> = lock(&self.peers).drain().collect();
        for (_, peer) in &peers {
            peer.conn.close();
        }
        // Only now, so that no thread goes on with what it read before the pause.
        self.gate.change(|state| state.paused = false);
        for (id, peer) in peers {
            if let Some(thread) = peer.thread {
                let _ = thread.join();
            }
            lock(&self.server).on_closed(id);
        }
    }

    /// Listens on the same port again.
    pub(super) fn restart(self: &Arc<Self>) -> io::Result<()> {
        self.stop();
        self.gate.change(|state| state.listening = Listening::Open);
        self.open(TcpListener::bind(self.address)?)
    }

    /// For connections on which nothing has arrived yet.
    #[cfg(feature = "tls")]
    pub(super) fn secure(&self, security: Security) {
        *lock(&self.security) = security;
    }

    /// Resets every connection; the listener stays.
    pub(super) fn close_connections(&self) {
        for peer in lock(&self.peers).values() {
            peer.conn.close();
        }
    }

    pub(super) fn connections(&self) -> usize {
        lock(&self.peers).len()
    }

    fn open(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let node = Arc::clone(self);
        let generation = self.gate.now().generation;
        let thread = thread::Builder::new()
            .name(format!("{} listener", self.name))
            .stack_size(STACK)
            .spawn(move || node.accept(&listener, generation))?;
        *lock(&self.listener) = Some(thread);
        Ok(())
    }

    fn close_listener(&self) {
        let Some(thread) = lock(&self.listener).take() else {
            return;
        };
        self.gate.change(|state| state.generation += 1);
        // The accept loop sleeps until somebody comes.
        let _ = TcpStream::connect(self.address);
        let _ = thread.join();
    }

    fn close_unserved(&self) {
        lock(&self.peers).retain(|_, peer| {
            if peer.thread.is_none() {
                peer.conn.close();
            }
            peer.thread.is_some()
        });
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, generation: u64) {
        loop {
            let accepted = listener.accept();
            let state = self.gate.now();
            if state.generation != generation {
                return;
            }
            match accepted {
                Ok((stream, peer)) => {
                    // A connection that cannot be served is closed by dropping it.
                    let _ = self.add(stream, peer, state);
                }
                Err(error) if is_passing(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn add(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        state: GateState,
    ) -> io::Result<()> {
        let mut peers = lock(&self.peers);
        if peers.len() >= self.max_connections {
            return Ok(());
        }
        let id = PeerId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let conn = Arc::new(Conn::new(id, stream, peer, state.paused)?);
        let thread = match state.listening {
            Listening::Silent | Listening::Refuse => None,
            Listening::Open => {
                let node = Arc::clone(self);
                let conn = Arc::clone(&conn);
                let thread = thread::Builder::new()
                    .name(format!("{} {id}", self.name))
                    .stack_size(STACK)
                    .spawn(move || {
                        // Any error ends the connection; there is nobody to tell.
                        let _ = node.serve(&conn);
                        conn.close();
                        lock(&node.server).on_closed(conn.id);
                        lock(&node.peers).remove(&conn.id);
                    })?;
                Some(thread)
            }
        };
        peers.insert(id, Peer { conn, thread });
        Ok(())
    }

    fn serve(&self, conn: &Arc<Conn>) -> io::Result<()> {
        let mut decoder = FrameDecoder::new(FrameLimits::default());
        let mut buffer = BytesMut::new();
        let mut scratch = vec![0; READ_ROOM];
        let mut actions = Vec::new();
        let mut answers = Vec::new();
        loop {
            self.gate.wait_while_paused();
            let count = match conn.reader().read(&mut scratch) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            conn.received(&scratch[..count], &mut buffer, &self.security)?;
            self.gate.wait_while_paused();
            if conn.is_closed() {
                return Ok(());
            }
            let more = self.handle(conn, &mut decoder, &mut buffer, &mut actions);
            let more = self.carry_out(conn, &mut actions, &mut answers) && more;
            conn.write(&answers);
            answers.clear();
            if !more {
                return Ok(());
            }
        }
    }

    /// Gives all frames of one read to the server under one lock. False when the connection must end.
    fn handle(
        &self,
        conn: &Conn,
        decoder: &mut FrameDecoder,
        buffer: &mut BytesMut,
        actions: &mut Vec<Action>,
    ) -> bool {
        let now = now();
        let mut server = lock(&self.server);
        loop {
            match decoder.next_frame(buffer) {
                Ok(Some(frame)) => server.on_frame(now, conn.id, conn.peer, &frame, actions),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Does what the server said, collecting the answers for this connection. False when it must end.
    fn carry_out(
        &self,
        conn: &Arc<Conn>,
        actions: &mut Vec<Action>,
        answers: &mut Vec<u8>,
    ) -> bool {
        let mut more = true;
        for action in actions.drain(..) {
            match action {
                Action::Register(registration) => self.hub.register(&registration),
                // What comes after the end of this connection still holds for others.
                Action::Write { conn: to, .. } if to == conn.id && !more => {}
                Action::Write {
                    conn: to,
                    bytes,
                    after,
                } => self.write(conn, to, bytes, after, answers),
                Action::Close { conn: to } if to == conn.id => more = false,
                Action::ResetAfter { conn: to, bytes } if to == conn.id => {
                    if more {
                        answers.extend_from_slice(&bytes);
                    }
                    more = false;
                }
                Action::Close { conn: to } | Action::ResetAfter { conn: to, .. } => {
                    if let Some(other) = lock(&self.peers).get(&to) {
                        other.conn.close();
                    }
                }
            }
        }
        more
    }

    fn write(
        &self,
        conn: &Arc<Conn>,
        to: PeerId,
        bytes: Bytes,
        after: Duration,
        answers: &mut Vec<u8>,
    ) {
        if to == conn.id && after.is_zero() {
            answers.extend_from_slice(&bytes);
            return;
        }
        let target = if to == conn.id {
            Some(Arc::clone(conn))
        } else {
            lock(&self.peers)
                .get(&to)
                .map(|peer| Arc::clone(&peer.conn))
        };
        let Some(target) = target else {
            return;
        };
        if after.is_zero() {
            target.write(&bytes);
        } else if self
            .timer
            .write_later(after, Arc::clone(&target), bytes)
            .is_err()
        {
            target.close();
        }
    }
}

pub(super) fn now() -> ServerNow {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    ServerNow {
        unix_ms: u64::try_from(millis).unwrap_or(u64::MAX),
    }
}

/// Accepting goes on after these; others, as a socket that is no more, end it.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    [ConnectionAborted, ConnectionReset, Interrupted, WouldBlock].contains(&error.kind())
}
