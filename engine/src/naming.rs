//! What servers call our groups and topics, and what every request carries of it: namespaces of both
//! kinds, zone, stream requests (PROTOCOL G.6, B.0, B.1, E.1).

use std::borrow::Cow;

use rocketmq_proto::{FieldSink, Fields, InvalidName, TopicName, namespace};

use crate::config::Config;

/// The one kind of request that Java has a number for (`RequestType.STREAM`).
const STREAM: &str = "0";

impl Config {
    /// Takes the namespace from the address of the first name server where none was set and that
    /// address is a cloud instance's (`MQ_INST_..`, PROTOCOL G.6). The runtimes call it at the start.
    pub fn derive_namespace(&mut self) {
        if self.namespace.is_none() {
            let first = self.name_servers.first();
            let derived = first.and_then(|server| namespace::of_name_server(server.as_str()));
            self.namespace = derived.map(str::to_owned);
        }
    }

    /// The group as servers know it: in the [`namespace`](Self::namespace), if there is one.
    pub fn wire_group(&self) -> Cow<'_, str> {
        match &self.namespace {
            None => Cow::Borrowed(self.group.as_str()),
            Some(namespace) => namespace::wrap(namespace, self.group.as_str()),
        }
    }

    /// A topic as servers know it. Wrapping twice is the same as wrapping once (PROTOCOL I Go10).
    pub(crate) fn wire_topic(&self, topic: &TopicName) -> Result<TopicName, InvalidName> {
        let Some(namespace) = &self.namespace else {
            return Ok(topic.clone());
        };
        match namespace::wrap(namespace, topic.as_str()) {
            Cow::Borrowed(_) => Ok(topic.clone()),
            Cow::Owned(wrapped) => TopicName::new(wrapped),
        }
    }

    /// A topic as the application knows it.
    pub(crate) fn own_topic<'t>(&self, topic: &'t TopicName) -> Cow<'t, TopicName> {
        let Some(namespace) = &self.namespace else {
            return Cow::Borrowed(topic);
        };
        match TopicName::new(namespace::unwrap(namespace, topic.as_str())) {
            Ok(own) => Cow::Owned(own),
            // Nothing behind the namespace.
            Err(_) => Cow::Borrowed(topic),
        }
    }

    /// The client id of a client at this address (PROTOCOL E.3): `instance`, then what marks the unit
    /// and stream requests.
    pub(crate) fn client_id_of(&self, instance: String) -> String {
        let mut id = instance;
        if let Some(unit) = self.unit_name.as_deref().filter(|unit| !unit.is_empty()) {
            id.push('@');
            id.push_str(unit);
        }
        if self.stream_requests {
            id.push_str("@STREAM");
        }
        id
    }
}

/// The header fields that every request carries, whatever it asks.
pub(crate) type Extra = Box<[(&'static str, String)]>;

/// Computed once: the settings do not change.
pub(crate) fn extra_fields(config: &Config) -> Extra {
    let mut extra = Vec::new();
    let mut add = |key, value: &str| {
        if !value.is_empty() {
            extra.push((key, value.to_owned()));
        }
    };
    if config.stream_requests {
        add("ReqT", STREAM);
    }
    if let Some(zone) = &config.zone_name {
        add("__ZONE_NAME", zone);
    }
    if config.zone_mode {
        add("__ZONE_MODE", "true");
    }
    if let Some(namespace) = config.namespace_v2.as_deref().filter(|n| !n.is_empty()) {
        add("nsd", "true");
        add("ns", namespace);
    }
    extra.into()
}

/// A header and what every request carries.
pub(crate) struct WithExtra<'a, F> {
    pub(crate) fields: &'a F,
    pub(crate) extra: &'a [(&'static str, String)],
}

impl<F: Fields> Fields for WithExtra<'_, F> {
    fn write(&self, sink: &mut impl FieldSink) {
        self.fields.write(sink);
        for (key, value) in self.extra {
            sink.text(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::GroupName;

    use super::*;
    use crate::io::Endpoint;

    fn config() -> Config {
        Config::new(GroupName::new("g").unwrap())
    }

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[test]
    fn the_name_server_of_a_cloud_instance_gives_the_namespace_unless_one_was_set() {
        let rows = [
            (None, "MQ_INST_1_a.mq.example:80", Some("MQ_INST_1_a")),
            (None, "10.0.0.1:9876", None),
            (Some("own"), "MQ_INST_1_a.mq.example:80", Some("own")),
            (Some(""), "MQ_INST_1_a.mq.example:80", Some("")),
        ];
        for (set, address, expected) in rows {
            let mut config = config();
            config.namespace = set.map(str::to_owned);
            config.name_servers = vec![Endpoint::new(address).unwrap()];
            config.derive_namespace();
            assert_eq!(config.namespace.as_deref(), expected, "{set:?} {address}");
        }
    }

    #[test]
    fn names_are_wrapped_once_and_unwrapped_again() {
        let mut config = config();
        assert_eq!(config.wire_group(), "g");
        assert_eq!(config.wire_topic(&topic("T")).unwrap(), topic("T"));
        config.namespace = Some("ns".into());
        assert_eq!(config.wire_group(), "ns%g");
        for (own, wire) in [
            ("T", "ns%T"),
            ("%RETRY%T", "%RETRY%ns%T"),
            ("TBW102", "TBW102"),
        ] {
            let wrapped = config.wire_topic(&topic(own)).unwrap();
            assert_eq!(wrapped, topic(wire));
            assert_eq!(config.wire_topic(&wrapped).unwrap(), topic(wire));
            assert_eq!(*config.own_topic(&wrapped), topic(own));
        }
        assert_eq!(*config.own_topic(&topic("other%T")), topic("other%T"));
        assert!(config.wire_topic(&topic(&"x".repeat(125))).is_err());
    }

    #[test]
    fn every_request_carries_what_the_settings_say_and_nothing_empty() {
        assert!(extra_fields(&config()).is_empty());
        let mut empty = config();
        empty.namespace_v2 = Some(String::new());
        empty.zone_name = Some(String::new());
        assert!(extra_fields(&empty).is_empty());
        let mut all = config();
        all.namespace_v2 = Some("N".into());
        all.zone_name = Some("z".into());
        all.zone_mode = true;
        all.stream_requests = true;
        let extra = extra_fields(&all);
        let extra: Vec<_> = extra.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let expected = [
            ("ReqT", "0"),
            ("__ZONE_NAME", "z"),
            ("__ZONE_MODE", "true"),
            ("nsd", "true"),
            ("ns", "N"),
        ];
        assert_eq!(extra, expected);
    }

    #[test]
    fn the_client_id_names_unit_and_stream() {
        let mut config = config();
        assert_eq!(config.client_id_of("ip@1#2".into()), "ip@1#2");
        config.unit_name = Some("u".into());
        config.stream_requests = true;
        assert_eq!(config.client_id_of("ip@1#2".into()), "ip@1#2@u@STREAM");
    }
}
