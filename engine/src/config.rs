//! What a producer can be told, with the reason for every default.

use std::collections::BTreeSet;
use std::time::Duration;

#[cfg(feature = "acl")]
use rocketmq_proto::Credentials;
use rocketmq_proto::{
    Compression, FrameLimits, GroupName, LanguageCode, ResponseCode, SerializeType, TopicName,
    topic, version,
};

use crate::address_map::AddressMap;
use crate::auto_batch::AutoBatch;
use crate::discovery::Discovery;
use crate::fault::FaultTolerance;
use crate::hooks::Hooks;
use crate::io::Endpoint;
use crate::proxy::ProxyRule;
use crate::trace::TraceConfig;

/// The settings of one producer. Make one with [`Config::new`], change fields, hand it over.
///
/// The name in brackets is the setting of the Java client (PROTOCOL E.1, E.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The producer group (`producerGroup`). No default.
    pub group: GroupName,
    /// The name servers (`namesrvAddr`). No default; at least one, unless they are
    /// [discovered](Self::discovery). Tried in a shuffled order (E.6).
    pub name_servers: Vec<Endpoint>,
    /// Where to ask for the name servers when none are configured (`rocketmq.namesrv.domain`,
    /// H.1). Default `None`; a Java client that was told nothing asks [`Discovery::java`].
    pub discovery: Option<Discovery>,
    /// The name under which brokers know this client (`clientIP@instanceName`, E.3). The runtimes
    /// fill in `ip@pid#nanoseconds`, which no other client has; an empty one is refused.
    pub client_id: String,
    /// The language sent with each request (`language`). Default `RUST`, known to servers from
    /// 4.9.8 on; `OTHER` is safe everywhere (A.4).
    pub language: LanguageCode,
    /// The version sent with each request. Default 479 (5.3.3): we understand GO_AWAY (A.5).
    pub version: i32,
    /// The form of request headers (`rocketmq.serialize.type`). Default JSON, as Java.
    pub serialize_type: SerializeType,
    /// The topic whose route stands in for one that does not exist yet (`createTopicKey`).
    /// Default `TBW102` (C.5; 4.9 rule, I 36).
    pub create_topic_key: String,
    /// How many queues a topic created on the fly gets (`defaultTopicQueueNums`). Default 4.
    pub default_topic_queues: i32,
    /// The whole budget of a call: permits, route, connect and all tries (`sendMsgTimeout`).
    /// Default 3 s.
    pub send_timeout: Duration,
    /// Tries after the first one (`retryTimesWhenSendFailed`, and the same for async). Default 2.
    pub retries: u32,
    /// Whether to try again when a message may have been stored already. Default
    /// [`Retry::AtLeastOnce`], like Java.
    pub retry: Retry,
    /// The broker answers worth another try (`retryResponseCodes`). Default 17, 14, 1, 16, 204, 205
    /// as 4.9, and 2 (busy) as 5.3 (E.2). 1500 (GO_AWAY) is not in the list: it is resent without
    /// counting as a try.
    pub retry_codes: BTreeSet<ResponseCode>,
    /// Whether to try another broker when one stored the message but could not flush or replicate
    /// it in time (`retryAnotherBrokerWhenNotStoreOK`). Default false.
    pub retry_other_broker_when_not_stored: bool,
    /// How the budget is divided among tries. Default [`AttemptTimeout::Split`]; Java's is `Whole`.
    pub attempt_timeout: AttemptTimeout,
    /// Bodies of at least this many bytes are compressed (`compressMsgBodyOverHowmuch`); `None` for
    /// never. Default 4096. A result that is not smaller is not used (I 31).
    pub compress_over: Option<usize>,
    /// How (`compressType`). Default zlib, the one that every consumer reads (D.4).
    pub compression: Compression,
    /// The level of zlib and zstd (`compressLevel`). Default 5.
    pub compression_level: i32,
    /// The largest body, before compression, in bytes (`maxMessageSize`). Default 4 MiB.
    pub max_message_size: usize,
    /// Sends that may be under way at once (`clientAsyncSemaphoreValue`, E.9). Default 65 535.
    pub max_in_flight: usize,
    /// Bytes of their bodies and properties (`backPressureForAsyncSendSize`). Default 100 MiB.
    pub max_in_flight_bytes: usize,
    /// The same number for oneway sends (`clientOnewaySemaphoreValue`). Default 65 535. They have a
    /// byte budget of their own, as large as [`max_in_flight_bytes`](Self::max_in_flight_bytes).
    pub max_oneway: usize,
    /// Gathers single sends into batches (`autoBatch`). Default `None`: each leaves at once.
    pub auto_batch: Option<AutoBatch>,
    /// Check-backs that may wait for the listener (`checkRequestHoldMax`). Default 2000. Together they
    /// may have as many bytes as messages under way. What comes beyond is dropped and counted: the
    /// broker asks again.
    pub max_waiting_checks: usize,
    /// Check-backs that the listener works on at once (`checkThreadPoolMaxSize`). Default 1. On plain
    /// threads, that many threads are started with the producer.
    pub check_concurrency: usize,
    /// How long the listener may take for one of them; then the broker is told that the state is not
    /// known, and asks again. Default 30 s. Java waits for ever.
    pub check_timeout: Duration,
    /// The message trace (`enableMsgTrace`). Default `None`: no trace.
    pub trace: Option<TraceConfig>,
    /// How often every known route is asked for again (`pollNameServerInterval`). Default 30 s.
    pub poll_interval: Duration,
    /// How often every broker gets a heartbeat (`heartbeatBrokerInterval`). Default 30 s.
    pub heartbeat_interval: Duration,
    /// The budget of a route question (`mqClientApiTimeout`). Default 3 s.
    pub api_timeout: Duration,
    /// The longest a dial may take (`com.rocketmq.remoting.client.connect.timeout`). Default 3 s.
    pub connect_timeout: Duration,
    /// The pause after a failed dial; doubles with each failure up to
    /// [`reconnect_max`](Self::reconnect_max). Default 100 ms. Java has none.
    pub reconnect_min: Duration,
    /// The longest pause between dials. Default 2 s.
    pub reconnect_max: Duration,
    /// What a timed-out request does to its connection (`closeSocketIfTimeout`). Default
    /// [`OnTimeout::CloseIfSilent`]; Java's is `Close` for sync calls (E.8).
    pub on_timeout: OnTimeout,
    /// A topic that nobody used for so long is no longer asked for (ours, I 18). Default 10 min.
    pub forget_topic_after: Duration,
    /// Passing over brokers that are slow or fail (`sendLatencyFaultEnable`, 5.x
    /// `sendLatencyEnable`). Default `None`: off, as Java. [`FaultTolerance`] has the tables of 4.9
    /// and of 5.1.4.
    pub fault_tolerance: Option<FaultTolerance>,
    /// Whether messages with a timer (`deliver_after`, `deliver_at`) may go to brokers before 5.0,
    /// which ignore it and **deliver at once** (D.2). Default false: such a send fails with
    /// [`SendErrorKind::Unsupported`](crate::SendErrorKind::Unsupported), and on a new connection one
    /// with a timer waits for the broker's first answer, which tells its version. Java: as if true.
    pub allow_ignored_timers: bool,
    /// The largest frame, both ways (`com.rocketmq.remoting.frameMaxLength`). Default 16 MiB.
    pub frame_limits: FrameLimits,
    /// Where the local day starts, in seconds east of UTC, for the month in unique ids (D.5).
    /// Default 0: the library reads no time zone by itself.
    pub utc_offset_seconds: i32,
    /// SOCKS5 proxies (`socksProxyConfig`, 5.x); the first rule that matches counts. Default none.
    pub proxies: Vec<ProxyRule>,
    /// Where servers are dialled whose advertised address cannot be reached from here. Default `None`;
    /// Java has none.
    pub address_map: Option<AddressMap>,
    /// Whether sends and admin calls go to the VIP port, two below a broker's own
    /// (`vipChannelEnabled`, C.6), at retries as well; to its own if that is 1 or 2. All else goes to
    /// its own port. A VIP connection that stands gets heartbeats too. Default false.
    pub vip_channel: bool,
    /// Topics whose routes are asked for when the producer starts (`topics`, 5.2), so that the first
    /// message needs not wait for it; in vain is no error. Default none: a start asks nothing.
    pub topics: Vec<TopicName>,
    /// Who signs every request (`AclClientRPCHook`, PROTOCOL G.5). Default `None`: nobody. Signing
    /// reads every body once more, on the task or thread that writes. Feature `acl`.
    #[cfg(feature = "acl")]
    pub credentials: Option<Credentials>,
    /// The namespace of the first kind (`namespace`): a prefix that servers see on topics and groups
    /// and the application does not (PROTOCOL G.6). Default `None`: taken from the address of the first
    /// name server when that is a cloud instance's ([`derive_namespace`](Self::derive_namespace)), else
    /// none. An empty one is none.
    pub namespace: Option<String>,
    /// The namespace of the second kind (`namespaceV2`, 5.2.0): changes no name, every request
    /// carries it. Default `None`.
    pub namespace_v2: Option<String>,
    /// The unit, part of the client id that the runtimes make (`unitName`). Default `None`. A
    /// [`client_id`](Self::client_id) that was set stays as it is.
    pub unit_name: Option<String>,
    /// Whether sends say that they belong to a unit (`unitMode`). Default false.
    pub unit_mode: bool,
    /// Whether every request says that it is one of a stream (`enableStreamRequestType`); also part
    /// of the client id that the runtimes make. Default false.
    pub stream_requests: bool,
    /// The zone that every request names (`rocketmq.zone`, 5.x). Default `None`.
    pub zone_name: Option<String>,
    /// Whether name servers give only brokers of our zone (`rocketmq.zone.mode`, 5.x). Default false.
    pub zone_mode: bool,
    /// The application's own code around sends and requests. Default none.
    pub hooks: Hooks,
    /// Encryption (`useTLS`). Default `None`: plain, as Java. With it, every connection is
    /// encrypted, those to name servers too (PROTOCOL H.3).
    #[cfg(feature = "tls")]
    pub tls: Option<crate::driver::TlsConfig>,
}

