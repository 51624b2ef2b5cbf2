//! The two ends of a connection, as a runtime serves them. They never wait for each other, so two
//! full sockets cannot lock up (DESIGN 9, 8).

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::batch::Batch;
use super::hub::Hub;
use super::state::{After, Progress};
use super::wire::{Opened, Out, Wire};
use crate::dial::DialError;
use crate::io::{CloseCause, ConnId, Frame, FrameSeq, Input, Now};
use crate::seal::needs_seal;

/// A read has at least this much room; more is read at once when more is there.
const READ_ROOM: usize = 16 * 1024;

/// So many bytes are signed at once, or one frame: then they are written.
const SIGN_AT_ONCE: usize = 256 * 1024;

/// The writing end: what to write next. Dropped, it ends the connection.
#[derive(Debug)]
pub struct ConnTx {
    hub: Hub,
    conn: ConnId,
    /// Taken from the hub and not written whole yet. Only this end touches them: a caller that
    /// goes away can never leave half a frame behind (DESIGN 9, 3).
    frames: VecDeque<Frame>,
    /// Taken from the hub and not encrypted yet; used on encrypted connections only.
    unsealed: VecDeque<Frame>,
    /// Taken from the hub and not signed yet; used with credentials or RPC hooks only.
    unsigned: VecDeque<Frame>,
    signs: bool,
    progress: Arc<Progress>,
    wire: Option<Arc<Wire>>,
    open: bool,
}

/// The reading end: where what was read goes. Dropped, it ends the connection.
#[derive(Debug)]
pub struct ConnRx {
    hub: Hub,
    conn: ConnId,
    buffer: BytesMut,
    /// What arrived and is not deciphered yet; used as long as there are layers.
    arrived: BytesMut,
    wire: Option<Arc<Wire>>,
    room: After,
    open: bool,
}

/// The two ends of a connection that was dialled; `by` ends the handshakes of its layers.
pub(super) fn pair(
    hub: &Hub,
    conn: ConnId,
    wire: Option<&Arc<Wire>>,
    by: Instant,
) -> (ConnTx, ConnRx) {
    let progress = hub.lock().outbox(conn).map(|outbox| {
        outbox.handshake = wire.map(|wire| (by, wire.clone()));
        outbox.progress.clone()
    });
    let tx = ConnTx {
        hub: hub.clone(),
        conn,
        frames: VecDeque::new(),
        unsealed: VecDeque::new(),
        unsigned: VecDeque::new(),
        signs: needs_seal(hub.client_config()),
        progress: progress.unwrap_or_default(),
        wire: wire.cloned(),
        open: true,
    };
    let rx = ConnRx {
        hub: hub.clone(),
        conn,
        buffer: BytesMut::new(),
        arrived: BytesMut::new(),
        wire: wire.cloned(),
        room: After::default(),
        open: true,
    };
    (tx, rx)
}

