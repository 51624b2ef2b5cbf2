//! Requests, and the replies to them (PROTOCOL G.3).

use std::collections::HashSet;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rocketmq_engine::{Certainty, SendError, SendErrorKind};
use rocketmq_proto::{Message, RequestCode, StoredMessage};
use rocketmq_testkit::{Cluster, Fault, FaultRule};

use super::support::{
    PATIENCE, TOPIC, assert_says, assert_works, cluster, eventually, fresh, is_at_rest, message,
    on_time, producer, producer_with, text,
};
use super::{Harness, Producer, Servers};

type Answered = Result<StoredMessage, SendError>;

/// A request that a thread waits for.
fn ask(producer: &impl Producer, body: String, timeout: Duration) -> JoinHandle<Answered> {
    let producer = producer.clone();
    thread::spawn(move || producer.request(message(body), timeout))
}

/// What a consumer would read, once there are so many.
fn requests(cluster: &Cluster, count: usize) -> Vec<StoredMessage> {
    let stored = || -> Vec<_> {
        let brokers = cluster.brokers().into_iter();
        brokers.flat_map(|broker| broker.stored(TOPIC)).collect()
    };
    eventually("the requests are stored", || stored().len() >= count);
    stored()
}

/// Beside any servers, through whichever broker the replier takes.
pub(crate) fn replies_come_back_to_who_asked<H: Harness>(servers: &Servers) {
    const COUNT: usize = 4;
    let harness = H::new();
    let asking = servers.start(&harness, |_| {});
    let replying = servers.start(&harness, |config| {
        config.client_id = fresh("10.0.0.9@replier");
    });
    let topic = servers.make_topic(&asking, "requests");
    let queues = asking.publish_queues(&topic).unwrap().len();
    let asked: Vec<_> = (0..COUNT)
        .map(|n| {
            let (producer, topic) = (asking.clone(), topic.clone());
            let request = move || producer.request(Message::new(&*topic, n.to_string()), PATIENCE);
            thread::spawn(request)
        })
        .collect();
    let stored = servers.read(&topic, queues + COUNT);
    let requests = stored
        .iter()
        .filter(|m| m.properties.contains("REPLY_TO_CLIENT"));
    for request in requests {
        let reply = Message::in_reply_to(request, format!("{} again", text(request)));
        replying.send(reply.unwrap()).unwrap();
    }
    for (n, asked) in asked.into_iter().enumerate() {
        let reply = asked.join().unwrap().unwrap();
        assert_eq!(text(&reply), format!("{n} again"));
    }
}

pub(crate) fn a_request_gets_its_reply<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let (asking, replying) = (producer(&harness, &cluster), second(&harness, &cluster));
    let asked = ask(&asking, "ping".into(), PATIENCE);
    let request = &requests(&cluster, 1)[0];
    assert_eq!(text(request), "ping");
    let receipt = replying.reply(request, "pong").unwrap();
    assert_eq!(&*receipt.queue.topic, "DefaultCluster_REPLY_TOPIC");
    let reply = asked.join().unwrap().unwrap();
    assert_eq!(text(&reply), "pong");
    let property = |message: &StoredMessage, name| {
        let value = message.properties.get(name);
        value.unwrap_or_default().to_owned()
    };
    for name in ["CORRELATION_ID", "REPLY_TO_CLIENT"] {
        assert_eq!(property(&reply, name), property(request, name));
    }
    assert_eq!(property(&reply, "MSG_TYPE"), "reply");
    assert!(!property(&reply, "ARRIVE_TIME").is_empty());
    let stats = asking.stats();
    assert_eq!((stats.sent, stats.replied), (1, 1));
    assert!(is_at_rest(&asking), "{stats:?}");
}

/// A replier is a process of its own; here it is at least a client of its own.
fn second<H: Harness>(harness: &H, cluster: &Cluster) -> H::Producer {
    producer_with(harness, cluster, |config| {
        config.client_id = "10.0.0.9@replier".into();
    })
}

