//! A RocketMQ producer on the tokio runtime that you already have.
//!
//! ```no_run
//! use rocketmq_tokio::{Message, Producer};
//! use std::time::Duration;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let producer = Producer::builder("order-service").name_servers(["127.0.0.1:9876"]).start().await?;
//!     let message = Message::new("orders", "two apples").tag("created").key("o-42");
//!     let receipt = producer.send(message).await?;
//!     println!("{} in {} as {}", receipt.status, receipt.queue, receipt.message_id);
//!     producer.shutdown(Duration::from_secs(5)).await;
//!     Ok(())
//! }
//! ```
//!
//! What a producer does and promises is the engine's, the same on every runtime: see
//! [`rocketmq_engine`]. This crate moves the bytes: one task for each producer says when to dial
//! and how long to sleep, one task for each connection reads and writes. Callers need no task.
//!
//! # Which crate to take
//!
//! | your program | take |
//! |---|---|
//! | runs on tokio | `rocketmq-tokio`: no thread of its own |
//! | runs on async-std, on smol or on another executor | `rocketmq-async-std`: no thread of its own but the reactor's |
//! | has no async runtime | `rocketmq-blocking`: calls that block, one thread, no executor in its dependencies |
//!
//! The words, promises, errors and settings are the same in all three. Take the one that your
//! program has already: a second runtime costs threads, and every message a hand-over.

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
    Admin, AdminFuture, Delivery, EnqueueFuture, Events, FlushFuture, NextEvent, OnewayFuture,
    QueuesFuture, ReadyFuture, RequestFuture, SendFuture, ShutdownFuture, TransactionFuture,
};
pub use rocketmq_engine::driver::{StartError, TryEnqueueError};
#[cfg(feature = "tls")]
pub use rocketmq_engine::driver::{TlsBuilder, TlsConfig, TlsConfigError};
pub use rocketmq_engine::proto;
#[cfg(feature = "acl")]
pub use rocketmq_engine::proto::Credentials;
pub use rocketmq_engine::proto::{
    Batch, ClusterInfo, Compression, GroupName, IdText, InvalidBatch, InvalidMessage, InvalidName,
    LanguageCode, Message, MessageQueue, ResponseCode, SerializeType, StoredMessage, TopicName,
};
pub use rocketmq_engine::{
    AddressMap, AttemptFailure, AttemptReport, AttemptTimeout, BrokerStats, Certainty,
    CheckDropped, Config, ConfigError, CreatedTopic, Decision, DialError, Discovery, Endpoint,
    Event, FaultRules, FaultTolerance, InvalidDiscovery, InvalidEndpoint, InvalidProxy,
    InvalidRequest, NewTopic, OnTimeout, ProxyFailure, ProxyRule, QueryResult, Retry, SendError,
    SendErrorKind, SendReceipt, SendStatus, Setting, SettingError, ShutdownReport, Stats,
    TlsFailure, TransactionReceipt, TransactionState,
};
pub use rocketmq_engine::{
    CheckForbiddenHook, EndTransactionHook, EndedTransaction, Hooks, Outgoing, Refusal, RpcAnswer,
    RpcHook, RpcRequest, SendHook, SentMessage,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeIsCompiled;
