//! (in construction)

mod batch;
mod code;
mod command;
mod compress;
mod frame;
pub mod header;
mod json;
mod message;
mod msg_id;
pub mod names;
mod properties;
mod route;
mod sys_flag;
mod writer;

pub use batch::*;
pub use code::{LanguageCode, RequestCode, ResponseCode, version};
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
pub use sys_flag::{SysFlag, TransactionKind};
