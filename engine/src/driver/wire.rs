//! What lies between the frames and the socket on connections that are not plain: a SOCKS5
//! conversation first, then TLS (PROTOCOL H.3, H.4). Runtimes only ever move bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::{Bytes, BytesMut};

#[cfg(feature = "tls")]
use super::session::Session;
use super::socks::{Progress, Socks};
use super::ticket::remember;
use crate::dial::{DialError, ProxyFailure, TlsFailure};
use crate::io::Frame;

/// Frames are encrypted in pieces of about this size, so that a full outbox is not held twice.
#[cfg(feature = "tls")]
const SEAL_AT_ONCE: usize = 256 * 1024;

/// The layers of one connection, shared by its two ends.
#[derive(Debug)]
pub(super) struct Wire(Mutex<State>);

#[derive(Debug)]
struct State {
    socks: Option<Socks>,
    #[cfg(feature = "tls")]
    tls: Option<Box<Session>>,
    /// To be written before anything else.
    out: Vec<u8>,
    /// The writing end, when it has nothing to do.
    writer: Option<Waker>,
    /// Whether all handshakes are over.
    established: bool,
}

/// What the writing end finds.
#[derive(Debug)]
pub(super) enum Out {
    /// These bytes are to be written.
    Bytes(Bytes),
    /// A handshake is under way, and it is the other side's turn.
    Handshaking,
    /// Nothing but frames, as they are: the layers are done with.
    Plain,
    /// Frames, to be sealed.
    Sealed,
}

/// What the reading end finds.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Opened {
    /// The other side goes on.
    More,
    /// The other side said that it will write no more.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS says so"))]
    PeerClosed,
}

impl Wire {
    pub(super) fn new(socks: Option<Socks>, #[cfg(feature = "tls")] tls: Option<Session>) -> Self {
        let mut state = State {
            out: socks.as_ref().map(Socks::greeting).unwrap_or_default(),
            socks,
            #[cfg(feature = "tls")]
            tls: tls.map(Box::new),
            writer: None,
            established: false,
        };
        state.collect();
        Self(Mutex::new(state))
    }

    /// What to write; when that is nothing, `waker` is called when there is something.
    pub(super) fn poll_out(&self, waker: &Waker) -> Out {
        let mut state = self.lock();
        if !state.out.is_empty() {
            return Out::Bytes(std::mem::take(&mut state.out).into());
        }
        if state.is_plain() {
            return Out::Plain;
        }
        remember(&mut state.writer, waker);
        if state.established {
            Out::Sealed
        } else {
            Out::Handshaking
        }
    }

    /// Encrypts frames off the front, on a connection whose layers [stay](Out::Sealed). False when
    /// that is not possible any more.
    pub(super) fn seal(&self, frames: &mut VecDeque<Frame>, sealed: &mut VecDeque<Frame>) -> bool {
        #[cfg(feature = "tls")]
        {
            let mut state = self.lock();
            let mut out = std::mem::take(&mut state.out);
            let Some(tls) = &mut state.tls else {
                return false;
            };
            let mut size = 0;
            while size < SEAL_AT_ONCE && !frames.is_empty() {
                let Some(mut frame) = tls.seal(frames) else {
                    return false;
                };
                if !out.is_empty() {
                    // What waited since the writing end last asked goes first.
                    out.extend_from_slice(&frame.head);
                    frame.head = std::mem::take(&mut out).into();
                }
                size += frame.len();
                sealed.push_back(frame);
            }
            true
        }
        #[cfg(not(feature = "tls"))]
        {
            sealed.append(frames);
            true
        }
    }

    /// Takes in what arrived; `plain` gets what is meant for the engine, also what came before an
    /// error.
    ///
    /// # Errors
    /// A handshake failed, or the other side broke the rules.
    pub(super) fn open(
        &self,
        arrived: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<Opened, DialError> {
        let mut state = self.lock();
        let before = state.established;
        let result = state.open(arrived, plain);
        state.collect();
        let wanted = !state.out.is_empty() || state.established != before;
        let writer = if wanted { state.writer.take() } else { None };
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        result
    }

    /// The last that is to be written before the connection is closed from here.
    pub(super) fn last_words(&self) -> Option<Bytes> {
        let mut state = self.lock();
        #[cfg(feature = "tls")]
        if state.established {
            if let Some(tls) = &mut state.tls {
                tls.say_goodbye();
            }
            state.collect();
        }
        let out = std::mem::take(&mut state.out);
        (!out.is_empty()).then(|| out.into())
    }

    /// Whether something waits to be written.
    pub(super) fn has_out(&self) -> bool {
        !self.lock().out.is_empty()
    }

    /// What it means that the other side closed the connection now, in a handshake.
    pub(super) fn closed(&self) -> DialError {
        self.lock().blame(ProxyFailure::Closed, TlsFailure::Closed)
    }

    /// What it means that the connection failed so, in a handshake.
    pub(super) fn broke(&self, kind: io::ErrorKind) -> DialError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match kind {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => self.closed(),
            kind => DialError::Io(kind),
        }
    }

    /// What it means that time is up, in a handshake.
    pub(super) fn too_late(&self) -> DialError {
        self.lock()
            .blame(ProxyFailure::TimedOut, TlsFailure::TimedOut)
    }

    pub(super) fn is_established(&self) -> bool {
        self.lock().established
    }

    pub(super) fn is_plain(&self) -> bool {
        self.lock().is_plain()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_plain(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return false;
        }
        self.established && self.out.is_empty()
    }

    fn open(&mut self, arrived: &mut BytesMut, plain: &mut BytesMut) -> Result<Opened, DialError> {
        while let Some(socks) = &mut self.socks {
            match socks.read(arrived).map_err(DialError::Proxy)? {
                Progress::Done => {
                    self.socks = None;
                    // Before anything is read: TLS speaks first.
                    self.collect();
                }
                Progress::More => return Ok(Opened::More),
                Progress::Write(bytes) => self.out.extend(bytes),
            }
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let closed = tls.open(arrived, plain).map_err(DialError::Tls)?;
            self.established |= !tls.is_handshaking();
            return Ok(if closed {
                Opened::PeerClosed
            } else {
                Opened::More
            });
        }
        self.established = true;
        plain.unsplit(arrived.split());
        Ok(Opened::More)
    }

    /// Takes what TLS wants to write, once the proxy has connected us.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::needless_pass_by_ref_mut, reason = "only TLS writes here")
    )]
    fn collect(&mut self) {
        #[cfg(feature = "tls")]
        if let (None, Some(tls)) = (&self.socks, &mut self.tls) {
            tls.take_out(&mut self.out);
        }
    }

    /// Whose fault something is that happens now.
    fn blame(&self, proxy: ProxyFailure, server: TlsFailure) -> DialError {
        match self.socks {
            Some(_) => DialError::Proxy(proxy),
            None => DialError::Tls(server),
        }
    }
}

#[cfg(all(test, feature = "tls"))]
#[path = "wire_tests.rs"]
mod tests;
