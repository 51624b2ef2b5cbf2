//! The receipt of a message, and how it is read off a broker's answer (PROTOCOL B.2).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rocketmq_proto::header::SendAnswer;
use rocketmq_proto::{CommandView, IdText, MessageQueue, ResponseCode, TopicName};

use crate::trace::TracedHalf;

/// The region of brokers that name none (PROTOCOL B.2).
const DEFAULT_REGION: &str = "DefaultRegion";

/// How safely a broker stored a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SendStatus {
    /// Stored as the broker's configuration asks (code 0).
    SendOk,
    /// Stored in memory; flushing to disk took too long (code 10).
    FlushDiskTimeout,
    /// Stored by the master; no replica was there (code 11).
    SlaveNotAvailable,
    /// Stored by the master; replication took too long (code 12).
    FlushSlaveTimeout,
}

/// A broker's confirmation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SendReceipt {
    /// How safely it was stored.
    pub status: SendStatus,
    /// The unique id that the producer gave it (`msgId`, UNIQ_KEY); for a batch those of its
    /// members, joined by commas.
    pub message_id: IdText,
    /// Where the broker stored it (`offsetMsgId`); for a batch a list as well.
    pub offset_message_id: IdText,
    /// The topic, the broker of the try that succeeded, and the queue that the broker used.
    pub queue: MessageQueue,
    /// Its place in the queue; for a batch that of the first member.
    pub queue_offset: i64,
    /// The transaction id, from 5.x brokers (`transactionId`).
    pub transaction_id: Option<IdText>,
    /// The handle to recall a delayed message with, from 5.3.2 on (`recallHandle`).
    pub recall_handle: Option<String>,
    /// The broker's region (`regionId`).
    pub region: Cow<'static, str>,
    /// Whether the broker wants this message traced (`traceOn`).
    pub trace_on: bool,
    /// How many tries it took.
    pub attempts: u32,
    /// Of a half message what the trace will tell of its end, when there is a trace.
    pub(crate) half: Option<Arc<TracedHalf>>,
}

impl SendStatus {
    /// The status of a response code, `None` for the codes that mean "not stored".
    pub fn of(code: ResponseCode) -> Option<Self> {
        match code {
            ResponseCode::SUCCESS => Some(Self::SendOk),
            ResponseCode::FLUSH_DISK_TIMEOUT => Some(Self::FlushDiskTimeout),
            ResponseCode::SLAVE_NOT_AVAILABLE => Some(Self::SlaveNotAvailable),
            ResponseCode::FLUSH_SLAVE_TIMEOUT => Some(Self::FlushSlaveTimeout),
            _ => None,
        }
    }

    /// Java's name: `SEND_OK`, `FLUSH_DISK_TIMEOUT`, `SLAVE_NOT_AVAILABLE`, `FLUSH_SLAVE_TIMEOUT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendOk => "SEND_OK",
            Self::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            Self::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
            Self::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        }
    }
}

impl fmt::Display for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SendReceipt {
    /// The members' ids of a batch, in their order; a single id otherwise.
    pub fn message_ids(&self) -> impl Iterator<Item = &str> {
        self.message_id.split(',')
    }

    /// Reads a success answer of `broker`. The message id is empty unless the broker names one of its
    /// own: the one that was sent is put in by `Engine::confirmed` when the receipt is of use.
    pub(crate) fn read(
        status: SendStatus,
        answer: &CommandView<'_>,
        topic: &TopicName,
        broker: &Arc<str>,
        attempts: u32,
    ) -> Result<Box<Self>, String> {
        let header: SendAnswer<'_> = answer.ext.decode().map_err(|error| error.to_string())?;
        Ok(Box::new(Self {
            status,
            message_id: header.batch_uniq_id.map(Into::into).unwrap_or_default(),
            offset_message_id: header.msg_id.into(),
            queue: MessageQueue {
                topic: topic.clone(),
                broker: broker.clone(),
                id: header.queue_id,
            },
            queue_offset: header.queue_offset,
            transaction_id: header.transaction_id.map(Into::into),
            recall_handle: header.recall_handle.map(Into::into),
            region: header
                .region
                .filter(|region| !region.is_empty())
                .filter(|region| region != DEFAULT_REGION)
                .map_or(Cow::Borrowed(DEFAULT_REGION), |region| {
                    Cow::Owned(region.into_owned())
                }),
            trace_on: header.trace_on.as_deref() != Some("false"),
            attempts,
            half: None,
        }))
    }
}
