//! Routes: which brokers hold a topic, and with which queues (PROTOCOL C).
//!
//! Name servers write these as JSON, older ones with bare numbers as keys (`{0:"10.0.0.1:10911"}`). Reading takes both
//! forms, and takes any part that is missing or null as empty: 4.x, 5.x and servers in other languages all differ here.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::json::JsonError;

mod decode;
mod encode;

/// The bits of [`QueueData::perm`] (PROTOCOL C.3). 6 is usual, 7 that of `TBW102`, 4 that of a broker taken out of
/// writing.
pub mod perm {
    /// Settings are handed down to topics made automatically.
    pub const INHERIT: i32 = 1;
    /// Messages may be sent.
    pub const WRITE: i32 = 2;
    /// Messages may be consumed.
    pub const READ: i32 = 4;
    /// Not in use today.
    pub const PRIORITY: i32 = 8;
}

/// Body of the answer to GET_ROUTEINFO_BY_TOPIC (105): Java's `TopicRouteData`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicRoute {
    /// `brokerDatas`, in the order of the wire; those without a name are left out.
    pub brokers: Vec<BrokerData>,
    /// `queueDatas`, in the order of the wire; those without a broker are left out.
    pub queues: Vec<QueueData>,
    /// `orderTopicConf`: `broker-a:4;broker-b:4` for orderly topics. Absent is not the same as empty (PROTOCOL C.4).
    pub order_conf: Option<String>,
    /// `filterServerTable`: broker address to filter servers. Of no use to producers.
    pub filter_servers: BTreeMap<String, Vec<String>>,
    /// `topicQueueMappingByBroker`: static topics of 5.x, by broker name (PROTOCOL C.7).
    pub mapping: BTreeMap<String, TopicQueueMapping>,
}

/// A broker and its addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BrokerData {
    /// `cluster`.
    pub cluster: String,
    /// `brokerName`.
    pub name: String,
    /// `brokerAddrs`: `host:port` by broker id; 0 is the master.
    pub addrs: BTreeMap<i64, String>,
    /// `zoneName`, 5.x.
    pub zone: Option<String>,
    /// `enableActingMaster`, 5.x. 4.x leaves it out.
    pub enable_acting_master: Option<bool>,
}

/// The queues of a topic on one broker.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueData {
    /// `brokerName`.
    pub broker: String,
    /// `readQueueNums`.
    pub read_queues: i32,
    /// `writeQueueNums`: messages go to queues 0 to this less one.
    pub write_queues: i32,
    /// `perm`, see [`perm`].
    pub perm: i32,
    /// `topicSysFlag`, which some servers spell `topicSynFlag`.
    pub topic_sys_flag: i32,
}

/// Which queues of a static topic one broker holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicQueueMapping {
    /// `topic`.
    pub topic: String,
    /// `scope`, `__global__` by default.
    pub scope: String,
    /// `totalQueues`: logical queues of the topic.
    pub total_queues: i32,
    /// `bname`.
    pub broker: String,
    /// `epoch`: of two brokers that claim a queue the higher one has it.
    pub epoch: i64,
    /// `dirty`.
    pub dirty: bool,
    /// `currIdMap`: logical queue to queue of this broker.
    pub current_ids: BTreeMap<i32, i32>,
}

impl Default for TopicQueueMapping {
    fn default() -> Self {
        Self {
            topic: String::new(),
            scope: "__global__".to_owned(),
            total_queues: 0,
            broker: String::new(),
            epoch: 0,
            dirty: false,
            current_ids: BTreeMap::new(),
        }
    }
}

/// Body of the answer to GET_BROKER_CLUSTER_INFO (106). Every release writes it with bare numbers as keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterInfo {
    /// `brokerAddrTable`, by broker name.
    pub brokers: BTreeMap<String, BrokerData>,
    /// `clusterAddrTable`: broker names by cluster.
    pub clusters: BTreeMap<String, Vec<String>>,
}

/// Body of the answer to GET_ALL_TOPIC_LIST_FROM_NAMESERVER (206) and its kin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicList {
    /// `topicList`.
    pub topics: Vec<String>,
    /// `brokerAddr`, set by brokers.
    pub broker_addr: Option<String>,
}

/// A route, cluster or topic list makes no sense.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RouteError {
    /// Not JSON, not even as fastjson writes it.
    #[error("route is no {0}")]
    Json(#[from] JsonError),
    /// A number is none, or does not fit.
    #[error("route: `{key}` at byte {offset} is not a number that fits")]
    NotANumber {
        /// The key.
        key: &'static str,
        /// Where in the body.
        offset: usize,
    },
    /// More entries than any cluster has; refused, since they take many times the memory of their text.
    #[error("route holds more than {limit} entries")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// A value of another kind than the key asks for.
    #[error("route: `{key}` at byte {offset} is not {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What should be there.
        expected: &'static str,
        /// Where in the body.
        offset: usize,
    },
}

#[cfg(test)]
mod tests;
