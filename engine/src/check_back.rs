//! Check-backs: a broker asks what became of a half message (PROTOCOL G.2, B.6). The question is
//! kept until somebody takes it, its answer goes out on the connection on which it came.

use std::collections::VecDeque;

use bytes::Bytes;
use rocketmq_proto::header::CheckTransactionStateRequest;
use rocketmq_proto::{
    CommandView, MAX_DECOMPRESSED_LEN, StoredMessage, StoredMessages, SysFlag, TopicName, property,
};

use crate::engine::{Engine, later};
use crate::event::{CheckDropped, Event};
use crate::io::{ConnId, Now, OpId, Outcome, Output, ProducerId};
use crate::member::Member;
use crate::op::{Kind, Op};
use crate::prepare::{Prepared, Target};
use crate::transaction::{Decision, EndTransaction, TransactionState};

/// How long an answer may take to be written (Java: 3000 ms).
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);
/// So much of what a broker calls a group is told: no name is longer (PROTOCOL E.4).
const MAX_GROUP: usize = 255;
/// So much of a message's id is told.
const MAX_SHOWN: usize = 255;

/// A broker's question what became of a half message. Answer it with
/// [`Engine::decided`](crate::Engine::decided).
#[derive(Debug)]
pub struct CheckBack {
    /// The operation that waits for the answer. Completes with [`Outcome::Done`] when there is one,
    /// or when none came in time ([`Config::check_timeout`](crate::Config::check_timeout)).
    pub op: OpId,
    message: StoredMessage,
}

/// What waits to be taken: at most [`Config::max_waiting_checks`](crate::Config::max_waiting_checks),
/// of at most as many bytes as messages under way may have.
#[derive(Debug, Default)]
pub(crate) struct CheckBacks {
    /// Whether anybody takes them.
    listened: bool,
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    message: StoredMessage,
    end: EndTransaction,
    topic: TopicName,
}

/// What waits for a listener's decision.
#[derive(Debug)]
pub(crate) struct CheckOp {
    end: EndTransaction,
    topic: TopicName,
}

impl CheckBack {
    /// The half message, as the broker stored it, its body decompressed. May take a while: call it
    /// where no lock is held.
    ///
    /// # Errors
    /// What to answer, when the body cannot be decompressed.
    pub fn into_message(self) -> Result<StoredMessage, Decision> {
        let mut message = self.message;
        let body = message.decompressed_body(MAX_DECOMPRESSED_LEN);
        message.body = body.map_err(Decision::failed)?;
        message.sys_flag = message.sys_flag.without(SysFlag::COMPRESSED);
        Ok(message)
    }
}

impl CheckBacks {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sizes of what waits, for the check of `bytes`.
    pub(crate) fn weights(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().map(Waiting::weight)
    }

    /// Nobody will answer any more: brokers ask others, or again.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }

    fn push(&mut self, new: Waiting, most: usize, most_bytes: usize) -> bool {
        // The broker has asked again for what still waits: it stored the half message anew and wants
        // that one ended (PROTOCOL L 5). Two answers would deliver the message twice.
        let of_same = |old: &&mut Waiting| {
            old.end.message_id == new.end.message_id && old.end.asked_on == new.end.asked_on
        };
        if let Some(old) = self.waiting.iter_mut().find(of_same) {
            self.bytes = self.bytes - old.weight() + new.weight();
            *old = new;
            return true;
        }
        let fits = self.bytes.saturating_add(new.weight()) <= most_bytes;
        if self.waiting.len() >= most || !(fits || self.waiting.is_empty()) {
            return false;
        }
        self.bytes += new.weight();
        self.waiting.push_back(new);
        true
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.bytes -= first.weight();
        Some(first)
    }
}

impl Waiting {
    fn weight(&self) -> usize {
        self.message.body.len() + self.message.properties.as_wire().len()
    }

    /// Reads a question; the topic is the one that servers know.
    fn read(conn: ConnId, request: &CommandView<'_>, body: Bytes) -> Result<Self, String> {
        let header: CheckTransactionStateRequest<'_> =
            request.ext.decode().map_err(|error| error.to_string())?;
        let Some(message) = StoredMessages::new(body).next() else {
            return Err("it holds no message".to_owned());
        };
        let message = message.map_err(|error| error.to_string())?;
        let topic = TopicName::new(&message.topic).map_err(|error| error.to_string())?;
        let end = EndTransaction {
            topic: header.topic.map(Into::into),
            broker: header.broker_name.map(Into::into),
            table_offset: header.tran_state_table_offset,
            commit_log_offset: header.commit_log_offset,
            message_id: message.message_id(),
            transaction_id: header.transaction_id.map(Into::into),
            decision: TransactionState::Unknown.into(),
            asked_on: Some(conn),
            half: None,
        };
        Ok(Self {
            message,
            end,
            topic,
        })
    }
}

impl Engine {
    /// Says that somebody [takes](Self::take_check) check-backs from now on. Before, those that come
    /// are dropped: brokers ask others of the group, or again.
    pub fn listen_for_checks(&mut self, producer: ProducerId) {
        if let Some(member) = self.members.get_mut(producer) {
            member.check_backs.listened = true;
        }
    }

