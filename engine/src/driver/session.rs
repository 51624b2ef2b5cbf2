//! TLS on one connection: the handshake and the records, as rustls makes them (PROTOCOL H.3).

use std::collections::VecDeque;
use std::io::{BufRead, IoSlice, Write};

use bytes::{Buf, Bytes, BytesMut};
use rustls::ClientConnection;

use super::tls::failure_of;
use crate::dial::TlsFailure;
use crate::io::Frame;

/// What one record holds at most (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;
/// Frames in one record at most.
const FRAMES: usize = 32;

/// Our end of an encrypted connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: ClientConnection,
    /// Whether we have a certificate to show.
    identified: bool,
}

impl Session {
    pub(super) fn new(mut connection: ClientConnection, identified: bool) -> Self {
        // What is written in is taken out at once: nothing piles up, and writing cannot fail for
        // want of room.
        connection.set_buffer_limit(None);
        Self {
            connection,
            identified,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes in what arrived. `plain` gets what was in it, also what came before an error; true
    /// when the other side said that it will write no more.
    pub(super) fn open(
        &mut self,
        arrived: &mut BytesMut,
        plain: &mut BytesMut,
    ) -> Result<bool, TlsFailure> {
        while !arrived.is_empty() {
            let mut bytes = &arrived[..];
            let Ok(taken) = self.connection.read_tls(&mut bytes) else {
                return Err(TlsFailure::Protocol);
            };
            arrived.advance(taken);
            let result = self.connection.process_new_packets();
            self.drain(plain);
            let state = result.map_err(|error| self.failure_of(&error))?;
            if state.peer_has_closed() {
                arrived.clear();
                return Ok(true);
            }
            if taken == 0 {
                // Only at the end of a stream, which is not reported through here.
                return Err(TlsFailure::Protocol);
            }
        }
        Ok(false)
    }

    /// Encrypts the first of the frames. Those that fit into one record together become one frame,
    /// with the number of the last: the other side can read none of them before it has the whole
    /// record, so that what counts as written and what may have been read stay the same thing.
    /// `None` when nothing can be encrypted any more.
    pub(super) fn seal(&mut self, frames: &mut VecDeque<Frame>) -> Option<Frame> {
        let count = fit(frames);
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES];
        let parts = frames
            .iter()
            .take(count)
            .flat_map(|frame| [&frame.head, &frame.body]);
        let mut used = 0;
        let mut size = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            used += 1;
            size += part.len();
        }
        let written = self
            .connection
            .writer()
            .write_vectored(&slices[..used])
            .ok()?;
        if written < size {
            return None;
        }
        let report = frames.iter().take(count).any(|frame| frame.report);
        let last = frames.drain(..count).last()?;
        let mut out = Vec::with_capacity(size + size / 64 + 64);
        self.take_out(&mut out);
        Some(Frame {
            seq: last.seq,
            head: out.into(),
            body: Bytes::new(),
            report,
            seal: None,
        })
    }

    /// Moves what is to be written to the end of `out`.
    pub(super) fn take_out(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing to a vector does not fail.
            if self.connection.write_tls(out).is_err() {
                return;
            }
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }

    fn drain(&mut self, plain: &mut BytesMut) {
        let mut reader = self.connection.reader();
        // An error stands for "nothing more now".
        while let Ok(part) = reader.fill_buf() {
            let taken = part.len();
            if taken == 0 {
                return;
            }
            plain.extend_from_slice(part);
            reader.consume(taken);
        }
    }

    fn failure_of(&self, error: &rustls::Error) -> TlsFailure {
        failure_of(error, self.identified, self.is_handshaking())
    }
}

/// How many frames off the front share a record; one that is larger than a record goes alone.
fn fit(frames: &VecDeque<Frame>) -> usize {
    let mut size = 0;
    let fits = |frame: &&Frame| {
        size += frame.len();
        size <= RECORD
    };
    frames.iter().take(FRAMES).take_while(fits).count().max(1)
}
