//! One run: lines come in, messages go out, results come in, reports go out; all of it in one task,
//! which waits for whatever comes first.

use std::future::ready;
use std::io::{self, Stdout};
use std::pin::pin;
use std::process::ExitCode;
use std::vec;

use rocketmq_tokio::{Batch, Producer};
use tokio::sync::{mpsc, watch};

use crate::lines::Line;
use crate::produce_args::Arguments;
use crate::produce_end::{GRACE, end};
use crate::produce_report::Report;
use crate::produce_units::{Unit, Units};
use crate::window::{Room, Window};

/// The lines, part by part, as they are read.
pub(crate) type Input = mpsc::Receiver<io::Result<Vec<Line>>>;

/// A run from the first line to the summary.
pub(crate) struct Run {
    arguments: Arguments,
    producer: Producer,
    window: Window,
    report: Report<Stdout>,
    input: Input,
    /// What is left of the last part that was read.
    part: vec::IntoIter<Line>,
    input_error: Option<io::Error>,
    interrupted: watch::Receiver<bool>,
}

impl Run {
    pub(crate) fn new(
        arguments: Arguments,
        producer: Producer,
        input: Input,
        interrupted: watch::Receiver<bool>,
    ) -> Self {
        Self {
            window: Window::new(arguments.in_flight()),
            report: Report::new(io::stdout()),
            arguments,
            producer,
            input,
            part: Vec::new().into_iter(),
            input_error: None,
            interrupted,
        }
    }

    /// Sends all lines and waits for all results.
    pub(crate) async fn finish(mut self) -> ExitCode {
        let mut units = Units::new(&self.arguments, self.producer.settings().max_message_size);
        while let Some(line) = self.next_line().await {
            for unit in units.next(&self.arguments, line).into_iter().flatten() {
                self.send(unit).await;
            }
        }
        if let Some(rest) = units.rest() {
            self.send(rest).await;
        }
        self.drain().await;
        self.end().await
    }

    /// Messages leave in the order of these calls.
    async fn send(&mut self, unit: Unit) {
        let (lines, bytes) = unit.size();
        let room = self.make_room(lines, bytes).await;
        let (window, producer) = (&mut self.window, &self.producer);
        match unit {
            Unit::Batch(group) => match Batch::new(group.messages) {
                Ok(batch) => window.send_batch(producer, group.lines, batch, room),
                Err(why) => window.refuse(group.lines, why.into()),
            },
            Unit::Message(line, message) if self.arguments.oneway => {
                window.send_oneway(producer, line, message, room);
            }
            Unit::Message(line, message) => window.send(producer, line, message, room).await,
            Unit::Refused(line, why) => window.refuse(vec![line], why),
        }
    }

    /// The next line, while results are reported as they come. `None` at the end of the input, after
    /// Ctrl-C, and when nobody reads the results.
    async fn next_line(&mut self) -> Option<Line> {
        loop {
            if *self.interrupted.borrow() || self.report.broken().is_some() {
                return None;
            }
            if let Some(line) = self.part.next() {
                return Some(line);
            }
            tokio::select! {
                biased;
                _ = self.interrupted.wait_for(|interrupted| *interrupted) => return None,
                (lines, outcome) = self.window.next(), if !self.window.is_empty() => {
                    self.report.settled(&lines, &outcome);
                }
                part = self.input.recv() => match part {
                    Some(Ok(lines)) => self.part = lines.into_iter(),
                    Some(Err(error)) => self.input_error = Some(error),
                    None => return None,
                },
                () = ready(()), if self.report.is_dirty() => self.report.flush(),
            }
        }
    }

    /// Waits until so much more may be under way, while results are reported as they come.
    async fn make_room(&mut self, lines: usize, bytes: usize) -> Room {
        while self.window.is_full() {
            self.report_one().await;
        }
        let mut room = pin!(self.window.room(lines, bytes));
        loop {
            tokio::select! {
                biased;
                room = &mut room => return room,
                () = self.report_one() => {}
            }
        }
    }

    async fn drain(&mut self) {
        while !self.window.is_empty() {
            self.report_one().await;
        }
        self.report.flush();
    }

    /// Reports the oldest result. Whoever reads them gets what there is before this waits.
    async fn report_one(&mut self) {
        tokio::select! {
            biased;
            (lines, outcome) = self.window.next() => self.report.settled(&lines, &outcome),
            () = ready(()), if self.report.is_dirty() => self.report.flush(),
        }
    }

    async fn end(self) -> ExitCode {
        let summary = self.report.summary(self.producer.stats().retries);
        self.producer.shutdown(GRACE).await;
        let interrupted = *self.interrupted.borrow();
        end(
            &summary,
            &self.report,
            self.input_error.as_ref(),
            interrupted,
        )
    }
}
