//! A message as hooks see it before it is sent (PROTOCOL E.10, kernel steps).

use bytes::Bytes;
use rocketmq_proto::trace::TraceKind;
use rocketmq_proto::{GroupName, InvalidProperty, Message, property};

use crate::config::Config;
use crate::error::SendError;
use crate::guard::{Panicked, guarded};
use crate::hooks::Hooks;

/// A message as it is about to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    config: &'a Config,
    message: &'a mut Message,
    body: &'a Bytes,
    in_batch: bool,
}

impl Hooks {
    /// Asks those before a send (PROTOCOL E.10): first whether it may go, then for what they add.
    pub(crate) fn before_send(
        config: &Config,
        message: &mut Message,
        body: &Bytes,
        in_batch: bool,
    ) -> Result<(), SendError> {
        let hooks = &config.hooks;
        let mut outgoing = Outgoing {
            config,
            message,
            body,
            in_batch,
        };
        for hook in &hooks.forbidden {
            let verdict = guarded(|| hook.check(&outgoing))
                .map_err(|Panicked| SendError::hook("a check-forbidden hook panicked"))?;
            verdict.map_err(|why| SendError::hook(format!("sending is forbidden: {why}")))?;
        }
        for hook in &hooks.send {
            let verdict = guarded(|| hook.before(&mut outgoing))
                .map_err(|Panicked| SendError::hook("a hook before the send panicked"))?;
            verdict.map_err(|why| SendError::hook(format!("a hook refused the message: {why}")))?;
        }
        Ok(())
    }
}

impl Outgoing<'_> {
    /// Sets a property of the application's own on the copy that is sent; the caller's message stays
    /// as it is.
    ///
    /// # Errors
    /// The rules of [`Message::property`]: reserved names, blank names and values, U+0001 and U+0002.
    pub fn set_property(&mut self, name: &str, value: &str) -> Result<(), InvalidProperty> {
        if property::is_reserved(name) {
            return Err(InvalidProperty::Reserved { name: name.into() });
        }
        self.message.properties_mut().set(name, value)
    }

    /// The message as the caller gave it, with its unique id and what hooks have added.
    pub fn message(&self) -> &Message {
        self.message
    }

    /// The producer's group, without namespace.
    pub fn group(&self) -> &GroupName {
        &self.config.group
    }

    /// The body as it is sent: compressed, where it was. That of a batch's member is never.
    pub fn body(&self) -> &Bytes {
        self.body
    }

    /// Whether it is a member of a batch.
    pub fn is_in_batch(&self) -> bool {
        self.in_batch
    }

    /// Half message, delayed message or an ordinary one.
    pub fn kind(&self) -> TraceKind {
        let properties = self.message.properties();
        let delays = [
            property::DELAY,
            property::START_DELIVER_TIME,
            property::TIMER_DELAY_SEC,
            property::TIMER_DELAY_MS,
            property::TIMER_DELIVER_MS,
        ];
        if delays.iter().any(|name| properties.contains(name)) {
            TraceKind::Delay
        } else if properties.get(property::TRAN_MSG) == Some("true") {
            TraceKind::TransactionHalf
        } else {
            TraceKind::Normal
        }
    }
}
