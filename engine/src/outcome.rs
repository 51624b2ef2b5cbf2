//! How operations end.

use std::sync::Arc;

use rocketmq_proto::{MAX_DECOMPRESSED_LEN, MessageQueue, StoredMessage, SysFlag, body_crc};

use crate::admin::AdminAnswer;
use crate::error::{Certainty, SendError, SendErrorKind};
use crate::receipt::SendReceipt;
use crate::shutdown::ShutdownReport;

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// The answer to an admin request.
    Admin(Box<AdminAnswer>),
    /// A flush, a oneway send, the end of a transaction, a check-back or
    /// [`Operation::Ready`](crate::Operation::Ready) is done.
    Done,
    /// It failed.
    Failed(SendError),
    /// The queues a topic can be sent to, in the order of PROTOCOL C.4.
    Queues(Arc<[MessageQueue]>),
    /// A request got its reply. Read it with [`into_reply`](Self::into_reply): the body is as it
    /// came, compressed perhaps.
    Replied(Box<StoredMessage>),
    /// A broker confirmed the message.
    Sent(Box<SendReceipt>),
    /// The producer is closed.
    Shutdown(ShutdownReport),
}

impl Outcome {
    /// The outcome of a flush, a oneway send or [`Operation::Ready`](crate::Operation::Ready).
    ///
    /// # Errors
    /// What the operation failed with.
    pub fn into_done(self) -> Result<(), SendError> {
        match self {
            Self::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The outcome of a send.
    ///
    /// # Errors
    /// What the send failed with.
    pub fn into_receipt(self) -> Result<SendReceipt, SendError> {
        match self {
            Self::Sent(receipt) => Ok(*receipt),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The outcome of [`Operation::PublishQueues`](crate::Operation::PublishQueues).
    ///
    /// # Errors
    /// What the question failed with.
    pub fn into_queues(self) -> Result<Arc<[MessageQueue]>, SendError> {
        match self {
            Self::Queues(queues) => Ok(queues),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::NotSent)),
        }
    }

    /// The outcome of [`Operation::Admin`](crate::Operation::Admin).
    ///
    /// # Errors
    /// What the request failed with.
    pub fn into_answer(self) -> Result<AdminAnswer, SendError> {
        match self {
            Self::Admin(answer) => Ok(*answer),
            Self::Failed(error) => Err(error),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The outcome of a request: the reply as its sender made it. Inflates the body, so call it where
    /// that may take its time.
    ///
    /// # Errors
    /// What the request failed with, or that the reply's body cannot be inflated to at most 64 MiB.
    pub fn into_reply(self) -> Result<StoredMessage, SendError> {
        match self {
            Self::Failed(error) => Err(error),
            Self::Replied(reply) => inflated(*reply),
            _ => Err(SendError::closed(Certainty::Unknown)),
        }
    }

    /// The same, read as what was asked for: by [`Question::read`](crate::Question::read).
    ///
    /// # Errors
    /// What the request failed with.
    pub fn into_answer_of<T>(self, read: fn(AdminAnswer) -> Option<T>) -> Result<T, SendError> {
        read(self.into_answer()?).ok_or_else(|| SendError::closed(Certainty::Unknown))
    }

    /// The outcome of a shutdown.
    pub fn into_report(self) -> ShutdownReport {
        match self {
            Self::Shutdown(report) => report,
            _ => ShutdownReport::default(),
        }
    }
}

fn inflated(mut reply: StoredMessage) -> Result<StoredMessage, SendError> {
    let body = reply.decompressed_body(MAX_DECOMPRESSED_LEN);
    reply.body = body.map_err(|error| {
        let text = format!("a reply came, but its body cannot be read: {error}");
        SendError::new(SendErrorKind::NoReply, Certainty::Stored, text)
    })?;
    reply.sys_flag = reply.sys_flag.without(SysFlag::COMPRESSED);
    reply.body_crc = body_crc(&reply.body);
    Ok(reply)
}
