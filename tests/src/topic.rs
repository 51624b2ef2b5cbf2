//! Topics as a broker configures them and as it tells the name servers.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::SocketAddr,
};

use rocketmq_proto::perm;

/// How one broker serves a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// Queues that consumers read.
    pub read_queues: i32,
    /// Queues that producers write.
    pub write_queues: i32,
    /// READ 4, WRITE 2, INHERIT 1 (PROTOCOL C.3). Brokers announce it and do not enforce it (J.2 row 8).
    pub perm: i32,
    /// The topic's system flag; 0 nearly always.
    pub sys_flag: i32,
    /// Whether messages of this topic are ordered over all its queues.
    pub order: bool,
    /// Which logical queues the broker holds, when the topic is a static one of 5.x (PROTOCOL C.7).
    pub logical: Option<LogicalQueues>,
    /// 5.x attributes, as `cleanup.policy` = `COMPACTION`.
    pub attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// A readable and writeable topic (perm 6) with this number of queues. A negative number counts as 0.
    pub fn new(queues: i32) -> Self {
        Self {
            read_queues: queues.max(0),
            write_queues: queues.max(0),
            perm: perm::READ | perm::WRITE,
            sys_flag: 0,
            order: false,
            logical: None,
            attributes: BTreeMap::new(),
        }
    }

    /// The same with other permissions.
    pub fn perm(mut self, perm: i32) -> Self {
        self.perm = perm;
        self
    }

    /// The same as part of a static topic of `total` logical queues, of which this broker holds some,
    /// each as one of its own: pairs of logical and own queue. Of two brokers that claim a logical
    /// queue the one with the higher `epoch` has it.
    pub fn logical(
        mut self,
        total: i32,
        epoch: i64,
        held: impl IntoIterator<Item = (i32, i32)>,
    ) -> Self {
        let held = held.into_iter().collect();
        self.logical = Some(LogicalQueues { total, epoch, held });
        self
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.perm & perm::INHERIT != 0
    }

    /// Whether only the last message of each key is kept, so that a key is needed (PROTOCOL J.2 row 12).
    pub(crate) fn is_compacted(&self) -> bool {
        let policy = self.attributes.get("cleanup.policy");
        policy.is_some_and(|policy| policy == "COMPACTION")
    }
}

/// What one broker holds of a static topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogicalQueues {
    /// Logical queues of the topic.
    pub total: i32,
    /// Grows with every change.
    pub epoch: i64,
    /// Logical queue to queue of this broker.
    pub held: BTreeMap<i32, i32>,
}

/// The topics of one broker by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics(HashMap<String, TopicConfig>);

impl Topics {
    pub(crate) fn insert(&mut self, name: impl Into<String>, config: TopicConfig) {
        self.0.insert(name.into(), config);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn find(&self, name: &str) -> Option<&TopicConfig> {
        self.0.get(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &TopicConfig)> {
        self.0.iter()
    }
}

/// Why a topic name is refused (PROTOCOL J.2 row 3), in the broker's words.
pub(crate) fn invalid_topic(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("The specified topic is blank.");
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "%|_-".contains(c);
    if !name.chars().all(legal) {
        return Some(
            "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        );
    }
    if name.len() > MAX_TOPIC_LEN {
        return Some("The specified topic is longer than topic max length.");
    }
    None
}

/// The longest topic name, in characters.
pub(crate) const MAX_TOPIC_LEN: usize = 127;

/// A topic's configuration as Java prints it inside error texts.
pub(crate) struct JavaTopicConfig<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: &'a TopicConfig,
    pub(crate) with_attributes: bool,
}

impl fmt::Display for JavaTopicConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        let letter = |bit: i32, letter: char| if config.perm & bit != 0 { letter } else { '-' };
        write!(
            f,
            "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}{}{}, \
             topicFilterType=SINGLE_TAG, topicSysFlag={}, order={}",
            self.name,
            config.read_queues,
            config.write_queues,
            letter(perm::READ, 'R'),
            letter(perm::WRITE, 'W'),
            letter(perm::INHERIT, 'X'),
            config.sys_flag,
            config.order,
        )?;
        if self.with_attributes {
            f.write_str(", attributes={")?;
            for (at, (key, value)) in config.attributes.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{key}={value}")?;
            }
            f.write_str("}")?;
        }
        f.write_str("]")
    }
}

/// What a broker tells every name server, at its start and whenever a topic of it changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registration {
    /// The cluster that the broker belongs to.
    pub cluster: String,
    /// The broker's name.
    pub broker: String,
    /// Where the broker listens, as its master address (id 0).
    pub address: SocketAddr,
    /// Grows with every change: a name server ignores a registration older than the one it has.
    pub version: u64,
    /// Whether routes spell out `enableActingMaster`, as 5.x brokers' do.
    pub says_acting_master: bool,
    /// All topics with the permissions to announce.
    pub topics: BTreeMap<String, TopicConfig>,
}
