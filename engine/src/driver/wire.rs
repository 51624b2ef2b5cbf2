//! What lies between the frames and the socket on connections that are not plain: a SOCKS5
//! conversation first, then TLS (PROTOCOL H.3, H.4). Runtimes only ever move bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::socks::{Progress, Socks};
use super::ticket::remember;
use crate::dial::{DialError, ProxyFailure, TlsFailure};
use crate::io::Frame;

#[cfg(feature = "tls")]
use super::tls::failure_of;
#[cfg(feature = "tls")]
use rustls::ClientConnection;

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
    tls: Option<Box<ClientConnection>>,
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

impl Wire {
    pub(super) fn new(
        socks: Option<Socks>,
        #[cfg(feature = "tls")] tls: Option<ClientConnection>,
    ) -> Self {
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
        if state.established { Out::Sealed } else { Out::Handshaking }
    }

    /// Encrypts frames off the front; together they become one frame that ends like the last.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "only TLS seals"))]
    pub(super) fn seal(&self, frames: &mut VecDeque<Frame>) -> Option<Frame> {
        #[cfg(feature = "tls")]
        {
            use std::io::Write;
            let mut state = self.lock();
            let mut sealed: Option<Frame> = None;
            let mut size = 0;
            while size < SEAL_AT_ONCE {
                let Some(frame) = frames.pop_front() else { break };
                size += frame.len();
                let tls = state.tls.as_mut()?;
                // Without a buffer limit, writing into rustls cannot fail.
                tls.set_buffer_limit(None);
                tls.writer().write_all(&frame.head).ok()?;
                tls.writer().write_all(&frame.body).ok()?;
                let report = frame.report || sealed.as_ref().is_some_and(|frame| frame.report);
                sealed = Some(Frame { report, head: Bytes::new(), body: Bytes::new(), ..frame });
            }
            state.collect();
            let mut sealed = sealed?;
            sealed.head = std::mem::take(&mut state.out).into();
            Some(sealed)
        }
        #[cfg(not(feature = "tls"))]
        {
            frames.pop_front()
        }
    }

    /// Takes in what arrived; `plain` gets what is meant for the engine.
    ///
    /// # Errors
    /// A handshake failed, or the other side broke the rules.
    pub(super) fn open(
        &self,
        arrived: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<(), DialError> {
        let mut state = self.lock();
        let before = state.established;
        let result = state.open(arrived, plain);
        state.collect();
        let established = state.established && !before;
        let wanted = !state.out.is_empty() || established;
        let writer = if wanted { state.writer.take() } else { None };
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        result
    }

    /// What it means that the other side closed the connection now, in a handshake.
    pub(super) fn closed(&self) -> DialError {
        match self.lock().socks {
            Some(_) => DialError::Proxy(ProxyFailure::NotSocks),
            None => DialError::Tls(TlsFailure::Closed),
        }
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

    fn open(&mut self, arrived: &mut BytesMut, plain: &mut BytesMut) -> Result<(), DialError> {
        while let Some(socks) = &mut self.socks {
            match socks.read(arrived).map_err(DialError::Proxy)? {
                Progress::Done => self.socks = None,
                Progress::More => return Ok(()),
                Progress::Write(bytes) => self.out.extend(bytes),
            }
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            decrypt(tls, arrived, plain)?;
            self.established |= !tls.is_handshaking();
            return Ok(());
        }
        self.established = true;
        plain.unsplit(arrived.split());
        Ok(())
    }

    /// Takes what TLS wants to write, once the proxy has connected us.
    fn collect(&mut self) {
        #[cfg(feature = "tls")]
        if let (None, Some(tls)) = (&self.socks, &mut self.tls) {
            while tls.wants_write() {
                // Writing to a vector does not fail.
                if tls.write_tls(&mut self.out).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(feature = "tls")]
fn decrypt(
    tls: &mut ClientConnection,
    arrived: &mut BytesMut,
    plain: &mut BytesMut,
) -> Result<(), DialError> {
    use bytes::Buf;
    use std::io::BufRead;

    let tls_error = |error: &rustls::Error| DialError::Tls(failure_of(error));
    while !arrived.is_empty() {
        let mut bytes = &arrived[..];
        let taken = tls.read_tls(&mut bytes).map_err(|_| DialError::Tls(TlsFailure::Protocol))?;
        arrived.advance(taken);
        tls.process_new_packets().map_err(|error| tls_error(&error))?;
        loop {
            let mut reader = tls.reader();
            // Nothing more to read is an error of the kind WouldBlock here; the end of the stream
            // is seen by the socket as well.
            let Ok(part) = reader.fill_buf() else { break };
            if part.is_empty() {
                break;
            }
            plain.extend_from_slice(part);
            let taken = part.len();
            reader.consume(taken);
        }
        if taken == 0 {
            break;
        }
    }
    Ok(())
}