/// Whether a message that may have been stored already is sent again (DESIGN 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// Yes, with the same unique id, so that consumers can tell the duplicate.
    AtLeastOnce,
    /// No: only when it is certain that no broker has it. With
    /// [`retry_other_broker_when_not_stored`](Config::retry_other_broker_when_not_stored) a message
    /// that was stored without its replica goes to another broker all the same: that is what it asks.
    NotAfterWrite,
}

/// How a call's budget is divided among its tries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AttemptTimeout {
    /// Each try gets at most so much (`sendMsgMaxTimeoutPerRequest`).
    At(Duration),
    /// What is left is divided evenly by the tries that are left, so that a silent broker leaves
    /// time for another one. A broker that still answers others, none of them much younger, is busy,
    /// not silent: it keeps the request for as long as that goes on.
    Split,
    /// Each try may use all that is left, so the first silence ends the call (Java).
    Whole,
}

/// What a timed-out request does to its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnTimeout {
    /// Closes it: Java's rule for sync calls. Requests beside it fail with it.
    Close,
    /// Closes it when nothing at all has arrived on it since the request was written.
    CloseIfSilent,
    /// Nothing: Java's rule for async calls.
    Keep,
}

/// A setting outside its bounds.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field} = {value}: {bound}")]
pub struct ConfigError {
    /// The field of [`Config`].
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it must be.
    pub bound: &'static str,
}

