//! A RocketMQ producer on the tokio runtime that you already have.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rocketmq_tokio::{Message, Producer};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("order-service")
//!     .name_servers(["127.0.0.1:9876"])
//!     .start()
//!     .await?;
//! let message = Message::new("orders", "{\"id\":42}").tag("created").key("o-42");
//! let receipt = producer.send(message).await?;
//! println!("{} is in {} at {}", receipt.message_id, receipt.queue, receipt.queue_offset);
//! let report = producer.shutdown(Duration::from_secs(5)).await;
//! assert_eq!(report.abandoned, 0);
//! # Ok(())
//! # }
//! ```
//!
//! What a producer does and promises is the engine's, the same on every runtime: see
//! [`rocketmq_engine`]. This crate moves the bytes: one task for each producer says when to dial
//! and how long to sleep, one task for each connection reads and writes. Callers need no task.

mod builder;
mod client;
mod driver;
mod net;
mod producer;

pub use builder::Builder;
pub use client::{Client, ClientBuilder};
pub use producer::Producer;
pub use rocketmq_engine as engine;
pub use rocketmq_engine::driver::asynchronous::{
    Delivery, EnqueueFuture, Events, FlushFuture, NextEvent, OnewayFuture, QueuesFuture,
    ReadyFuture, SendFuture, ShutdownFuture,
};
pub use rocketmq_engine::driver::{StartError, TryEnqueueError};
#[cfg(feature = "tls")]
pub use rocketmq_engine::driver::{TlsBuilder, TlsConfig, TlsConfigError};
pub use rocketmq_engine::proto;
pub use rocketmq_engine::proto::{
    Batch, Compression, GroupName, InvalidBatch, InvalidMessage, InvalidName, LanguageCode,
    Message, MessageQueue, ResponseCode, SerializeType, TopicName,
};
pub use rocketmq_engine::{
    AttemptFailure, AttemptReport, AttemptTimeout, Certainty, Config, ConfigError, DialError,
    Endpoint, Event, InvalidEndpoint, InvalidProxy, OnTimeout, ProxyFailure, ProxyRule, Retry,
    SendError, SendErrorKind, SendReceipt, SendStatus, ShutdownReport, Stats, TlsFailure,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeIsCompiled;
