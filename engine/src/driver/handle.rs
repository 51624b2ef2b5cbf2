//! The application's share in a producer.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::hub::Hub;
use crate::io::Now;

/// How long a producer whose last handle was dropped goes on with what is under way.
const LINGER: Duration = Duration::from_secs(5);

/// A share in a producer; when the last one is dropped, the producer drains in the background for
/// at most 5 s, then closes (DESIGN 6, shutdown).
#[derive(Clone, Debug)]
pub struct Handle(Arc<Last>);

#[derive(Debug)]
struct Last(Hub);

impl Handle {
    /// The first share.
    pub fn new(hub: Hub) -> Self {
        Self(Arc::new(Last(hub)))
    }
}

impl Deref for Handle {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.0.0
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        // Nobody waits for the outcome; the supervisor sees it through.
        let _ticket = self.0.shutdown(Now::system(), LINGER);
    }
}
