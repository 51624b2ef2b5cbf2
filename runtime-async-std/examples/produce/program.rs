//! What `produce` does, on any executor: lines come in, messages go out in one task, results are
//! reported in another. `--help` says what goes in and what comes out.

use std::future::{Future, ready};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use std::vec;

use async_signal::{Signal, Signals};
use rocketmq_async_std::{Batch, Message, Producer, SendError};
use smol::channel::{Receiver, Sender, bounded};
use smol::stream::StreamExt;

use crate::executor;
use crate::flights::{Flight, Permit, Room, report_all};
use crate::lines::{Line, read_lines};
use crate::produce_args::Arguments;
use crate::produce_group::{Group, sized};
use crate::produce_report::{Outcome, Report};

/// Parts of the input that are read ahead.
const READ_AHEAD: usize = 4;
/// Flights that may wait for the result of an earlier one: a slow one does not stop the others at
/// once.
const WAITING: usize = 64 * 1024;
/// For what is under way at the end; it has come to its own end before.
const GRACE: Duration = Duration::from_secs(5);
/// As clap ends for wrong arguments.
const WRONG_ARGUMENTS: u8 = 2;
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

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
        let (topic, servers) = (&arguments.topic, &arguments.namesrv);
        complain(format_args!("cannot send to {topic} of {servers}: {error}"));
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
    let code = end(&producer, &report, input_error, &interrupted).await;
    drop(watching);
    code
}

async fn end(
    producer: &Producer,
    report: &Report<io::Stdout>,
    input_error: Option<io::Error>,
    interrupted: &AtomicBool,
) -> ExitCode {
    let summary = report.summary(producer.stats().retries);
    producer.shutdown(GRACE).await;
    if let Some(error) = &input_error {
        complain(format_args!("cannot read standard input: {error}"));
    }
    if let Some(error) = report.broken() {
        complain(format_args!("cannot write to standard output: {error}"));
    }
    complain(&summary);
    if interrupted.load(Ordering::Relaxed) {
        return INTERRUPTED.into();
    }
    let all_well = summary.failed == 0 && input_error.is_none() && report.broken().is_none();
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
        let sent = match self.arguments.batch() {
            Some(members) => self.send_batches(members).await,
            None => self.send_lines().await,
        };
        sent.err()
    }

    async fn send_lines(&mut self) -> io::Result<()> {
        let limit = self.producer.settings().max_message_size;
        while let Some(line) = self.next_line().await? {
            let number = line.number;
            match self.arguments.message(line, limit) {
                Ok(message) => self.send_message(number, message).await,
                Err(why) => self.push(vec![number], ready(Err(why.into()))).await,
            }
        }
        Ok(())
    }

    async fn send_batches(&mut self, members: usize) -> io::Result<()> {
        let limit = self.producer.settings().max_message_size;
        let mut group = Group::default();
        while let Some(line) = self.next_line().await? {
            let number = line.number;
            let member = self.arguments.message(line, limit).map_err(SendError::from);
            match member.and_then(sized) {
                Ok((message, bytes)) if bytes <= limit => {
                    if group.bytes + bytes > limit {
                        self.send_group(&mut group).await;
                    }
                    group.add(number, message, bytes);
                    if group.lines.len() == members {
                        self.send_group(&mut group).await;
                    }
                }
                // The lines before it come before it.
                Ok((message, _)) => {
                    self.send_group(&mut group).await;
                    self.send_message(number, message).await;
                }
                Err(why) => {
                    self.send_group(&mut group).await;
                    self.push(vec![number], ready(Err(why))).await;
                }
            }
        }
        self.send_group(&mut group).await;
        Ok(())
    }

    /// Messages leave in the order of these calls.
    async fn send_message(&self, line: u64, message: Message) {
        let permit = self.room.take(1, message.body().len()).await;
        if self.arguments.oneway {
            let sending = self.producer.send_oneway(message);
            let outcome = async { sending.await.map(|()| None) };
            return self.push(vec![line], under_way(permit, outcome)).await;
        }
        match self.producer.enqueue(message).await {
            Ok(delivery) => {
                let outcome = async { delivery.await.map(Some) };
                self.push(vec![line], under_way(permit, outcome)).await;
            }
            Err(error) => self.push(vec![line], ready(Err(error))).await,
        }
    }

    async fn send_group(&self, group: &mut Group) {
        let group = std::mem::take(group);
        if group.lines.is_empty() {
            return;
        }
        let permit = self.room.take(group.lines.len(), group.bytes).await;
        match Batch::new(group.messages) {
            Ok(batch) => {
                let sending = self.producer.send_batch(batch);
                let outcome = async { sending.await.map(Some) };
                self.push(group.lines, under_way(permit, outcome)).await;
            }
            Err(why) => self.push(group.lines, ready(Err(why.into()))).await,
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

/// Tells it on standard error, and does not mind when nobody listens.
fn complain(what: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "produce: {what}");
}
