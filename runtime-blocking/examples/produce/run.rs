//! One run: lines come in, messages go out.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocketmq_blocking::{Batch, Message, Producer, SendError};

use crate::complain;
use crate::input::Input;
use crate::produce_args::Arguments;
use crate::produce_group::{Group, sized};
use crate::reports::Reports;

/// For what is under way at the end; it has come to its own end before.
const GRACE: Duration = Duration::from_secs(5);
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// Bodies under way at most, in bytes. Below the producer's own bound (100 MiB), so that no message
/// spends its time waiting for room there.
const BYTES: usize = 64 * 1024 * 1024;

/// A run from the first line to the summary.
pub(crate) struct Run {
    arguments: Arguments,
    producer: Producer,
    input: Input,
    room: Arc<Room>,
    reports: Reports,
}

/// What is under way: lines and bytes.
#[derive(Default)]
struct Room {
    taken: Mutex<(usize, usize)>,
    freed: Condvar,
}

impl Run {
    pub(crate) fn new(arguments: Arguments, producer: Producer, input: Input) -> Self {
        let reports = Reports::start(input.stop());
        Self {
            arguments,
            producer,
            input,
            room: Arc::default(),
            reports,
        }
    }

    /// Sends all lines and waits for all results.
    pub(crate) fn finish(mut self) -> ExitCode {
        match self.arguments.batch() {
            Some(members) => self.send_batches(members),
            None => self.send_lines(),
        }
        let report = self.reports.finish();
        let summary = report.summary(self.producer.stats().retries);
        self.producer.shutdown(GRACE);
        if let Some(error) = self.input.error() {
            complain(format_args!("cannot read standard input: {error}"));
        }
        if let Some(error) = report.broken() {
            complain(format_args!("cannot write to standard output: {error}"));
        }
        complain(&summary);
        if self.input.is_interrupted() {
            return INTERRUPTED.into();
        }
        let well = self.input.error().is_none() && report.broken().is_none();
        if well && summary.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn send_lines(&mut self) {
        let limit = self.producer.settings().max_message_size;
        while let Some(line) = self.input.next_line() {
            let number = line.number;
            match self.arguments.message(line, limit) {
                Ok(message) if self.arguments.oneway => self.send_oneway(number, message),
                Ok(message) => self.send(number, message),
                Err(why) => self.refuse(vec![number], why.into()),
            }
        }
    }

    fn send_batches(&mut self, members: usize) {
        let limit = self.producer.settings().max_message_size;
        let mut group = Group::default();
        while let Some(line) = self.input.next_line() {
            let number = line.number;
            let member = self.arguments.message(line, limit).map_err(SendError::from);
            match member.and_then(sized) {
                Ok((message, bytes)) if bytes <= limit => {
                    if group.bytes + bytes > limit {
                        self.send_group(&mut group);
                    }
                    group.add(number, message, bytes);
                    if group.lines.len() == members {
                        self.send_group(&mut group);
                    }
                }
                // The lines before it come before it.
                Ok((message, _)) => {
                    self.send_group(&mut group);
                    self.send(number, message);
                }
                Err(why) => {
                    self.send_group(&mut group);
                    self.refuse(vec![number], why);
                }
            }
        }
        self.send_group(&mut group);
    }

    /// Messages leave in the order of these calls.
    fn send(&self, line: u64, message: Message) {
        let room = self.room.clone();
        let bytes = message.body().len();
        room.take(bytes, self.arguments.in_flight());
        match self.producer.enqueue(message) {
            Ok(delivery) => {
                let tell = self.reports.next(vec![line]);
                delivery.on_done(move |outcome| {
                    room.free(bytes);
                    // Nobody listens any more when this fails.
                    let _ = tell.send(outcome.map(Some));
                });
            }
            Err(error) => {
                room.free(bytes);
                self.refuse(vec![line], error);
            }
        }
    }

    fn send_oneway(&self, line: u64, message: Message) {
        let outcome = self.producer.send_oneway(message).map(|()| None);
        let _ = self.reports.next(vec![line]).send(outcome);
    }

    /// One after the other: batches are large enough for that.
    fn send_group(&self, group: &mut Group) {
        let group = std::mem::take(group);
        if group.lines.is_empty() {
            return;
        }
        let batch = Batch::new(group.messages).map_err(SendError::from);
        let outcome = batch
            .and_then(|batch| self.producer.send_batch(batch))
            .map(Some);
        let _ = self.reports.next(group.lines).send(outcome);
    }

    /// Lines that cannot be sent, in their place among the others.
    fn refuse(&self, lines: Vec<u64>, error: SendError) {
        let _ = self.reports.next(lines).send(Err(error));
    }
}

impl Room {
    /// Waits for room for one more line. What is larger than all room gets all of it.
    fn take(&self, bytes: usize, lines: usize) {
        let full = |taken: &mut (usize, usize)| {
            taken.0 >= lines || (taken.0 > 0 && taken.1 + bytes > BYTES)
        };
        let taken = self.freed.wait_while(self.lock(), full);
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        *taken = (taken.0 + 1, taken.1 + bytes);
    }

    fn free(&self, bytes: usize) {
        let mut taken = self.lock();
        *taken = (taken.0 - 1, taken.1 - bytes);
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, (usize, usize)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
