//! Apache RocketMQ's remoting protocol as plain bytes and values.
//!
//! This crate reads and writes what a RocketMQ producer, a broker and a name server say to each other. It opens no
//! socket, reads no clock, no environment and no randomness, and it never blocks: bytes and values go in, values and
//! bytes come out. `rocketmq-engine` builds a producer on it; a proxy, a dissector, a test server or another client can
//! do the same.
//!
//! The section letters in this documentation (as in "PROTOCOL A.3") are those of `docs/protocol.md` in the repository.
//!
//! # What is where
//!
//! ```text
//!  bytes of a connection
//!        │  FrameDecoder            frames: two length words, a header, a body           A.1
//!        ▼
//!      Frame ── .command() ──▶ CommandView ── .ext.decode() ──▶ header::*                A.2, A.3, B
//!        │                     code, opaque, flags, remark       one struct a request or answer
//!        └───── .body() ─────▶ TopicRoute, ClusterInfo, TopicList                        C
//!                              StoredMessage (pull, view, query, transaction check)      D.7
//!                              BatchMembers (SEND_BATCH_MESSAGE)                         D.8
//!
//!  Message ─ Properties ─ Batch ─ compress ─ UniqueIds                                   D
//!        │
//!        ▼
//!  header::SendMessageRequest ── encode_head ──▶ length words and header; the body follows uncopied
//! ```
//!
//! Beside these stand [`namespace`], [`trace`] and, with the feature `acl`, the signatures (PROTOCOL G).
//! [`RemotingCommand`] is a whole command that owns its parts, for servers and tools that have time.
//!
//! # From bytes to values and back
//!
//! ```
//! use bytes::BytesMut;
//! use rocketmq_proto::header::{SendMessageRequest, SendMessageResponse};
//! use rocketmq_proto::{
//!     Flags, FrameDecoder, FrameLimits, Head, LanguageCode, RemotingCommand, RequestCode, ResponseCode,
//!     SerializeType, encode_head, version,
//! };
//!
//! // A request: the head goes into a buffer, the body is sent behind it as it is.
//! let body = b"hello";
//! let head = Head {
//!     code: RequestCode::SEND_MESSAGE_V2.0,
//!     language: LanguageCode::RUST,
//!     version: version::V5_3_3,
//!     opaque: 42,
//!     flags: Flags::REQUEST,
//!     remark: None,
//! };
//! let request = SendMessageRequest {
//!     producer_group: "order-service".into(),
//!     topic: "orders".into(),
//!     default_topic: "TBW102".into(),
//!     default_topic_queue_nums: 4,
//!     queue_id: 3,
//!     born_timestamp: 1_700_000_000_000,
//!     properties: Some("TAGS\u{1}created".into()),
//!     ..SendMessageRequest::default()
//! };
//! let mut wire = BytesMut::new();
//! encode_head(&mut wire, SerializeType::Json, &head, &request, &[], body.len(), FrameLimits::default())?;
//! wire.extend_from_slice(body);
//!
//! // The other side: frames first, their meaning second.
//! let mut decoder = FrameDecoder::default();
//! let frame = decoder.next_frame(&mut wire)?.expect("a whole frame is there");
//! let command = frame.command()?;
//! assert_eq!(command.request_code(), RequestCode::SEND_MESSAGE_V2);
//! assert_eq!(command.ext.decode::<SendMessageRequest<'_>>()?, request);
//!
//! // An answer, and what the sender makes of it.
//! let stored = SendMessageResponse { msg_id: "7F00..".into(), queue_id: 3, queue_offset: 9, ..Default::default() };
//! let answer = RemotingCommand::response(command.opaque, ResponseCode::SUCCESS, None).with_fields(&stored);
//! answer.encode(frame.serialize_type(), &mut wire)?;
//! let frame = decoder.next_frame(&mut wire)?.expect("a whole frame is there");
//! let command = frame.command()?;
//! assert!(command.flags.is_response() && command.opaque == 42);
//! assert_eq!(command.ext.decode::<SendMessageResponse<'_>>()?.queue_offset, 9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What may be relied on
//!
//! * No input makes this crate panic, and none makes it allocate more than the frame limit allows: lengths are compared
//!   with what is there before anything is made for them.
//! * A frame with a header that makes no sense does not disturb the frames after it.
//! * Reading is lenient as Java is (unknown keys, missing parts, fastjson's bare keys), writing is strict: standard JSON,
//!   exact lengths.
//! * Codes, languages and versions are open numbers: an unknown one is a value, not an error.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `acl` | signing with an access key: `hmac`, `sha1` |
//! | `lz4`, `zstd` | these compressions beside zlib; `zstd` builds C code |
//! | `tokio-util` | `FrameCodec`, a `Decoder` and `Encoder` |
//!
//! None is on by default. Which messages may be sent, when to retry and how to keep a connection is not decided here but
//! in `rocketmq-engine`.
#![deny(clippy::disallowed_methods)]

#[cfg(feature = "acl")]
pub mod acl;
mod batch;
mod code;
#[cfg(feature = "tokio-util")]
mod codec;
mod command;
mod compress;
mod frame;
pub mod header;
mod json;
mod message;
mod msg_id;
pub mod names;
pub mod namespace;
mod properties;
mod route;
mod stored;
mod sys_flag;
pub mod trace;
mod words;
mod writer;

#[cfg(feature = "acl")]
pub use acl::Credentials;
pub use batch::*;
pub use code::{LanguageCode, RequestCode, ResponseCode, version};
#[cfg(feature = "tokio-util")]
pub use codec::{FrameCodec, FrameCodecError};
pub use command::*;
pub use compress::*;
pub use frame::{Frame, FrameDecoder, FrameError, FrameLimits, MAX_FRAME_LEN, SerializeType};
pub use header::{DecodeFields, FieldError, FieldProblem, FieldSink, Fields, HeaderError};
pub use json::JsonError;
pub use message::*;
pub use msg_id::*;
pub use names::{
    GroupName, InvalidName, MessageQueue, TopicName, is_send_allowed, is_system_topic, topic,
};
pub use properties::{InvalidProperty, Properties, property};
pub use route::{
    BrokerData, ClusterInfo, QueueData, RouteError, TopicList, TopicQueueMapping, TopicRoute, perm,
};
pub use stored::*;
pub use sys_flag::{SysFlag, TransactionKind};
pub use trace::TraceRecord;
