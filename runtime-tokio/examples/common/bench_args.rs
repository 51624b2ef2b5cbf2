//! What `bench` can be told.

use clap::{Parser, ValueEnum};
use rocketmq_engine::proto::TopicName;
use rocketmq_engine::{Config, SendError};

/// Measures how fast messages are sent, and what that costs.
///
/// Prints one line:
///
///   MODE n= size= width= wall=..s rate=../s cpu=..us/msg p50=..us p99=..us failed=..
///
/// n messages of size bytes; rate and cpu (user and system time of this process, from getrusage)
/// are for each message, p50 and p99 for each call: a message, or in mode batch a batch. Connecting
/// and some messages to warm up come before and are not counted. Exit code 1 if a message failed; the
/// first error is told on standard error.
#[derive(Debug, Parser)]
#[command(name = "bench", verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The name servers.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT]")]
    pub(crate) namesrv: String,
    /// How to send.
    #[arg(long, value_enum)]
    pub(crate) mode: Mode,
    /// How many messages.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// Bytes of each body. Nothing is compressed.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) size: u32,
    /// Tasks at a time, each sending one at a time; in mode batch one task, and so many messages in
    /// each batch.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) width: u32,
    /// The topic that gets the messages.
    #[arg(long, default_value = "bench", value_parser = |name: &str| TopicName::new(name))]
    pub(crate) topic: TopicName,
    /// Threads of the runtime. With 1 the tasks and the connections share one thread.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    /// Each call waits for the broker's confirmation.
    Sync,
    /// The same for batches.
    Batch,
    /// Each call returns when the socket has the message.
    Oneway,
}

impl Arguments {
    /// The producer's settings.
    pub(crate) fn apply(&self, config: &mut Config) {
        let width = self.width as usize;
        config.compress_over = None;
        config.max_in_flight = config.max_in_flight.max(width);
        config.max_oneway = config.max_oneway.max(width);
    }

    /// Why nothing can be measured.
    pub(crate) fn unreachable(&self, error: &SendError) -> String {
        let (topic, servers) = (&self.topic, &self.namesrv);
        format!("cannot send to {topic} of {servers}: {error}")
    }
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Oneway => "oneway",
            Self::Sync => "sync",
        }
    }
}
