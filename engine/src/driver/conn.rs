//! The two ends of a connection, as a runtime serves them. They never wait for each other, so two
//! full sockets cannot lock up (DESIGN 9, 8).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use bytes::{Buf, BytesMut};

use super::hub::Hub;
use super::ticket::remember;
use crate::io::{CloseCause, ConnId, Frame, FrameSeq, Input, Now};

/// A read has at least this much room; more is read at once when more is there.
const READ_ROOM: usize = 16 * 1024;

/// The writing end: what to write next. Dropped, it ends the connection.
#[derive(Debug)]
pub struct ConnTx {
    hub: Hub,
    conn: ConnId,
    /// Taken from the hub and not written whole yet. Only this end touches them: a caller that
    /// goes away can never leave half a frame behind (DESIGN 9, 3).
    frames: VecDeque<Frame>,
    written: Arc<AtomicU64>,
    open: bool,
}

/// The reading end: where what was read goes. Dropped, it ends the connection.
#[derive(Debug)]
pub struct ConnRx {
    hub: Hub,
    conn: ConnId,
    buffer: BytesMut,
    open: bool,
}

/// Frames to write, in order.
#[derive(Debug)]
pub struct Batch<'a> {
    frames: &'a VecDeque<Frame>,
}

pub(super) fn pair(hub: &Hub, conn: ConnId) -> (ConnTx, ConnRx) {
    let written = hub.lock().written(conn);
    let tx = ConnTx {
        hub: hub.clone(),
        conn,
        frames: VecDeque::new(),
        written,
        open: true,
    };
    let rx = ConnRx {
        hub: hub.clone(),
        conn,
        buffer: BytesMut::new(),
        open: true,
    };
    (tx, rx)
}

impl ConnTx {
    /// What to write now; `None` when the connection is to be closed, both ways. As long as there
    /// is nothing, `waker` is called when there is.
    pub fn poll_batch(&mut self, waker: &Waker) -> Poll<Option<Batch<'_>>> {
        if self.frames.is_empty() {
            let mut state = self.hub.lock();
            let Some(outbox) = state.outbox(self.conn) else {
                self.open = false;
                return Poll::Ready(None);
            };
            if outbox.frames.is_empty() {
                remember(&mut outbox.writer, waker);
                return Poll::Pending;
            }
            std::mem::swap(&mut outbox.frames, &mut self.frames);
        }
        Poll::Ready(Some(Batch {
            frames: &self.frames,
        }))
    }

    /// So many bytes of the batch were written, from its front.
    pub fn wrote(&mut self, now: Now, mut bytes: usize) {
        let mut report = false;
        while let Some(frame) = self.frames.front_mut() {
            let of_head = bytes.min(frame.head.len());
            frame.head.advance(of_head);
            let of_body = (bytes - of_head).min(frame.body.len());
            frame.body.advance(of_body);
            bytes -= of_head + of_body;
            if !frame.is_empty() {
                break;
            }
            report |= frame.report;
            self.written.store(frame.seq.0, Ordering::Release);
            self.frames.pop_front();
        }
        if report {
            let seq = FrameSeq(self.written.load(Ordering::Acquire));
            self.hub.input(now, Input::Flushed(self.conn, seq));
        }
    }

    /// Writing failed: the connection is over.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        self.open = false;
        self.hub
            .closed(now, self.conn, CloseCause::Failed(error.kind()));
    }
}

impl ConnRx {
    /// Where to read to: append to it.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < READ_ROOM / 4 {
            self.buffer.reserve(READ_ROOM);
        }
        &mut self.buffer
    }

    /// Bytes were appended to the buffer. `Break` when the connection is to be closed.
    pub fn received(&mut self, now: Now) -> ControlFlow<()> {
        let Self {
            hub, conn, buffer, ..
        } = self;
        let open = hub.with(|state| {
            state.engine.handle(now, Input::Received(*conn, buffer));
            state.engine.has_conn(*conn)
        });
        if open {
            return ControlFlow::Continue(());
        }
        self.open = false;
        ControlFlow::Break(())
    }

    /// The other side closed in order: the connection is over.
    pub fn ended(mut self, now: Now) {
        self.open = false;
        self.hub.closed(now, self.conn, CloseCause::PeerClosed);
    }

    /// Reading failed: the connection is over.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        self.open = false;
        self.hub
            .closed(now, self.conn, CloseCause::Failed(error.kind()));
    }
}

impl<'a> Batch<'a> {
    /// Fills `slices` with the next bytes to write, for one vectored write; returns how many of
    /// them are in use, at least one.
    pub fn slices(&self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self
            .frames
            .iter()
            .flat_map(|frame| [&frame.head, &frame.body]);
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(parts.filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        used
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
