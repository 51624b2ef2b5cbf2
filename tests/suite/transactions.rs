//! Transactions: half messages, local transactions, and what brokers ask about them (PROTOCOL G.1, G.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rocketmq_engine::{Config, Decision, Event, SendErrorKind, SendReceipt, TransactionState};
use rocketmq_proto::{IdText, Message, RequestCode, StoredMessage, property};
use rocketmq_testkit::{Cluster, HalfState, Health};

use super::support::{PATIENCE, TOPIC, assert_works, bodies, eventually, is_at_rest, message};
use super::{Events, Listener, Producer, Transact, Transacts};

const GROUP: &str = "payers";

pub(crate) fn a_committed_message_is_delivered_and_a_rolled_back_one_is_not<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Unknown));
    let committed = transact(&producer, "paid", TransactionState::Commit);
    let rolled_back = transact(&producer, "not paid", TransactionState::Rollback);
    let unknown = transact(&producer, "perhaps", TransactionState::Unknown);
    eventually("both are ended", || ended(&cluster) == 2);
    assert_eq!(bodies(&cluster, TOPIC), ["paid"]);
    assert_eq!(state_of(&cluster, &committed), HalfState::Committed);
    assert_eq!(state_of(&cluster, &rolled_back), HalfState::RolledBack);
    assert_eq!(state_of(&cluster, &unknown), HalfState::Open);
    let stored = &cluster.broker(0).stored(TOPIC)[0];
    assert_eq!(stored.properties.get(property::UNIQ_KEY), Some(&*committed));
    assert!(is_at_rest(&producer));
    assert_eq!(producer.stats().transactions_ended, 3);
}

pub(crate) fn the_local_transaction_sees_the_message_and_its_confirmation<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Unknown));
    let sent = message("paid").key("k-1").delay_level(3);
    let half = move |message: &Message, receipt: &SendReceipt| {
        assert_eq!(message.body().as_ref(), b"paid");
        assert_eq!(message.properties().get(property::KEYS), Some("k-1"));
        assert_eq!(receipt.message_id.len(), 32);
        TransactionState::Commit.into()
    };
    let receipt = producer.transact(sent, half).unwrap();
    assert_eq!(receipt.state, TransactionState::Commit, "{receipt:?}");
    eventually("it is delivered, without any delay", || {
        bodies(&cluster, TOPIC) == ["paid"]
    });
}

pub(crate) fn what_is_left_unknown_is_settled_when_the_broker_asks<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let listener = |message: StoredMessage| match &message.body[..] {
        b"paid" => TransactionState::Commit.into(),
        _ => TransactionState::Rollback.into(),
    };
    let producer = start(&harness, &cluster, Arc::new(listener));
    let paid = transact(&producer, "paid", TransactionState::Unknown);
    let not = transact(&producer, "not paid", TransactionState::Unknown);
    let large = transact(&producer, "x".repeat(9_000), TransactionState::Unknown);
    assert_eq!(cluster.broker(0).check_halves(), 3);
    eventually("all are ended", || ended(&cluster) == 3);
    assert_eq!(bodies(&cluster, TOPIC), ["paid"]);
    assert_eq!(state_of(&cluster, &paid), HalfState::Committed);
    for id in [not, large] {
        assert_eq!(state_of(&cluster, &id), HalfState::RolledBack);
    }
    assert_eq!(cluster.broker(0).check_halves(), 0);
    assert_eq!(producer.stats().checks, 3);
}

pub(crate) fn a_local_transaction_that_fails_or_panics_is_unknown<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Rollback));
    let fails = |_: &Message, _: &SendReceipt| Decision::failed("the database is away");
    let receipt = producer.transact(message("one"), fails).unwrap();
    assert_eq!(receipt.state, TransactionState::Unknown);
    assert_eq!(receipt.failure.as_deref(), Some("the database is away"));
    let panics = |_: &Message, _: &SendReceipt| panic!("as this test wants");
    let receipt = producer.transact(message("two"), panics).unwrap();
    assert_eq!(receipt.state, TransactionState::Unknown);
    assert_eq!(
        receipt.failure.as_deref(),
        Some("panicked: as this test wants")
    );
    receipt.end.unwrap();
    assert_eq!(cluster.broker(0).check_halves(), 2);
    eventually("the listener rolls them back", || ended(&cluster) == 2);
    assert!(bodies(&cluster, TOPIC).is_empty());
}

