//! One connection.

use std::io::{self, ErrorKind, Read, Write};

use super::answer::Answers;
use super::request::{Scanner, frame_len, is_absurd};

/// What is read at once: small enough to stay in the processor's cache.
const CHUNK: usize = 256 * 1024;

/// Answers until the peer closes.
///
/// # Errors
/// The connection broke, or what came was no frame.
pub fn serve(stream: &mut (impl Read + Write), answers: &mut Answers) -> io::Result<()> {
    let scanner = Scanner::default();
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    let mut out = Vec::with_capacity(CHUNK);
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut done = 0;
        while let Some(len) = frame_len(&buffer[done..filled]) {
            if is_absurd(len) {
                return Err(ErrorKind::InvalidData.into());
            }
            let Some(frame) = buffer[done..filled].get(..len) else {
                // Only one that is larger than the buffer, and not yet whole, needs more room.
                let room = buffer.len().max(len);
                buffer.resize(room, 0);
                break;
            };
            let request = scanner.read(frame).ok_or(ErrorKind::InvalidData)?;
            answers.answer(&request, &mut out);
            done += len;
        }
        if !out.is_empty() {
            stream.write_all(&out)?;
            stream.flush()?;
            out.clear();
        }
        buffer.copy_within(done..filled, 0);
        filled -= done;
    }
}
