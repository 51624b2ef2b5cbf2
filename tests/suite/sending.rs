//! What is sent is what is stored, in every way of sending.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rocketmq_engine::{SendReceipt, SendStatus};
use rocketmq_proto::{Batch, Message, SerializeType, StoredMessage, property};

use super::support::{Servers, fresh, text, unique_id};
use super::{Harness, Pending, Producer};

/// Where the default compression begins.
const COMPRESSED_FROM: usize = 4096;
/// The default limit of a body, and that of brokers.
const LARGEST: usize = 4 * 1024 * 1024;

pub(crate) fn a_message_is_stored_as_it_was_sent<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("sent");
    let body: Vec<u8> = (0..=255).collect();
    let message = Message::new(&*topic, body.clone())
        .tag("created")
        .key("order-1")
        .key("customer-7")
        .property("colour", "bläulich \u{1F30A}")
        .flag(-5);

    let receipt = producer.send(message).unwrap();

    let stored = servers.read(&topic, 1).remove(0);
    assert_eq!(stored.topic, topic);
    assert_eq!(stored.body, body);
    assert!(stored.is_body_intact());
    assert_eq!(stored.flag, -5);
    assert!(!stored.sys_flag.is_compressed());
    assert_eq!(stored.properties.get(property::TAGS), Some("created"));
    let keys = stored.properties.get(property::KEYS);
    assert_eq!(keys, Some("order-1 customer-7"));
    let colour = stored.properties.get("colour");
    assert_eq!(colour, Some("bläulich \u{1F30A}"));
    assert_eq!(receipt.status, SendStatus::SendOk);
    assert_eq!(receipt.attempts, 1);
    assert_fits(&receipt, &stored);
}

pub(crate) fn enqueued_messages_are_confirmed_and_stored_once<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("enqueued");
    let queue = producer.publish_queues(&topic).unwrap().remove(0);

    let enqueue = |at: i32| {
        let message = Message::new(&*topic, at.to_string()).to(queue.clone());
        producer.enqueue(message).unwrap()
    };
    let deliveries: Vec<_> = (0..200).map(enqueue).collect();
    let receipts: Vec<_> = deliveries.into_iter().map(|d| d.wait().unwrap()).collect();

    let stored = servers.read(&topic, 200);
    let mut by_id: HashMap<_, _> = stored.iter().map(|m| (unique_id(m), m)).collect();
    for (at, receipt) in receipts.iter().enumerate() {
        let stored = by_id.remove(&*receipt.message_id).unwrap();
        assert_eq!(text(stored), at.to_string());
        assert_fits(receipt, stored);
        // Real brokers work on several requests of a connection at once.
        if servers.cluster.is_some() {
            assert_eq!(stored.queue_offset, at as i64);
        }
    }
}

pub(crate) fn oneway_messages_are_stored<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    // A broker that is still creating a topic refuses messages; nobody hears that of these.
    let topic = servers.make_topic(&producer, "oneway");
    let created = producer.publish_queues(&topic).unwrap().len();
    for at in 0..50 {
        let message = Message::new(&*topic, at.to_string()).tag("once");
        producer.send_oneway(message).unwrap();
    }
    let mut stored = servers.read(&topic, created + 50);
    stored.retain(|message| message.properties.get(property::TAGS) == Some("once"));
    let mut bodies: Vec<u32> = stored.iter().map(|m| text(m).parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..50).collect::<Vec<_>>());
    assert_eq!(ids(&stored).len(), 50);
    assert_eq!(producer.stats().sent_oneway, 50);
}

pub(crate) fn the_members_of_a_batch_are_stored_with_ids_of_their_own<H: Harness>(
    servers: &Servers,
) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("batched");
    let member = |at: usize| {
        Message::new(&*topic, format!("member {at}"))
            .tag(format!("tag-{at}"))
            .key(format!("key-{at}"))
            .flag(at as i32)
    };
    let batch = Batch::new((0..32).map(member).collect()).unwrap();

    let receipt = producer.send_batch(batch).unwrap();

    let stored = servers.read(&topic, 32);
    let sent_ids: Vec<_> = receipt.message_ids().collect();
    assert_eq!(sent_ids.len(), 32);
    assert_eq!(ids(&stored).len(), 32);
    for (at, message) in stored.iter().enumerate() {
        assert_eq!(text(message), format!("member {at}"));
        let properties = &message.properties;
        assert_eq!(properties.get(property::TAGS), Some(&*format!("tag-{at}")));
        assert_eq!(properties.get(property::KEYS), Some(&*format!("key-{at}")));
        assert_eq!(message.flag, at as i32);
        assert_eq!(unique_id(message), sent_ids[at]);
        assert_eq!(message.queue_id, receipt.queue.id);
        assert_eq!(message.queue_offset, receipt.queue_offset + at as i64);
    }
}

