//! Writing routes, keys in alphabetical order as Java does.

use bytes::{Bytes, BytesMut};

use super::{BrokerData, ClusterInfo, QueueData, TopicList, TopicQueueMapping, TopicRoute};
use crate::json::write;
use crate::writer::{Writer, append};

/// How keys that are numbers are written.
#[derive(Clone, Copy)]
enum Numbers {
    /// `{0:..}`, fastjson's way.
    Bare,
    /// `{"0":..}`, JSON's way.
    Quoted,
}

impl TopicRoute {
    /// Standard JSON, as servers from 4.9.4 on answer to version 401 and later.
    pub fn encode_json(&self) -> Bytes {
        self.encode(Numbers::Quoted)
    }

    /// With bare numbers as keys, as servers answer to older versions (PROTOCOL C.2).
    pub fn encode_fastjson(&self) -> Bytes {
        self.encode(Numbers::Bare)
    }

    fn encode(&self, numbers: Numbers) -> Bytes {
        whole(|out| {
            list(out, b"{\"brokerDatas\":[", &self.brokers, |out, data| {
                broker(out, data, numbers)
            });
            out.put(b",\"filterServerTable\":{");
            entries(out, &self.filter_servers, |out, servers| {
                texts(out, servers)
            });
            if let Some(order) = &self.order_conf {
                out.put(b",\"orderTopicConf\":");
                write::string(out, order);
            }
            list(out, b",\"queueDatas\":[", &self.queues, queue);
            if !self.mapping.is_empty() {
                out.put(b",\"topicQueueMappingByBroker\":{");
                entries(out, &self.mapping, |out, info| mapping(out, info, numbers));
            }
            out.put(b"}");
        })
    }
}

impl ClusterInfo {
    /// Standard JSON.
    pub fn encode_json(&self) -> Bytes {
        self.encode(Numbers::Quoted)
    }

    /// With bare numbers as keys, as every server writes it (PROTOCOL B.13).
    pub fn encode_fastjson(&self) -> Bytes {
        self.encode(Numbers::Bare)
    }

    fn encode(&self, numbers: Numbers) -> Bytes {
        whole(|out| {
            out.put(b"{\"brokerAddrTable\":{");
            entries(out, &self.brokers, |out, data| broker(out, data, numbers));
            out.put(b",\"clusterAddrTable\":{");
            entries(out, &self.clusters, |out, names| texts(out, names));
            out.put(b"}");
        })
    }
}

impl TopicList {
    /// JSON; no key of it is a number.
    pub fn encode_json(&self) -> Bytes {
        whole(|out| {
            out.put(b"{");
            if let Some(addr) = &self.broker_addr {
                out.put(b"\"brokerAddr\":");
                write::string(out, addr);
                out.put(b",");
            }
            out.put(b"\"topicList\":");
            texts(out, &self.topics);
            out.put(b"}");
        })
    }
}

fn broker(out: &mut Writer<'_>, broker: &BrokerData, numbers: Numbers) {
    out.put(b"{\"brokerAddrs\":{");
    separated(out, &broker.addrs, |out, (id, addr)| {
        numeric_key(out, *id, numbers);
        write::string(out, addr);
    });
    out.put(b"},\"brokerName\":");
    write::string(out, &broker.name);
    out.put(b",\"cluster\":");
    write::string(out, &broker.cluster);
    if let Some(enabled) = broker.enable_acting_master {
        out.put(b",\"enableActingMaster\":");
        boolean(out, enabled);
    }
    if let Some(zone) = &broker.zone {
        out.put(b",\"zoneName\":");
        write::string(out, zone);
    }
    out.put(b"}");
}

fn queue(out: &mut Writer<'_>, queue: &QueueData) {
    out.put(b"{\"brokerName\":");
    write::string(out, &queue.broker);
    number(out, b",\"perm\":", i64::from(queue.perm));
    number(out, b",\"readQueueNums\":", i64::from(queue.read_queues));
    number(out, b",\"topicSysFlag\":", i64::from(queue.topic_sys_flag));
    number(out, b",\"writeQueueNums\":", i64::from(queue.write_queues));
    out.put(b"}");
}

fn mapping(out: &mut Writer<'_>, mapping: &TopicQueueMapping, numbers: Numbers) {
    out.put(b"{\"bname\":");
    write::string(out, &mapping.broker);
    out.put(b",\"currIdMap\":{");
    separated(out, &mapping.current_ids, |out, (logical, physical)| {
        numeric_key(out, i64::from(*logical), numbers);
        number(out, b"", i64::from(*physical));
    });
    out.put(b"},\"dirty\":");
    boolean(out, mapping.dirty);
    number(out, b",\"epoch\":", mapping.epoch);
    out.put(b",\"scope\":");
    write::string(out, &mapping.scope);
    out.put(b",\"topic\":");
    write::string(out, &mapping.topic);
    number(out, b",\"totalQueues\":", i64::from(mapping.total_queues));
    out.put(b"}");
}

fn whole(write: impl Fn(&mut Writer<'_>)) -> Bytes {
    let mut out = BytesMut::new();
    append(&mut out, 512, write);
    out.freeze()
}

/// Writes `start`, which ends with the opening bracket, the items and the closing bracket.
fn list<T>(out: &mut Writer<'_>, start: &[u8], items: &[T], item: impl Fn(&mut Writer<'_>, &T)) {
    out.put(start);
    separated(out, items, item);
    out.put(b"]");
}

/// Writes the entries of a map and the closing brace.
fn entries<'a, T: 'a>(
    out: &mut Writer<'_>,
    map: impl IntoIterator<Item = (&'a String, &'a T)>,
    value: impl Fn(&mut Writer<'_>, &T),
) {
    separated(out, map, |out, (key, item)| {
        write::string(out, key);
        out.put(b":");
        value(out, item);
    });
    out.put(b"}");
}

fn texts(out: &mut Writer<'_>, texts: &[String]) {
    list(out, b"[", texts, |out, text| write::string(out, text));
}

fn separated<I>(
    out: &mut Writer<'_>,
    items: impl IntoIterator<Item = I>,
    item: impl Fn(&mut Writer<'_>, I),
) {
    for (index, each) in items.into_iter().enumerate() {
        if index > 0 {
            out.put(b",");
        }
        item(out, each);
    }
}

fn numeric_key(out: &mut Writer<'_>, key: i64, numbers: Numbers) {
    match numbers {
        Numbers::Bare => {
            number(out, b"", key);
            out.put(b":");
        }
        Numbers::Quoted => {
            number(out, b"\"", key);
            out.put(b"\":");
        }
    }
}

fn number(out: &mut Writer<'_>, before: &[u8], number: i64) {
    out.put(before);
    out.decimal(number);
}

fn boolean(out: &mut Writer<'_>, value: bool) {
    out.put(if value { b"true" } else { b"false".as_slice() });
}
