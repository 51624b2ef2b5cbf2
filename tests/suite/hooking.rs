//! The application's own code around sends and requests (PROTOCOL E.10, kernel steps).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rocketmq_engine::{
    CheckForbiddenHook, Outgoing, Refusal, RpcAnswer, RpcHook, RpcRequest, SendErrorKind, SendHook,
    SentMessage,
};
use rocketmq_proto::RequestCode;

use super::support::{
    TOPIC, assert_says, assert_works, bodies, cluster, eventually, is_at_rest, message,
    producer_with,
};
use super::{Harness, Producer};

/// Notes what it sees.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl CheckForbiddenHook for Diary {
    fn check(&self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        match message.message().body().as_ref() {
            b"forbidden" => Err("not on a Sunday".into()),
            _ => Ok(()),
        }
    }
}

impl SendHook for Diary {
    fn before(&self, message: &mut Outgoing<'_>) -> Result<(), Refusal> {
        message.set_property("traceparent", "00-1-1-01")?;
        self.write(format!("before {}", message.group()));
        Ok(())
    }

    fn after(&self, sent: &SentMessage) {
        let outcome = match &sent.outcome {
            Ok(receipt) => receipt
                .as_ref()
                .map_or("written", |receipt| receipt.status.name()),
            Err(_) => "failed",
        };
        self.write(format!("after {}: {outcome}", sent.topic));
    }
}

impl RpcHook for Diary {
    fn before(&self, request: &mut RpcRequest<'_>) {
        request.set_field("from-a-hook", "yes");
    }

    fn after(&self, answer: &RpcAnswer) {
        if answer.request == RequestCode::SEND_MESSAGE_V2 {
            self.write(format!("answer {}", answer.answer.code));
        }
    }
}

pub(crate) fn hooks_see_a_send_from_before_to_after<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let diary = Arc::new(Diary::default());
    let producer = producer_with(&harness, &cluster, |config| {
        config.hooks.forbidden = vec![diary.clone()];
        config.hooks.send = vec![diary.clone()];
        config.hooks.rpc = vec![diary.clone()];
    });
    producer.send(message("seen")).unwrap();
    let expected = [
        "before suite".to_owned(),
        "answer 0".to_owned(),
        format!("after {TOPIC}: SEND_OK"),
    ];
    // Hooks after a send do not hold up its caller.
    eventually("all hooks have run", || diary.lines() == expected);
    let stored = cluster.broker(0).stored(TOPIC);
    assert_eq!(stored[0].properties.get("traceparent"), Some("00-1-1-01"));
    for server in [
        cluster.broker(0).requests(),
        cluster.name_server(0).requests(),
    ] {
        assert!(!server.is_empty());
        for seen in server {
            assert_eq!(seen.field("from-a-hook"), Some("yes"), "{seen:?}");
        }
    }
    let error = producer.send(message("forbidden")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Hook);
    assert_says(&error, &["not on a Sunday"]);
    producer.send_oneway(message("oneway")).unwrap();
    eventually("the hook after a oneway send has run", || {
        diary.lines().last() == Some(&format!("after {TOPIC}: written"))
    });
    eventually("both are stored, and no other", || {
        bodies(&cluster, TOPIC) == ["seen", "oneway"]
    });
}

/// Panics wherever the body of a message says so.
struct Panics;

impl SendHook for Panics {
    fn before(&self, message: &mut Outgoing<'_>) -> Result<(), Refusal> {
        assert_ne!(message.message().body().as_ref(), b"before");
        Ok(())
    }

    fn after(&self, sent: &SentMessage) {
        assert!(
            sent.outcome.is_err(),
            "a panic that nobody but this send meets"
        );
    }
}

impl RpcHook for Panics {
    fn before(&self, request: &mut RpcRequest<'_>) {
        assert_ne!(request.body().as_ref(), b"request");
    }
}

pub(crate) fn a_hook_that_panics_harms_only_its_own_send<H: Harness>() {
    let cluster = cluster(1);
    let harness = H::new();
    let producer = producer_with(&harness, &cluster, |config| {
        config.hooks.send = vec![Arc::new(Panics)];
        config.hooks.rpc = vec![Arc::new(Panics)];
    });
    for body in ["before", "request"] {
        let error = producer.send(message(body)).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Hook, "{error}");
        assert_works(&producer, &cluster);
    }
    let events = cluster.broker(0).connections();
    assert_eq!(events, 1, "the connection has outlived it");
    eventually("the panics after sends are counted", || {
        // Two sends that worked, and the request whose hook panicked.
        producer.stats().hook_panics == 3
    });
}

/// Sends again from within the hook after a send, and looks at the numbers.
struct Echo<P> {
    producer: OnceLock<P>,
    left: AtomicU32,
}

impl<P: Producer + Sync> SendHook for Echo<P> {
    fn after(&self, _: &SentMessage) {
        let Some(producer) = self.producer.get() else {
            return;
        };
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if left.is_ok() && producer.stats().sent > 0 {
            drop(producer.try_enqueue(message("echo")).unwrap());
        }
    }
}

pub(crate) fn a_hook_may_use_the_producer<H: Harness>()
where
    H::Producer: Sync,
{
    let cluster = cluster(1);
    let harness = H::new();
    let echo = Arc::new(Echo {
        producer: OnceLock::new(),
        left: AtomicU32::new(3),
    });
    let producer = producer_with(&harness, &cluster, |config| {
        config.hooks.send = vec![echo.clone()];
    });
    assert!(echo.producer.set(producer.clone()).is_ok());
    producer.send(message("call")).unwrap();
    let broker = cluster.broker(0);
    eventually("each send has led to the next", || {
        broker.stored(TOPIC).len() == 4 && is_at_rest(&producer)
    });
}
