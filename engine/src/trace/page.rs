//! Trace records that will be one message: its body, and the keys to find it by (PROTOCOL G.4).

use rocketmq_proto::{TopicName, TraceRecord, property};

use super::Load;

/// The most bytes of KEYS, so that all properties together stay below what brokers take (32 767
/// bytes with what they add; #6579).
const MAX_KEYS: usize = 32_000;

/// A trace message to be.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) topic: TopicName,
    pub(crate) records: usize,
    body: String,
    /// The messages' unique ids, each followed by a space.
    ids: String,
    /// The messages' own keys, likewise, each once.
    keys: String,
}

impl Page {
    pub(crate) fn new(topic: TopicName) -> Self {
        Self {
            topic,
            records: 0,
            body: String::new(),
            ids: String::new(),
            keys: String::new(),
        }
    }

    /// Whether the keys of another record fit beside those that are there. Always so for the first:
    /// what does not fit then is left out.
    pub(crate) fn has_room_for(&self, id: &str, keys: &str) -> bool {
        self.records == 0 || self.keys_len() + id.len() + keys.len() + 2 <= MAX_KEYS
    }

    /// Adds a record that takes no more than `room` bytes with its keys. `id` may be several, joined by
    /// commas; `keys` several, joined by spaces.
    ///
    /// # Errors
    /// When the record is larger, or cannot be written; nothing is changed then.
    pub(crate) fn add(
        &mut self,
        record: &TraceRecord<'_>,
        id: &str,
        keys: &str,
        room: usize,
    ) -> Result<(), ()> {
        let before = self.body.len();
        record.encode(&mut self.body).map_err(|_| ())?;
        if self.body.len() - before + id.len() + keys.len() + 2 > room {
            self.body.truncate(before);
            return Err(());
        }
        self.records += 1;
        for id in id.split(',') {
            if !id.is_empty() && self.keys_len() + id.len() < MAX_KEYS {
                self.ids.push_str(id);
                self.ids.push(' ');
            }
        }
        for key in keys.split_ascii_whitespace() {
            let is_known = self.keys.split(' ').any(|known| known == key);
            if !is_known && self.keys_len() + key.len() < MAX_KEYS {
                self.keys.push_str(key);
                self.keys.push(' ');
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// What it carries: the bytes are those of body and keys together.
    pub(crate) fn load(&self) -> Load {
        Load {
            records: self.records,
            bytes: self.body.len() + self.keys_len(),
        }
    }

    /// The message's properties, with its own unique id, and its body.
    pub(crate) fn into_parts(self, unique_id: &str) -> (String, String) {
        let mut properties = String::with_capacity(self.keys_len() + unique_id.len() + 32);
        let mut keys = self.ids;
        keys.push_str(&self.keys);
        let pairs = [
            (property::KEYS, keys.trim_end()),
            (property::UNIQ_KEY, unique_id),
            (property::WAIT, "true"),
        ];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if !properties.is_empty() {
                properties.push('\u{2}');
            }
            properties.push_str(name);
            properties.push('\u{1}');
            properties.push_str(value);
        }
        (properties, self.body)
    }

    fn keys_len(&self) -> usize {
        self.ids.len() + self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::Properties;
    use rocketmq_proto::trace::{RecallTrace, TraceRecords};

    use super::*;

    const ROOM: usize = 1 << 20;

    fn record() -> TraceRecord<'static> {
        TraceRecord::Recall(RecallTrace {
            group: "g".into(),
            topic: "t".into(),
            ..RecallTrace::default()
        })
    }

    fn page() -> Page {
        Page::new(TopicName::new("RMQ_SYS_TRACE_TOPIC").unwrap())
    }

    #[test]
    fn a_message_is_found_by_the_ids_and_keys_of_its_records() {
        let mut page = page();
        page.add(&record(), "ID1", "a b", ROOM).unwrap();
        page.add(&record(), "ID2,ID3", "b c", ROOM).unwrap();
        assert_eq!(page.records, 2);
        let (properties, body) = page.into_parts("OWN");
        let properties = Properties::from_wire(properties);
        assert_eq!(properties.get("KEYS"), Some("ID1 ID2 ID3 a b c"));
        assert_eq!(properties.get("UNIQ_KEY"), Some("OWN"));
        assert_eq!(properties.get("WAIT"), Some("true"));
        assert_eq!(TraceRecords::new(&body).count(), 2);
    }

    #[test]
    fn the_properties_stay_within_what_a_broker_takes() {
        let long = vec!["k".repeat(900); 40];
        let keys: Vec<_> = long
            .iter()
            .enumerate()
            .map(|(n, key)| format!("{n}{key}"))
            .collect();
        let mut page = page();
        assert!(
            page.has_room_for("ID", &keys.join(" ")),
            "the first always gets in"
        );
        page.add(&record(), "ID", &keys.join(" "), ROOM).unwrap();
        assert!(!page.has_room_for("ID2", &keys[0]));
        page.add(&record(), "ID2", &keys.join(" "), ROOM).unwrap();
        let (properties, _) = page.into_parts(&"F".repeat(56));
        assert!(properties.len() < 32_767 - 512, "{}", properties.len());
        assert!(properties.contains("ID "));
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_nothing_behind() {
        let mut page = page();
        let torn = TraceRecord::Recall(RecallTrace {
            topic: "a\u{1}b".into(),
            ..RecallTrace::default()
        });
        assert!(page.add(&torn, "ID", "", ROOM).is_err());
        assert_eq!((page.records, page.load().bytes), (0, 0));
    }

    #[test]
    fn a_record_larger_than_its_room_leaves_nothing_behind() {
        let mut page = page();
        page.add(&record(), "ID", "key", ROOM).unwrap();
        let (one, weight) = (page.load().bytes + 2, page.load().bytes);
        assert!(page.add(&record(), "ID", "yek", one - 3).is_err());
        assert_eq!((page.records, page.load().bytes), (1, weight));
        page.add(&record(), "ID", "yek", one).unwrap();
        assert!(page.load().bytes <= weight + one);
    }
}
