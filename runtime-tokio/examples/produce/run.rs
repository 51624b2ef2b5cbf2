//! One run: lines come in, messages go out, results come in, reports go out; all of it in one task,
//! which waits for whatever comes first.

use std::future::ready;
use std::io::{self, Stdout};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use std::vec;

use rocketmq_tokio::{Batch, Producer, SendError};
use tokio::sync::{mpsc, watch};

use crate::complain;
use crate::lines::Line;
use crate::produce_args::Arguments;
use crate::produce_group::{Group, sized};
use crate::produce_report::Report;
use crate::window::{Room, Window};

/// For what is under way at the end; it has come to its own end before.
const GRACE: Duration = Duration::from_secs(5);
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

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
        match self.arguments.batch() {
            Some(members) => self.send_batches(members).await,
            None => self.send_lines().await,
        }
        self.drain().await;
        self.end().await
    }

    async fn send_lines(&mut self) {
        while let Some(line) = self.next_line().await {
            let number = line.number;
            let limit = self.producer.settings().max_message_size;
            match self.arguments.message(line, limit) {
                Ok(message) => {
                    let room = self.make_room(1, message.body().len()).await;
                    let (window, producer) = (&mut self.window, &self.producer);
                    if self.arguments.oneway {
                        window.send_oneway(producer, number, message, room);
                    } else {
                        window.send(producer, number, message, room).await;
                    }
                }
                Err(why) => self.refuse(number, why).await,
            }
        }
    }

    async fn send_batches(&mut self, members: usize) {
        let limit = self.producer.settings().max_message_size;
        let mut group = Group::default();
        while let Some(line) = self.next_line().await {
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
                Ok((message, bytes)) => {
                    self.send_group(&mut group).await;
                    let room = self.make_room(1, bytes).await;
                    let (window, producer) = (&mut self.window, &self.producer);
                    window.send(producer, number, message, room).await;
                }
                Err(why) => {
                    self.send_group(&mut group).await;
                    self.refuse(number, why).await;
                }
            }
        }
        self.send_group(&mut group).await;
    }

    async fn send_group(&mut self, group: &mut Group) {
        let group = std::mem::take(group);
        if group.lines.is_empty() {
            return;
        }
        let room = self.make_room(group.lines.len(), group.bytes).await;
        let (window, producer) = (&mut self.window, &self.producer);
        match Batch::new(group.messages) {
            Ok(batch) => window.send_batch(producer, group.lines, batch, room),
            Err(why) => window.refuse(group.lines, why.into()),
        }
    }

    async fn refuse(&mut self, line: u64, why: impl Into<SendError>) {
        self.make_room(1, 0).await;
        self.window.refuse(vec![line], why.into());
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
        if let Some(error) = &self.input_error {
            complain(format_args!("cannot read standard input: {error}"));
        }
        if let Some(error) = self.report.broken() {
            complain(format_args!("cannot write to standard output: {error}"));
        }
        complain(&summary);
        if *self.interrupted.borrow() {
            return INTERRUPTED.into();
        }
        let all_well =
            summary.failed == 0 && self.input_error.is_none() && self.report.broken().is_none();
        if all_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