impl ConnTx {
    /// What to write now; `None` when the connection is to be closed, both ways. As long as there
    /// is nothing, `waker` is called when there is; as long as the socket takes nothing, it is
    /// called when the connection is to be closed.
    pub fn poll_batch(&mut self, waker: &Waker) -> Poll<Option<Batch<'_>>> {
        let open = if self.frames.is_empty() {
            ready!(self.poll_frames(waker))
        } else {
            let mut state = self.hub.lock();
            let outbox = state.outbox(self.conn);
            outbox.map(|outbox| outbox.wait(waker, false)).is_some()
        };
        // What was offered before and not taken was not written.
        self.progress.offered.store(0, Ordering::Release);
        Poll::Ready(open.then_some(Batch {
            frames: &self.frames,
            progress: &self.progress,
        }))
    }

    /// Sees to it that there are frames; false when there will be none any more.
    fn poll_frames(&mut self, waker: &Waker) -> Poll<bool> {
        loop {
            let open = ready!(self.poll_next_frames(waker));
            // None when not one of them could be signed.
            if !open || !self.frames.is_empty() {
                return Poll::Ready(open);
            }
        }
    }

    fn poll_next_frames(&mut self, waker: &Waker) -> Poll<bool> {
        let out = self.wire.as_ref().map(|wire| wire.poll_out(waker));
        let frames_may_go = match out {
            Some(Out::Bytes(bytes)) => {
                self.frames.push_back(not_a_frame(bytes));
                return Poll::Ready(true);
            }
            Some(Out::Plain) => {
                self.wire = None;
                true
            }
            Some(Out::Handshaking) => false,
            Some(Out::Sealed) | None => true,
        };
        let mut state = self.hub.lock();
        let Some(outbox) = state.outbox(self.conn) else {
            drop(state);
            return Poll::Ready(self.last_words());
        };
        if self.unsealed.is_empty() && self.unsigned.is_empty() {
            if outbox.frames.is_empty() || !frames_may_go {
                outbox.wait(waker, frames_may_go);
                return Poll::Pending;
            }
            let into = if self.signs {
                &mut self.unsigned
            } else if self.wire.is_some() {
                &mut self.unsealed
            } else {
                &mut self.frames
            };
            std::mem::swap(&mut outbox.frames, into);
        }
        drop(state);
        if self.signs {
            self.sign();
        }
        let Some(wire) = &self.wire else {
            return Poll::Ready(true);
        };
        if self.unsealed.is_empty() {
            return Poll::Ready(true);
        }
        Poll::Ready(wire.seal(&mut self.unsealed, &mut self.frames))
    }

    /// Signs some of the frames, no lock being held; what cannot be signed is not written.
    fn sign(&mut self) {
        let into = if self.wire.is_some() {
            &mut self.unsealed
        } else {
            &mut self.frames
        };
        let mut signed = 0;
        while signed < SIGN_AT_ONCE {
            let Some(mut frame) = self.unsigned.pop_front() else {
                return;
            };
            signed += frame.len();
            match frame.seal() {
                Ok(()) => into.push_back(frame),
                Err(error) => {
                    let input = Input::Unsealed(self.conn, frame.seq, error);
                    self.hub.input(Now::system(), input);
                }
            }
        }
    }

    /// The connection is to be closed. An encrypted one is ended by a word to the other side, which
    /// is tried once and not waited for.
    fn last_words(&mut self) -> bool {
        let words = self.wire.take().and_then(|wire| wire.last_words());
        self.frames.extend(words.map(not_a_frame));
        self.open = false;
        !self.frames.is_empty()
    }

    /// The socket takes nothing now: what was offered to it was not written.
    pub fn took_nothing(&mut self) {
        self.progress.offered.store(0, Ordering::Release);
    }

    /// So many bytes of the batch were written, from its front.
    pub fn wrote(&mut self, mut bytes: usize) {
        let mut report = false;
        let mut written = FrameSeq::default();
        while let Some(frame) = self.frames.front_mut() {
            let Some(rest) = bytes.checked_sub(frame.len()) else {
                let of_head = bytes.min(frame.head.len());
                frame.head.advance(of_head);
                frame.body.advance(bytes - of_head);
                break;
            };
            bytes = rest;
            report |= frame.report;
            written = written.max(frame.seq);
            self.frames.pop_front();
        }
        self.progress
            .written
            .fetch_max(written.0, Ordering::Release);
        self.progress.offered.store(0, Ordering::Release);
        if report {
            let flushed = Input::Flushed(self.conn, written);
            self.hub.input(Now::system(), flushed);
        }
    }

    /// Writing failed: the connection is over.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        self.open = false;
        self.progress.offered.store(0, Ordering::Release);
        match &self.wire {
            Some(wire) if !wire.is_established() => {
                self.hub
                    .dial_failed(now, self.conn, wire.broke(error.kind()));
            }
            _ => self
                .hub
                .closed(now, self.conn, CloseCause::Failed(error.kind())),
        }
    }
}

