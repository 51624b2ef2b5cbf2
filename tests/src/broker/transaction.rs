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
}

/// A half message that a broker was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Half {
    /// Its unique key; empty when it has none.
    pub unique_key: String,
    /// The producer group that may end it.
    pub group: String,
    /// Its offset in the commit log.
    pub commit_log_offset: i64,
    /// Its offset in the queue of half messages.
    pub queue_offset: i64,
    /// What became of it.
    pub state: HalfState,
    /// How often it was ended, UNKNOWN (0) not counted. A real broker delivers a message anew for every commit.
    pub ended: u32,
}

#[derive(Debug, Default)]
pub(super) struct Halves(Vec<Half>);

impl Halves {
    pub(super) fn add(&mut self, put: Put, group: &str, unique_key: Option<&str>) {
        self.0.push(Half {
            unique_key: unique_key.unwrap_or_default().to_owned(),
            group: group.to_owned(),
            commit_log_offset: put.commit_log_offset,
            queue_offset: put.queue_offset,
            state: HalfState::Open,
            ended: 0,
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Half> {
        self.0.iter()
    }

    fn at_offset(&mut self, offset: i64) -> Option<&mut Half> {
        let at = self
            .0
            .binary_search_by_key(&offset, |half| half.commit_log_offset);
        self.0.get_mut(at.ok()?)
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
        let Some(half) = self.halves.at_offset(offset) else {
            return Err("Find prepared transaction message failed");
        };
        if half.group != header.producer_group {
            return Err("The producer group wrong");
        }
        if half.queue_offset != header.tran_state_table_offset {
            return Err("The transaction state table offset wrong");
        }
        half.state = state;
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
