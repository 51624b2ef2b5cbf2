//! What happened in a world, for reading and for comparing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// How many of the last lines are kept.
const KEPT: usize = 80;

/// Written only when somebody will read it: a run without a reader costs no formatting.
#[derive(Clone)]
pub(super) struct Trace(Option<Rc<RefCell<Lines>>>);

#[derive(Default)]
struct Lines {
    print: bool,
    last: VecDeque<String>,
    digest: u64,
}

impl Trace {
    pub(super) fn off() -> Self {
        Self(None)
    }

    /// Keeps the last lines and a digest of all; prints them too if asked.
    pub(super) fn on(print: bool) -> Self {
        let lines = Lines {
            print,
            ..Lines::default()
        };
        Self(Some(Rc::new(RefCell::new(lines))))
    }

    pub(super) fn line(&self, at: Duration, text: impl FnOnce() -> String) {
        let Some(lines) = &self.0 else { return };
        let mut lines = lines.borrow_mut();
        let line = format!("{:>12.6} {}", at.as_secs_f64(), text());
        lines.digest = fnv(lines.digest, line.as_bytes());
        if lines.print {
            println!("{line}");
        }
        if lines.last.len() == KEPT {
            lines.last.pop_front();
        }
        lines.last.push_back(line);
    }

    /// Bytes that went over the border, which no line shows.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        if let Some(lines) = &self.0 {
            let mut lines = lines.borrow_mut();
            lines.digest = fnv(lines.digest, bytes);
        }
    }

    pub(super) fn digest(&self) -> u64 {
        self.0.as_ref().map_or(0, |lines| lines.borrow().digest)
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        let lines = self.0.as_ref();
        lines.map_or_else(Vec::new, |lines| {
            lines.borrow().last.iter().cloned().collect()
        })
    }
}

fn fnv(digest: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(digest ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        })
}
