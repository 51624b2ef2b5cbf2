//! What lines become: messages, batches, or refusals.

use rocketmq_engine::SendError;
use rocketmq_engine::proto::{Batch, Message};

use crate::lines::Line;
use crate::produce_args::Arguments;

/// Bytes of each stored member beside the topic and what it takes in the batch, at most.
const ADDED_BY_BROKER: usize = 91 + 64;

/// Makes units of lines, in their order.
#[derive(Debug)]
pub(crate) struct Units {
    /// The producer's limit for a message, and for a batch.
    limit: usize,
    /// Of a batch, if batches are wanted.
    members: Option<usize>,
    begun: Group,
}

/// What is sent, or refused, at once.
#[derive(Debug)]
pub(crate) enum Unit {
    Batch(Group),
    Message(u64, Message),
    Refused(u64, SendError),
}

/// Lines that go together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) lines: Vec<u64>,
    pub(crate) messages: Vec<Message>,
    pub(crate) bytes: usize,
}

impl Units {
    pub(crate) fn new(arguments: &Arguments, limit: usize) -> Self {
        Self {
            limit,
            members: arguments.batch(),
            begun: Group::default(),
        }
    }

    /// What is to be sent now that this line has come, in this order.
    pub(crate) fn next(&mut self, arguments: &Arguments, line: Line) -> [Option<Unit>; 2] {
        let number = line.number;
        let message = match arguments.message(line, self.limit) {
            Ok(message) => message,
            // The lines before it come before it.
            Err(why) => return [self.rest(), Some(Unit::Refused(number, why.into()))],
        };
        let Some(members) = self.members else {
            return [Some(Unit::Message(number, message)), None];
        };
        match sized(message) {
            Ok((message, bytes)) if bytes <= self.limit => {
                let full = self.begun.bytes + bytes > self.limit;
                let before = if full { self.rest() } else { None };
                self.begun.add(number, message, bytes);
                let complete = self.begun.lines.len() == members;
                [before, if complete { self.rest() } else { None }]
            }
            Ok((message, _)) => [self.rest(), Some(Unit::Message(number, message))],
            Err(why) => [self.rest(), Some(Unit::Refused(number, why))],
        }
    }

    /// The lines that wait for others to go with.
    pub(crate) fn rest(&mut self) -> Option<Unit> {
        let group = std::mem::take(&mut self.begun);
        (!group.lines.is_empty()).then_some(Unit::Batch(group))
    }
}

impl Unit {
    /// How many lines, and how many bytes of them.
    pub(crate) fn size(&self) -> (usize, usize) {
        match self {
            Self::Batch(group) => (group.lines.len(), group.bytes),
            Self::Message(_, message) => (1, message.body().len()),
            Self::Refused(..) => (1, 0),
        }
    }
}

impl Group {
    fn add(&mut self, line: u64, message: Message, bytes: usize) {
        self.lines.push(line);
        self.messages.push(message);
        self.bytes += bytes;
    }
}

/// A member of a batch, and the bytes to count for it: what it takes in the batch, and what a broker
/// adds when it stores it, which counts against the broker's limit (PROTOCOL D.8).
fn sized(message: Message) -> Result<(Message, usize), SendError> {
    let added = ADDED_BY_BROKER + message.topic().len();
    let alone = Batch::new(vec![message])?;
    let bytes = alone.stamped_len() + added;
    // A batch is never empty.
    let message = alone.into_messages().remove(0);
    Ok((message, bytes))
}
