//! What `produce` can be told, and what that means for the producer and its messages.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use rocketmq_engine::proto::{InvalidMessage, Message, SerializeType, TopicName};
use rocketmq_engine::{Config, SendError};

use crate::lines::{Line, Overlong};

/// Sends each line of standard input as a message.
///
/// A line is bytes, not text: what stands before the newline is the body. Empty lines are skipped.
///
/// Standard output gets one JSON object a line, in input order:
///
///   {"line":1,"status":"SEND_OK","message_id":"..","offset_message_id":"..","broker":"..","queue_id":0,"queue_offset":0}
///   {"line":2,"error":"..","kind":"..","certainty":".."}
///
/// "line" counts every line from 1. "status" is the broker's: SEND_OK, FLUSH_DISK_TIMEOUT,
/// SLAVE_NOT_AVAILABLE or FLUSH_SLAVE_TIMEOUT, all of which mean stored. With --oneway no broker
/// says anything: "status" is ONEWAY, the other keys are null. "certainty" is NotSent, Rejected or
/// Unknown (it may be stored). A line that cannot be a message fails alone, the others go on.
///
/// Standard error gets a summary. Exit codes: 0 all sent; 1 a line failed, or the topic could not be
/// reached, which is found out before the first line is read; 2 wrong arguments; 130 interrupted:
/// Ctrl-C stops reading, waits for what is under way and reports it.
#[derive(Debug, Parser)]
#[command(name = "produce", verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The name servers.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT]")]
    pub(crate) namesrv: String,
    /// The topic that gets the messages.
    #[arg(long, value_parser = |name: &str| TopicName::new(name))]
    pub(crate) topic: TopicName,
    /// The producer group.
    #[arg(long, default_value = "produce")]
    pub(crate) group: String,
    /// The tag of every message.
    #[arg(long)]
    tag: Option<String>,
    /// Gives every message a key: this, followed by the number of its line.
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Sends batches of so many lines; smaller ones at the end of the input, and where more would not
    /// fit. Waits for the lines to come in. The members of a batch share a result, but each has its
    /// ids and offset.
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Sends without asking for an answer.
    #[arg(long, conflicts_with = "batch")]
    pub(crate) oneway: bool,
    /// The most lines under way. Up to 65536 more may wait for the result of an earlier line, since
    /// results come in input order.
    #[arg(long, value_name = "LINES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    in_flight: u32,
    /// The form of request headers.
    #[arg(long, value_enum, default_value = "json")]
    encoding: Encoding,
    /// Compresses bodies of at least so many bytes. Batches are not compressed.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    compress_over: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encoding {
    Json,
    Binary,
}

impl Arguments {
    /// Reads the command line; ends the process when that makes no sense.
    pub(crate) fn read() -> Self {
        let arguments = Self::parse();
        // What is wrong with every message is wrong with the arguments.
        if let Err(why) = arguments.message_of(u64::MAX, vec![0]).check(usize::MAX) {
            Self::command()
                .error(ErrorKind::ValueValidation, why)
                .exit();
        }
        arguments
    }

    /// The producer's settings.
    pub(crate) fn apply(&self, config: &mut Config) {
        config.serialize_type = match self.encoding {
            Encoding::Binary => SerializeType::Binary,
            Encoding::Json => SerializeType::Json,
        };
        config.compress_over = Some(self.compress_over);
        // The window bounds what is under way; a message's own time must not pass waiting for room.
        config.max_in_flight = config.max_in_flight.max(self.in_flight());
        config.max_oneway = config.max_oneway.max(self.in_flight());
    }

    /// The message of a line.
    pub(crate) fn message(&self, line: Line, limit: usize) -> Result<Message, InvalidMessage> {
        match line.body {
            Ok(body) => Ok(self.message_of(line.number, body)),
            Err(Overlong { len }) => Err(InvalidMessage::BodyTooLong { len, limit }),
        }
    }

    /// Why nothing can be sent.
    pub(crate) fn unreachable(&self, error: &SendError) -> String {
        let (topic, servers) = (&self.topic, &self.namesrv);
        format!("cannot send to {topic} of {servers}: {error}")
    }

    /// How many lines may be under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight as usize
    }

    /// How many lines make a batch, if batches are wanted.
    pub(crate) fn batch(&self) -> Option<usize> {
        self.batch.map(|lines| lines as usize)
    }

    fn message_of(&self, number: u64, body: Vec<u8>) -> Message {
        let mut message = Message::new(&self.topic, body);
        if let Some(tag) = &self.tag {
            message = message.tag(tag);
        }
        if let Some(prefix) = &self.key_prefix {
            message = message.key(format!("{prefix}{number}"));
        }
        message
    }
}