pub(crate) fn a_half_message_that_is_not_safe_is_rolled_back_unrun<H: Transacts>() {
    let cluster = cluster();
    cluster
        .broker(0)
        .with(|broker| broker.config_mut().health = Health::SlaveNotAvailable);
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Commit));
    let never = |_: &Message, _: &SendReceipt| -> Decision { unreachable!("it must not run") };
    let receipt = producer.transact(message("one"), never).unwrap();
    assert_eq!(receipt.state, TransactionState::Rollback);
    assert_eq!(receipt.failure, None);
    let id = &receipt.receipt.message_id;
    eventually("it is rolled back", || {
        state_of(&cluster, id) == HalfState::RolledBack
    });
}

pub(crate) fn without_a_listener_a_transaction_is_refused<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = super::support::producer(&harness, &cluster);
    let never = |_: &Message, _: &SendReceipt| -> Decision { unreachable!("it must not run") };
    let error = producer.transact(message("one"), never).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NoCheckBack);
    assert_eq!(cluster.broker(0).halves().len(), 0);
    assert_works(&producer, &cluster);
}

pub(crate) fn a_listener_that_panics_is_asked_again<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let listener = move |_: StoredMessage| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("as this test wants"),
        1 => Decision::failed("the database is away"),
        _ => TransactionState::Commit.into(),
    };
    let producer = start(&harness, &cluster, Arc::new(listener));
    let mut events = producer.events();
    transact(&producer, "paid", TransactionState::Unknown);
    for asked in 1..=3 {
        assert_eq!(cluster.broker(0).check_halves(), 1);
        eventually("the listener was asked", || {
            producer.stats().transactions_ended == asked + 1
        });
    }
    eventually("the third answer counts", || ended(&cluster) == 1);
    assert_eq!(bodies(&cluster, TOPIC), ["paid"]);
    assert_eq!(producer.stats().transactions_left_open, 2);
    let mut why = Vec::new();
    while let Some(event) = events.next_within(Duration::ZERO) {
        if let Event::TransactionLeftOpen { why: text, .. } = event {
            why.push(text);
        }
    }
    let expected = ["panicked: as this test wants", "the database is away"];
    assert_eq!(why, expected);
}

pub(crate) fn checks_come_while_the_local_transaction_runs<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let committed: Arc<Mutex<Vec<IdText>>> = Arc::default();
    let database = committed.clone();
    let listener = move |message: StoredMessage| {
        let database = database.lock().unwrap();
        let is_known = database.contains(&message.message_id());
        let state = if is_known {
            TransactionState::Commit
        } else {
            TransactionState::Unknown
        };
        state.into()
    };
    let producer = start(&harness, &cluster, Arc::new(listener));
    let broker = cluster.broker(0);
    let local = move |_: &Message, receipt: &SendReceipt| {
        assert_eq!(broker.check_halves(), 1);
        committed.lock().unwrap().push(receipt.message_id.clone());
        TransactionState::Commit.into()
    };
    let receipt = producer.transact(message("paid"), local).unwrap();
    receipt.end.unwrap();
    eventually("both answers have come", || {
        cluster.broker(0).count(RequestCode::END_TRANSACTION) == 2
    });
    // The broker wants the copy ended that it asked about last; it delivers twice then, the ids are equal.
    if state_of(&cluster, &receipt.receipt.message_id) == HalfState::Open {
        assert_eq!(cluster.broker(0).check_halves(), 1);
    }
    eventually("it is settled", || {
        state_of(&cluster, &receipt.receipt.message_id) == HalfState::Committed
    });
    let stored = cluster.broker(0).stored(TOPIC);
    assert!((1..=2).contains(&stored.len()), "{stored:?}");
    for message in stored {
        assert_eq!(message.message_id(), receipt.receipt.message_id);
    }
}

pub(crate) fn a_broker_killed_before_the_end_asks_when_it_is_back<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start_with(
        &harness,
        &cluster,
        says(TransactionState::Commit),
        |config| {
            config.send_timeout = Duration::from_millis(600);
        },
    );
    let broker = cluster.broker(0);
    let local = move |_: &Message, _: &SendReceipt| {
        broker.stop();
        TransactionState::Commit.into()
    };
    let receipt = producer.transact(message("paid"), local).unwrap();
    assert_eq!(receipt.state, TransactionState::Commit);
    if let Err(error) = &receipt.end {
        let kind = error.kind();
        assert!(
            [SendErrorKind::Connection, SendErrorKind::Timeout].contains(&kind),
            "{error:?}"
        );
    }
    cluster.broker(0).restart().unwrap();
    eventually("the producer is known again", || {
        !cluster.broker(0).clients().is_empty()
    });
    assert_eq!(cluster.broker(0).check_halves(), 1);
    eventually("it answers", || ended(&cluster) == 1);
    assert_eq!(bodies(&cluster, TOPIC), ["paid"]);
    assert!(is_at_rest(&producer));
}