pub(crate) fn a_batch_goes_to_the_queue_of_its_key<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "batch-key");
    let by_message = producer.send(Message::new(&*topic, "single").by("customer-7"));
    let batch = Batch::new(vec![Message::new(&*topic, "a"), Message::new(&*topic, "b")]).unwrap();
    let by_batch = producer.send_batch(batch.by("customer-7"));
    assert_eq!(by_message.unwrap().queue, by_batch.unwrap().queue);
}

pub(crate) fn a_large_body_travels_compressed_and_is_read_back_whole<H: Harness>(
    servers: &Servers,
) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("large");
    let line = "the same words again and again, with a number: ";
    let body: String = (0..2_000).map(|at| format!("{line}{at}\n")).collect();
    let body = Bytes::from(body);
    let before = body.to_vec();
    let message = Message::new(&*topic, body.clone()).tag("zip");
    let own_copy = message.clone();

    producer.send(message).unwrap();
    // The same body, shared: it must not have been changed by the first send.
    producer.send(own_copy.clone()).unwrap();

    assert_eq!(body, before, "the caller's body");
    assert_eq!(own_copy.body(), &before, "the caller's message");
    assert!(!own_copy.properties().contains(property::UNIQ_KEY));
    for stored in servers.read(&topic, 2) {
        assert!(stored.sys_flag.is_compressed());
        assert!(stored.body.len() < before.len() / 4);
        assert!(stored.is_body_intact());
        assert_eq!(stored.decompressed_body(LARGEST).unwrap(), before);
        assert_eq!(stored.properties.get(property::TAGS), Some("zip"));
    }
}

pub(crate) fn a_body_that_does_not_shrink_travels_as_it_is<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("noise");
    let noise = noise(2 * COMPRESSED_FROM);
    let short = vec![b'x'; COMPRESSED_FROM - 1];
    let long = vec![b'x'; COMPRESSED_FROM];
    let queue = producer.publish_queues(&topic).unwrap().remove(0);
    for body in [&noise, &short, &long] {
        let message = Message::new(&*topic, body.clone()).to(queue.clone());
        producer.send(message).unwrap();
    }
    let stored = servers.read(&topic, 3);
    let compressed: Vec<_> = stored.iter().map(|m| m.sys_flag.is_compressed()).collect();
    assert_eq!(compressed, [false, false, true]);
    assert_eq!(stored[0].body, noise);
    assert_eq!(stored[1].body, short);
    assert_eq!(stored[2].decompressed_body(LARGEST).unwrap(), long);
}

pub(crate) fn binary_headers_carry_every_kind_of_send<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |config| {
        config.serialize_type = SerializeType::Binary;
    });
    let topic = fresh("binary");
    let queue = producer.publish_queues(&topic).unwrap().remove(0);
    let message = |body: &str| {
        let message = Message::new(&*topic, body.to_owned());
        message.tag("b").key("k-1").to(queue.clone())
    };

    let receipt = producer.send(message("sent")).unwrap();
    producer.send_oneway(message("oneway")).unwrap();
    let members = vec![message("first"), message("second")];
    producer
        .send_batch(Batch::new(members).unwrap().to(queue.clone()))
        .unwrap();

    let stored = servers.read(&topic, 4);
    let mut texts: Vec<_> = stored.iter().map(text).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["first", "oneway", "second", "sent"]);
    for message in &stored {
        assert_eq!(message.properties.get(property::TAGS), Some("b"));
        assert_eq!(message.properties.get(property::KEYS), Some("k-1"));
    }
    assert_fits(&receipt, &stored[0]);
    let Some(cluster) = &servers.cluster else {
        return;
    };
    for broker in cluster.brokers() {
        for request in broker.requests().iter().filter(|r| r.field("b").is_some()) {
            assert_eq!(request.serialize_type, SerializeType::Binary);
        }
    }
}

pub(crate) fn messages_at_the_size_limit_are_stored<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |config| config.compress_over = None);
    let topic = fresh("limit");
    let body = Bytes::from(noise(LARGEST));
    producer.send(Message::new(&*topic, body.clone())).unwrap();
    producer.send(Message::new(&*topic, "x")).unwrap();
    let mut stored = servers.read(&topic, 2);
    stored.sort_by_key(|message| message.body.len());
    assert_eq!(stored[0].body, "x");
    assert!(
        stored[1].body == body,
        "the largest body came back different"
    );
}

