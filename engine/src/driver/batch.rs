//! What leaves a connection in one write.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

use super::state::Progress;
use crate::io::{Frame, FrameSeq};

/// Frames to write, in order.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) frames: &'a VecDeque<Frame>,
    pub(super) progress: &'a Progress,
}

impl<'a> Batch<'a> {
    /// How many slices it takes at most to write all of it at once.
    pub fn parts(&self) -> usize {
        2 * self.frames.len()
    }

    /// Fills `slices` with the next bytes to write, for one vectored write; returns how many of
    /// them are in use, at least one.
    pub fn slices(&self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self
            .frames
            .iter()
            .flat_map(|frame| [(frame.seq, &frame.head), (frame.seq, &frame.body)])
            .filter(|(_, part)| !part.is_empty());
        let mut used = 0;
        let mut last = FrameSeq::default();
        for (slice, (seq, part)) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            used += 1;
            last = last.max(seq);
        }
        // From here on until the write is over, nobody may call these frames unwritten.
        self.progress.offered.fetch_max(last.0, Ordering::Release);
        used
    }
}
