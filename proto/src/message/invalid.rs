use thiserror::Error;

use super::MAX_PROPERTIES_LEN;
use crate::names::{InvalidName, TopicName};
use crate::properties::InvalidProperty;

/// Why a message cannot be sent. The text begins with Java's (PROTOCOL E.4).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The topic's name is none.
    #[error(transparent)]
    Topic(#[from] InvalidName),
    /// The topic belongs to the brokers.
    #[error(
        "Sending message to topic[{0}] is forbidden. Brokers keep this topic for themselves; choose another"
    )]
    ForbiddenTopic(TopicName),
    /// There is nothing in the body.
    #[error("the message body length is zero; brokers store no empty message")]
    EmptyBody,
    /// The body, before compression, is larger than the producer allows.
    #[error(
        "the message body size over max value, MAX: {limit}. It has {len} bytes; split it, or raise the producer's limit together with the broker's maxMessageSize"
    )]
    BodyTooLong {
        /// Bytes of the body.
        len: usize,
        /// Most bytes allowed.
        limit: usize,
    },
    /// A property cannot be written.
    #[error(transparent)]
    Property(#[from] InvalidProperty),
    /// All properties together are longer than [`MAX_PROPERTIES_LEN`].
    #[error(
        "the message properties are too long, MAX: {MAX_PROPERTIES_LEN}. They take {len} bytes; move data into the body"
    )]
    PropertiesTooLong {
        /// Bytes of the properties, those included that are still to be added.
        len: usize,
    },
    /// A light queue's name would become a path on the broker.
    #[error("INNER_MULTI_DISPATCH {0} can not contains / character; name the queues without it")]
    DispatchPath(Box<str>),
    /// What is to be replied to is no request: it lacks a property that requests have (PROTOCOL G.3).
    #[error(
        "create reply message fail, requestMessage error, property[{0}] is null. Reply to a message as a consumer read it, sent by a requester"
    )]
    NotARequest(&'static str),
    /// The queue given to [`Message::to`](crate::Message::to) belongs to another topic.
    #[error(
        "message's topic not equal mq's topic: the message is for {message}, the queue of {queue}"
    )]
    QueueOfOtherTopic {
        /// The message's topic.
        message: TopicName,
        /// The queue's topic.
        queue: TopicName,
    },
}

impl InvalidMessage {
    /// Java's code for the fault: 13 (MESSAGE_ILLEGAL), 10007 (CREATE_REPLY_MESSAGE), or -1 where
    /// Java gives none.
    pub fn code(&self) -> i32 {
        match self {
            Self::EmptyBody
            | Self::BodyTooLong { .. }
            | Self::PropertiesTooLong { .. }
            | Self::DispatchPath(_) => 13,
            Self::NotARequest(_) => 10_007,
            Self::Topic(_)
            | Self::ForbiddenTopic(_)
            | Self::Property(_)
            | Self::QueueOfOtherTopic { .. } => -1,
        }
    }
}
