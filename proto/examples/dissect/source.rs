//! A window on a stream of bytes that knows where in the stream it is.

use std::io::{self, ErrorKind, Read};

use bytes::BytesMut;

const CHUNK: usize = 64 * 1024;

pub(crate) struct Source<R> {
    input: R,
    chunk: Box<[u8]>,
    window: BytesMut,
    offset: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            chunk: vec![0; CHUNK].into(),
            window: BytesMut::new(),
            offset: 0,
        }
    }

    /// Where the window begins, counted from the start of the stream.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that were read and not taken yet.
    pub(crate) fn window(&self) -> &[u8] {
        &self.window
    }

    /// Lets `take` split bytes off the front of the window.
    pub(crate) fn take<T>(&mut self, take: impl FnOnce(&mut BytesMut) -> T) -> T {
        let before = self.window.len();
        let taken = take(&mut self.window);
        self.offset += (before - self.window.len()) as u64;
        taken
    }

    /// Reads until the window holds `len` bytes; false when the stream ends before. It grows with
    /// what is really there, so that a length that lies costs nothing.
    pub(crate) fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.window.len() < len {
            if !self.read_more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads once; false at the end of the stream.
    pub(crate) fn read_more(&mut self) -> io::Result<bool> {
        loop {
            match self.input.read(&mut self.chunk) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    self.window.extend_from_slice(&self.chunk[..len]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