pub(crate) fn replies_find_their_requests_through_any_broker<H: Harness>() {
    const COUNT: usize = 24;
    let harness = H::new();
    let cluster = cluster(2);
    let (asking, replying) = (producer(&harness, &cluster), second(&harness, &cluster));
    let asked: Vec<_> = (0..COUNT)
        .map(|n| ask(&asking, n.to_string(), PATIENCE))
        .collect();
    let mut by = HashSet::new();
    for request in requests(&cluster, COUNT) {
        let receipt = replying.reply(&request, "pong").unwrap();
        by.insert(receipt.queue.broker);
    }
    assert_eq!(by.len(), 2, "replies take turns among the brokers");
    let correlations: HashSet<_> = asked
        .into_iter()
        .map(|asked| {
            let reply = asked.join().unwrap().unwrap();
            reply.properties.get("CORRELATION_ID").unwrap().to_owned()
        })
        .collect();
    assert_eq!(correlations.len(), COUNT);
    assert_eq!(asking.stats().replied, COUNT as u64);
}

pub(crate) fn a_request_without_a_reply_ends_in_time_and_says_that_it_was_stored<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let producer = producer(&harness, &cluster);
    producer.ready(TOPIC).unwrap();
    let budget = Duration::from_millis(300);
    let error = on_time(budget, || producer.request(message("ping"), budget)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NoReply);
    assert_eq!(error.certainty(), Certainty::Stored);
    assert_says(&error, &[TOPIC, "was stored", "no reply"]);
    assert_eq!(requests(&cluster, 1).len(), 1);
    assert_eq!(producer.stats().failed_stored, 1);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_reply_that_comes_too_late_is_counted_and_harms_nobody<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let (asking, replying) = (producer(&harness, &cluster), second(&harness, &cluster));
    let asked = asking.request(message("ping"), Duration::from_millis(200));
    assert!(asked.unwrap_err().is_timeout());
    let request = &requests(&cluster, 1)[0];
    replying.reply(request, "pong").unwrap();
    eventually("the reply has arrived", || {
        asking.stats().unmatched_replies == 1
    });
    eventually("the broker is told so", || {
        let answers = cluster.broker(0).answers();
        let codes: Vec<_> = answers.iter().map(|a| a.command.code).collect();
        codes == [0]
    });
    assert_works(&asking, &cluster);
}

pub(crate) fn a_reply_that_comes_before_the_confirmation_is_enough<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let (asking, replying) = (producer(&harness, &cluster), second(&harness, &cluster));
    let silent = FaultRule::new(Fault::NeverAnswer).code(RequestCode::SEND_MESSAGE_V2);
    cluster.broker(0).inject(silent.nth(1)).unwrap();
    let asked = ask(&asking, "ping".into(), PATIENCE);
    replying.reply(&requests(&cluster, 1)[0], "pong").unwrap();
    assert_eq!(text(&asked.join().unwrap().unwrap()), "pong");
    assert_eq!(requests(&cluster, 1).len(), 1, "nor is it sent again");
}

pub(crate) fn a_large_reply_travels_compressed_and_is_read_back_whole<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let (asking, replying) = (producer(&harness, &cluster), second(&harness, &cluster));
    let asked = ask(&asking, "ping".into(), PATIENCE);
    let body = "pong ".repeat(20_000);
    let reply = Message::in_reply_to(&requests(&cluster, 1)[0], body.clone());
    replying.send(reply.unwrap()).unwrap();
    assert_eq!(text(&asked.join().unwrap().unwrap()), body);
    let pushed = cluster.broker(0).stored("DefaultCluster_REPLY_TOPIC");
    assert!(pushed[0].body.len() < body.len() / 2);
}

pub(crate) fn what_is_no_request_gets_no_reply<H: Harness>() {
    let harness = H::new();
    let cluster = cluster(1);
    let producer = producer(&harness, &cluster);
    producer.send(message("no request")).unwrap();
    let error = producer
        .reply(&requests(&cluster, 1)[0], "pong")
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_says(&error, &["create reply message fail", "CORRELATION_ID"]);
}
