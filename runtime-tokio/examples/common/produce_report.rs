//! What `produce` says: a JSON object for each line, and a summary.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use rocketmq_engine::{SendError, SendReceipt};
use serde::Serialize;

/// What became of lines that went together: a receipt, none for oneway sends, or an error.
pub(crate) type Outcome = Result<Option<SendReceipt>, SendError>;

/// Writes what became of lines, and counts. After an error of the writer it only counts.
#[derive(Debug)]
pub(crate) struct Report<W: Write> {
    out: BufWriter<W>,
    broken: Option<io::Error>,
    begun: Instant,
    sent: u64,
    failed: u64,
}

/// The numbers of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) retries: u64,
    pub(crate) elapsed: Duration,
}

/// A line that was sent. The keys are written in the order of the fields.
#[derive(Serialize)]
struct Sent<'a> {
    line: u64,
    status: &'static str,
    message_id: Option<&'a str>,
    offset_message_id: Option<&'a str>,
    broker: Option<&'a str>,
    queue_id: Option<i32>,
    queue_offset: Option<i64>,
}

/// A line that was not.
#[derive(Serialize)]
struct Failed<'a> {
    line: u64,
    error: &'a str,
    kind: &'a str,
    certainty: &'a str,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(64 * 1024, out),
            broken: None,
            begun: Instant::now(),
            sent: 0,
            failed: 0,
        }
    }

    /// Reports lines that were sent as one message or batch.
    pub(crate) fn settled(&mut self, lines: &[u64], outcome: &Outcome) {
        let count = lines.len() as u64;
        match outcome {
            Ok(_) => self.sent += count,
            Err(_) => self.failed += count,
        }
        if self.broken.is_none() {
            let written = match outcome {
                Ok(Some(receipt)) => self.write_receipt(lines, receipt),
                Ok(None) => self.write_oneway(lines),
                Err(error) => self.write_error(lines, error),
            };
            self.broken = written.err();
        }
    }

    /// Whether something was written that nobody has seen yet.
    pub(crate) fn is_dirty(&self) -> bool {
        self.broken.is_none() && !self.out.buffer().is_empty()
    }

    pub(crate) fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.out.flush().err();
        }
    }

    /// Why nothing is written any more.
    pub(crate) fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    pub(crate) fn summary(&self, retries: u64) -> Summary {
        Summary {
            sent: self.sent,
            failed: self.failed,
            retries,
            elapsed: self.begun.elapsed(),
        }
    }

    /// A batch has one receipt: lists of ids, and the offset of the first member, which the others
    /// follow. Where a broker gives one id for all (PROTOCOL B.2), the members have none of their own.
    fn write_receipt(&mut self, lines: &[u64], receipt: &SendReceipt) -> io::Result<()> {
        let message_ids = Ids::new(&receipt.message_id, lines.len());
        let offset_ids = Ids::new(&receipt.offset_message_id, lines.len());
        for (index, &line) in lines.iter().enumerate() {
            self.write(&Sent {
                line,
                status: receipt.status.name(),
                message_id: message_ids.of(index),
                offset_message_id: offset_ids.of(index),
                broker: Some(&receipt.queue.broker),
                queue_id: Some(receipt.queue.id),
                queue_offset: Some(receipt.queue_offset.saturating_add(index as i64)),
            })?;
        }
        Ok(())
    }

    fn write_oneway(&mut self, lines: &[u64]) -> io::Result<()> {
        lines.iter().try_for_each(|&line| {
            self.write(&Sent {
                line,
                status: "ONEWAY",
                message_id: None,
                offset_message_id: None,
                broker: None,
                queue_id: None,
                queue_offset: None,
            })
        })
    }

    fn write_error(&mut self, lines: &[u64], error: &SendError) -> io::Result<()> {
        let text = error.to_string();
        let kind = error.kind().to_string();
        let certainty = error.certainty().to_string();
        lines.iter().try_for_each(|&line| {
            self.write(&Failed {
                line,
                error: &text,
                kind: &kind,
                certainty: &certainty,
            })
        })
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// The ids of a receipt, one for each member.
struct Ids<'a>(Vec<&'a str>);

impl<'a> Ids<'a> {
    fn new(list: &'a str, members: usize) -> Self {
        let ids: Vec<_> = list.split(',').collect();
        Self(if ids.len() == members {
            ids
        } else {
            Vec::new()
        })
    }

    fn of(&self, member: usize) -> Option<&'a str> {
        self.0.get(member).copied().filter(|id| !id.is_empty())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            failed,
            retries,
            elapsed,
        } = self;
        let rate = *sent as f64 / elapsed.as_secs_f64().max(1e-9);
        write!(
            f,
            "sent {sent}, failed {failed}, retries {retries}, {rate:.0}/s, {elapsed:.2?}"
        )
    }
}
