//! The load that `bench` puts on a producer, whatever the runtime: what is sent next, and what became
//! of it.

use std::collections::VecDeque;
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
use crate::text::text;

/// What the senders of one run share.
#[derive(Debug)]
pub(crate) struct Load {
    topics: Vec<TopicName>,
    body: Bytes,
    mode: Mode,
    /// Of a batch; otherwise 1.
    members: u64,
    /// Messages under way at most, of a sender that does not wait for each.
    window: usize,
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
    Message(Message),
    Oneway(Message),
}

/// A call that has begun.
#[derive(Debug)]
pub(crate) struct Call {
    begun: Instant,
    messages: u64,
}

/// What a sender has under way and has not taken up: `D` is what tells the result.
#[derive(Debug)]
pub(crate) struct Window<D> {
    under_way: VecDeque<(Call, D)>,
    size: usize,
}

impl Load {
    /// So many messages. Calls are counted in as many histograms as there are `threads`.
    pub(crate) fn new(arguments: &Arguments, count: u64, threads: u32) -> Self {
        Self {
            topics: arguments.topic_names.clone(),
            body: text(arguments.size as usize).into(),
            mode: arguments.mode,
            members: match arguments.mode {
                Mode::Batch => arguments.width.into(),
                Mode::Enqueue | Mode::Oneway | Mode::Sync => 1,
            },
            window: arguments.width as usize,
            left: AtomicU64::new(count),
            failed: AtomicU64::new(0),
            first_error: OnceLock::new(),
            latency: Latency::new(threads as usize),
        }
    }

    /// What to send next, in a call that begins now; `None` when there is nothing left.
    pub(crate) fn next(&self, begun: Instant) -> Option<(Call, Result<What, SendError>)> {
        let left = self.take()?;
        let messages = self.members.min(left);
        let what = match self.mode {
            Mode::Batch => Batch::new((0..messages).map(|_| self.message(left)).collect())
                .map(What::Batch)
                .map_err(SendError::from),
            Mode::Enqueue | Mode::Sync => Ok(What::Message(self.message(left))),
            Mode::Oneway => Ok(What::Oneway(self.message(left))),
        };
        Some((Call { begun, messages }, what))
    }

    /// What became of it, told by the sender of this number. Returns the time, which is when the
    /// sender's next call begins: one reading of the clock a call.
    pub(crate) fn settled(
        &self,
        sender: usize,
        call: &Call,
        result: Result<(), SendError>,
    ) -> Instant {
        let now = Instant::now();
        self.latency.record(sender, now - call.begun);
        if let Err(error) = result {
            self.failed.fetch_add(call.messages, Ordering::Relaxed);
            let _first = self.first_error.set(error);
        }
        now
    }

    /// An empty one.
    pub(crate) fn window<D>(&self) -> Window<D> {
        Window {
            under_way: VecDeque::with_capacity(self.window),
            size: self.window,
        }
    }

    /// Prints the measurement. A message that failed is told by the code.
    pub(crate) fn report(&self, arguments: &Arguments, time: Elapsed) -> ExitCode {
        let failed = self.failed.load(Ordering::Relaxed);
        let report = Report {
            mode: arguments.mode.name(),
            count: arguments.count,
            size: arguments.size,
            width: arguments.width,
            time,
            latency: &self.latency,
            failed,
            details: arguments.details,
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

    /// For the topic whose turn it is.
    fn message(&self, left: u64) -> Message {
        let turn = left % self.topics.len() as u64;
        Message::new(&self.topics[turn as usize], self.body.clone())
    }

    /// Takes on the messages of one call; how many there were left.
    fn take(&self) -> Option<u64> {
        let rest = |left: u64| (left > 0).then(|| left.saturating_sub(self.members));
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest)
            .ok()
    }
}

impl<D> Window<D> {
    pub(crate) fn push(&mut self, call: Call, delivery: D) {
        self.under_way.push_back((call, delivery));
    }

    /// The oldest, if there must not be more.
    pub(crate) fn oldest_if_full(&mut self) -> Option<(Call, D)> {
        let is_full = self.under_way.len() >= self.size;
        is_full.then(|| self.oldest()).flatten()
    }

    pub(crate) fn oldest(&mut self) -> Option<(Call, D)> {
        self.under_way.pop_front()
    }
}
