//! A RocketMQ producer on plain threads: calls that block, and no async runtime anywhere.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rocketmq_blocking::{Message, Producer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("order-service")
//!     .name_servers(["127.0.0.1:9876"])
//!     .start()?;
//! let message = Message::new("orders", "{\"id\":42}").tag("created").key("o-42");
//! let receipt = producer.send(message)?;
//! println!("{} is in {} at {}", receipt.message_id, receipt.queue, receipt.queue_offset);
//! let report = producer.shutdown(Duration::from_secs(5));
//! assert_eq!(report.abandoned, 0);
//! # Ok(())
//! # }
//! ```

mod bell;
mod builder;
mod callbacks;
mod crew;
mod delivery;
mod driver;
mod link;
mod net;
mod producer;
mod writer;

pub use builder::Builder;
pub use delivery::{Delivery, Events};
pub use producer::Producer;
pub use rocketmq_engine as engine;
pub use rocketmq_engine::driver::{StartError, TryEnqueueError};
pub use rocketmq_engine::proto;
pub use rocketmq_engine::proto::{
    Batch, Compression, GroupName, InvalidBatch, InvalidMessage, InvalidName, LanguageCode,
    Message, MessageQueue, ResponseCode, SerializeType, TopicName,
};
pub use rocketmq_engine::{
    AttemptFailure, AttemptReport, AttemptTimeout, Certainty, Config, ConfigError, Endpoint, Event,
    InvalidEndpoint, OnTimeout, Retry, SendError, SendErrorKind, SendReceipt, SendStatus,
    ShutdownReport, Stats,
};
