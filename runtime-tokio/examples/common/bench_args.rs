//! What `bench` can be told.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
#[cfg(feature = "tls")]
use rocketmq_engine::driver::TlsConfig;
use rocketmq_engine::proto::{SerializeType, TopicName};
use rocketmq_engine::{AutoBatch, Config, SendError};

/// Measures how fast messages are sent, and what that costs.
///
/// Prints one line:
///
///   MODE n= size= width= wall=..s rate=../s cpu=..us/msg p50=..us p99=..us failed=..
///
/// n messages of size bytes; rate and cpu (user and system time of this process, from getrusage) are
/// for each message, p50 and p99 for each call: a message, or in mode batch a batch. Connecting and
/// some messages to warm up come before and are not counted. Exit codes: 0 all sent; 1 a message
/// failed, or none could be sent, and standard error tells why; 2 wrong arguments.
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
    /// Bytes of each body.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) size: u32,
    /// Tasks at a time, each sending one at a time; in mode batch one task, and so many messages in
    /// each batch; in mode enqueue one task, and so many messages under way.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) width: u32,
    /// The topic that gets the messages.
    #[arg(long, default_value = "bench", value_parser = |name: &str| TopicName::new(name))]
    pub(crate) topic: TopicName,
    /// Send to so many topics in turn: TOPIC-0, TOPIC-1 and so on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    topics: u32,
    /// Their names.
    #[arg(skip)]
    pub(crate) topic_names: Vec<TopicName>,
    /// Threads of the runtime. With 1 the tasks and the connections share one thread.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// The form of headers.
    #[arg(long, value_enum, default_value = "json")]
    pub(crate) headers: Headers,
    /// Compress bodies of more than 4 KiB with zlib, as producers do unless told otherwise. Bodies are
    /// text that shrinks to about half.
    #[arg(long)]
    pub(crate) compress: bool,
    /// Let the producer gather what is sent into batches.
    #[arg(long)]
    pub(crate) auto_batch: bool,
    /// Tell more at the end of the line: p999=..us peak=..KiB switches=../msg, where peak is the most
    /// memory that was resident (Linux only) and switches are those of context, wanted and unwanted,
    /// for each message.
    #[arg(long)]
    pub(crate) details: bool,
    /// Speak TLS, and trust the certificates in this file.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "PEM", value_parser = trust)]
    pub(crate) roots: Option<TlsConfig>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    /// Each call waits for the broker's confirmation.
    Sync,
    /// The same for batches.
    Batch,
    /// One task hands messages over and takes up the confirmations, oldest first, when its window is
    /// full; the times are those between the two.
    Enqueue,
    /// Each call returns when the socket has the message.
    Oneway,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Headers {
    Binary,
    Json,
}

impl Arguments {
    /// Reads the command line; ends the process when that makes no sense.
    pub(crate) fn read() -> Self {
        let mut arguments = Self::parse();
        arguments.topic_names = arguments.name_topics().unwrap_or_else(|why| {
            Self::command()
                .error(ErrorKind::ValueValidation, why)
                .exit()
        });
        arguments
    }

    /// The producer's settings.
    pub(crate) fn apply(&self, config: &mut Config) {
        let width = self.width as usize;
        if !self.compress {
            config.compress_over = None;
        }
        config.max_in_flight = config.max_in_flight.max(width);
        config.max_oneway = config.max_oneway.max(width);
        config.serialize_type = match self.headers {
            Headers::Binary => SerializeType::Binary,
            Headers::Json => SerializeType::Json,
        };
        config.auto_batch = self.auto_batch.then(AutoBatch::default);
        #[cfg(feature = "tls")]
        {
            config.tls = self.roots.clone();
        }
    }

    /// How many tasks send.
    pub(crate) fn senders(&self) -> usize {
        match self.mode {
            Mode::Batch | Mode::Enqueue => 1,
            Mode::Oneway | Mode::Sync => self.width as usize,
        }
    }

    /// How many messages warm up connections, caches and the allocator: some, and enough to meet
    /// every topic.
    pub(crate) fn warm_up(&self) -> u64 {
        (self.count / 10).clamp(500, 20_000).max(self.topics.into())
    }

    /// The topic, or so many whose names begin with its name.
    fn name_topics(&self) -> Result<Vec<TopicName>, String> {
        if self.topics == 1 {
            return Ok(vec![self.topic.clone()]);
        }
        let names = (0..self.topics).map(|n| format!("{}-{n}", self.topic));
        names
            .map(|name| TopicName::new(&name).map_err(|why| format!("topic {name}: {why}")))
            .collect()
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
            Self::Enqueue => "enqueue",
            Self::Oneway => "oneway",
            Self::Sync => "sync",
        }
    }
}

#[cfg(feature = "tls")]
fn trust(file: &str) -> Result<TlsConfig, Box<dyn std::error::Error + Send + Sync>> {
    let roots = std::fs::read(file)?;
    Ok(TlsConfig::builder().roots_pem(roots).build()?)
}
