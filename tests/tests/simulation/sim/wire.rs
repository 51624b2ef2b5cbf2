//! One connection, with what is on its way in it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_engine::proto::FrameDecoder;
use rocketmq_engine::{ConnId, Frame, FrameSeq, SealError};

pub(super) struct Wire {
    pub(super) conn: ConnId,
    pub(super) server: usize,
    pub(super) phase: Phase,
    pub(super) client_is_there: bool,
    pub(super) server_is_there: bool,
    /// Half-open: what is written from now on arrives nowhere, and nobody is told.
    pub(super) is_silent: bool,
    pub(super) is_broken: bool,
    pub(super) is_pumping: bool,
    /// Frames that the driver holds, the first perhaps written in part.
    pub(super) outbox: VecDeque<Outgoing>,
    /// The last frame that the engine gave out.
    pub(super) given: FrameSeq,
    /// The last frame of the write that is under way: its bytes may have left already.
    pub(super) offered: FrameSeq,
    /// The last frame that the driver knows to be written whole, and the last that the engine does.
    pub(super) written: FrameSeq,
    pub(super) reported: FrameSeq,
    /// Frames that could not be sealed and that the engine has not heard of.
    pub(super) unsealed: Vec<(FrameSeq, SealError)>,
    pub(super) last_to_server: Duration,
    pub(super) last_to_client: Duration,
    pub(super) decoder: FrameDecoder,
    pub(super) at_server: BytesMut,
    pub(super) at_client: BytesMut,
    fuse: Option<Fuse>,
    /// What the kernel still takes on a silent connection.
    room: usize,
}

/// What becomes of a connection after so many bytes.
#[derive(Clone, Copy)]
pub(super) enum Fuse {
    Break(usize),
    Silence(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Dialling,
    Open,
}

/// A frame on its way out.
pub(super) struct Outgoing {
    seq: FrameSeq,
    rest: Bytes,
    wants_report: bool,
}

/// What one write finished.
#[derive(Clone, Copy, Default)]
pub(super) struct Finished {
    /// The last frame that was written whole.
    pub(super) upto: FrameSeq,
    pub(super) wants_report: bool,
}

impl Outgoing {
    pub(super) fn new(frame: &Frame) -> Self {
        let mut bytes = BytesMut::with_capacity(frame.len());
        bytes.put_slice(&frame.head);
        bytes.put_slice(&frame.body);
        Self {
            seq: frame.seq,
            rest: bytes.freeze(),
            wants_report: frame.report,
        }
    }
}

impl Wire {
    pub(super) fn new(conn: ConnId, server: usize, fuse: Option<Fuse>) -> Self {
        Self {
            conn,
            server,
            phase: Phase::Dialling,
            client_is_there: true,
            server_is_there: false,
            is_silent: false,
            is_broken: false,
            is_pumping: false,
            outbox: VecDeque::new(),
            given: FrameSeq(0),
            offered: FrameSeq(0),
            written: FrameSeq(0),
            reported: FrameSeq(0),
            unsealed: Vec::new(),
            last_to_server: Duration::ZERO,
            last_to_client: Duration::ZERO,
            decoder: FrameDecoder::default(),
            at_server: BytesMut::new(),
            at_client: BytesMut::new(),
            fuse,
            room: 2_000,
        }
    }

    /// Nothing will befall it any more, beyond what already has.
    pub(super) fn spare(&mut self) {
        self.fuse = None;
    }

    /// Writes up to so many bytes of the outbox, as many as the fuse or a full buffer allow.
    pub(super) fn write(&mut self, most: usize) -> (Bytes, Finished) {
        let mut left = self.up_to_the_fuse(most);
        if self.is_silent {
            left = left.min(self.room);
            self.room -= left;
        }
        let mut bytes = BytesMut::new();
        let mut finished = Finished::default();
        self.offered = self.outbox.back().map_or(self.offered, |last| last.seq);
        while let Some(frame) = self.outbox.front_mut() {
            let part = left.min(frame.rest.len());
            bytes.put_slice(&frame.rest.split_to(part));
            left -= part;
            if !frame.rest.is_empty() {
                break;
            }
            finished.upto = frame.seq;
            finished.wants_report |= frame.wants_report;
            self.outbox.pop_front();
        }
        (bytes.freeze(), finished)
    }

    /// How many of `bytes` pass before the fuse blows.
    pub(super) fn up_to_the_fuse(&self, bytes: usize) -> usize {
        match self.fuse {
            Some(Fuse::Break(left) | Fuse::Silence(left)) => bytes.min(left.max(1)),
            None => bytes,
        }
    }

    /// Counts bytes that passed. Whether the connection has to be broken now.
    pub(super) fn burn(&mut self, bytes: usize) -> bool {
        match &mut self.fuse {
            Some(Fuse::Break(left)) if bytes >= *left => {
                self.fuse = None;
                return true;
            }
            Some(Fuse::Silence(left)) if bytes >= *left => {
                self.fuse = None;
                self.is_silent = true;
            }
            Some(Fuse::Break(left) | Fuse::Silence(left)) => *left -= bytes,
            None => {}
        }
        false
    }
}
