//! Namespaces of the first kind: a prefix of topics and groups (PROTOCOL G.6).
//!
//! Those of the second kind change no name; they are two header fields of every request.

use std::borrow::Cow;

use crate::names::topic::{self, DLQ_PREFIX, RETRY_PREFIX};

const SEPARATOR: char = '%';
const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
const INSTANCE_PREFIX: &str = "MQ_INST_";

/// The name by which servers know topic or group `resource` of `namespace`: `namespace%resource`,
/// behind the prefix of a retry or dead letter topic where there is one.
///
/// Names of system topics and groups stay as they are, and so does a name that is in the namespace
/// already: wrapping twice is the same as wrapping once.
pub fn wrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let (prefix, rest) = split_prefix(resource);
    let stays = namespace.is_empty()
        || resource.is_empty()
        || topic::is_system_topic(resource)
        || resource.starts_with(SYSTEM_GROUP_PREFIX)
        || after_namespace(rest, namespace).is_some();
    if stays {
        return Cow::Borrowed(resource);
    }
    Cow::Owned(format!("{prefix}{namespace}{SEPARATOR}{rest}"))
}

/// The name of `resource` within `namespace`: what [`wrap`] was given. A name that is not in the
/// namespace stays as it is.
pub fn unwrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let (prefix, rest) = split_prefix(resource);
    match after_namespace(rest, namespace) {
        Some(name) if !namespace.is_empty() => with_prefix(prefix, name),
        _ => Cow::Borrowed(resource),
    }
}

/// The name of `resource` without any namespace, whichever it is in; trace records carry names like
/// that.
pub fn unwrap_any(resource: &str) -> Cow<'_, str> {
    let (prefix, rest) = split_prefix(resource);
    match rest.find(SEPARATOR) {
        Some(at) if at > 0 => with_prefix(prefix, &rest[at + 1..]),
        _ => Cow::Borrowed(resource),
    }
}

/// The namespace that the address of a cloud instance names:
/// `http://MQ_INST_123_abc.example.com:80` is of `MQ_INST_123_abc`.
pub fn of_name_server(address: &str) -> Option<&str> {
    let host = match address.split_once("://") {
        Some((scheme, host)) if !scheme.is_empty() && scheme.chars().all(is_word) => host,
        Some(_) => return None,
        None => address,
    };
    let (instance, _) = host.split_once('.')?;
    let (number, name) = instance.strip_prefix(INSTANCE_PREFIX)?.split_once('_')?;
    let is_named = !number.is_empty() && !name.is_empty() && instance.chars().all(is_word);
    is_named.then_some(instance)
}

fn split_prefix(resource: &str) -> (&str, &str) {
    let prefix = [RETRY_PREFIX, DLQ_PREFIX]
        .into_iter()
        .find(|prefix| resource.starts_with(prefix))
        .unwrap_or_default();
    resource.split_at(prefix.len())
}

fn after_namespace<'a>(rest: &'a str, namespace: &str) -> Option<&'a str> {
    rest.strip_prefix(namespace)?.strip_prefix(SEPARATOR)
}

fn with_prefix<'a>(prefix: &str, name: &'a str) -> Cow<'a, str> {
    if prefix.is_empty() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("{prefix}{name}"))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAPPED: [(&str, &str); 5] = [
        ("orders", "ns%orders"),
        ("%RETRY%group", "%RETRY%ns%group"),
        ("%DLQ%group", "%DLQ%ns%group"),
        ("nsorders", "ns%nsorders"),
        ("other%orders", "ns%other%orders"),
    ];

    #[test]
    fn wrapping_is_undone_by_unwrapping_and_is_idempotent() {
        for (plain, wrapped) in WRAPPED {
            assert_eq!(wrap("ns", plain), wrapped);
            assert_eq!(wrap("ns", &wrap("ns", plain)), wrapped);
            assert_eq!(unwrap("ns", wrapped), plain);
            assert_eq!(unwrap("ns", plain), plain);
        }
    }

    #[test]
    fn system_names_and_empty_ones_are_never_wrapped() {
        for name in [
            "TBW102",
            "RMQ_SYS_TRACE_TOPIC",
            "rmq_sys_x",
            "CID_RMQ_SYS_x",
            "",
        ] {
            assert!(matches!(wrap("ns", name), Cow::Borrowed(same) if same == name));
        }
        assert_eq!(wrap("", "orders"), "orders");
        assert_eq!(unwrap("", "%orders"), "%orders");
    }

    #[test]
    fn any_namespace_is_taken_off_up_to_the_first_separator_behind_the_start() {
        for (name, plain) in [
            ("ns%orders", "orders"),
            ("ns%a%b", "a%b"),
            ("%RETRY%ns%group", "%RETRY%group"),
            ("%RETRY%group", "%RETRY%group"),
            ("%orders", "%orders"),
            ("orders", "orders"),
            ("", ""),
        ] {
            assert_eq!(unwrap_any(name), plain, "{name}");
        }
    }

    #[test]
    fn a_cloud_address_names_its_instance() {
        for (address, namespace) in [
            (
                "http://MQ_INST_123_abc.mq.example.com:80",
                Some("MQ_INST_123_abc"),
            ),
            ("MQ_INST_123_abc.example.com:80", Some("MQ_INST_123_abc")),
            ("MQ_INST_123_a_b.example.com", Some("MQ_INST_123_a_b")),
            ("MQ_INST_123.example.com", None),
            ("MQ_INST__.example.com", None),
            ("127.0.0.1:9876", None),
            ("a b://MQ_INST_1_a.x", None),
            ("MQ_INST_1_a", None),
            ("MQ_INST_1-_a.x", None),
            ("", None),
        ] {
            assert_eq!(of_name_server(address), namespace, "{address}");
        }
    }
}
