//! The application's share in a producer.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_proto::Message;

use super::hub::Hub;
use super::ticket::Ticket;
use crate::config::{Config, ConfigError};
use crate::error::SendError;
use crate::io::{Now, Operation, ProducerId};

/// How long a producer whose last handle was dropped goes on with what is under way.
const LINGER: Duration = Duration::from_secs(5);

/// A share in a producer; when the last one is dropped, the producer drains in the background for
/// at most 5 s, then closes (DESIGN 6, shutdown).
#[derive(Clone, Debug)]
pub struct Handle(Arc<Last>);

/// A message that [`Handle::try_enqueue`] did not take.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TryEnqueueError {
    /// The message, as it was given.
    pub message: Box<Message>,
    /// Why.
    pub error: SendError,
}

#[derive(Debug)]
struct Last {
    hub: Hub,
    producer: ProducerId,
    config: Arc<Config>,
}

impl Handle {
    /// A producer joins a client: its first share.
    ///
    /// # Errors
    /// As [`Engine::join`](crate::Engine::join).
    pub fn join(hub: Hub, config: Arc<Config>) -> Result<Self, ConfigError> {
        let now = Now::system();
        let producer = hub.with(|state| state.engine.join(now, config.clone()))?;
        Ok(Self(Arc::new(Last {
            hub,
            producer,
            config,
        })))
    }

    /// Sends a message if there is room at once.
    ///
    /// # Errors
    /// Gives the message back when there is none ([`Full`](crate::SendErrorKind::Full)), or when it
    /// cannot be sent at all.
    pub fn try_enqueue(&self, now: Now, message: Message) -> Result<Ticket, TryEnqueueError> {
        self.send(now, message.clone(), false)
            .map_err(|error| TryEnqueueError {
                message: Box::new(message),
                error,
            })
    }

    /// The producer's settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.0.config
    }

    /// Which producer of its client this is.
    pub fn producer(&self) -> ProducerId {
        self.0.producer
    }
}

impl Deref for Handle {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.0.hub
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let (now, producer) = (Now::system(), self.producer);
        self.hub.with(|state| {
            // Nobody waits for the outcome; the supervisor sees it through.
            let goodbye = Operation::Shutdown { grace: LINGER };
            drop(state.engine.submit(now, producer, goodbye));
            state.engine.forget(producer);
        });
    }
}
