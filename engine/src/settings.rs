//! Settings as text: one table of names for configuration files, environment and URLs.

use std::time::Duration;

use rocketmq_proto::{Compression, LanguageCode, ResponseCode, SerializeType, TopicName};

use crate::auto_batch::AutoBatch;
use crate::config::{AttemptTimeout, Config, OnTimeout, Retry};
use crate::discovery::Discovery;
use crate::fault::{FaultRules, FaultTolerance};
use crate::name_servers::parse_name_servers;

/// A setting that cannot be taken from its text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct SettingError {
    /// Which setting, or what it was called.
    pub key: String,
    /// What it was set to. Secrets are never shown.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

/// A setting of [`Config`] that can be written as text.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name: that of the field.
    pub name: &'static str,
    /// Its name in the Java client, which is understood as well; empty when it has none.
    pub java: &'static str,
    /// What it may be.
    pub allowed: &'static str,
    set: fn(&mut Config, &str) -> Option<()>,
    get: fn(&Config) -> Option<Value>,
}

/// A setting's value, in the form that configuration files have for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    List(Vec<String>),
    Number(i64),
    Text(String),
}

impl Config {
    /// Sets one setting by its name, or by its Java name, from text. Durations are a number of
    /// milliseconds or have a unit: `500`, `500ms`, `3s`, `2m`, `1h`. Lists are separated by commas.
    ///
    /// # Errors
    /// There is no such setting, or it cannot be that; the text says what it may be. Bounds are
    /// checked at the start.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let found = SETTINGS
            .iter()
            .find(|s| s.name == key || (s.java == key && !s.java.is_empty()));
        let error = |allowed: String| SettingError {
            key: key.to_owned(),
            value: value.to_owned(),
            allowed,
        };
        let Some(setting) = found else {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
            let names = names.join(", ");
            let mut error = error(format!("there is no such setting; there are {names}"));
            // Nobody knows what it was meant to be: a secret, say.
            error.value = NOT_SHOWN.to_owned();
            return Err(error);
        };
        (setting.set)(self, value.trim()).ok_or_else(|| error(setting.allowed.to_owned()))
    }

    /// All settings that can be written as text. What is code, or a secret, is not among them:
    /// hooks, address maps, credentials, TLS.
    pub fn settings() -> &'static [Setting] {
        SETTINGS
    }
}

impl Setting {
    #[cfg_attr(
        not(feature = "serde"),
        allow(dead_code, reason = "serde writes settings")
    )]
    pub(crate) fn value(&self, config: &Config) -> Option<Value> {
        (self.get)(config)
    }
}

/// Stands for what may be a secret.
pub(crate) const NOT_SHOWN: &str = "(not shown)";
const DURATION: &str = "must be milliseconds or a time with a unit, like 500ms, 3s, 2m";
const NUMBER: &str = "must be a whole number that is not negative";
const SWITCH: &str = "must be true or false";
const TEXT: &str = "must be text";

macro_rules! settings {
    ($($name:literal $java:literal $allowed:expr, $set:expr, $get:expr;)+) => {
        static SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            java: $java,
            allowed: $allowed,
            set: $set,
            get: $get,
        }),+];
    };
}

/// Puts a value that could be read where it belongs.
macro_rules! put {
    ($config:ident.$field:ident = $value:expr) => {{
        $config.$field = $value;
        Some(())
    }};
}