pub(crate) fn a_thousand_tasks_at_once_all_get_through<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("thousand");
    let message = |at: usize| {
        let message = Message::new(&*topic, format!("task {at}"));
        message.key(at.to_string())
    };

    let sent = producer.send_at_once((0..1000).map(message).collect());

    let stored = servers.read(&topic, 1000);
    let stored_ids = ids(&stored);
    assert_eq!(stored_ids.len(), 1000);
    for receipt in sent {
        let receipt = receipt.unwrap();
        assert!(stored_ids.contains(&*receipt.message_id));
        // A real broker may refuse a message while it makes the topic for another one.
        if servers.cluster.is_some() {
            assert_eq!(receipt.attempts, 1);
        }
    }
    let bodies: HashSet<_> = stored.iter().map(text).collect();
    assert!((0..1000).all(|at| bodies.contains(&format!("task {at}"))));
    assert_eq!(producer.stats().in_flight, 0);
}

pub(crate) fn the_same_message_sent_twice_gets_two_ids<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let message = Message::new(fresh("twice"), "again");
    let first = producer.send(message.clone()).unwrap();
    let second = producer.send(message).unwrap();
    assert_ne!(first.message_id, second.message_id);
}

pub(crate) fn a_text_file_comes_back_line_by_line<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = fresh("text");
    let enqueue = |line: &Line| producer.enqueue(line.message(&topic)).unwrap();
    let lines = lines();
    let deliveries: Vec<_> = lines.iter().map(enqueue).collect();
    let receipts: Vec<_> = deliveries.into_iter().map(|d| d.wait().unwrap()).collect();

    let stored = servers.read(&topic, lines.len());
    let stored = assert_same_lines(&lines, &stored);
    for (receipt, stored) in receipts.iter().zip(stored) {
        assert_eq!(receipt.status, SendStatus::SendOk);
        assert_fits(receipt, stored);
    }
}

pub(crate) fn a_text_file_in_batches_comes_back_line_by_line<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |config| {
        config.serialize_type = SerializeType::Binary;
    });
    let topic = fresh("text-batches");
    let lines = lines();
    let mut ids = Vec::new();
    for some in lines.chunks(32) {
        let members = some.iter().map(|line| line.message(&topic)).collect();
        let batch = Batch::new(members).unwrap();
        let receipt = producer.send_batch(batch).unwrap();
        ids.extend(receipt.message_ids().map(str::to_owned));
    }

    let stored = servers.read(&topic, lines.len());
    let stored = assert_same_lines(&lines, &stored);
    let stored_ids: Vec<_> = stored.into_iter().map(unique_id).collect();
    assert_eq!(stored_ids, ids);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), lines.len());
}

/// A line of a real text: its number, from 1, and its bytes without the newline.
struct Line(usize, &'static [u8]);

/// The lines of the protocol's description that are not empty.
fn lines() -> Vec<Line> {
    let text = include_bytes!("../../docs/protocol.md");
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    let lines: Vec<_> = lines
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| Line(number, line))
        .collect();
    assert!(lines.len() > 500, "a text worth sending");
    lines
}

impl Line {
    fn tag(&self) -> &'static str {
        match self.1[0] {
            b'#' => "heading",
            b'|' => "table",
            _ => "text",
        }
    }

    fn message(&self, topic: &str) -> Message {
        let message = Message::new(topic, Bytes::from_static(self.1));
        message.tag(self.tag()).key(format!("line-{}", self.0))
    }
}

/// Every line is there once, as it was; in the order of the text.
fn assert_same_lines<'a>(lines: &[Line], stored: &'a [StoredMessage]) -> Vec<&'a StoredMessage> {
    assert_eq!(stored.len(), lines.len());
    let key = |message: &'a StoredMessage| message.properties.get(property::KEYS).unwrap();
    let by_key: HashMap<_, _> = stored
        .iter()
        .map(|message| (key(message), message))
        .collect();
    let mut in_order = Vec::new();
    for line in lines {
        let stored = by_key[&*format!("line-{}", line.0)];
        assert_eq!(stored.body, line.1, "line {}", line.0);
        assert_eq!(stored.properties.get(property::TAGS), Some(line.tag()));
        in_order.push(stored);
    }
    in_order
}

/// The receipt and the stored message speak of the same thing.
fn assert_fits(receipt: &SendReceipt, stored: &StoredMessage) {
    assert_eq!(receipt.message_id, unique_id(stored));
    let offset_id = stored.offset_message_id().to_string();
    assert_eq!(receipt.offset_message_id, offset_id);
    assert_eq!(receipt.queue.topic.as_str(), stored.topic);
    assert_eq!(receipt.queue.id, stored.queue_id);
    assert_eq!(receipt.queue_offset, stored.queue_offset);
    let apart = stored.store_timestamp.abs_diff(stored.born_timestamp);
    assert!(apart < 30_000, "born {apart} ms away from its storing");
}

fn ids(stored: &[StoredMessage]) -> HashSet<&str> {
    stored.iter().map(unique_id).collect()
}

/// Bytes without a pattern, always the same (xorshift).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
