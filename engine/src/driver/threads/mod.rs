//! A producer for every runtime whose callers are threads: its face, and the threads that run the
//! application's callbacks. Needs nothing but threads that can be parked.
//!
//! What is left to a runtime: to [spawn](Spawn) a thread, one thread that serves the
//! [`Supervisor`](super::Supervisor) and its connections, and a builder around [`Producer`].

mod admin;
mod callbacks;
mod check_backs;
mod crew;
mod delivery;
mod events;
mod producer;

pub use admin::Admin;
pub use check_backs::CheckBackListener;
pub use crew::{Lead, Serve, Spawn, writes_through};
pub use delivery::Delivery;
pub use events::Events;
pub use producer::Producer;
