//! The load that `bench` puts on a producer, whatever the runtime: what is sent next, and what became
//! of it.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rocketmq_engine::SendError;
use rocketmq_engine::proto::{Batch, Message, TopicName};

use crate::bench_args::{Arguments, Mode};
use crate::bench_report::{Elapsed, Report};
use crate::latency::Latency;

/// Messages that warm up connections, caches and the allocator.
pub(crate) const WARM_UP: u64 = 500;

/// What the senders of one run share.
#[derive(Debug)]
pub(crate) struct Load {
    topic: TopicName,
    body: Bytes,
    mode: Mode,
    /// Of a batch; otherwise 1.
    members: u64,
    /// Messages that nobody has taken on yet.
    left: AtomicU64,
    failed: AtomicU64,
    first_error: OnceLock<SendError>,
    latency: Latency,
}

/// What one call sends.
#[derive(Debug)]
pub(crate) enum What {
    Batch(Batch),
    Oneway(Message),
    Sync(Message),
}

/// A call that has begun.
#[derive(Debug)]
pub(crate) struct Call {
    begun: Instant,
    messages: u64,
}

impl Load {
    /// So many messages. Calls are counted in as many histograms as there are `threads`.
    pub(crate) fn new(arguments: &Arguments, count: u64, threads: u32) -> Self {
        Self {
            topic: arguments.topic.clone(),
            body: vec![b'x'; arguments.size as usize].into(),
            mode: arguments.mode,
            members: match arguments.mode {
                Mode::Batch => arguments.width.into(),
                Mode::Oneway | Mode::Sync => 1,
            },
            left: AtomicU64::new(count),
            failed: AtomicU64::new(0),
            first_error: OnceLock::new(),
            latency: Latency::new(threads as usize),
        }
    }

    /// What to send next; `None` when there is nothing left.
    pub(crate) fn next(&self) -> Option<(Call, Result<What, SendError>)> {
        let messages = self.take()?;
        let begun = Instant::now();
        let what = match self.mode {
            Mode::Batch => Batch::new((0..messages).map(|_| self.message()).collect())
                .map(What::Batch)
                .map_err(SendError::from),
            Mode::Oneway => Ok(What::Oneway(self.message())),
            Mode::Sync => Ok(What::Sync(self.message())),
        };
        Some((Call { begun, messages }, what))
    }

    /// What became of it, told by the sender of this number.
    pub(crate) fn settled(&self, sender: usize, call: &Call, result: Result<(), SendError>) {
        self.latency.record(sender, call.begun.elapsed());
        if let Err(error) = result {
            self.failed.fetch_add(call.messages, Ordering::Relaxed);
            let _first = self.first_error.set(error);
        }
    }

    /// Prints the measurement. A message that failed is told by the code.
    pub(crate) fn report(&self, arguments: &Arguments, time: Elapsed) -> ExitCode {
        let failed = self.failed.load(Ordering::Relaxed);
        let report = Report {
            arguments,
            time,
            latency: &self.latency,
            failed,
        };
        println!("{report}");
        if let Some(error) = self.first_error.get() {
            eprintln!("bench: the first error: {error}");
        }
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn message(&self) -> Message {
        Message::new(&self.topic, self.body.clone())
    }

    /// Takes on the messages of one call.
    fn take(&self) -> Option<u64> {
        let rest = |left: u64| (left > 0).then(|| left.saturating_sub(self.members));
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        before.ok().map(|left| self.members.min(left))
    }
}
