//! Which queue a message goes to (PROTOCOL F).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_engine::{Certainty, SendErrorKind};
use rocketmq_proto::{Message, MessageQueue, ResponseCode};
use rocketmq_testkit::{Fault, FaultRule};

use super::support::{
    Servers, TOPIC, assert_says, assert_works, bodies, cluster, eventually, message, producer,
    producer_with, text,
};
use super::{Harness, Pending, Producer};

pub(crate) fn a_message_goes_to_the_queue_it_names<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "named");
    let queues = producer.publish_queues(&topic).unwrap();
    assert_eq!(queues.len(), 8, "four on each of two brokers");
    for queue in &queues {
        let message = Message::new(&*topic, queue.to_string()).to(queue.clone());
        let receipt = producer.send(message).unwrap();
        assert_eq!(&receipt.queue, queue);
    }
    let stored = servers.read(&topic, 16);
    for queue in &queues {
        let arrived = stored.iter().find(|m| text(m) == queue.to_string());
        assert_eq!(arrived.unwrap().queue_id, queue.id);
    }
}

pub(crate) fn a_key_picks_the_queue_that_java_picks<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "keyed");
    let queues = producer.publish_queues(&topic).unwrap();
    // "…".hashCode() as a JVM computes it; by(number) is Integer's and Long's.
    let keys = [
        ("hello", 99_162_322),
        ("order-1", -1_207_111_310),
        ("", 0),
        ("polygenelubricants", i32::MIN),
        ("名前", 688_096),
    ];
    for (key, hash) in keys {
        let receipt = producer.send(Message::new(&*topic, "x").by(key)).unwrap();
        assert_eq!(&receipt.queue, javas(&queues, hash), "key {key:?}");
    }
    for key in [0, 7, -7, i32::MIN] {
        let receipt = producer.send(Message::new(&*topic, "x").by(key)).unwrap();
        assert_eq!(&receipt.queue, javas(&queues, key), "key {key}");
    }
}

/// Java's `SelectMessageQueueByHash`.
fn javas(queues: &[MessageQueue], hash: i32) -> &MessageQueue {
    let index = (hash % queues.len() as i32).unsigned_abs();
    &queues[index as usize]
}

pub(crate) fn messages_of_one_key_stay_in_order<H: Harness>(servers: &Servers) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "ordered");
    for step in 0..20 {
        let of_key = |key: i32| {
            let message = Message::new(&*topic, format!("{key}:{step}"));
            producer.enqueue(message.by(format!("key-{key}"))).unwrap()
        };
        // Different keys side by side, one at a time of each: what DESIGN 6 asks for a strict order.
        let deliveries: Vec<_> = (0..10).map(of_key).collect();
        for delivery in deliveries {
            delivery.wait().unwrap();
        }
    }
    let mut seen: BTreeMap<String, Vec<(String, i32, u32)>> = BTreeMap::new();
    for stored in servers.read(&topic, 208) {
        let text = text(&stored);
        let Some((key, step)) = text.split_once(':') else {
            continue;
        };
        let place = (stored.store_host.to_string(), stored.queue_id);
        let steps = seen.entry(key.to_owned()).or_default();
        steps.push((place.0, place.1, step.parse().unwrap()));
    }
    assert_eq!(seen.len(), 10);
    for (key, steps) in seen {
        let first = &steps[0];
        assert!(steps.iter().all(|s| (&s.0, s.1) == (&first.0, first.1)));
        let order: Vec<_> = steps.iter().map(|step| step.2).collect();
        assert_eq!(order, (0..20).collect::<Vec<_>>(), "key {key}");
    }
}

pub(crate) fn a_selector_sees_queues_and_message_and_its_choice_holds<H: Harness>(
    servers: &Servers,
) {
    let harness = H::new();
    let producer = servers.start(&harness, |_| {});
    let topic = servers.make_topic(&producer, "selected");
    let queues = producer.publish_queues(&topic).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for pick in [0, 3, 7] {
        let seen = seen.clone();
        let message = Message::new(&*topic, format!("pick {pick}")).tag("choose");
        let message = message.select(move |queues, message| {
            let tag = message.properties().get("TAGS").map(str::to_owned);
            let seen_now = (queues.to_vec(), message.body().clone(), tag);
            seen.lock().unwrap().push(seen_now);
            Some(pick)
        });
        let receipt = producer.send(message).unwrap();
        assert_eq!(receipt.queue, queues[pick]);
    }
    for (pick, (shown, body, tag)) in [0, 3, 7].into_iter().zip(&*seen.lock().unwrap()) {
        assert_eq!(shown, &queues);
        assert_eq!(body, &format!("pick {pick}"));
        assert_eq!(tag.as_deref(), Some("choose"));
    }
}

