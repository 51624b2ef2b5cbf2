//! Reading routes: every part may be missing or null, unknown keys are passed over.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{
    BrokerData, ClusterInfo, QueueData, RouteError, TopicList, TopicQueueMapping, TopicRoute,
};
use crate::json::{Lexer, Text, Value};

/// Brokers, addresses, queues, list items: so many of all kinds together. A large cluster has some ten thousand topics.
const MAX_ENTRIES: usize = 1 << 18;

impl TopicRoute {
    /// Reads the body of an answer to GET_ROUTEINFO_BY_TOPIC.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or holds something of the wrong kind.
    pub fn decode(body: &[u8]) -> Result<Self, RouteError> {
        let mut route = Self::default();
        Reader::whole(body, |reader, key| {
            match key {
                "brokerDatas" => route.brokers = reader.list("brokerDatas", broker)?,
                "filterServerTable" => {
                    route.filter_servers = reader.map("filterServerTable", |reader| {
                        reader.texts("filterServerTable")
                    })?;
                }
                "orderTopicConf" => route.order_conf = reader.text("orderTopicConf")?,
                "queueDatas" => route.queues = reader.list("queueDatas", queue)?,
                "topicQueueMappingByBroker" => {
                    route.mapping = reader.map("topicQueueMappingByBroker", mapping)?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        route.brokers.retain(|broker| !broker.name.is_empty());
        route.queues.retain(|queue| !queue.broker.is_empty());
        Ok(route)
    }
}

impl ClusterInfo {
    /// Reads the body of an answer to GET_BROKER_CLUSTER_INFO.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or holds something of the wrong kind.
    pub fn decode(body: &[u8]) -> Result<Self, RouteError> {
        let mut info = Self::default();
        Reader::whole(body, |reader, key| {
            match key {
                "brokerAddrTable" => info.brokers = reader.map("brokerAddrTable", broker)?,
                "clusterAddrTable" => {
                    info.clusters = reader.map("clusterAddrTable", |reader| {
                        reader.texts("clusterAddrTable")
                    })?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(info)
    }
}

impl TopicList {
    /// Reads the body of an answer to GET_ALL_TOPIC_LIST_FROM_NAMESERVER.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or holds something of the wrong kind.
    pub fn decode(body: &[u8]) -> Result<Self, RouteError> {
        let mut list = Self::default();
        Reader::whole(body, |reader, key| {
            match key {
                "brokerAddr" => list.broker_addr = reader.text("brokerAddr")?,
                "topicList" => list.topics = reader.texts("topicList")?.unwrap_or_default(),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(list)
    }
}

fn broker(reader: &mut Reader<'_>) -> Result<Option<BrokerData>, RouteError> {
    let mut broker = BrokerData::default();
    let found = reader.object("a broker", |reader, key| {
        match key {
            "brokerAddrs" => {
                broker.addrs =
                    reader.numbered("brokerAddrs", |reader| reader.text("brokerAddrs"))?
            }
            "brokerName" => broker.name = reader.text("brokerName")?.unwrap_or_default(),
            "cluster" => broker.cluster = reader.text("cluster")?.unwrap_or_default(),
            "enableActingMaster" => {
                broker.enable_acting_master = reader.bool("enableActingMaster")?
            }
            "zoneName" => broker.zone = reader.text("zoneName")?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(broker))
}

fn queue(reader: &mut Reader<'_>) -> Result<Option<QueueData>, RouteError> {
    let mut queue = QueueData::default();
    let found = reader.object("a queue", |reader, key| {
        match key {
            "brokerName" => queue.broker = reader.text("brokerName")?.unwrap_or_default(),
            "perm" => queue.perm = reader.number("perm")?.unwrap_or_default(),
            "readQueueNums" => {
                queue.read_queues = reader.number("readQueueNums")?.unwrap_or_default()
            }
            "topicSysFlag" | "topicSynFlag" => {
                queue.topic_sys_flag = reader.number("topicSysFlag")?.unwrap_or_default();
            }
            "writeQueueNums" => {
                queue.write_queues = reader.number("writeQueueNums")?.unwrap_or_default()
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(queue))
}

fn mapping(reader: &mut Reader<'_>) -> Result<Option<TopicQueueMapping>, RouteError> {
    let mut mapping = TopicQueueMapping::default();
    let found = reader.object("a queue mapping", |reader, key| {
        match key {
            "bname" => mapping.broker = reader.text("bname")?.unwrap_or_default(),
            "currIdMap" => {
                mapping.current_ids =
                    reader.numbered("currIdMap", |reader| reader.number("currIdMap"))?
            }
            "dirty" => mapping.dirty = reader.bool("dirty")?.unwrap_or_default(),
            "epoch" => mapping.epoch = reader.number("epoch")?.unwrap_or_default(),
            "scope" => {
                if let Some(scope) = reader.text("scope")? {
                    mapping.scope = scope;
                }
            }
            "topic" => mapping.topic = reader.text("topic")?.unwrap_or_default(),
            "totalQueues" => {
                mapping.total_queues = reader.number("totalQueues")?.unwrap_or_default()
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(mapping))
}

/// The lexer with what routes need: values by kind, null as `None`, and a bound on how much is kept.
struct Reader<'a> {
    lexer: Lexer<'a>,
    entries: usize,
}

impl<'a> Reader<'a> {
    /// Reads a body that is one object.
    fn whole(
        body: &'a [u8],
        each: impl FnMut(&mut Self, &str) -> Result<(), RouteError>,
    ) -> Result<(), RouteError> {
        let mut reader = Self {
            lexer: Lexer::new(body),
            entries: 0,
        };
        if !reader.object("the body", each)? {
            return Err(reader.wrong_type("the body", "an object"));
        }
        Ok(reader.lexer.end()?)
    }

    /// Hands every key to `each`, which reads its value. `false`: null stands there.
    fn object(
        &mut self,
        name: &'static str,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), RouteError>,
    ) -> Result<bool, RouteError> {
        match self.lexer.value()? {
            Value::Object => {}
            Value::Null => return Ok(false),
            _ => return Err(self.wrong_type(name, "an object")),
        }
        while let Some(key) = self.lexer.key()? {
            each(self, &key.into_cow())?;
        }
        Ok(true)
    }

    /// Reads a list, leaving out what is null. Null instead of it is an empty one.
    fn list<T>(
        &mut self,
        name: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<Option<T>, RouteError>,
    ) -> Result<Vec<T>, RouteError> {
        let mut items = Vec::new();
        match self.lexer.value()? {
            Value::List => {}
            Value::Null => return Ok(items),
            _ => return Err(self.wrong_type(name, "a list")),
        }
        while self.lexer.element()? {
            self.count()?;
            items.extend(item(self)?);
        }
        Ok(items)
    }

    /// Reads an object as a map, leaving out values that are null.
    fn map<T>(
        &mut self,
        name: &'static str,
        mut value: impl FnMut(&mut Self) -> Result<Option<T>, RouteError>,
    ) -> Result<BTreeMap<String, T>, RouteError> {
        let mut map = BTreeMap::new();
        self.object(name, |reader, key| {
            reader.count()?;
            if let Some(value) = value(reader)? {
                map.insert(key.to_owned(), value);
            }
            Ok(())
        })?;
        Ok(map)
    }

    /// Reads a map whose keys are numbers, quoted or bare; leaves out keys that are none and values that are null.
    fn numbered<K: FromStr + Ord, T>(
        &mut self,
        name: &'static str,
        mut value: impl FnMut(&mut Self) -> Result<Option<T>, RouteError>,
    ) -> Result<BTreeMap<K, T>, RouteError> {
        let mut map = BTreeMap::new();
        self.object(name, |reader, key| {
            reader.count()?;
            if let (Ok(key), Some(value)) = (key.parse(), value(reader)?) {
                map.insert(key, value);
            }
            Ok(())
        })?;
        Ok(map)
    }

    fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, RouteError> {
        self.list(name, |reader| reader.text(name)).map(Some)
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, RouteError> {
        Ok(self
            .scalar(name, "a text")?
            .map(|text| text.into_cow().into_owned()))
    }

    fn number<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, RouteError> {
        let Some(digits) = self.scalar(name, "a number")? else {
            return Ok(None);
        };
        let wrong = |_| RouteError::NotANumber {
            key: name,
            offset: self.lexer.offset(),
        };
        digits.into_cow().parse().map(Some).map_err(wrong)
    }

    fn bool(&mut self, name: &'static str) -> Result<Option<bool>, RouteError> {
        let word = self.scalar(name, "a boolean")?;
        Ok(word.map(|word| word.raw().eq_ignore_ascii_case(b"true")))
    }

    /// A text, number or boolean, as it stands.
    fn scalar(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<Text<'a>>, RouteError> {
        match self.lexer.value()? {
            Value::Bare(word) => Ok(Some(Text::Plain(word))),
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::List | Value::Object => Err(self.wrong_type(name, expected)),
        }
    }

    fn skip(&mut self) -> Result<(), RouteError> {
        Ok(self.lexer.skip_value()?)
    }

    fn count(&mut self) -> Result<(), RouteError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(RouteError::TooMany { limit: MAX_ENTRIES });
        }
        Ok(())
    }

    fn wrong_type(&self, key: &'static str, expected: &'static str) -> RouteError {
        RouteError::WrongType {
            key,
            expected,
            offset: self.lexer.offset(),
        }
    }
}
