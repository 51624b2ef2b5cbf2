//! Several messages that travel as one (PROTOCOL D.8).

use std::time::Duration;

use bytes::BytesMut;

use crate::message::{Message, Placement, ShardKey};
use crate::msg_id::UniqueId;
use crate::names::{MessageQueue, TopicName, topic};
use crate::properties::property;

mod error;
mod member;

pub use error::{BatchProblem, InvalidBatch};
pub use member::{BatchError, BatchMember, BatchMemberProblem, BatchMembers};

/// Messages of one topic that are sent, stored and confirmed together (PROTOCOL D.8).
///
/// A batch that exists keeps all of its rules: at least one message, every one sound for itself, all
/// with the same topic, `WAIT` and placement; no delay, timer, half message or retry topic. Whether
/// it fits is asked with [`check`](Self::check), or [`split`](Self::split) makes it fit.
#[derive(Clone, Debug)]
pub struct Batch {
    messages: Vec<Message>,
    placement: Placement,
    timeout: Option<Duration>,
}

impl Batch {
    /// Makes `messages` one batch. Queue and budget are those of the first message; the other
    /// messages' budgets are ignored.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, and by which message, with the messages given back.
    pub fn new(messages: Vec<Message>) -> Result<Self, InvalidBatch> {
        match check_rules(&messages) {
            Ok(()) => Ok(Self::of(messages)),
            Err(problem) => Err(InvalidBatch::new(messages, problem)),
        }
    }

    /// Makes as few batches as the order of `messages` allows, each of at most `max_encoded` bytes
    /// (Java: `maxMessageSize`, 4 MiB by default; brokers want room for what they add, see
    /// PROTOCOL D.8).
    ///
    /// What counts is what goes over the wire: 22 bytes a member, its body, and its properties with
    /// the unique id and `WAIT` that [`stamp`](Self::stamp) adds. An id that is yet to be made counts
    /// as the 56 digits of an IPv6 host.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, or the first message that does not even fit alone, with all
    /// messages given back.
    pub fn split(
        messages: impl IntoIterator<Item = Message>,
        max_encoded: usize,
    ) -> Result<Vec<Self>, InvalidBatch> {
        let messages: Vec<Message> = messages.into_iter().collect();
        let lens = match check_rules(&messages).and_then(|()| fitting_lens(&messages, max_encoded))
        {
            Ok(lens) => lens,
            Err(problem) => return Err(InvalidBatch::new(messages, problem)),
        };
        let mut batches = Vec::new();
        let mut group = Vec::new();
        let mut group_len = 0;
        for (message, len) in messages.into_iter().zip(lens) {
            if group_len + len > max_encoded {
                batches.push(Self::of(std::mem::take(&mut group)));
                group_len = 0;
            }
            group.push(message);
            group_len += len;
        }
        batches.push(Self::of(group));
        Ok(batches)
    }

    /// Sends the batch to exactly this queue.
    pub fn to(mut self, queue: MessageQueue) -> Self {
        self.placement = Placement::Queue(queue);
        self
    }

    /// Sends the batch to the queue that `key` hashes to, as [`Message::by`] does.
    pub fn by(mut self, key: impl ShardKey) -> Self {
        self.placement = Placement::Hash(key.shard_hash());
        self
    }

    /// The budget of the whole send; by default the producer's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Gives every member what it carries when it leaves: see [`Message::stamp`]. `WAIT` is written
    /// into the members, as Java does, though it stands in the header as well.
    pub fn stamp(&mut self, mut next_id: impl FnMut() -> UniqueId) {
        for message in &mut self.messages {
            message.stamp(&mut next_id);
        }
    }