pub(crate) fn after_a_shutdown_nobody_is_asked<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Commit));
    transact(&producer, "perhaps", TransactionState::Unknown);
    let report = producer.shutdown(PATIENCE);
    assert_eq!((report.failed, report.abandoned), (0, 0));
    assert_eq!(cluster.broker(0).check_halves(), 0, "it said goodbye");
    let never = |_: &Message, _: &SendReceipt| -> Decision { unreachable!("it must not run") };
    let error = producer.transact(message("late"), never).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    // Another one of the group answers.
    let other = start(&harness, &cluster, says(TransactionState::Commit));
    other.ready(TOPIC).unwrap();
    eventually("the other one is known", || {
        !cluster.broker(0).clients().is_empty()
    });
    assert_eq!(cluster.broker(0).check_halves(), 1);
    eventually("it answers", || ended(&cluster) == 1);
    assert_eq!(bodies(&cluster, TOPIC), ["perhaps"]);
}

pub(crate) fn a_shutdown_waits_for_the_local_transaction_and_its_end<H: Transacts>() {
    let cluster = cluster();
    let harness = H::new();
    let producer = start(&harness, &cluster, says(TransactionState::Unknown));
    let (is_running, running) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let transacting = {
        let producer = producer.clone();
        thread::spawn(move || {
            let local = move |_: &Message, _: &SendReceipt| {
                is_running.send(()).unwrap();
                goes_on.lock().unwrap().recv().unwrap();
                TransactionState::Commit.into()
            };
            producer.transact(message("paid"), local)
        })
    };
    running.recv().unwrap();
    let closing = {
        let producer = producer.clone();
        thread::spawn(move || producer.shutdown(PATIENCE))
    };
    eventually("the shutdown has begun", || {
        let refused = producer.send(message("late"));
        refused.is_err_and(|error| error.kind() == SendErrorKind::Closed)
    });
    go_on.send(()).unwrap();
    let receipt = transacting.join().unwrap().unwrap();
    receipt.end.unwrap();
    closing.join().unwrap();
    eventually("it is delivered", || {
        bodies(&cluster, TOPIC).contains(&"paid".to_owned())
    });
}

/// One broker that asks about half messages when the test says so.
fn cluster() -> Cluster {
    let builder = Cluster::builder().topic(TOPIC, 4);
    let builder = builder.configure_brokers(|broker| {
        broker.check_after_ms = 0;
        broker.check_interval_ms = Some(u64::MAX);
    });
    builder.start().unwrap()
}

fn start<H: Transacts>(harness: &H, cluster: &Cluster, listener: Listener) -> H::Producer {
    start_with(harness, cluster, listener, |_| {})
}

fn start_with<H: Transacts>(
    harness: &H,
    cluster: &Cluster,
    listener: Listener,
    change: impl FnOnce(&mut Config),
) -> H::Producer {
    let servers = cluster.name_server_list();
    harness
        .start_transacting(GROUP, &servers, listener, change)
        .unwrap()
}

fn says(state: TransactionState) -> Listener {
    Arc::new(move |_| state.into())
}

/// Runs a transaction that ends so; gives the message's id.
fn transact(producer: &impl Transact, body: impl Into<String>, state: TransactionState) -> IdText {
    let local = move |_: &Message, _: &SendReceipt| state.into();
    let receipt = producer.transact(message(body.into()), local).unwrap();
    assert_eq!(receipt.state, state);
    receipt.end.unwrap();
    receipt.receipt.message_id
}

fn ended(cluster: &Cluster) -> u32 {
    cluster
        .broker(0)
        .halves()
        .iter()
        .map(|half| half.ended)
        .sum()
}

fn state_of(cluster: &Cluster, message_id: &str) -> HalfState {
    let halves = cluster.broker(0).halves();
    let mut of_id = halves.iter().filter(|half| half.unique_key == message_id);
    of_id.next().expect("the half message").state
}
