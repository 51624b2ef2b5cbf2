//! The state machine of a RocketMQ producer: it decides everything and does nothing.
//!
//! No socket, no clock, no thread, no lock, no randomness inside: time and a seed come in as
//! arguments, bytes come in and go out as values. The same inputs and the same seed give the same
//! outputs, to the byte.
//!
//! * Whoever wants a producer takes `rocketmq-tokio` (or the crate of another runtime).
//! * Whoever writes such a crate takes [`driver`], which holds all that runtimes have in common.
//! * Whoever wants it bare takes [`Engine`] and writes the loop below.
//!
//! # The loop
//!
//! ```text
//!                    Operation                    Input
//!   application ───── submit ─────▶ ┌────────┐ ◀── handle ─────┐
//!        ▲                          │ Engine │                 │ sockets, clock
//!        │      Complete, Ask       └────────┘     Connect,    │
//!        └───────────────────────── poll_output ── Transmit ──▶┘
//! ```
//!
//! Feed as many inputs as there are, then take all outputs, then wait for the next byte or for
//! [`Engine::next_deadline`], whichever comes first. There is no order that must be kept beyond
//! that: inputs may be fed before the last outputs were taken, ticks may come early or late.
//!
//! A whole producer over plain [`TcpStream`](std::net::TcpStream)s
//! (`cargo run -p rocketmq-engine --example run_loop -- 127.0.0.1:9876`):
//!
//! ```no_run
#![doc = include_str!("../examples/run_loop.rs")]
//! ```
//!
//! # What may be called when
//!
//! | call | when | effect on the outputs |
//! |---|---|---|
//! | [`Engine::submit`], [`Engine::try_submit`] | always; refused after a shutdown began | any |
//! | [`Engine::handle`] | always; ids that are no longer live are ignored | any |
//! | [`Engine::answer`] | after an [`Output::Ask`]; otherwise ignored | any |
//! | [`Engine::abandon`] | always; does nothing to an operation that was admitted | gives back a permit |
//! | [`Engine::take_check`] | after an [`Output::CheckBack`] | none |
//! | [`Engine::decided`] | after a check was taken; otherwise ignored | any |
//! | [`Engine::poll_output`] | always | takes one |
//! | [`Engine::next_deadline`], [`Engine::stats`] | always | none |
//!
//! # What it promises
//!
//! * **One completion** for each operation that was accepted, never none, never two: a receipt, an
//!   error that says what is known ([`Certainty`]), or the end of the producer. The one exception is
//!   an operation that was [abandoned](Engine::abandon) before it was admitted.
//! * **Deadlines** are exact: nothing completes later than the first [`Input::Tick`] after its budget.
//! * **A peer's fault is an output**, never an error of a call and never a panic: garbage closes the
//!   connection, what waited on it is tried elsewhere.
//! * **Order**: frames of one connection are given out in the order in which they were submitted.
//! * **Bounds**: permits by count and by bytes bound everything that grows (DESIGN 6).
//! * A panic in this crate is a bug in this crate.
//!
//! # Where to read on
//!
//! One message passes `send` (permit, route, queue), `attempt` (its tries) and `frames` (out and in).
//! Beside these: `overdue` is what happens when a wait was too long, `lookup` asks name servers and
//! `lookup_answer` hears their answers, `link` dials, `hang_up` closes, `retry`
//! and `select` are the pure decisions, `gather` puts sends into one frame (auto-batching), `upkeep` is
//! what happens every 30 s, `shutdown` the end.
//! "PROTOCOL" and "DESIGN" are `docs/protocol.md` and `docs/design.md` of the repository.
#![deny(clippy::disallowed_methods)]

mod address_map;
mod admin;
mod attempt;
mod attempt_report;
mod auto_batch;
mod bounds;
mod brokers;
mod check;
mod check_back;
mod complete;
mod config;
mod correlation;
mod deadline;
mod denial;
mod dial;
mod discover;
mod discovery;
pub mod driver;
mod earlier;
mod endpoint;
mod engine;
mod error;
mod event;
mod fault;
mod flush;
mod frames;
mod gather;
mod guard;
mod hang_up;
mod health;
mod hooks;
mod io;
mod link;
mod lookup;
mod lookup_answer;
mod member;
mod name_servers;
mod naming;
mod op;
mod outcome;
mod outgoing;
mod overdue;
mod peer;
mod pending;
mod permits;
mod prepare;
mod presets;
mod proxy;
mod publish;
mod receipt;
mod request;
mod retry;
mod rng;
mod route;
mod seal;
mod sealing;
mod select;
mod send;
mod server_request;
mod settings;
#[cfg(feature = "serde")]
mod settings_serde;
mod settings_url;
mod shutdown;
mod slab;
mod static_topic;
mod stats;
mod timer;
mod topic_op;
mod trace;
mod transaction;
mod upkeep;

pub use address_map::AddressMap;
pub use admin::{
    AdminAnswer, AdminRequest, CreatedTopic, InvalidRequest, KeyQuery, MAX_QUESTIONS, NewTopic,
    QueryResult, Question,
};
pub use auto_batch::AutoBatch;
pub use check_back::CheckBack;
pub use config::{AttemptTimeout, Config, ConfigError, OnTimeout, Retry};
pub use correlation::CorrelationId;
pub use dial::{DialError, ProxyFailure, TlsFailure};
pub use discovery::{Discovery, InvalidDiscovery};
pub use engine::{Accepted, Engine, Rejected};
pub use error::{AttemptFailure, AttemptReport, Certainty, SendError, SendErrorKind};
pub use event::{CheckDropped, DisconnectReason, Event};
pub use fault::{FaultRules, FaultTolerance};
pub use hooks::{
    CheckForbiddenHook, EndTransactionHook, EndedTransaction, HookCall, Hooks, Outgoing, Refusal,
    RpcAnswer, RpcHook, RpcRequest, SendHook, SentMessage,
};
pub use io::{
    Answer, Ask, CloseCause, CloseReason, ConnId, Endpoint, Frame, FrameSeq, Input,
    InvalidEndpoint, Now, OpId, Operation, Outcome, Output, ProducerId,
};
pub use prepare::Prepared;
pub use proxy::{InvalidProxy, ProxyRule};
pub use receipt::{SendReceipt, SendStatus};
pub use rocketmq_proto as proto;
pub use seal::SealError;
pub use settings::{Setting, SettingError};
pub use shutdown::ShutdownReport;
pub use stats::{BrokerStats, Latency, Stats};
pub use trace::{TraceConfig, TraceTopic};
pub use transaction::{Decision, TransactionReceipt, TransactionState};
