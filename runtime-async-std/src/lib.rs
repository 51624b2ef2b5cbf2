//! A RocketMQ producer on async-std, on smol, or on any other executor.
//!
//! On async-std:
//!
//! ```no_run
//! use rocketmq_async_std::{Message, Producer};
//! use std::time::Duration;
//!
//! # #[cfg(any(feature = "async-std", feature = "smol"))]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     async_std::task::block_on(async {
//!         let producer = Producer::builder("order-service").name_servers(["127.0.0.1:9876"]).start().await?;
//!         let message = Message::new("orders", "two apples").tag("created").key("o-42");
//!         let receipt = producer.send(message).await?;
//!         println!("{} in {} as {}", receipt.status, receipt.queue, receipt.message_id);
//!         producer.shutdown(Duration::from_secs(5)).await;
//!         Ok(())
//!     })
//! }
//! # #[cfg(not(any(feature = "async-std", feature = "smol")))] fn main() {}
//! ```
//!
//! On smol:
//!
//! ```no_run
//! use rocketmq_async_std::{Message, Producer};
//! use std::time::Duration;
//!
//! # #[cfg(any(feature = "async-std", feature = "smol"))]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     smol::block_on(async {
//!         let producer = Producer::builder("order-service").name_servers(["127.0.0.1:9876"]).start().await?;
//!         let message = Message::new("orders", "two apples").tag("created").key("o-42");
//!         let receipt = producer.send(message).await?;
//!         println!("{} in {} as {}", receipt.status, receipt.queue, receipt.message_id);
//!         producer.shutdown(Duration::from_secs(5)).await;
//!         Ok(())
//!     })
//! }
//! # #[cfg(not(any(feature = "async-std", feature = "smol")))] fn main() {}
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
//!
//! # Which executor
//!
//! async-std and smol stand on the same reactor, [`async_io`]; this crate stands on it as well and
//! leaves open who polls.
//!
//! | feature | adds | start with |
//! |---|---|---|
//! | `async-std` (default) | `spawn::async_std` | `Builder::start` |
//! | `smol` | `spawn::smol` | `Builder::start` |
//! | none needed | - | [`Builder::start_with`] and a function that spawns on your executor |
//! | none needed | - | [`Builder::into_parts`]: a [`Driver`] that you poll as you like |
//!
//! Both features may be on at once, say when two of your dependencies want one each: then
//! `Builder::start` takes async-std's executor, and who wants the other says
//! `start_with(spawn::smol)`. Either way the producer behaves the same; only the threads differ.
//!
//! async-std is discontinued (RUSTSEC-2025-0052), so the feature named after it depends on
//! `async-global-executor`, which is what `async_std::task::spawn` hands its tasks to. Nobody gets
//! the discontinued crate from here.
//!
//! # Threads
//!
//! The producer starts none. `async_io` runs one thread for the whole process, named `async-io`,
//! when it is first used; the executor of your choice has its own; host names (not addresses) are
//! looked up on the thread pool of the `blocking` crate, anew for each connection.

mod builder;
mod client;
mod driver;
mod net;
mod producer;
pub mod spawn;
mod task;

pub use builder::Builder;
pub use client::{Client, ClientBuilder};
pub use driver::Driver;
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
pub use task::Task;
