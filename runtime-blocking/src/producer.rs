//! The producer that this runtime serves.

use std::ops::Deref;

use rocketmq_engine::Config;
use rocketmq_engine::driver::{Setup, threads};

use crate::builder::Builder;

/// A RocketMQ producer on plain threads. Cheap to clone; every method takes `&self`; share it
/// freely among threads.
///
/// All it can do it does as a [`threads::Producer`]. When the last clone is dropped, the producer
/// goes on in the background with what is under way, for at most 5 s, then closes.
#[derive(Clone, Debug)]
pub struct Producer(threads::Producer);

impl Producer {
    /// Begins with the name of the producer group; a wrong one is reported by
    /// [`Builder::start`].
    pub fn builder(group: impl AsRef<str>) -> Builder {
        Builder::from(Setup::new(group.as_ref()))
    }

    /// Begins with settings that were put together or read before: see [`Config::from_url`],
    /// [`Config::from_env`] and the feature `serde` of the engine.
    pub fn from_config(config: Config) -> Builder {
        Builder::from(Setup::from_config(config))
    }

    pub(crate) fn new(face: threads::Producer) -> Self {
        Self(face)
    }
}

impl Deref for Producer {
    type Target = threads::Producer;

    fn deref(&self) -> &threads::Producer {
        &self.0
    }
}