    /// Whether somebody takes check-backs.
    pub fn is_listening_for_checks(&self, producer: ProducerId) -> bool {
        let member = self.members.get(producer);
        member.is_some_and(|member| member.check_backs.listened)
    }

    /// Whether no check-back of this producer will come any more: it is shut down.
    pub fn has_no_more_checks(&self, producer: ProducerId) -> bool {
        self.members.get(producer).is_none_or(Member::is_over)
    }

    /// The next check-back, if one waits; [`Output::CheckBack`] tells when there may be one. It is
    /// under way from now on.
    pub fn take_check(&mut self, now: Now, producer: ProducerId) -> Option<CheckBack> {
        let member = self.members.get_mut(producer)?;
        let Waiting {
            message,
            mut end,
            topic,
        } = member.check_backs.pop()?;
        end.half = member.traced_half(&topic, &message.properties);
        let deadline = later(now.mono, member.config.check_timeout);
        let op = self.ops.insert(Op {
            producer,
            since: now.mono,
            deadline: Some(deadline),
            timer: None,
            kind: Kind::Check(Box::new(CheckOp { end, topic })),
        });
        self.arm_op(op, deadline);
        Some(CheckBack { op, message })
    }

    /// Brings the answer to a check-back, which completes it. Too late an answer is ignored.
    pub fn decided(&mut self, now: Now, op: OpId, decision: Decision) {
        self.answer_check(now, op, decision);
        self.settle(now);
    }

    /// Nobody has answered in time: the broker gets to know that.
    pub(crate) fn check_due(&mut self, now: Now, op: OpId) {
        let Some(producer) = self.ops.get(op).map(|op| op.producer) else {
            return;
        };
        let limit = self.members.config(producer).check_timeout;
        let why = format!("the check-back listener took more than {limit:?}");
        self.answer_check(now, op, Decision::failed(why));
    }

    fn answer_check(&mut self, now: Now, op: OpId, decision: Decision) {
        let is_check = |op: &Op| matches!(op.kind, Kind::Check(_));
        if !self.ops.get(op).is_some_and(is_check) {
            return;
        }
        let Some(Op {
            producer,
            kind: Kind::Check(check),
            ..
        }) = self.release(now, op)
        else {
            return;
        };
        self.outputs.push_back(Output::Complete {
            op,
            outcome: Outcome::Done,
            spent: None,
        });
        let CheckOp { mut end, topic } = *check;
        if let Some(why) = &decision.failure {
            self.transaction_left_open(&end.message_id, why.clone());
        }
        end.decision = decision;
        let mut answer = Prepared::end(topic, Target::Any, end);
        answer.timeout = ANSWER_TIMEOUT;
        // It may wait for a permit, so it is always taken.
        let _accepted = self.begin_send(now, producer, Box::new(answer), true, true);
    }

    /// A broker asks (PROTOCOL G.2). It is never answered but by END_TRANSACTION.
    pub(crate) fn check_received(&mut self, conn: ConnId, request: &CommandView<'_>, body: Bytes) {
        let mut new = match Waiting::read(conn, request, body) {
            Ok(new) => new,
            Err(why) => return self.check_dropped(conn, "", CheckDropped::Unreadable(why)),
        };
        let group = new.message.properties.get(property::PGROUP);
        let group = group.unwrap_or_default().to_owned();
        let bytes = self.config.max_in_flight_bytes;
        let producer = self.members.of_group(&group);
        let Some(member) = producer.and_then(|id| self.members.get_mut(id)) else {
            return self.check_dropped(conn, &group, CheckDropped::OtherGroup);
        };
        if !member.check_backs.listened || member.closing.is_some() {
            return self.check_dropped(conn, &group, CheckDropped::NoListener);
        }
        // Listeners see topics as the application knows them (PROTOCOL G.6).
        new.message.topic = member.config.own_topic(&new.topic).to_string();
        let most = member.config.max_waiting_checks;
        if !member.check_backs.push(new, most, bytes) {
            return self.check_dropped(conn, &group, CheckDropped::Full);
        }
        self.stats.checks += 1;
        self.outputs.push_back(Output::CheckBack);
    }

    /// No check-back of this producer will come any more: whoever waits for one is to learn that.
    pub(crate) fn end_check_backs(&mut self, producer: ProducerId) {
        let Some(member) = self.members.get_mut(producer) else {
            return;
        };
        member.check_backs.close();
        if member.check_backs.listened {
            self.outputs.push_back(Output::CheckBack);
        }
    }

    fn check_dropped(&mut self, conn: ConnId, group: &str, reason: CheckDropped) {
        match reason {
            CheckDropped::Full | CheckDropped::Unreadable(_) => self.stats.checks_dropped += 1,
            CheckDropped::NoListener | CheckDropped::OtherGroup => self.stats.checks_ignored += 1,
        }
        let Some(address) = self.peers.address_of(conn).cloned() else {
            return;
        };
        self.outputs.push_back(Output::Event(Event::CheckDropped {
            address,
            group: group.chars().take(MAX_GROUP).collect(),
            reason,
        }));
    }

    pub(crate) fn transaction_left_open(&mut self, message_id: &str, why: String) {
        self.stats.transactions_left_open += 1;
        self.outputs
            .push_back(Output::Event(Event::TransactionLeftOpen {
                message_id: message_id.chars().take(MAX_SHOWN).collect(),
                why,
            }));
    }
}
