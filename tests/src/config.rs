//! How a broker is set up.

use std::net::SocketAddr;

use crate::{Accounts, Flavour, Keep};

/// What a broker is and how it behaves. Start from [`BrokerConfig::new`] and change what differs; most of it may
/// also change while the broker runs, through [`Broker::config_mut`](crate::Broker::config_mut).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// The broker's name (Java `brokerName`).
    pub name: String,
    /// Its cluster (Java `brokerClusterName`, default `DefaultCluster`).
    pub cluster: String,
    /// Where it listens; also the store host of its messages. Fixed once the broker exists.
    pub address: SocketAddr,
    /// The release it behaves like. Default 5.3.3. Fixed once the broker exists.
    pub flavour: Flavour,
    /// The region that answers to sends name (Java `regionId`, default `DefaultRegion`).
    pub region: String,
    /// Whether those answers allow tracing (Java `traceOn`, default true).
    pub trace_on: bool,
    /// Whether an unknown topic is created by a send (Java `autoCreateTopicEnable`, default true). Decides at the
    /// start whether TBW102 exists (PROTOCOL J.3).
    pub auto_create_topics: bool,
    /// Queues of TBW102 and so the most that an auto-created topic gets (Java `defaultTopicQueueNums`, default 8).
    pub default_topic_queues: i32,
    /// Whether an unknown consumer group is created by a send to its `%RETRY%` topic (Java
    /// `autoCreateSubscriptionGroup`, default true).
    pub auto_create_groups: bool,
    /// Whether producers may write (Java `brokerPermission`, default true). Routes show it; a send is refused only
    /// when its topic is an ordered one (PROTOCOL J.2 row 2).
    pub writeable: bool,
    /// Whether half messages are refused (Java `rejectTransactionMessage`, default false).
    pub reject_transactions: bool,
    /// How old a half message is when its producer group is first asked about it, in ms (Java `transactionTimeOut`,
    /// default 6 s), unless the message itself says so (CHECK_IMMUNITY_TIME_IN_SECONDS).
    pub check_after_ms: u64,
    /// How often open half messages are looked through, in ms (Java `transactionCheckInterval`); `None` for the
    /// flavour's own: 60 s in 4.9, 30 s in 5.x. Done with the next request then; `Handle::check_halves` waits for
    /// nothing.
    pub check_interval_ms: Option<u64>,
    /// How often a half message is asked about before it is given up (Java `transactionCheckMax`, default 15).
    pub max_checks: u32,
    /// Sends before this time, ms since the Unix epoch, are refused (Java `startAcceptSendRequestTimeStamp`,
    /// default 0).
    pub accept_sends_from: u64,
    /// The largest body in bytes (Java `maxMessageSize`, default 4 MiB).
    pub max_message_size: usize,
    /// Whether the 5.x timer runs (Java `timerWheelEnable`, default true). 4.9 has none.
    pub timer_enabled: bool,
    /// The longest timer delay in ms (Java `timerMaxDelaySec`, default 3 days).
    pub max_timer_delay_ms: i64,
    /// Whether a reply message is stored after it was pushed (Java `storeReplyMessageEnable`, default true).
    pub store_replies: bool,
    /// Whether scheduled messages may be recalled (Java `recallMessageEnable`; default here true).
    pub recall_enabled: bool,
    /// Whether the server is shutting down: 5.x answers GO_AWAY to clients that know it (PROTOCOL A.5, E.13).
    /// Default false.
    pub going_away: bool,
    /// Who may send requests; others are refused before anything else is looked at (PROTOCOL G.5). Default empty:
    /// everybody.
    pub accounts: Accounts,
    /// How the store does. Default [`Health::Good`].
    pub health: Health,
    /// What is kept of messages. Fixed once the broker exists.
    pub keep: Keep,
    /// The most bytes of messages kept, default 1 GiB; a send beyond is refused as by a full disk. Fixed once the
    /// broker exists.
    pub max_stored_bytes: usize,
    /// How many requests are remembered, default 65 536; 0 remembers none. Fixed once the broker exists.
    pub request_log: usize,
    /// Decides the queues that the broker picks itself. Fixed once the broker exists.
    pub seed: u64,
}

impl BrokerConfig {
    /// The defaults.
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            cluster: "DefaultCluster".to_owned(),
            address,
            flavour: Flavour::default(),
            region: "DefaultRegion".to_owned(),
            trace_on: true,
            auto_create_topics: true,
            default_topic_queues: 8,
            auto_create_groups: true,
            writeable: true,
            reject_transactions: false,
            check_after_ms: 6_000,
            check_interval_ms: None,
            max_checks: 15,
            accept_sends_from: 0,
            max_message_size: 4 * 1024 * 1024,
            timer_enabled: true,
            max_timer_delay_ms: 3 * 24 * 3600 * 1000,
            store_replies: true,
            recall_enabled: true,
            going_away: false,
            accounts: Accounts::new(),
            health: Health::Good,
            keep: Keep::Everything,
            max_stored_bytes: 1024 * 1024 * 1024,
            request_log: DEFAULT_REQUEST_LOG,
            seed: 0,
        }
    }
}

pub(crate) const DEFAULT_REQUEST_LOG: usize = 65_536;

/// How a broker's store does, and so how sends end (PROTOCOL J.2 rows 14 to 24 and `ok`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// Messages are stored, answers are SUCCESS.
    #[default]
    Good,
    /// Stored, but not on disk in time: FLUSH_DISK_TIMEOUT (10).
    FlushDiskTimeout,
    /// Stored, but there is no replica: SLAVE_NOT_AVAILABLE (11).
    SlaveNotAvailable,
    /// Stored, but not replicated in time: FLUSH_SLAVE_TIMEOUT (12).
    FlushSlaveTimeout,
    /// Disk full, or a slave, or shut down: SERVICE_NOT_AVAILABLE (14).
    Unavailable,
    /// The page cache is busy.
    PageCacheBusy,
    /// No file can be made.
    MappedFileFailed,
    /// Too few replicas are in sync; 5.x.
    ReplicasNotEnough,
    /// Too many light queues.
    LightQueuesExceeded,
    /// Anything else.
    Unknown,
    /// 5.x: the timer takes no more messages for that time.
    TimerFlowControl,
}
