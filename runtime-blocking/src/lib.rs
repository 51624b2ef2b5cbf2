//! A RocketMQ producer on plain threads: calls that block, and no async runtime anywhere.
//!
//! ```no_run
//! use rocketmq_blocking::{Message, Producer};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let producer = Producer::builder("order-service").name_servers(["127.0.0.1:9876"]).start()?;
//!     let message = Message::new("orders", "two apples").tag("created").key("o-42");
//!     let receipt = producer.send(message)?;
//!     println!("{} in {} as {}", receipt.status, receipt.queue, receipt.message_id);
//!     producer.shutdown(Duration::from_secs(5));
//!     Ok(())
//! }
//! ```
//!
//! What a producer does and promises is the engine's, the same on every runtime: see
//! [`rocketmq_engine`]. This crate moves the bytes and parks the callers.
//!
//! | call | waits for |
//! |---|---|
//! | [`send`], [`send_batch`] | the broker's confirmation |
//! | [`request`] | the reply of a consumer |
//! | [`enqueue`] | room; then [`Delivery::wait`], [`wait_timeout`](Delivery::wait_timeout), [`try_take`](Delivery::try_take) or [`on_done`](Delivery::on_done) |
//! | [`try_enqueue`] | nothing |
//! | [`send_oneway`] | the socket |
//!
//! [`send`]: engine::driver::threads::Producer::send
//! [`send_batch`]: engine::driver::threads::Producer::send_batch
//! [`request`]: engine::driver::threads::Producer::request
//! [`enqueue`]: engine::driver::threads::Producer::enqueue
//! [`try_enqueue`]: engine::driver::threads::Producer::try_enqueue
//! [`send_oneway`]: engine::driver::threads::Producer::send_oneway
//! [`shutdown`]: engine::driver::threads::Producer::shutdown
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
//! # Threads
//!
//! | name | how many | how long |
//! |---|---|---|
//! | `rmq-<group>-io` | 1 a producer, whatever the number of connections | from the start to the shutdown |
//! | `rmq-<group>-callback` | at most 4, or [`Builder::callback_threads`]; none before the first [`Delivery::on_done`] | from then to the shutdown |
//! | `rmq-<group>-check` | 1 with [`Builder::check_back`], or [`Config::check_concurrency`] | from the start to the shutdown |
//! | `rmq-<group>-resolve` | 1 for each host name being looked up; none for addresses | as long as the system's resolver takes |
//!
//! Linux shows the first 15 bytes of a name. Callers bring their own threads, a thousand at once if
//! need be. [`shutdown`] joins all but the last kind; a look-up cannot be cut short.
//! A producer that is idle makes no system call between its periodic tasks (every 30 s). A caller that is
//! alone in waiting for a broker does the work of `rmq-<group>-io` meanwhile, [hooks](Hooks) included.
//!
//! # Why one thread that polls, and callers that write
//!
//! Four designs were measured side by side, on two cores shared with the server and more, with
//! messages of 1 KiB, against `serve --discard` of the testkit. Medians of five rounds; CPU is that
//! of this process, for each message:
//!
//! | | one at a time | 256 threads | one thread, 256 under way |
//! |---|---|---|---|
//! | two threads a connection, in blocking calls | p50 16.5 µs, CPU 12.5 µs | 74 k/s, CPU 16 µs | CPU 3.1 µs |
//! | one polling thread that reads and writes | p50 18.5 µs, CPU 43 µs | 83 k/s, CPU 16 µs | CPU 2.9 µs |
//! | **the same, and a lone caller writes its own** | p50 13.3 µs, CPU 9.8 µs | 87 k/s, CPU 17 µs | CPU 2.6 µs |
//! | the same, and every caller writes its own | p50 13.1 µs, CPU 9.5 µs | 80 k/s, CPU 18 µs | CPU 2.9 µs |
//!
//! A caller that is alone would only wake a thread to write for it, and then sleep: writing by
//! itself spares a switch of threads. When several wait at once, one thread that writes for all of
//! them puts many frames into one system call; most of what remains then is waking the callers. One
//! thread can also give up a connection whose socket takes nothing in, which a thread inside a
//! blocking write cannot: so there is no thread that a silent server could keep.
//!
//! Since then such a caller also reads by itself. While it waits it *leads*: it has the poll, and serves
//! all connections until its own outcome is there, so no thread has to be woken for it. The I/O thread
//! sleeps meanwhile. It leads again at once when somebody else waits for something, and otherwise 5 ms
//! after the last such caller. On a busy machine that takes 13 µs of CPU for a message instead of 17,
//! and p50 20 µs instead of 25; beside it a bare socket took 7.7 and 14.5.
//!
//! The polling is [`mio`]'s: `polling`, the other candidate, asks for `unsafe` to register a socket.

mod bell;
mod builder;
mod client;
mod driver;
mod lead;
mod link;
mod net;
mod producer;
mod writer;

pub use builder::Builder;
pub use client::{Client, ClientBuilder};
pub use producer::Producer;
pub use rocketmq_engine as engine;
pub use rocketmq_engine::driver::threads::{Admin, Delivery, Events};
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
