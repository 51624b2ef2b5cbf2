//! One run: lines come in, messages go out.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rocketmq_blocking::{Batch, Message, Producer, SendError};

use crate::input::Input;
use crate::produce_args::Arguments;
use crate::produce_end::{GRACE, end};
use crate::produce_units::{Group, Unit, Units};
use crate::reports::Reports;

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
        let limit = self.producer.settings().max_message_size;
        let mut units = Units::new(&self.arguments, limit);
        while let Some(line) = self.input.next_line() {
            for unit in units.next(&self.arguments, line).into_iter().flatten() {
                self.send(unit);
            }
        }
        if let Some(rest) = units.rest() {
            self.send(rest);
        }
        let report = self.reports.finish();
        let summary = report.summary(self.producer.stats().retries);
        self.producer.shutdown(GRACE);
        let interrupted = self.input.is_interrupted();
        end(&summary, &report, self.input.error(), interrupted)
    }

    fn send(&self, unit: Unit) {
        let (_, bytes) = unit.size();
        match unit {
            Unit::Batch(group) => self.send_group(group),
            Unit::Message(line, message) if self.arguments.oneway => {
                let outcome = self.producer.send_oneway(message).map(|()| None);
                let _ = self.reports.next(vec![line]).send(outcome);
            }
            Unit::Message(line, message) => self.send_message(line, message, bytes),
            Unit::Refused(line, why) => self.refuse(vec![line], why),
        }
    }

    /// Messages leave in the order of these calls.
    fn send_message(&self, line: u64, message: Message, bytes: usize) {
        let room = self.room.clone();
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

    /// One after the other: batches are large enough for that.
    fn send_group(&self, group: Group) {
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
