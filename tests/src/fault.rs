//! The fault script: which requests go wrong, and how.

use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::{CommandView, RequestCode, ResponseCode};
use thiserror::Error;

use crate::{request::topic_of, rng::Rng};

/// The most rules that one script holds.
pub const MAX_RULES: usize = 1024;

/// What goes wrong with one request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Answer with this code and remark and no header, without processing the request.
    ///
    /// With FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE and FLUSH_SLAVE_TIMEOUT (10, 11, 12) the request *is*
    /// processed and a successful answer gets this code instead of 0, since that is how a broker answers a
    /// send that it stored (PROTOCOL J.2 `ok`).
    Answer {
        /// The code of the answer.
        code: ResponseCode,
        /// Its text.
        remark: Option<String>,
    },
    /// Process the request and answer it two times.
    AnswerTwice,
    /// Process the request at once, answer it this much later. Other answers overtake it.
    Delay(Duration),
    /// Write these bytes instead of an answer, without processing the request.
    Garbage(Bytes),
    /// Answer GO_AWAY (1500) without processing the request (PROTOCOL E.13).
    GoAway,
    /// Process the request, never answer it: the sender cannot know that it was stored.
    NeverAnswer,
    /// Write the head of a frame that claims 2 GiB, without processing the request.
    OversizedFrame,
    /// Process the request, write the first bytes of the answer, then reset the connection.
    ResetAfterBytes(usize),
    /// Process the request, then reset the connection instead of answering.
    ResetAfterProcessing,
    /// Reset the connection as if the request had never arrived.
    ResetBeforeProcessing,
    /// Neither process nor answer the request.
    Swallow,
}

impl Fault {
    /// Flow control: the processor rejects requests (PROTOCOL J.1).
    pub fn reject_request() -> Self {
        Self::busy("[REJECTREQUEST]system busy, start flow control for a while")
    }

    /// Flow control: the pool's queue is full (PROTOCOL J.1).
    pub fn overload() -> Self {
        Self::busy("[OVERLOAD]system busy, start flow control for a while")
    }

    /// Flow control: the request waited too long in the send queue (PROTOCOL J.1).
    pub fn queue_timeout(waited_ms: u64, queue_size: usize) -> Self {
        Self::busy(format!(
            "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, \
             period in queue: {waited_ms}ms, size of queue: {queue_size}"
        ))
    }

    /// Flow control: the page cache was busy while the request was queued (PROTOCOL J.1).
    pub fn page_cache_busy_in_queue(waited_ms: u64, queue_size: usize) -> Self {
        Self::busy(format!(
            "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, \
             period in queue: {waited_ms}ms, size of queue: {queue_size}"
        ))
    }

    fn busy(remark: impl Into<String>) -> Self {
        Self::Answer {
            code: ResponseCode::SYSTEM_BUSY,
            remark: Some(remark.into()),
        }
    }
}

/// A fault and the requests that it hits: every request, unless narrowed.
///
/// ```
/// use rocketmq_testkit::{Fault, FaultRule};
///
/// // The third send to `orders` is stored but never answered.
/// let rule = FaultRule::new(Fault::NeverAnswer).sends().topic("orders").nth(3);
/// ```
#[derive(Clone, Debug)]
pub struct FaultRule {
    fault: Fault,
    codes: Vec<i32>,
    topic: Option<String>,
    turn: Turn,
    times: Option<u64>,
    matched: u64,
    fired: u64,
}

#[derive(Clone, Debug)]
enum Turn {
    Always,
    Nth(u64),
    Every(u64),
    Chance { per_million: u32, rng: Rng },
}

impl FaultRule {
    /// A rule that hits every request, always.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            codes: Vec::new(),
            topic: None,
            turn: Turn::Always,
            times: None,
            matched: 0,
            fired: 0,
        }
    }

    /// Only requests with this code; repeat it for several.
    pub fn code(mut self, code: RequestCode) -> Self {
        self.codes.push(code.0);
        self
    }

    /// Only sends in any form: codes 10, 310 and 320.
    pub fn sends(self) -> Self {
        self.code(RequestCode::SEND_MESSAGE)
            .code(RequestCode::SEND_MESSAGE_V2)
            .code(RequestCode::SEND_BATCH_MESSAGE)
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only the n-th request that fits, counted from 1; zero counts as 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.turn = Turn::Nth(n.max(1));
        self
    }

    /// Every n-th request that fits: the n-th, the 2n-th, and so on; zero counts as 1.
    pub fn every(mut self, n: u64) -> Self {
        self.turn = Turn::Every(n.max(1));
        self
    }

    /// Each request that fits with this probability (0.0 to 1.0, to a millionth), drawn from the seed: the same
    /// seed and the same requests give the same faults.
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        let per_million = (probability.clamp(0.0, 1.0) * 1e6).round() as u32;
        self.turn = Turn::Chance {
            per_million,
            rng: Rng::new(seed),
        };
        self
    }

    /// At most so many times; then the rule is gone.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    fn fits(&self, request: &CommandView<'_>) -> bool {
        if !self.codes.is_empty() && !self.codes.contains(&request.code) {
            return false;
        }
        let Some(topic) = &self.topic else {
            return true;
        };
        topic_of(request).is_some_and(|of| of == topic.as_str())
    }

    fn fires(&mut self) -> bool {
        self.matched += 1;
        let fires = match &mut self.turn {
            Turn::Always => true,
            Turn::Nth(n) => self.matched == *n,
            Turn::Every(n) => self.matched % *n == 0,
            Turn::Chance { per_million, rng } => rng.below(1_000_000) < u64::from(*per_million),
        };
        self.fired += u64::from(fires);
        fires
    }

    fn is_spent(&self) -> bool {
        let once = matches!(self.turn, Turn::Nth(n) if self.matched >= n);
        once || self.times.is_some_and(|times| self.fired >= times)
    }
}

/// The rules of one server, consulted once for every request in the order in which they were added. The first
/// that fires decides; a rule that is used up is dropped.
#[derive(Clone, Debug, Default)]
pub struct FaultScript {
    rules: Vec<FaultRule>,
    fired: u64,
}

/// The script takes no further rule.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the fault script already holds {MAX_RULES} rules, the most it can; clear it first")]
pub struct ScriptFull;

impl FaultScript {
    /// Adds a rule behind the others.
    ///
    /// # Errors
    ///
    /// [`ScriptFull`] when [`MAX_RULES`] rules are waiting.
    pub fn inject(&mut self, rule: FaultRule) -> Result<(), ScriptFull> {
        if self.rules.len() >= MAX_RULES {
            return Err(ScriptFull);
        }
        if rule.times != Some(0) {
            self.rules.push(rule);
        }
        Ok(())
    }

    /// Drops all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How many rules are still waiting for their requests.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether no rule is waiting.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many faults were let loose so far, over all rules that ever were.
    pub fn fired(&self) -> u64 {
        self.fired
    }

    /// The fault for this request, if any.
    pub(crate) fn next(&mut self, request: &CommandView<'_>) -> Option<Fault> {
        let hit = self
            .rules
            .iter_mut()
            .position(|rule| rule.fits(request) && rule.fires())?;
        self.fired += 1;
        let fault = self.rules[hit].fault.clone();
        self.rules.retain(|rule| !rule.is_spent());
        Some(fault)
    }
}
