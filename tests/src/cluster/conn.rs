//! One connection of a server.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;

use super::{
    layer::{Layer, Security},
    lock,
};
use crate::PeerId;

/// A peer that reads nothing for so long is cut off, so that it cannot hold up the threads that write to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is kept for a peer while its server is paused.
const MAX_HELD: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: PeerId,
    pub(super) peer: SocketAddr,
    stream: TcpStream,
    closed: AtomicBool,
    /// Held over a whole write, so that the frames of different threads do not mix.
    writing: Mutex<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    paused: bool,
    held: Vec<u8>,
    layer: Layer,
}

impl Conn {
    pub(super) fn new(
        id: PeerId,
        stream: TcpStream,
        peer: SocketAddr,
        paused: bool,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self {
            id,
            peer,
            stream,
            closed: AtomicBool::new(false),
            writing: Mutex::new(Writing {
                paused,
                held: Vec::new(),
                layer: Layer::default(),
            }),
        })
    }

    /// The socket, to be read by the one thread that serves this connection.
    pub(super) fn reader(&self) -> &TcpStream {
        &self.stream
    }

    /// What arrived goes to `plain`, deciphered if need be. An error ends the connection.
    pub(super) fn received(
        &self,
        arrived: &[u8],
        plain: &mut BytesMut,
        security: &Mutex<Security>,
    ) -> io::Result<()> {
        let layer = &mut lock(&self.writing).layer;
        layer.open(arrived, plain, security, &self.stream)
    }

    /// Writes all of it, or closes the connection. While paused it is kept instead.
    pub(super) fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() || self.is_closed() {
            return;
        }
        let mut writing = lock(&self.writing);
        if !writing.paused {
            self.write_now(&mut writing.layer, bytes);
        } else if writing.held.len() + bytes.len() <= MAX_HELD {
            writing.held.extend_from_slice(bytes);
        } else {
            self.close();
        }
    }

    /// Holds back what is written from now on, or writes what was held back.
    pub(super) fn pause(&self, paused: bool) {
        let mut writing = lock(&self.writing);
        writing.paused = paused;
        if !paused {
            let held = std::mem::take(&mut writing.held);
            self.write_now(&mut writing.layer, &held);
        }
    }

    /// Ends both directions at once; a thread that reads or writes is woken.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // It fails only when the peer was first.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn write_now(&self, layer: &mut Layer, bytes: &[u8]) {
        if layer.write(bytes, &self.stream).is_err() {
            self.close();
        }
    }
}