settings! {
    "group" "producerGroup" "must be a name of letters, digits, %, |, - and _",
        |c, v| put!(c.group = v.parse().ok()?), |c| text(c.group.as_str());
    "name_servers" "namesrvAddr" "must be host:port, several separated by ; or ,",
        |c, v| put!(c.name_servers = parse_name_servers(list(v)).ok()?),
        |c| texts(c.name_servers.iter());
    "discovery" "" "must be http://host:port/path, or off",
        |c, v| put!(c.discovery = optional(v, |v| Discovery::new(v).ok())?),
        |c| text(&c.discovery.as_ref()?.url());
    "client_id" "" TEXT,
        |c, v| put!(c.client_id = v.to_owned()), |c| text(&c.client_id).filter(|_| !c.client_id.is_empty());
    "language" "language" "must be the name of a language, like RUST, JAVA or OTHER",
        |c, v| put!(c.language = LanguageCode::from_name(v)?), |c| text(c.language.name()?);
    "version" "" NUMBER,
        |c, v| put!(c.version = v.parse().ok()?), |c| number(c.version);
    "serialize_type" "rocketmq.serialize.type" "must be JSON or ROCKETMQ",
        |c, v| put!(c.serialize_type = match v {
            "JSON" => SerializeType::Json,
            "ROCKETMQ" => SerializeType::Binary,
            _ => return None,
        }),
        |c| text(match c.serialize_type { SerializeType::Json => "JSON", SerializeType::Binary => "ROCKETMQ" });
    "create_topic_key" "createTopicKey" TEXT,
        |c, v| put!(c.create_topic_key = v.to_owned()), |c| text(&c.create_topic_key);
    "default_topic_queues" "defaultTopicQueueNums" NUMBER,
        |c, v| put!(c.default_topic_queues = v.parse().ok()?), |c| number(c.default_topic_queues);
    "send_timeout" "sendMsgTimeout" DURATION,
        |c, v| put!(c.send_timeout = duration(v)?), |c| ms(c.send_timeout);
    "retries" "retryTimesWhenSendFailed" NUMBER,
        |c, v| put!(c.retries = v.parse().ok()?), |c| number(c.retries);
    "retry" "" "must be at_least_once or not_after_write",
        |c, v| put!(c.retry = match v {
            "at_least_once" => Retry::AtLeastOnce,
            "not_after_write" => Retry::NotAfterWrite,
            _ => return None,
        }),
        |c| text(match c.retry { Retry::AtLeastOnce => "at_least_once", Retry::NotAfterWrite => "not_after_write" });
    "retry_codes" "retryResponseCodes" "must be response codes, separated by commas",
        |c, v| put!(c.retry_codes = list(v).map(|code| code.parse().ok().map(ResponseCode)).collect::<Option<_>>()?),
        |c| texts(c.retry_codes.iter().map(|code| code.0));
    "retry_other_broker_when_not_stored" "retryAnotherBrokerWhenNotStoreOK" SWITCH,
        |c, v| put!(c.retry_other_broker_when_not_stored = v.parse().ok()?),
        |c| switch(c.retry_other_broker_when_not_stored);
    "attempt_timeout" "sendMsgMaxTimeoutPerRequest" "must be split, whole or a time, like 500ms",
        |c, v| put!(c.attempt_timeout = match v {
            "split" => AttemptTimeout::Split,
            "whole" | "-1" => AttemptTimeout::Whole,
            time => AttemptTimeout::At(duration(time)?),
        }),
        |c| match c.attempt_timeout {
            AttemptTimeout::At(time) => ms(time),
            AttemptTimeout::Split => text("split"),
            AttemptTimeout::Whole => text("whole"),
        };
    "compress_over" "compressMsgBodyOverHowmuch" "must be a number of bytes, or off",
        |c, v| put!(c.compress_over = optional(v, |v| v.parse().ok())?),
        |c| c.compress_over.map_or_else(|| text("off"), number);
    "compression" "compressType" "must be ZLIB, or LZ4 or ZSTD with the feature of that name",
        |c, v| put!(c.compression = match v {
            "ZLIB" => Compression::Zlib,
            #[cfg(feature = "lz4")]
            "LZ4" => Compression::Lz4,
            #[cfg(feature = "zstd")]
            "ZSTD" => Compression::Zstd,
            _ => return None,
        }),
        |c| text(&format!("{:?}", c.compression).to_uppercase());
    "compression_level" "compressLevel" NUMBER,
        |c, v| put!(c.compression_level = v.parse().ok()?), |c| number(c.compression_level);
    "max_message_size" "maxMessageSize" NUMBER,
        |c, v| put!(c.max_message_size = v.parse().ok()?), |c| number(c.max_message_size);
    "max_in_flight" "backPressureForAsyncSendNum" NUMBER,
        |c, v| put!(c.max_in_flight = v.parse().ok()?), |c| number(c.max_in_flight);
    "max_in_flight_bytes" "backPressureForAsyncSendSize" NUMBER,
        |c, v| put!(c.max_in_flight_bytes = v.parse().ok()?), |c| number(c.max_in_flight_bytes);
    "max_oneway" "" NUMBER,
        |c, v| put!(c.max_oneway = v.parse().ok()?), |c| number(c.max_oneway);
    "auto_batch_linger" "batchMaxDelayMs" DURATION,
        |c, v| { batch(c).linger = duration(v)?; Some(()) }, |c| ms(c.auto_batch?.linger);
    "auto_batch_bytes" "batchMaxBytes" NUMBER,
        |c, v| { batch(c).max_bytes = v.parse().ok()?; Some(()) }, |c| number(c.auto_batch?.max_bytes);
    "auto_batch_held_bytes" "totalBatchMaxBytes" NUMBER,
        |c, v| { batch(c).max_held_bytes = v.parse().ok()?; Some(()) }, |c| number(c.auto_batch?.max_held_bytes);
    "auto_batch" "autoBatch" SWITCH,
        |c, v| put!(c.auto_batch = if v.parse().ok()? { Some(c.auto_batch.unwrap_or_default()) } else { None }),
        |c| switch(c.auto_batch.is_some());
    "max_waiting_checks" "checkRequestHoldMax" NUMBER,
        |c, v| put!(c.max_waiting_checks = v.parse().ok()?), |c| number(c.max_waiting_checks);
    "check_concurrency" "checkThreadPoolMaxSize" NUMBER,
        |c, v| put!(c.check_concurrency = v.parse().ok()?), |c| number(c.check_concurrency);
    "check_timeout" "" DURATION,
        |c, v| put!(c.check_timeout = duration(v)?), |c| ms(c.check_timeout);
    "trace" "enableTrace" SWITCH,
        |c, v| put!(c.trace = if v.parse().ok()? { Some(c.trace.take().unwrap_or_default()) } else { None }),
        |c| switch(c.trace.is_some());
    "allow_ignored_timers" "" SWITCH,
        |c, v| put!(c.allow_ignored_timers = v.parse().ok()?), |c| switch(c.allow_ignored_timers);
    "poll_interval" "pollNameServerInterval" DURATION,
        |c, v| put!(c.poll_interval = duration(v)?), |c| ms(c.poll_interval);
    "heartbeat_interval" "heartbeatBrokerInterval" DURATION,
        |c, v| put!(c.heartbeat_interval = duration(v)?), |c| ms(c.heartbeat_interval);
    "api_timeout" "mqClientApiTimeout" DURATION,
        |c, v| put!(c.api_timeout = duration(v)?), |c| ms(c.api_timeout);
    "connect_timeout" "com.rocketmq.remoting.client.connect.timeout" DURATION,
        |c, v| put!(c.connect_timeout = duration(v)?), |c| ms(c.connect_timeout);
    "reconnect_min" "" DURATION,
        |c, v| put!(c.reconnect_min = duration(v)?), |c| ms(c.reconnect_min);
    "reconnect_max" "" DURATION,
        |c, v| put!(c.reconnect_max = duration(v)?), |c| ms(c.reconnect_max);
    "on_timeout" "" "must be close, close_if_silent or keep",
        |c, v| put!(c.on_timeout = match v {
            "close" => OnTimeout::Close,
            "close_if_silent" => OnTimeout::CloseIfSilent,
            "keep" => OnTimeout::Keep,
            _ => return None,
        }),
        |c| text(match c.on_timeout {
            OnTimeout::Close => "close",
            OnTimeout::CloseIfSilent => "close_if_silent",
            OnTimeout::Keep => "keep",
        });
    "forget_topic_after" "" DURATION,
        |c, v| put!(c.forget_topic_after = duration(v)?), |c| ms(c.forget_topic_after);
    "fault_tolerance" "sendLatencyFaultEnable" "must be 4.9 (or true), 5.1 or off",
        |c, v| put!(c.fault_tolerance = optional(v, |v| match v {
            "4.9" | "true" => Some(FaultTolerance::v4_9()),
            "5.1" => Some(FaultTolerance::v5_1()),
            _ => None,
        })?),
        |c| match c.fault_tolerance.as_ref().map(|tolerance| tolerance.rules) {
            Some(FaultRules::V4_9) => text("4.9"),
            Some(FaultRules::V5_1) => text("5.1"),
            None => text("off"),
        };
    "max_frame_len" "com.rocketmq.remoting.frameMaxLength" NUMBER,
        |c, v| { c.frame_limits.max_frame_len = v.parse().ok()?; Some(()) },
        |c| number(c.frame_limits.max_frame_len);
    "utc_offset_seconds" "" "must be a number of seconds east of UTC",
        |c, v| put!(c.utc_offset_seconds = v.parse().ok()?), |c| number(c.utc_offset_seconds);
    "vip_channel" "vipChannelEnabled" SWITCH,
        |c, v| put!(c.vip_channel = v.parse().ok()?), |c| switch(c.vip_channel);
    "topics" "topics" "must be names of topics, separated by commas",
        |c, v| put!(c.topics = list(v).map(|name| TopicName::new(name).ok()).collect::<Option<_>>()?),
        |c| texts(c.topics.iter());
    "namespace" "namespace" TEXT,
        |c, v| put!(c.namespace = Some(v.to_owned())), |c| text(c.namespace.as_ref()?);
    "namespace_v2" "namespaceV2" TEXT,
        |c, v| put!(c.namespace_v2 = Some(v.to_owned())), |c| text(c.namespace_v2.as_ref()?);
    "unit_name" "unitName" TEXT,
        |c, v| put!(c.unit_name = Some(v.to_owned())), |c| text(c.unit_name.as_ref()?);
    "unit_mode" "unitMode" SWITCH,
        |c, v| put!(c.unit_mode = v.parse().ok()?), |c| switch(c.unit_mode);
    "stream_requests" "enableStreamRequestType" SWITCH,
        |c, v| put!(c.stream_requests = v.parse().ok()?), |c| switch(c.stream_requests);
    "zone_name" "rocketmq.zone" TEXT,
        |c, v| put!(c.zone_name = Some(v.to_owned())), |c| text(c.zone_name.as_ref()?);
    "zone_mode" "rocketmq.zone.mode" SWITCH,
        |c, v| put!(c.zone_mode = v.parse().ok()?), |c| switch(c.zone_mode);
}

fn batch(config: &mut Config) -> &mut AutoBatch {
    config.auto_batch.get_or_insert_default()
}

/// `off`, or what can be read.
fn optional<T>(value: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        "off" | "false" => Some(None),
        value => read(value).map(Some),
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    let items = value.split([',', ';']).map(str::trim);
    items.filter(|item| !item.is_empty())
}

/// Milliseconds, or a number with a unit.
fn duration(value: &str) -> Option<Duration> {
    let unit_at = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_at);
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(factor)?;
    Some(Duration::from_millis(ms))
}

fn ms(duration: Duration) -> Option<Value> {
    number(duration.as_millis())
}

fn number(number: impl TryInto<i64>) -> Option<Value> {
    number.try_into().ok().map(Value::Number)
}

fn switch(on: bool) -> Option<Value> {
    Some(Value::Bool(on))
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn texts(items: impl Iterator<Item: ToString>) -> Option<Value> {
    Some(Value::List(items.map(|item| item.to_string()).collect()))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