    /// Whether the batch can be sent with an encoded body of up to `max_encoded` bytes. A member may
    /// have as many; so a member's own limit needs no second look.
    ///
    /// # Errors
    ///
    /// When the members together are larger.
    pub fn check(&self, max_encoded: usize) -> Result<(), BatchProblem> {
        let len = self.stamped_len();
        if len > max_encoded {
            return Err(BatchProblem::TooLarge {
                len,
                limit: max_encoded,
            });
        }
        match &self.placement {
            Placement::Queue(queue) if queue.topic != *self.topic() => {
                Err(BatchProblem::QueueOfOtherTopic(queue.topic.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Appends the body of the request: the members as they are now, so [`stamp`](Self::stamp)
    /// first.
    ///
    /// # Errors
    ///
    /// When a member has more than 32 767 bytes of properties; `out` is unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), BatchError> {
        let start = out.len();
        out.reserve(self.encoded_len());
        for message in &self.messages {
            if let Err(error) = member_of(message).encode(out) {
                out.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Bytes that [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        self.messages
            .iter()
            .map(|message| member_of(message).encoded_len())
            .sum()
    }

    /// Bytes that [`encode`](Self::encode) writes after [`stamp`](Self::stamp), at most.
    pub fn stamped_len(&self) -> usize {
        self.messages.iter().map(stamped_member_len).sum()
    }

    /// The members in order.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The members, for a producer that adds to its own copy. The rules that [`new`](Self::new)
    /// checked are not checked again: change nothing but properties of the application's own.
    pub fn messages_mut(&mut self) -> &mut [Message] {
        &mut self.messages
    }

    /// Gives the members back.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// The topic of all members.
    pub fn topic(&self) -> &TopicName {
        // A batch is never empty: `new` and `split` see to it.
        self.messages[0].topic()
    }

    /// How many members there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Which queue the batch is for.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The budget of this send, where it has one of its own.
    pub fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether the broker is to wait for flush and replication, which all members agree about.
    pub fn waits_for_store(&self) -> bool {
        self.messages[0].waits_for_store()
    }

    fn of(messages: Vec<Message>) -> Self {
        let first = messages.first();
        Self {
            placement: first
                .map(|first| first.placement().clone())
                .unwrap_or_default(),
            timeout: first.and_then(Message::own_timeout),
            messages,
        }
    }
}

fn check_rules(messages: &[Message]) -> Result<(), BatchProblem> {
    let first = messages.first().ok_or(BatchProblem::Empty)?;
    for (index, message) in messages.iter().enumerate() {
        // How large a member may be is for `check` and `split` to say.
        if let Err(why) = message.check(usize::MAX) {
            return Err(BatchProblem::Member { index, why });
        }
        if message.topic().starts_with(topic::RETRY_PREFIX) {
            return Err(BatchProblem::RetryTopic { index });
        }
        check_properties(index, message)?;
        if message.topic() != first.topic() {
            return Err(BatchProblem::OtherTopic { index });
        }
        if message.waits_for_store() != first.waits_for_store() {
            return Err(BatchProblem::OtherWait { index });
        }
        if !message.placement().agrees_with(first.placement()) {
            return Err(BatchProblem::OtherPlacement { index });
        }
    }
    Ok(())
}

fn check_properties(index: usize, message: &Message) -> Result<(), BatchProblem> {
    let properties = message.properties();
    if !properties.may_hold_any(&[property::DELAY, property::TRAN_MSG, property::TIMER_PREFIX]) {
        return Ok(());
    }
    for (name, value) in properties.iter() {
        match name {
            property::DELAY if value.parse() != Ok(0) => return Err(BatchProblem::Delay { index }),
            property::TRAN_MSG => return Err(BatchProblem::Transaction { index }),
            _ if name.starts_with(property::TIMER_PREFIX) => {
                return Err(BatchProblem::Timer { index });
            }
            _ => {}
        }
    }
    Ok(())
}

fn fitting_lens(messages: &[Message], limit: usize) -> Result<Vec<usize>, BatchProblem> {
    let sized = messages.iter().map(stamped_member_len).enumerate();
    sized
        .map(|(index, len)| {
            if len > limit {
                return Err(BatchProblem::MemberTooLarge { index, len, limit });
            }
            Ok(len)
        })
        .collect()
}

fn stamped_member_len(message: &Message) -> usize {
    BatchMember::LEN_WITHOUT_DATA + message.body().len() + message.stamped_properties_len()
}

fn member_of(message: &Message) -> BatchMember<'_> {
    BatchMember {
        flag: message.flag_value(),
        body: message.body(),
        properties: message.properties().as_wire(),
    }
}

#[cfg(test)]
mod tests;