pub(crate) fn a_selector_that_panics_is_an_error_and_no_more<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let bad = message("never").select(|_, _| panic!("this panic is part of the test"));
    let error = producer.send(bad).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Selector);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &["panicked"]);
    assert_works(&producer, &cluster);
    assert_eq!(bodies(&cluster, TOPIC).len(), 1);
}

pub(crate) fn failing_selectors_in_line_end_one_after_the_other<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.max_in_flight = 1);
    producer.ready(TOPIC).unwrap();
    let rule = FaultRule::new(Fault::Delay(Duration::from_millis(700)));
    cluster.broker(0).inject(rule.sends().times(1)).unwrap();
    let taken = producer.enqueue(message("takes all room")).unwrap();
    let fails = |_| producer.begin(message("never").select(|_, _| None));
    // On threads each is one, which has to be asleep in line before the room comes free.
    let count = if H::Producer::CAN_CANCEL { 3000 } else { 8 };
    let line: Vec<_> = (0..count).map(fails).collect();
    taken.wait().unwrap();
    for pending in line {
        assert_eq!(pending.wait().unwrap_err().kind(), SendErrorKind::Selector);
    }
    assert_works(&producer, &cluster);
}

pub(crate) fn a_message_that_panics_when_it_is_dropped_harms_no_other<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| config.retries = 0);
    producer.ready(TOPIC).unwrap();
    let never = FaultRule::new(Fault::NeverAnswer);
    cluster.broker(0).inject(never.sends().times(6)).unwrap();
    let bad = PanicsWhenDropped;
    let first = message("first").select(move |_, _| {
        let _captured = &bad;
        Some(0)
    });
    let mut line = vec![producer.enqueue(first).unwrap()];
    line.extend((0..5).map(|_| producer.enqueue(message("beside")).unwrap()));
    eventually("all are stored", || bodies(&cluster, TOPIC).len() == 6);
    cluster.broker(0).close_connections();
    for pending in line {
        assert_eq!(pending.wait().unwrap_err().certainty(), Certainty::Unknown);
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("this panic is part of the test");
        }
    }
}

pub(crate) fn a_selector_that_chooses_nothing_is_an_error<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let error = producer.send(message("never").select(|_, _| None));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Selector);
    assert_says(&error, &["chose no queue"]);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_selector_that_chooses_what_does_not_exist_is_an_error<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    let beyond = message("never").select(|queues, _| Some(queues.len()));
    let error = producer.send(beyond).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Selector);
    assert_says(&error, &["does not exist"]);
    assert_works(&producer, &cluster);
}

pub(crate) fn queues_take_turns<H: Harness>() {
    let cluster = cluster(2);
    let harness = H::new();
    let producer = producer(&harness, &cluster);
    for at in 0..80 {
        producer.send(message(at.to_string())).unwrap();
    }
    for broker in cluster.brokers() {
        for queue in 0..4 {
            assert_eq!(broker.max_offset(TOPIC, queue), 10);
        }
    }
}

pub(crate) fn chance_reaches_every_queue_and_a_retry_stays_with_its_choice<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(2);
    let producer = producer(&harness, &cluster);
    let sent = producer.send_at_once((0..200).map(|_| message("x").at_random()).collect());
    let queues: BTreeSet<_> = sent
        .into_iter()
        .map(|sent| {
            let queue = sent.unwrap().queue;
            (queue.broker, queue.id)
        })
        .collect();
    assert_eq!(queues.len(), 8, "four on each of two brokers");
    let refusal = Fault::Answer {
        code: ResponseCode::SYSTEM_ERROR,
        remark: None,
    };
    for broker in cluster.brokers() {
        broker
            .inject(FaultRule::new(refusal.clone()).sends().nth(1))
            .unwrap();
    }
    let receipt = producer.send(message("again").at_random()).unwrap();
    assert_eq!(
        receipt.attempts, 2,
        "the other broker would have refused it too"
    );
}

pub(crate) fn a_topic_with_an_order_configuration_has_the_queues_it_says<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(2);
    let [first, second] = [0, 1].map(|at| cluster.broker(at).name().to_owned());
    cluster.name_server(0).with(|server| {
        server.order_messages(true);
        let conf = format!("{second}:1;;junk;{first}:2;{first}:x");
        server.put_kv("ORDER_TOPIC_CONFIG", TOPIC, conf);
    });
    let producer = producer(&harness, &cluster);
    let queues = producer.publish_queues(TOPIC).unwrap();
    let named: Vec<_> = queues.iter().map(|q| (&*q.broker, q.id)).collect();
    assert_eq!(named, [(&*second, 0), (&first, 0), (&first, 1)]);
    for queue in &queues {
        let receipt = producer.send(message("x").to(queue.clone())).unwrap();
        assert_eq!(receipt.queue, *queue);
    }
}
