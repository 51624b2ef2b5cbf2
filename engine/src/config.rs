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

    /// Whether a producer with these settings can share the client that was started with `self`.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting of the client (addresses, connections, permits) that
    /// differs from what the client was started with.
    pub(crate) fn check_same_client(&self, other: &Self) -> Result<(), ConfigError> {
        macro_rules! same {
            ($($field:ident),+ $(,)?) => {$(
                check(
                    self.$field == other.$field,
                    stringify!($field),
                    format!("{:?}", other.$field),
                    "belongs to the client, which was started with another value",
                )?;
            )+};
        }
        same!(
            name_servers,
            discovery,
            address_map,
            vip_channel,
            client_id,
            language,
            version,
            serialize_type,
            create_topic_key,
            default_topic_queues,
            max_in_flight,
            max_in_flight_bytes,
            max_oneway,
            poll_interval,
            heartbeat_interval,
            api_timeout,
            connect_timeout,
            reconnect_min,
            reconnect_max,
            on_timeout,
            forget_topic_after,
            fault_tolerance,
            frame_limits,
            proxies,
            namespace,
            namespace_v2,
            unit_name,
            stream_requests,
            zone_name,
            zone_mode,
        );
        #[cfg(feature = "acl")]
        same!(credentials);
        check(
            self.hooks.has_same_rpc(&other.hooks),
            "hooks.rpc",
            "others".to_owned(),
            "belong to the client, which was started with others",
        )?;
        #[cfg(feature = "tls")]
        check(
            match (&self.tls, &other.tls) {
                (Some(ours), Some(theirs)) => ours.is_same(theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            },
            "tls",
            "another one".to_owned(),
            "belongs to the client, which was started with another value",
        )?;
        Ok(())
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is out of bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = |field, value: Duration| {
            check(
                value > Duration::ZERO,
                field,
                format!("{value:?}"),
                "must be longer than zero",
            )
        };
        let at_least_one =
            |field, value: usize| check(value > 0, field, value.to_string(), "must be at least 1");
        check(
            self.group.as_str() != "DEFAULT_PRODUCER",
            "group",
            self.group.to_string(),
            "producerGroup can not equal DEFAULT_PRODUCER, please specify another one",
        )?;
        check(
            !self.name_servers.is_empty() || self.discovery.is_some(),
            "name_servers",
            "[]".into(),
            "must name at least one, or discovery must be set",
        )?;
        check(
            !self.client_id.is_empty(),
            "client_id",
            "\"\"".into(),
            "must not be empty",
        )?;
        check(
            !self.create_topic_key.is_empty(),
            "create_topic_key",
            "\"\"".into(),
            "must be a topic",
        )?;
        check(
            self.retries <= 100,
            "retries",
            self.retries.to_string(),
            "must be at most 100",
        )?;
        check(
            self.default_topic_queues > 0,
            "default_topic_queues",
            self.default_topic_queues.to_string(),
            "must be at least 1",
        )?;
        check(
            (0..=9).contains(&self.compression_level) || self.compression != Compression::Zlib,
            "compression_level",
            self.compression_level.to_string(),
            "zlib knows the levels 0 to 9",
        )?;
        check(
            (1024..1 << 30).contains(&self.frame_limits.max_frame_len),
            "frame_limits.max_frame_len",
            self.frame_limits.max_frame_len.to_string(),
            "must be from 1 KiB to 1 GiB",
        )?;
        self.auto_batch.map_or(Ok(()), |batch| batch.validate())?;
        if let Some(discovery) = &self.discovery {
            positive("discovery.interval", discovery.interval)?;
            positive("discovery.retry", discovery.retry)?;
            positive("discovery.timeout", discovery.timeout)?;
        }
        let tolerance = self.fault_tolerance.as_ref();
        if let Some((tolerance, bound)) = tolerance.and_then(|t| Some((t, t.problem()?))) {
            check(false, "fault_tolerance", format!("{tolerance:?}"), bound)?;
        }
        check(
            GroupName::new(self.wire_group()).is_ok(),
            "namespace",
            format!("{:?}", self.namespace),
            "must be of %|a-zA-Z0-9_- and leave room for the group in 255 characters",
        )?;
        #[cfg(feature = "acl")]
        check(
            self.credentials
                .as_ref()
                .is_none_or(|credentials| !credentials.access_key().is_empty()),
            "credentials",
            "an empty access key".into(),
            "must name who signs",
        )?;
        self.trace.as_ref().map_or(Ok(()), TraceConfig::validate)?;
        at_least_one("max_message_size", self.max_message_size)?;
        at_least_one("max_in_flight", self.max_in_flight)?;
        at_least_one("max_in_flight_bytes", self.max_in_flight_bytes)?;
        at_least_one("max_oneway", self.max_oneway)?;
        at_least_one("max_waiting_checks", self.max_waiting_checks)?;
        check(
            (1..=1024).contains(&self.check_concurrency),
            "check_concurrency",
            self.check_concurrency.to_string(),
            "must be from 1 to 1024",
        )?;
        positive("check_timeout", self.check_timeout)?;
        positive("send_timeout", self.send_timeout)?;
        positive("poll_interval", self.poll_interval)?;
        positive("heartbeat_interval", self.heartbeat_interval)?;
        positive("api_timeout", self.api_timeout)?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("reconnect_min", self.reconnect_min)?;
        check(
            self.reconnect_max >= self.reconnect_min,
            "reconnect_max",
            format!("{:?}", self.reconnect_max),
            "must not be shorter than reconnect_min",
        )
    }
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    value: String,
    bound: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            field,
            value,
            bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::new(GroupName::new("g").unwrap());
        config.name_servers = vec![Endpoint::new("127.0.0.1:9876").unwrap()];
        config.client_id = "c".into();
        config
    }

    #[test]
    fn each_bound_is_checked_and_its_field_named() {
        assert_eq!(config().validate(), Ok(()));
        type Breakage = (&'static str, fn(&mut Config));
        let broken: [Breakage; 25] = [
            ("auto_batch.linger", |c| {
                c.auto_batch = Some(AutoBatch {
                    linger: Duration::from_millis(30_001),
                    ..AutoBatch::default()
                })
            }),
            ("auto_batch.max_bytes", |c| {
                c.auto_batch = Some(AutoBatch {
                    max_bytes: (2 << 20) + 1,
                    ..AutoBatch::default()
                })
            }),
            ("auto_batch.max_held_bytes", |c| {
                c.auto_batch = Some(AutoBatch {
                    max_held_bytes: 0,
                    ..AutoBatch::default()
                })
            }),
            ("fault_tolerance", |c| {
                let probe_timeout = Duration::ZERO;
                c.fault_tolerance = Some(FaultTolerance {
                    probe_timeout,
                    ..FaultTolerance::default()
                });
            }),
            ("create_topic_key", |c| c.create_topic_key.clear()),
            ("retries", |c| c.retries = 101),
            ("namespace", |c| c.namespace = Some("no spaces".into())),
            ("namespace", |c| c.namespace = Some("n".repeat(254))),
            ("group", |c| {
                c.group = GroupName::new("DEFAULT_PRODUCER").unwrap()
            }),
            ("name_servers", |c| c.name_servers.clear()),
            ("client_id", |c| c.client_id.clear()),
            ("default_topic_queues", |c| c.default_topic_queues = 0),
            ("compression_level", |c| c.compression_level = 10),
            ("frame_limits.max_frame_len", |c| {
                c.frame_limits.max_frame_len = 10
            }),
            ("max_message_size", |c| c.max_message_size = 0),
            ("max_in_flight", |c| c.max_in_flight = 0),
            ("max_in_flight_bytes", |c| c.max_in_flight_bytes = 0),
            ("max_oneway", |c| c.max_oneway = 0),
            ("max_waiting_checks", |c| c.max_waiting_checks = 0),
            ("check_concurrency", |c| c.check_concurrency = 0),
            ("check_timeout", |c| c.check_timeout = Duration::ZERO),
            ("send_timeout", |c| c.send_timeout = Duration::ZERO),
            ("api_timeout", |c| c.api_timeout = Duration::ZERO),
            ("connect_timeout", |c| c.connect_timeout = Duration::ZERO),
            ("reconnect_max", |c| c.reconnect_max = Duration::ZERO),
        ];
        for (field, breakage) in broken {
            let mut config = config();
            breakage(&mut config);
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }
}
