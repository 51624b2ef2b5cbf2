//! What `produce` does, on any executor: lines come in, messages go out in one task, results are
//! reported in another. `--help` says what goes in and what comes out.

use std::future::{Future, ready};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::vec;

use async_signal::{Signal, Signals};
use rocketmq_async_std::{Batch, Producer};
use smol::channel::{Receiver, Sender, bounded};
use smol::stream::StreamExt;

use crate::executor;
use crate::flights::{Flight, Permit, Room, report_all};
use crate::lines::{Line, read_lines};
use crate::produce_args::Arguments;
use crate::produce_end::{GRACE, WRONG_ARGUMENTS, complain, end};
use crate::produce_report::{Outcome, Report};
use crate::produce_units::{Unit, Units};

/// Parts of the input that are read ahead.
const READ_AHEAD: usize = 4;
/// Flights that may wait for the result of an earlier one: a slow one does not stop the others at
/// once.
const WAITING: usize = 64 * 1024;

/// The lines, part by part, as they are read.
type Input = Receiver<io::Result<Vec<Line>>>;

pub(crate) fn main() -> ExitCode {
    executor::block_on(produce(Arguments::read()))
}

async fn produce(arguments: Arguments) -> ExitCode {
    let started = Producer::builder(&arguments.group)
        .name_servers([&arguments.namesrv])
        .config(|config| arguments.apply(config))
        .start_with(executor::background);
    let producer = match started {
        Ok(producer) => producer,
        Err(error) => {
            complain(error);
            return WRONG_ARGUMENTS.into();
        }
    };
    if let Err(error) = producer.ready(&arguments.topic).await {
        complain(arguments.unreachable(&error));
        return ExitCode::FAILURE;
    }

    let input = read_ahead(producer.settings().max_message_size);
    let interrupted = Arc::new(AtomicBool::new(false));
    let watching = executor::spawn(watch_for_interrupt(interrupted.clone(), input.clone()));
    let broken = Arc::new(AtomicBool::new(false));
    let (flights, results) = bounded(WAITING);
    let report = Report::new(io::stdout());
    let reporting = executor::spawn(report_all(results, report, broken.clone()));
    let sending = Sending {
        room: Room::new(arguments.in_flight()),
        producer: producer.clone(),
        arguments,
        flights,
        input,
        part: Vec::new().into_iter(),
        stops: [interrupted.clone(), broken],
    };
    let input_error = sending.run().await;
    let report = reporting.await;
    let summary = report.summary(producer.stats().retries);
    producer.shutdown(GRACE).await;
    drop(watching);
    let interrupted = interrupted.load(Ordering::Relaxed);
    end(&summary, &report, input_error.as_ref(), interrupted)
}

/// The task that sends.
struct Sending {
    arguments: Arguments,
    producer: Producer,
    room: Arc<Room>,
    flights: Sender<Flight>,
    input: Input,
    /// What is left of the last part that was read.
    part: vec::IntoIter<Line>,
    /// Ctrl-C, and nobody who reads the results.
    stops: [Arc<AtomicBool>; 2],
}

impl Sending {
    /// Sends all lines; returns why they could not all be read.
    async fn run(mut self) -> Option<io::Error> {
        self.send_all().await.err()
    }

    async fn send_all(&mut self) -> io::Result<()> {
        let limit = self.producer.settings().max_message_size;
        let mut units = Units::new(&self.arguments, limit);
        while let Some(line) = self.next_line().await? {
            for unit in units.next(&self.arguments, line).into_iter().flatten() {
                self.send(unit).await;
            }
        }
        if let Some(rest) = units.rest() {
            self.send(rest).await;
        }
        Ok(())
    }

    /// Messages leave in the order of these calls.
    async fn send(&self, unit: Unit) {
        let (lines, bytes) = unit.size();
        let permit = self.room.take(lines, bytes).await;
        match unit {
            Unit::Batch(group) => match Batch::new(group.messages) {
                Ok(batch) => {
                    let sending = self.producer.send_batch(batch);
                    let outcome = async { sending.await.map(Some) };
                    self.push(group.lines, under_way(permit, outcome)).await;
                }
                Err(why) => self.push(group.lines, ready(Err(why.into()))).await,
            },
            Unit::Message(line, message) if self.arguments.oneway => {
                let sending = self.producer.send_oneway(message);
                let outcome = async { sending.await.map(|()| None) };
                self.push(vec![line], under_way(permit, outcome)).await;
            }
            Unit::Message(line, message) => match self.producer.enqueue(message).await {
                Ok(delivery) => {
                    let outcome = async { delivery.await.map(Some) };
                    self.push(vec![line], under_way(permit, outcome)).await;
                }
                Err(error) => self.push(vec![line], ready(Err(error))).await,
            },
            Unit::Refused(line, why) => self.push(vec![line], ready(Err(why))).await,
        }
    }

    async fn push(&self, lines: Vec<u64>, outcome: impl Future<Output = Outcome> + Send + 'static) {
        let outcome = Box::pin(outcome);
        // Refused only when the reporting task is gone, and it outlives this one.
        let _ = self.flights.send(Flight { lines, outcome }).await;
    }

    /// The next line. `None` at the end of the input, after Ctrl-C, and when nobody reads the results.
    async fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.stops.iter().any(|stop| stop.load(Ordering::Relaxed)) {
                return Ok(None);
            }
            if let Some(line) = self.part.next() {
                return Ok(Some(line));
            }
            match self.input.recv().await {
                Ok(part) => self.part = part?.into_iter(),
                Err(_) => return Ok(None),
            }
        }
    }
}

/// A task of its own, so that it gives its room back whoever is waited for.
fn under_way(
    permit: Permit,
    outcome: impl Future<Output = Outcome> + Send + 'static,
) -> impl Future<Output = Outcome> + Send + 'static {
    executor::spawn(async move {
        let outcome = outcome.await;
        drop(permit);
        outcome
    })
}

/// Standard input has no asynchronous form that can be given up; a thread of its own can.
fn read_ahead(limit: usize) -> Input {
    let (lines, input) = bounded(READ_AHEAD);
    thread::spawn(move || {
        let take = |part| lines.send_blocking(Ok(part)).is_ok();
        if let Err(error) = read_lines(io::stdin().lock(), limit, take) {
            // Nobody is left to tell when this fails.
            let _ = lines.send_blocking(Err(error));
        }
    });
    input
}

/// Closes the input at Ctrl-C.
async fn watch_for_interrupt(interrupted: Arc<AtomicBool>, input: Input) {
    match Signals::new([Signal::Int]) {
        Ok(mut signals) => {
            let _ = signals.next().await;
            interrupted.store(true, Ordering::Relaxed);
            input.close();
            // Held, so that another Ctrl-C changes nothing.
            std::future::pending().await
        }
        Err(error) => complain(format_args!("cannot watch for Ctrl-C: {error}")),
    }
}
