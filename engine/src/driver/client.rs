//! Several producers over the same connections (PROTOCOL E.3).

use std::sync::Arc;

use super::hub::Hub;
use crate::config::Config;

/// What producers share that were started on it: connections, routes, heartbeats, permits and
/// byte budget, events and numbers. Cheap to clone.
///
/// Each producer has its own group, settings for its messages, flush and shutdown. The connections
/// are closed when the last producer is shut down; a producer that is started later dials anew.
/// When the last clone and the last producer are gone, the client ends.
#[derive(Clone, Debug)]
pub struct Client(Arc<Held>);

#[derive(Debug)]
struct Held(Hub);

impl Client {
    pub(super) fn new(hub: Hub) -> Self {
        hub.with(|state| state.engine.hold_open(true));
        Self(Arc::new(Held(hub)))
    }

    /// The settings that the client was started with; its producers begin with a copy.
    pub fn settings(&self) -> &Config {
        self.0.0.client_config()
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.0.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.with(|state| state.engine.hold_open(false));
    }
}
