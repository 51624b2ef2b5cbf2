//! Lines that will be a batch.

use rocketmq_engine::SendError;
use rocketmq_engine::proto::{Batch, Message};

/// Bytes of each stored member beside the topic and what it takes in the batch, at most.
const ADDED_BY_BROKER: usize = 91 + 64;

/// Lines that wait for others to go with.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) lines: Vec<u64>,
    pub(crate) messages: Vec<Message>,
    pub(crate) bytes: usize,
}

impl Group {
    pub(crate) fn add(&mut self, line: u64, message: Message, bytes: usize) {
        self.lines.push(line);
        self.messages.push(message);
        self.bytes += bytes;
    }
}

/// A member of a batch, and the bytes to count for it: what it takes in the batch, and what a broker
/// adds when it stores it, which counts against the broker's limit (PROTOCOL D.8).
pub(crate) fn sized(message: Message) -> Result<(Message, usize), SendError> {
    let added = ADDED_BY_BROKER + message.topic().len();
    let alone = Batch::new(vec![message])?;
    let bytes = alone.stamped_len() + added;
    // A batch is never empty.
    let message = alone.into_messages().remove(0);
    Ok((message, bytes))
}
