//! The state machine of a RocketMQ producer: it says what to do and does nothing itself.
#![deny(clippy::disallowed_methods)]

mod check;
mod complete;
mod config;
mod deadline;
pub mod driver;
mod engine;
mod error;
mod event;
mod flush;
mod frames;
mod io;
mod link;
mod lookup;
mod op;
mod peer;
mod pending;
mod permits;
mod prepare;
mod publish;
mod receipt;
mod retry;
mod rng;
mod route;
mod select;
mod send;
mod server_request;
mod shutdown;
mod slab;
mod stats;
mod topic_op;
mod upkeep;

pub use config::{AttemptTimeout, Config, ConfigError, OnTimeout, Retry};
pub use engine::{Accepted, Engine, Rejected};
pub use error::{AttemptFailure, AttemptReport, Certainty, SendError, SendErrorKind};
pub use event::{DisconnectReason, Event};
pub use io::{
    Answer, Ask, CloseCause, CloseReason, ConnId, Endpoint, Frame, FrameSeq, Input,
    InvalidEndpoint, Now, OpId, Operation, Outcome, Output,
};
pub use prepare::Prepared;
pub use receipt::{SendReceipt, SendStatus};
pub use rocketmq_proto as proto;
pub use shutdown::ShutdownReport;
pub use stats::{Latency, Stats};