impl Config {
    /// The defaults for a group, without name servers and client id.
    pub fn new(group: GroupName) -> Self {
        Self {
            group,
            name_servers: Vec::new(),
            discovery: None,
            client_id: String::new(),
            language: LanguageCode::RUST,
            version: version::V5_3_3,
            serialize_type: SerializeType::Json,
            create_topic_key: topic::DEFAULT_TOPIC.to_owned(),
            default_topic_queues: 4,
            send_timeout: Duration::from_secs(3),
            retries: 2,
            retry: Retry::AtLeastOnce,
            retry_codes: [
                ResponseCode::TOPIC_NOT_EXIST,
                ResponseCode::SERVICE_NOT_AVAILABLE,
                ResponseCode::SYSTEM_ERROR,
                ResponseCode::SYSTEM_BUSY,
                ResponseCode::NO_PERMISSION,
                ResponseCode::NO_BUYER_ID,
                ResponseCode::NOT_IN_CURRENT_UNIT,
            ]
            .into(),
            retry_other_broker_when_not_stored: false,
            attempt_timeout: AttemptTimeout::Split,
            compress_over: Some(4096),
            compression: Compression::Zlib,
            compression_level: 5,
            max_message_size: 4 * 1024 * 1024,
            max_in_flight: 65_535,
            max_in_flight_bytes: 100 * 1024 * 1024,
            max_oneway: 65_535,
            auto_batch: None,
            max_waiting_checks: 2000,
            check_concurrency: 1,
            check_timeout: Duration::from_secs(30),
            trace: None,
            poll_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            api_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(2),
            on_timeout: OnTimeout::CloseIfSilent,
            forget_topic_after: Duration::from_secs(600),
            fault_tolerance: None,
            allow_ignored_timers: false,
            frame_limits: FrameLimits::default(),
            utc_offset_seconds: 0,
            proxies: Vec::new(),
            address_map: None,
            vip_channel: false,
            topics: Vec::new(),
            #[cfg(feature = "acl")]
            credentials: None,
            namespace: None,
            namespace_v2: None,
            unit_name: None,
            unit_mode: false,
            stream_requests: false,
            zone_name: None,
            zone_mode: false,
            hooks: Hooks::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
