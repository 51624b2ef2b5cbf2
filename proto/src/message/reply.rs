//! Replies to requests (PROTOCOL G.3).

use bytes::Bytes;

use super::{InvalidMessage, Message};
use crate::names::TopicName;
use crate::properties::property;
use crate::stored::StoredMessage;

/// What [`property::MSG_TYPE`] says on a reply.
pub(crate) const REPLY: &str = "reply";

impl Message {
    /// The reply to a request that a consumer read: of `body`, for the reply topic of the cluster
    /// that the request came through, marked with what leads it back to its requester (Java:
    /// `MessageUtil.createReplyMessage`). Sending it is all that is left to do.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage::NotARequest`] when the request lacks `CLUSTER` (which its broker adds),
    /// `CORRELATION_ID` or `REPLY_TO_CLIENT`; [`InvalidMessage::Topic`] when the cluster's name
    /// makes no topic.
    pub fn in_reply_to(
        request: &StoredMessage,
        body: impl Into<Bytes>,
    ) -> Result<Self, InvalidMessage> {
        let wanted = |name| {
            let value = request.properties.get(name);
            value.ok_or(InvalidMessage::NotARequest(name))
        };
        let topic = reply_topic(wanted(property::CLUSTER)?)?;
        let mut reply = Self::new(topic, body);
        reply.properties.set(property::MSG_TYPE, REPLY)?;
        for name in [property::CORRELATION_ID, property::REPLY_TO_CLIENT] {
            reply.properties.set(name, wanted(name)?)?;
        }
        if let Some(ttl) = request.properties.get(property::TTL) {
            reply.properties.set(property::TTL, ttl)?;
        }
        Ok(reply)
    }

    /// Whether this is a reply, which travels under request codes of its own (PROTOCOL B.2).
    pub fn is_reply(&self) -> bool {
        self.properties.get(property::MSG_TYPE) == Some(REPLY)
    }
}

/// The topic of the replies within a cluster, which each of its brokers has.
///
/// # Errors
///
/// [`InvalidMessage::Topic`] when the cluster's name makes no topic.
pub fn reply_topic(cluster: &str) -> Result<TopicName, InvalidMessage> {
    Ok(TopicName::new(format!("{cluster}_REPLY_TOPIC"))?)
}
