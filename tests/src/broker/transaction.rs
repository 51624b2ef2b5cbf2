//! Half messages and their end (PROTOCOL G.1, J.4).

use rocketmq_proto::{ResponseCode, header::EndTransactionRequest};

use super::{
    Broker,
    schedule::{again, real_queue},
    send::TRANSACTION_BITS,
};
use crate::{
    ServerNow,
    desk::Answer,
    properties,
    request::Request,
    store::{NewMessage, Put},
};

pub(super) const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const COMMIT: i32 = 8;
const ROLLBACK: i32 = 12;

/// What became of a half message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HalfState {
    /// Neither committed nor rolled back.
    Open,
    /// Committed and delivered.
    Committed,
    /// Rolled back.
    RolledBack,
    /// Asked about as often as may be, and put away (Java: `TRANS_CHECK_MAX_TIME_TOPIC`).
    GivenUp,
}

/// A half message that a broker was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Half {
    /// Its unique key; empty when it has none.
    pub unique_key: String,
    /// The producer group that may end it.
    pub group: String,
    /// Its offset in the commit log, that of its latest copy: it is stored anew for each check.
    pub commit_log_offset: i64,
    /// The same copy's offset in the queue of half messages.
    pub queue_offset: i64,
    /// When it came, ms since the Unix epoch.
    pub unix_ms: u64,
    /// How often its producer group was asked about it.
    pub checks: u32,
    /// How old it has to be for the first check, ms, when it says so itself.
    pub(super) immunity_ms: Option<u64>,
    /// What became of it.
    pub state: HalfState,
    /// How often it was ended, UNKNOWN (0) not counted. A real broker delivers a message anew for every commit.
    pub ended: u32,
}

#[derive(Debug, Default)]
pub(super) struct Halves {
    all: Vec<Half>,
    /// Every copy, in the order of the commit log: its offsets there and in its queue, and whose it is.
    copies: Vec<(i64, i64, usize)>,
}

impl Halves {
    pub(super) fn add(
        &mut self,
        now: ServerNow,
        put: Put,
        group: &str,
        unique_key: Option<&str>,
        immunity: Option<u64>,
    ) {
        let copy = (put.commit_log_offset, put.queue_offset, self.all.len());
        self.copies.push(copy);
        self.all.push(Half {
            unique_key: unique_key.unwrap_or_default().to_owned(),
            group: group.to_owned(),
            commit_log_offset: put.commit_log_offset,
            queue_offset: put.queue_offset,
            unix_ms: now.unix_ms,
            checks: 0,
            immunity_ms: immunity.map(|seconds| seconds.saturating_mul(1000)),
            state: HalfState::Open,
            ended: 0,
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Half> {
        self.all.iter()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Half> {
        self.all.get_mut(index)
    }

    /// Notes that a half message was stored anew.
    pub(super) fn stored_again(&mut self, index: usize, put: Put) {
        let copy = (put.commit_log_offset, put.queue_offset, index);
        self.copies.push(copy);
        if let Some(half) = self.all.get_mut(index) {
            (half.commit_log_offset, half.queue_offset, _) = copy;
        }
    }

    /// The half message with a copy at this offset, and that copy's place in its queue.
    fn at_offset(&mut self, offset: i64) -> Option<(&mut Half, i64)> {
        let at = self.copies.binary_search_by_key(&offset, |copy| copy.0);
        let (_, queue_offset, index) = *self.copies.get(at.ok()?)?;
        Some((self.all.get_mut(index)?, queue_offset))
    }
}

impl Broker {
    pub(super) fn answer_end_transaction(&mut self, now: ServerNow, request: &Request<'_>) {
        let header = match request.view.ext.decode::<EndTransactionRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let state = match header.commit_or_rollback {
            COMMIT => HalfState::Committed,
            ROLLBACK => HalfState::RolledBack,
            // Unknown: the check comes later, and no answer ever (J.4).
            _ => return,
        };
        match self.end_transaction(now, &header, state) {
            Ok(()) => self.desk.answer(request, Answer::ok(), &()),
            Err(text) => {
                let answer = Answer::new(ResponseCode::SYSTEM_ERROR).remark(text);
                self.desk.answer(request, answer, &());
            }
        }
    }

    fn end_transaction(
        &mut self,
        now: ServerNow,
        header: &EndTransactionRequest<'_>,
        state: HalfState,
    ) -> Result<(), &'static str> {
        let offset = header.commit_log_offset;
        let message = self.message_at(offset);
        let Some((half, queue_offset)) = self.halves.at_offset(offset) else {
            return Err("Find prepared transaction message failed");
        };
        if half.group != header.producer_group {
            return Err("The producer group wrong");
        }
        if queue_offset != header.tran_state_table_offset {
            return Err("The transaction state table offset wrong");
        }
        // The end of an earlier copy ends only that: the latest stays open, and will be asked about.
        if half.commit_log_offset == offset {
            half.state = state;
        }
        half.ended = half.ended.saturating_add(1);
        let Some(message) = message.filter(|_| state == HalfState::Committed) else {
            return Ok(());
        };
        let wire = message.properties.as_wire();
        let Some((topic, queue_id)) = real_queue(wire) else {
            return Err("Find prepared transaction message failed");
        };
        let kept = properties::without(wire, &["TRAN_MSG", "REAL_TOPIC", "REAL_QID"]);
        let sys_flag = message.sys_flag.0 & !TRANSACTION_BITS | COMMIT;
        let committed = NewMessage {
            topic,
            queue_id,
            sys_flag,
            prepared_offset: offset,
            properties: &kept,
            ..again(&message)
        };
        self.store
            .append(now, committed)
            .map(|_| ())
            .map_err(|_| "UNKNOWN_ERROR")
    }
}
