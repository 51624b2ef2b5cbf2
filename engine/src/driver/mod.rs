//! The driver as data: what every runtime has in common, once (DESIGN 5).
//!
//! A [`Hub`] holds the engine behind its one lock. Around it stand actors, each of which waits for
//! exactly one thing, and none of which does I/O itself:
//!
//! * one [`Supervisor`] for each client (a producer of its own, or several that share it) says when to dial and how long to sleep;
//! * one [`ConnTx`] and one [`ConnRx`] for each connection say what to write and take what was read;
//! * a [`Ticket`] for each operation is where its caller waits;
//! * [`CheckBacks`], if there is a listener, are where it gets its questions.
//!
//! A runtime supplies four primitives: dial, read into a buffer, write a few slices, and wait until
//! a doorbell (a [`Waker`](std::task::Waker)) or a deadline. Under the lock run only calls of the
//! engine; wakers, completions and the application's own code run after it is released.

pub mod asynchronous;
mod batch;
mod calls;
mod check_backs;
mod client;
mod clock;
mod conn;
mod env;
mod events;
mod handle;
mod hub;
mod local;
mod open;
mod park;
#[cfg(feature = "tls")]
mod session;
mod setup;
mod socks;
mod state;
pub mod threads;
mod ticket;
#[cfg(feature = "tls")]
mod tls;
mod wire;
mod work;

pub use batch::Batch;
pub use check_backs::{CheckBacks, CheckJob};
pub use client::Client;
pub use conn::{ConnRx, ConnTx};
pub use events::Events;
pub use handle::{Handle, TryEnqueueError};
pub use hub::Hub;
pub use local::{default_client_id, entropy, local_ip, unique_id_seed};
pub use park::{park_on, park_until};
pub use setup::{Setup, StartError};
pub use ticket::Ticket;
#[cfg(feature = "tls")]
pub use tls::{TlsBuilder, TlsConfig, TlsConfigError};
pub use work::{DialJob, Supervisor, Work};
