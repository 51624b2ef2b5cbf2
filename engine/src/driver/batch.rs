//! What leaves a connection in one write.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

use super::state::Progress;
use crate::io::{Frame, FrameSeq};

/// Slices of one write: few for a frame or two, since making room for many takes its time, and many
/// where frames have piled up, since a system call does.
const FEW: usize = 16;
const MANY: usize = 512;

/// Frames to write, in order.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) frames: &'a VecDeque<Frame>,
    pub(super) progress: &'a Progress,
}

impl Batch<'_> {
    /// Has the next bytes written by one vectored write, or tried to be: `write` is called once.
    pub fn write<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        if 2 * self.frames.len() <= FEW {
            self.offer::<FEW, R>(write)
        } else {
            self.offer::<MANY, R>(write)
        }
    }

    fn offer<const SLICES: usize, R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        let mut last = FrameSeq::default();
        'full: for frame in self.frames {
            for part in [&frame.head, &frame.body] {
                if part.is_empty() {
                    continue;
                }
                let Some(slice) = slices.get_mut(used) else {
                    break 'full;
                };
                *slice = IoSlice::new(part);
                used += 1;
                last = last.max(frame.seq);
            }
        }
        // From here on until the write is over, nobody may call these frames unwritten.
        self.progress.offered.store(last.0, Ordering::Release);
        write(&slices[..used])
    }
}
