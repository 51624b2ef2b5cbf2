//! What the targets share.

use bytes::{BufMut, BytesMut};
use rocketmq_proto::header::{PullMessageResponse, SendMessageRequest, SendMessageResponse};
use rocketmq_proto::{CommandView, FrameDecoder, RemotingCommand, SerializeType};

/// Reads a header as typed as it may be, then writes what was read and reads that.
pub fn check_header(ty: SerializeType, header: &[u8]) {
    let Ok(view) = CommandView::decode(ty, header) else {
        return;
    };
    let _ = view.ext.decode::<SendMessageRequest<'_>>();
    let _ = view.ext.decode::<SendMessageResponse<'_>>();
    let _ = view.ext.decode::<PullMessageResponse>();

    let Some(command) = command(ty, header) else {
        return;
    };
    let mut bytes = BytesMut::new();
    if command.encode(ty, &mut bytes).is_err() {
        return;
    }
    let frame = FrameDecoder::default()
        .next_frame(&mut bytes)
        .unwrap()
        .unwrap();
    assert_eq!(RemotingCommand::from_frame(&frame).unwrap(), command);
}

fn command(ty: SerializeType, header: &[u8]) -> Option<RemotingCommand> {
    let len = u32::try_from(header.len())
        .ok()
        .filter(|len| *len < 1 << 24)?;
    let mut bytes = BytesMut::new();
    bytes.put_u32(len + 4);
    bytes.put_u32((ty as u32) << 24 | len);
    bytes.put_slice(header);
    let frame = FrameDecoder::default().next_frame(&mut bytes).ok()??;
    RemotingCommand::from_frame(&frame).ok()
}
