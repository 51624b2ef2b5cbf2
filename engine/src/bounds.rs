//! What settings may be, and which of them all producers of one client have in common.

use std::time::Duration;

use rocketmq_proto::{Compression, GroupName};

use crate::config::{Config, ConfigError};
use crate::trace::TraceConfig;

impl Config {
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
    use crate::auto_batch::AutoBatch;
    use crate::fault::FaultTolerance;
    use crate::io::Endpoint;

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