impl ConnRx {
    /// Where to read to: append to it.
    pub fn buffer(&mut self) -> &mut BytesMut {
        let buffer = if self.wire.is_some() {
            &mut self.arrived
        } else {
            &mut self.buffer
        };
        if buffer.capacity() - buffer.len() < READ_ROOM / 4 {
            buffer.reserve(READ_ROOM);
        }
        buffer
    }

    /// Bytes were appended to the buffer. `Break` when the connection is to be closed.
    pub fn received(&mut self, now: Now) -> ControlFlow<()> {
        if !self.open {
            return ControlFlow::Break(());
        }
        let deciphered = self.decipher(now);
        let Self {
            hub,
            conn,
            buffer,
            room,
            ..
        } = self;
        // First what came before an error.
        let open = hub.with_room(room, |state| {
            state.engine.handle(now, Input::Received(*conn, buffer));
            state.engine.has_conn(*conn)
        });
        room.shrink();
        if let Err(end) = deciphered {
            self.end(now, end);
            // The writing end tells the other side why, and closes then.
            let last_words = self.wire.as_ref().is_some_and(|wire| wire.has_out());
            return if last_words {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        if open {
            return ControlFlow::Continue(());
        }
        self.open = false;
        ControlFlow::Break(())
    }

    /// The other side closed in order: the connection is over.
    pub fn ended(mut self, now: Now) {
        let end = match &self.wire {
            Some(wire) if !wire.is_established() => End::Dial(wire.closed()),
            _ => End::Conn(CloseCause::PeerClosed),
        };
        self.end(now, end);
    }

    /// Reading failed: the connection is over.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        let end = match &self.wire {
            Some(wire) if !wire.is_established() => End::Dial(wire.broke(error.kind())),
            _ => End::Conn(CloseCause::Failed(error.kind())),
        };
        self.end(now, end);
    }

    /// Takes what arrived through the layers between socket and frames; the engine is told when
    /// the connection stands.
    fn decipher(&mut self, now: Now) -> Result<(), End> {
        let Some(wire) = &self.wire else {
            return Ok(());
        };
        let stood = wire.is_established();
        let result = wire.open(&mut self.arrived, &mut self.buffer);
        if !stood && wire.is_established() {
            self.hub.input(now, Input::Connected(self.conn));
        }
        let opened = result.map_err(|error| match error {
            DialError::Tls(failure) if wire.is_established() => End::Conn(CloseCause::Tls(failure)),
            error => End::Dial(error),
        })?;
        match opened {
            Opened::More => {}
            Opened::PeerClosed if wire.is_established() => {
                return Err(End::Conn(CloseCause::PeerClosed));
            }
            Opened::PeerClosed => return Err(End::Dial(wire.closed())),
        }
        if wire.is_plain() {
            self.wire = None;
        }
        Ok(())
    }

    fn end(&mut self, now: Now, end: End) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        match end {
            End::Conn(cause) => self.hub.closed(now, self.conn, cause),
            End::Dial(error) => self.hub.dial_failed(now, self.conn, error),
        }
    }
}

/// How a connection ends: as one that stood, or as one that never came about.
enum End {
    Conn(CloseCause),
    Dial(DialError),
}

/// Bytes of the layers' own.
fn not_a_frame(bytes: Bytes) -> Frame {
    Frame {
        seq: FrameSeq::default(),
        head: bytes,
        body: Bytes::new(),
        report: false,
        seal: None,
    }
}

impl Drop for ConnTx {
    fn drop(&mut self) {
        if self.open {
            self.hub
                .closed(Now::system(), self.conn, CloseCause::Abandoned);
        }
    }
}

impl Drop for ConnRx {
    fn drop(&mut self) {
        if self.open {
            self.hub
                .closed(Now::system(), self.conn, CloseCause::Abandoned);
        }
    }
}
