//! A stream of bytes, cut into lines. A line is bytes, not text, and its memory is bounded.

use std::io::{self, Read};
use std::mem::take;

/// Read at once.
const PART: usize = 64 * 1024;

/// A line that is not empty.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Line {
    /// Counted from 1, empty lines included.
    pub(crate) number: u64,
    pub(crate) body: Result<Vec<u8>, Overlong>,
}

/// A line of more bytes than are kept.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Overlong {
    pub(crate) len: usize,
}

/// Cuts parts of a stream into lines at each `\n`, which is dropped. Nothing else is: a `\r` stays.
#[derive(Debug)]
pub(crate) struct Splitter {
    limit: usize,
    number: u64,
    /// The line that has no end yet; dropped as soon as it is too long.
    begun: Vec<u8>,
    len: usize,
}

/// Reads to the end and hands over the lines of each part, as soon as there are any; stops early
/// when `take` says that no more are wanted.
pub(crate) fn read_lines(
    mut input: impl Read,
    limit: usize,
    mut take: impl FnMut(Vec<Line>) -> bool,
) -> io::Result<()> {
    let mut splitter = Splitter::new(limit);
    let mut part = vec![0; PART];
    loop {
        let len = match input.read(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            len => len?,
        };
        let lines = match len {
            0 => splitter.end_line().into_iter().collect(),
            _ => splitter.lines(&part[..len]),
        };
        let wanted = lines.is_empty() || take(lines);
        if len == 0 || !wanted {
            return Ok(());
        }
    }
}

impl Splitter {
    /// Keeps lines of up to `limit` bytes; of longer ones it keeps only the length.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            number: 0,
            begun: Vec::new(),
            len: 0,
        }
    }

    /// The lines that end in this part of the stream.
    pub(crate) fn lines(&mut self, mut part: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = part.iter().position(|&byte| byte == b'\n') {
            self.add(&part[..end]);
            lines.extend(self.end_line());
            part = &part[end + 1..];
        }
        self.add(part);
        lines
    }

    /// Ends the present line: at each `\n`, and once at the end of the stream.
    pub(crate) fn end_line(&mut self) -> Option<Line> {
        self.number += 1;
        let (len, body) = (take(&mut self.len), take(&mut self.begun));
        if len == 0 {
            return None;
        }
        let body = if len > self.limit {
            Err(Overlong { len })
        } else {
            Ok(body)
        };
        Some(Line {
            number: self.number,
            body,
        })
    }

    fn add(&mut self, part: &[u8]) {
        self.len = self.len.saturating_add(part.len());
        if self.len > self.limit {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}
