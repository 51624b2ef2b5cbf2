//! Settings in configuration files, through serde: a map from the names of
//! [`Config::settings`](crate::Config::settings) to their values.

use std::fmt;

use rocketmq_proto::GroupName;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::config::Config;
use crate::settings::Value;

/// Writes all settings that can be written as text, durations in milliseconds. What is code, or a
/// secret, is left out: hooks, address maps, credentials, proxies, TLS.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for setting in Self::settings() {
            if let Some(value) = setting.value(self) {
                map.serialize_entry(setting.name, &value)?;
            }
        }
        map.end()
    }
}

/// Reads settings by their names or their Java names; what is not mentioned keeps its default.
/// `group` is required. A name that is not known, and a value that cannot be, are errors that say
/// what there is.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Settings)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(on) => serializer.serialize_bool(*on),
            Self::List(items) => items.serialize(serializer),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

struct Settings;

impl<'de> Visitor<'de> for Settings {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of settings, `group` among them")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let (mut group, mut others) = (None, Vec::new());
        while let Some((key, value)) = map.next_entry::<String, Plain>()? {
            match (&*key, value.0) {
                ("group" | "producerGroup", Some(name)) => group = Some(name),
                (_, Some(value)) => others.push((key, value)),
                // Nothing stands for the default.
                (_, None) => {}
            }
        }
        let group = group.ok_or_else(|| de::Error::missing_field("group"))?;
        let mut config = Config::new(GroupName::new(group).map_err(de::Error::custom)?);
        for (key, value) in others {
            config.set(&key, &value).map_err(de::Error::custom)?;
        }
        Ok(config)
    }
}

/// A value as text: what a URL or the environment would say.
struct Plain(Option<String>);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, true or false, or a list of these")
    }

    fn visit_bool<E>(self, on: bool) -> Result<Plain, E> {
        Ok(Plain(Some(on.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Plain, E> {
        Ok(Plain(Some(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Plain, E> {
        Ok(Plain(Some(number.to_string())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
        Ok(Plain(Some(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain(None))
    }

    fn visit_none<E>(self) -> Result<Plain, E> {
        Ok(Plain(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        Plain::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut list = Vec::new();
        while let Some(Plain(item)) = items.next_element()? {
            list.extend(item);
        }
        Ok(Plain(Some(list.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut config = Config::new(GroupName::new("g").unwrap());
        for (key, value) in [
            ("name_servers", "a:1,b:2"),
            ("send_timeout", "5s"),
            ("auto_batch", "true"),
            ("topics", "T,U"),
        ] {
            config.set(key, value).unwrap();
        }
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains("\"send_timeout\":5000"), "{written}");
        let read: Config = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        assert_eq!(format!("{read:?}"), format!("{config:?}"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rows = [
            (r#"{}"#, "group"),
            (r#"{"group":"a b"}"#, "illegal"),
            (
                r#"{"group":"g","send_timeot":1}"#,
                "send_timeot = (not shown): there is no such setting",
            ),
            (r#"{"group":"g","retries":"x"}"#, "retries = x: must be"),
            (r#"{"group":"g","retries":1.5}"#, "a whole number"),
        ];
        for (text, part) in rows {
            let error = serde_json::from_str::<Config>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[cfg(feature = "acl")]
    #[test]
    fn no_secret_is_written() {
        let config = Config::from_url("rocketmq://ak:geheim@ns:1/?group=g").unwrap();
        assert!(!serde_json::to_string(&config).unwrap().contains("geheim"));
    }
}
