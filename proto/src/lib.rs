//! (in construction)

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
pub use json::JsonError;
pub use message::*;
pub use msg_id::*;
pub use names::{GroupName, InvalidName, MessageQueue, TopicName, is_send_allowed, is_system_topic, topic};
pub use properties::{InvalidProperty, Properties, property};
pub use route::{
    BrokerData, ClusterInfo, QueueData, RouteError, TopicList, TopicQueueMapping, TopicRoute, perm,
};
pub use stored::*;
pub use sys_flag::{SysFlag, TransactionKind};
pub use trace::TraceRecord;
