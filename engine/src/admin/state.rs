//! How far a request is.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{AdminAnswer, QueryResult};
use super::request::AdminRequest;
use crate::error::{AttemptFailure, AttemptReport};
use crate::io::{ConnId, Endpoint, FrameSeq};
use crate::peer::PeerId;
use crate::route::TopicId;

/// Bytes of answers that one query may hold: a few frames full. What brokers answer beyond it counts
/// as not answered.
const MAX_HELD: usize = 64 * 1024 * 1024;
/// Servers that one request asks at once; the others wait for their turn.
pub(super) const WIDTH: usize = 16;
/// Tries to create a topic on one broker (PROTOCOL B.8).
const CREATE_TRIES: u32 = 5;

/// An admin request under way.
#[derive(Debug)]
pub(crate) struct AdminOp {
    pub(super) request: AdminRequest,
    /// The route that it waits for, before anybody can be asked.
    pub(super) route: Option<TopicId>,
    /// Whether that route was asked for once already.
    pub(super) refreshed: bool,
    pub(super) targets: Vec<Target>,
    pub(super) found: Found,
}

/// One server to be asked.
#[derive(Debug)]
pub(super) struct Target {
    /// The broker's name, or "name server".
    pub(super) name: Arc<str>,
    /// Where it is dialled: of a broker the VIP port, if that is wanted.
    pub(super) address: Option<Endpoint>,
    /// Whether it is known to be a broker's master, which gets heartbeats.
    pub(super) is_master: bool,
    pub(super) state: TargetState,
    /// Tries begun.
    pub(super) tries: u32,
    /// Whether GO_AWAY was answered once already in this try (E.13).
    pub(super) gone_away: bool,
    pub(super) began: Instant,
    /// When the present try must be over.
    pub(super) by: Instant,
    /// How the last try failed.
    pub(super) failure: Option<AttemptReport>,
    /// Whether that was an answer: there is no such message.
    pub(super) has_nothing: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TargetState {
    /// It has answered, or its last try failed.
    Over,
    Connecting(PeerId),
    InFlight {
        conn: ConnId,
        opaque: i32,
        seq: FrameSeq,
    },
    /// Its turn, or its next try, is yet to come.
    Waiting,
}

/// What the servers have answered so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) answer: Option<AdminAnswer>,
    held: usize,
}

/// How the servers of a request are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// All of them, and all answers count.
    All,
    /// One after the other, until one has answered.
    First,
}

impl AdminOp {
    pub(super) fn new(request: AdminRequest) -> Self {
        Self {
            request,
            route: None,
            refreshed: false,
            targets: Vec::new(),
            found: Found::default(),
        }
    }

    pub(super) fn manner(&self) -> Manner {
        match self.request {
            AdminRequest::CreateTopic(_) | AdminRequest::Query(_) => Manner::All,
            _ => Manner::First,
        }
    }

    pub(super) fn width(&self) -> usize {
        match self.manner() {
            Manner::All => WIDTH,
            Manner::First => 1,
        }
    }

    pub(super) fn tries(&self) -> u32 {
        match self.request {
            AdminRequest::CreateTopic(_) => CREATE_TRIES,
            _ => 1,
        }
    }

    /// Whether no server need be asked any more.
    pub(super) fn is_settled(&self) -> bool {
        let has_answer = self.manner() == Manner::First && self.found.answer.is_some();
        has_answer || self.targets.iter().all(|t| t.state == TargetState::Over)
    }

    /// Parts that the time left is to be divided into: rounds of asking that are still to come.
    pub(super) fn rounds(&self, target: usize) -> u32 {
        let waiting = self.targets.iter();
        let waiting = waiting.filter(|t| t.state == TargetState::Waiting).count();
        let tries = self.targets.get(target).map_or(0, |target| target.tries);
        let turns = waiting.div_ceil(self.width()).max(1) as u32;
        // One that looks into the store first asks the index as well.
        let phases = 1 + u32::from(matches!(self.request, AdminRequest::Find { .. }));
        turns
            .saturating_mul(self.tries().saturating_sub(tries).max(1))
            .saturating_mul(phases)
    }

    /// Requests that are out, and on which connection.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (ConnId, i32)> {
        self.targets.iter().filter_map(|target| match target.state {
            TargetState::InFlight { conn, opaque, .. } => Some((conn, opaque)),
            _ => None,
        })
    }

    /// The first end of a wait for a server.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let busy = self.targets.iter().filter(|target| target.is_busy());
        busy.map(|target| target.by).min()
    }

    /// How the last try with each server failed, those that answered that there is nothing aside.
    pub(super) fn failures(&self) -> Vec<AttemptReport> {
        let failed = self.targets.iter().filter(|target| !target.has_nothing);
        failed.filter_map(|target| target.failure.clone()).collect()
    }

    /// The same with all answers.
    pub(super) fn reports(&self) -> Vec<AttemptReport> {
        let targets = self.targets.iter();
        targets
            .filter_map(|target| target.failure.clone())
            .collect()
    }
}

impl Target {
    pub(super) fn new(name: impl Into<Arc<str>>, address: Option<Endpoint>, now: Instant) -> Self {
        Self {
            name: name.into(),
            address,
            is_master: false,
            state: TargetState::Waiting,
            tries: 0,
            gone_away: false,
            began: now,
            by: now,
            failure: None,
            has_nothing: false,
        }
    }

    pub(super) fn master(name: impl Into<Arc<str>>, address: Endpoint, now: Instant) -> Self {
        Self {
            is_master: true,
            ..Self::new(name, Some(address), now)
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self.state,
            TargetState::Connecting(_) | TargetState::InFlight { .. }
        )
    }

    pub(super) fn failed(&mut self, now: Instant, mapped: Option<Endpoint>, cause: AttemptFailure) {
        self.failure = Some(AttemptReport {
            broker: self.name.clone(),
            address: self.address.clone(),
            mapped,
            elapsed: now.saturating_duration_since(self.began),
            cause,
        });
    }
}

impl Found {
    /// Adds a server's answer to those before.
    pub(super) fn add(
        &mut self,
        from: &Arc<str>,
        answer: AdminAnswer,
        len: usize,
    ) -> Result<(), AttemptFailure> {
        match (&mut self.answer, answer) {
            (known, AdminAnswer::Created(mut created)) => {
                if let Some(AdminAnswer::Created(before)) = known {
                    created.brokers.append(&mut before.brokers);
                }
                created.brokers.push(from.clone());
                *known = Some(AdminAnswer::Created(created));
            }
            (known, AdminAnswer::Messages(more)) => {
                if !more.messages.is_empty() && self.held + len > MAX_HELD {
                    return Err(AttemptFailure::BadAnswer(format!(
                        "{len} bytes of messages are more than one query holds, which is {MAX_HELD} \
                         bytes; ask for a shorter time"
                    )));
                }
                self.held += len;
                match known {
                    Some(AdminAnswer::Messages(before)) => before.join(more),
                    _ => *known = Some(AdminAnswer::Messages(more)),
                }
            }
            (known, answer) => *known = Some(answer),
        }
        Ok(())
    }
}

impl QueryResult {
    fn join(&mut self, more: Self) {
        self.messages.extend(more.messages);
        self.index_updated_at_ms = self.index_updated_at_ms.min(more.index_updated_at_ms);
    }
}
