//! Frames for tokio-util (feature `tokio-util`).

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::command::{EncodeError, RemotingCommand};
use crate::frame::{Frame, FrameDecoder, FrameError, FrameLimits, SerializeType};

/// A tokio-util codec: reads [`Frame`]s, writes [`RemotingCommand`]s.
///
/// Frames come out whole but not understood: call [`Frame::command`] on each, so that one bad header does not end the
/// connection.
///
/// ```
/// use bytes::BytesMut;
/// use rocketmq_proto::{FrameCodec, RemotingCommand, RequestCode};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = FrameCodec::default();
/// let mut wire = BytesMut::new();
/// codec.encode(RemotingCommand::request(RequestCode::HEART_BEAT, 1, &()), &mut wire)?;
/// let frame = codec.decode(&mut wire)?.expect("a whole frame");
/// assert_eq!(frame.command().unwrap().request_code(), RequestCode::HEART_BEAT);
/// # Ok::<(), rocketmq_proto::FrameCodecError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FrameCodec {
    decoder: FrameDecoder,
    limits: FrameLimits,
    serialize_type: SerializeType,
}

impl FrameCodec {
    /// `serialize_type` is for what is written; what is read says its own.
    pub fn new(serialize_type: SerializeType, limits: FrameLimits) -> Self {
        Self {
            decoder: FrameDecoder::new(limits),
            limits,
            serialize_type,
        }
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameCodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameCodecError> {
        Ok(self.decoder.next_frame(src)?)
    }
}

impl Encoder<RemotingCommand> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(
        &mut self,
        command: RemotingCommand,
        dst: &mut BytesMut,
    ) -> Result<(), FrameCodecError> {
        self.encode(&command, dst)
    }
}

impl Encoder<&RemotingCommand> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(
        &mut self,
        command: &RemotingCommand,
        dst: &mut BytesMut,
    ) -> Result<(), FrameCodecError> {
        Ok(command.encode_within(self.serialize_type, self.limits, dst)?)
    }
}

/// What a framed connection can fail with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameCodecError {
    /// A command cannot be written; the connection is sound.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The peer does not send frames; close the connection.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{RequestCode, ResponseCode};

    #[test]
    fn commands_go_through_both_ways_and_bad_streams_are_errors() {
        for ty in [SerializeType::Json, SerializeType::Binary] {
            let mut codec = FrameCodec::new(ty, FrameLimits::default());
            let request =
                RemotingCommand::request(RequestCode::HEART_BEAT, 1, &()).with_body("body");
            let answer = RemotingCommand::response(1, ResponseCode::SYSTEM_ERROR, Some("why"));
            let mut wire = BytesMut::new();
            codec.encode(&request, &mut wire).unwrap();
            codec.encode(answer.clone(), &mut wire).unwrap();
            for expected in [request, answer] {
                let frame = codec.decode(&mut wire).unwrap().unwrap();
                assert_eq!(RemotingCommand::from_frame(&frame).unwrap(), expected);
            }
            assert!(codec.decode(&mut wire).unwrap().is_none());

            wire.extend_from_slice(b"HTTP/1.1");
            assert!(matches!(
                codec.decode(&mut wire),
                Err(FrameCodecError::Frame(_))
            ));
        }
    }
}
