//! What is sent, and what became of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use rocketmq_client_rust::{ClientError, DefaultMQProducer};
use rocketmq_model::common::message::message_single::Message;
use tokio::sync::Semaphore;

use crate::arguments::{Arguments, Mode};
use crate::latency::Latency;
use crate::text::text;

/// What the senders of one run share.
pub(crate) struct Load {
    topics: Vec<String>,
    body: Bytes,
    mode: Mode,
    members: u64,
    window: u32,
    left: AtomicU64,
    failed: AtomicU64,
    first_error: OnceLock<String>,
    pub(crate) latency: Latency,
}

impl Load {
    pub(crate) fn new(arguments: &Arguments, count: u64) -> Self {
        let topics = match arguments.topics {
            1 => vec!["bench".to_owned()],
            topics => (0..topics).map(|n| format!("bench-{n}")).collect(),
        };
        let members = match arguments.mode {
            Mode::Batch => arguments.width.into(),
            Mode::Enqueue | Mode::Oneway | Mode::Sync => 1,
        };
        Self {
            topics,
            body: text(arguments.size as usize).into(),
            mode: arguments.mode,
            members,
            window: arguments.width,
            left: AtomicU64::new(count),
            failed: AtomicU64::new(0),
            first_error: OnceLock::new(),
            latency: Latency::new(1),
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn first_error(&self) -> Option<&String> {
        self.first_error.get()
    }

    fn settled(&self, begun: Instant, messages: u64, error: Option<&ClientError>) {
        self.latency.record(0, begun.elapsed());
        if let Some(error) = error {
            self.failed.fetch_add(messages, Ordering::Relaxed);
            let _first = self.first_error.set(error.to_string());
        }
    }

    fn message(&self, left: u64) -> Message {
        let topic = &self.topics[(left % self.topics.len() as u64) as usize];
        Message::builder()
            .topic(topic.as_str())
            .body(self.body.clone())
            .build_unchecked()
    }

    fn take(&self) -> Option<u64> {
        let rest = |left: u64| (left > 0).then(|| left.saturating_sub(self.members));
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest)
            .ok()
    }
}

pub(crate) async fn send_until_done(producer: Arc<DefaultMQProducer>, load: Arc<Load>) {
    if load.mode == Mode::Enqueue {
        return enqueue_until_done(&producer, &load).await;
    }
    while let Some(left) = load.take() {
        let messages = load.members.min(left);
        let begun = Instant::now();
        let result = match load.mode {
            Mode::Batch => {
                let batch: Vec<_> = (0..messages).map(|_| load.message(left)).collect();
                producer.send_batch(batch).await.map(drop)
            }
            Mode::Oneway => producer.send_oneway(load.message(left)).await,
            Mode::Enqueue | Mode::Sync => producer.send(load.message(left)).await.map(drop),
        };
        load.settled(begun, messages, result.as_ref().err());
    }
}

/// Hands messages over with callbacks, as many as the window has room for.
async fn enqueue_until_done(producer: &DefaultMQProducer, load: &Arc<Load>) {
    let window = Arc::new(Semaphore::new(load.window as usize));
    while let Some(left) = load.take() {
        let Ok(permit) = window.acquire().await else {
            return;
        };
        permit.forget();
        let begun = Instant::now();
        let (load, room, message) = (load.clone(), window.clone(), load.message(left));
        let told = producer.send_with_callback(message, move |_, error| {
            load.settled(begun, 1, error);
            room.add_permits(1);
        });
        // An error is told to the callback, too.
        let _also_there = told.await;
    }
    let _all = window.acquire_many(load.window).await;
}
