//! However a stream is cut into reads, the same frames come out of it.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rocketmq_proto::{FrameDecoder, FrameError};

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, stream) = input;
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, usize::from(chunk).max(1)), whole);
});

fn frames(stream: &[u8], chunk: usize) -> (Vec<Bytes>, Option<FrameError>) {
    let mut decoder = FrameDecoder::default();
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for read in stream.chunks(chunk) {
        buffer.extend_from_slice(read);
        loop {
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => {
                    let _ = frame.command();
                    found.push(frame.as_bytes().clone());
                }
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}
