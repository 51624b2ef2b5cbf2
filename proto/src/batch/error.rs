use std::fmt;

use thiserror::Error;

use crate::message::{InvalidMessage, Message};
use crate::names::TopicName;

/// Messages that cannot travel as one batch. It owns them: [`into_messages`](Self::into_messages).
#[derive(Clone, Error)]
#[error("Failed to initiate the MessageBatch: {problem}")]
pub struct InvalidBatch {
    messages: Vec<Message>,
    problem: Box<BatchProblem>,
}

/// Which rule of PROTOCOL D.8 is broken. `index` counts the messages from 0.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BatchProblem {
    /// There is no message.
    #[error("the batch is empty; give it at least one message")]
    Empty,
    /// A message could not be sent alone either.
    #[error("message {index}: {why}")]
    Member {
        /// Which message.
        index: usize,
        /// What is wrong with it.
        why: InvalidMessage,
    },
    /// A message has a delay level.
    #[error("TimeDelayLevel is not supported for batching (message {index}); send it alone")]
    Delay {
        /// Which message.
        index: usize,
    },
    /// A message has a timer property.
    #[error("timed delivery is not supported for batching (message {index}); send it alone")]
    Timer {
        /// Which message.
        index: usize,
    },
    /// A message is a half message.
    #[error("transactions are not supported for batching (message {index}); send it alone")]
    Transaction {
        /// Which message.
        index: usize,
    },
    /// The topic is a retry topic.
    #[error("Retry Group is not supported for batching (message {index}); send it alone")]
    RetryTopic {
        /// Which message.
        index: usize,
    },
    /// The topics differ.
    #[error(
        "The topic of the messages in one batch should be the same; message {index} has another than the first"
    )]
    OtherTopic {
        /// Which message.
        index: usize,
    },
    /// Some are to wait for the store and some are not.
    #[error(
        "The waitStoreMsgOK of the messages in one batch should the same; message {index} has another than the first"
    )]
    OtherWait {
        /// Which message.
        index: usize,
    },
    /// The messages are not for the same queue.
    #[error(
        "the messages of one batch go to one queue; message {index} is placed otherwise than the first. Place the batch instead"
    )]
    OtherPlacement {
        /// Which message.
        index: usize,
    },
    /// The queue given to the batch belongs to another topic.
    #[error("message's topic not equal mq's topic: the batch was placed on a queue of {0}")]
    QueueOfOtherTopic(TopicName),
    /// One message alone is larger than a batch may be.
    #[error(
        "message {index} takes {len} bytes in a batch, MAX: {limit}; make it smaller or raise the limit"
    )]
    MemberTooLarge {
        /// Which message.
        index: usize,
        /// Bytes that it takes in a batch.
        len: usize,
        /// Most bytes of a batch.
        limit: usize,
    },
    /// The messages together are larger than a batch may be.
    #[error(
        "the message body size over max value, MAX: {limit}. The batch takes {len} bytes; use Batch::split"
    )]
    TooLarge {
        /// Bytes of the batch.
        len: usize,
        /// Most bytes of a batch.
        limit: usize,
    },
}

impl InvalidBatch {
    pub(super) fn new(messages: Vec<Message>, problem: BatchProblem) -> Self {
        Self {
            messages,
            problem: Box::new(problem),
        }
    }

    /// What is wrong.
    pub fn problem(&self) -> &BatchProblem {
        &self.problem
    }

    /// The messages, in the order in which they were given.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

impl BatchProblem {
    /// Java's code for the fault: 13 (MESSAGE_ILLEGAL) or -1 where Java gives none.
    pub fn code(&self) -> i32 {
        match self {
            Self::Member { why, .. } => why.code(),
            Self::MemberTooLarge { .. } | Self::TooLarge { .. } => 13,
            _ => -1,
        }
    }
}

impl fmt::Debug for InvalidBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidBatch")
            .field("messages", &self.messages.len())
            .field("problem", &self.problem)
            .finish()
    }
}
