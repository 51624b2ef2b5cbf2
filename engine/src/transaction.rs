//! Transactions, as far as they are data: half messages, what was decided about them, and the
//! request that tells it to the broker (PROTOCOL G.1, B.5).

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rocketmq_proto::header::EndTransactionRequest;
use rocketmq_proto::{
    Flags, IdText, InvalidMessage, Message, OffsetMessageId, RequestCode, TopicName,
    TransactionKind, UniqueId, property,
};

use crate::config::Config;
use crate::engine::Engine;
use crate::error::{AttemptFailure, Certainty, SendError, SendErrorKind};
use crate::frames::encode;
use crate::hooks::{EndedTransaction, HookCall};
use crate::io::{ConnId, Endpoint, Now, OpId, Output, ProducerId};
use crate::op::{Attempt, Op};
use crate::prepare::{Prepared, Target, wire_topic};
use crate::publish::Broker;
use crate::receipt::{SendReceipt, SendStatus};
use crate::trace::TracedHalf;

/// What Java's client puts before the text of a local transaction's exception.
const LOCAL_FAILURE: &str = "executeLocalTransactionBranch exception: ";
/// What it puts before that of a check-back listener.
const CHECK_FAILURE: &str = "checkLocalTransactionState Exception: ";
/// So much of a failure's text is kept and sent.
const MAX_FAILURE: usize = 1024;
/// What delays a message; a half message is not delayed (PROTOCOL G.1).
const DELAYS: [&str; 4] = [
    property::DELAY,
    property::TIMER_DELAY_SEC,
    property::TIMER_DELAY_MS,
    property::TIMER_DELIVER_MS,
];

/// What became of a local transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TransactionState {
    /// It took place: the message is to be delivered (`COMMIT_MESSAGE`).
    Commit,
    /// It did not and will not: the message is to be dropped (`ROLLBACK_MESSAGE`).
    Rollback,
    /// Not known yet: the broker is to ask later (`UNKNOW`).
    Unknown,
}

/// What a local transaction, or a check-back listener, came to: a state, and why there is none. Made
/// from a [`TransactionState`], or from a `Result` of one, whose error stands for
/// [`Unknown`](TransactionState::Unknown) and is told to the broker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    pub(crate) state: TransactionState,
    pub(crate) failure: Option<String>,
}

/// The outcome of a transaction whose half message a broker has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransactionReceipt {
    /// The half message's confirmation.
    pub receipt: SendReceipt,
    /// What was told to the broker.
    pub state: TransactionState,
    /// Why that is [`Unknown`](TransactionState::Unknown), when the local transaction failed or
    /// panicked.
    pub failure: Option<String>,
    /// Whether it was told, which means: handed to the socket, since brokers do not confirm it. With
    /// an error the broker asks later, and the check-back listener settles it.
    pub end: Result<(), SendError>,
}

/// END_TRANSACTION, as it is to be sent (PROTOCOL B.5).
#[derive(Clone, Debug)]
pub(crate) struct EndTransaction {
    pub(crate) topic: Option<String>,
    pub(crate) broker: Option<String>,
    pub(crate) table_offset: i64,
    pub(crate) commit_log_offset: i64,
    pub(crate) message_id: IdText,
    pub(crate) transaction_id: Option<IdText>,
    pub(crate) decision: Decision,
    /// The connection on which the broker asked, when it did: the answer goes there or nowhere.
    pub(crate) asked_on: Option<ConnId>,
    /// What the trace tells of the half message, when it is to tell of its end.
    pub(crate) half: Option<Arc<TracedHalf>>,
}

impl TransactionState {
    /// The number on the wire: 8 commit, 12 rollback, 0 unknown.
    pub const fn code(self) -> i32 {
        match self {
            Self::Commit => 8,
            Self::Rollback => 12,
            Self::Unknown => 0,
        }
    }

    /// Java's name: `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE`, `UNKNOW`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT_MESSAGE",
            Self::Rollback => "ROLLBACK_MESSAGE",
            Self::Unknown => "UNKNOW",
        }
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Decision {
    /// [`Unknown`](TransactionState::Unknown), and why. Of the text the first 1024 bytes count.
    pub fn failed(why: impl fmt::Display) -> Self {
        let mut why = why.to_string();
        let mut end = why.len().min(MAX_FAILURE);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        why.truncate(end);
        Self {
            state: TransactionState::Unknown,
            failure: Some(why),
        }
    }

    /// The same with the text of a panic.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::failed(format_args!("panicked: {}", text.unwrap_or("without text")))
    }

    /// What a half message's status decides by itself: one that is not stored safely is rolled back,
    /// and the local transaction not run (PROTOCOL G.1 step 3).
    pub(crate) fn of_status(status: SendStatus) -> Option<Self> {
        (status != SendStatus::SendOk).then(|| TransactionState::Rollback.into())
    }
}

impl From<TransactionState> for Decision {
    fn from(state: TransactionState) -> Self {
        Self {
            state,
            failure: None,
        }
    }
}

impl<E: fmt::Display> From<Result<TransactionState, E>> for Decision {
    fn from(result: Result<TransactionState, E>) -> Self {
        match result {
            Ok(state) => state.into(),
            Err(error) => Self::failed(error),
        }
    }
}

impl TransactionReceipt {
    /// What is known before the end was told.
    pub(crate) fn new(receipt: SendReceipt, decision: &Decision) -> Self {
        Self {
            receipt,
            state: decision.state,
            failure: decision.failure.clone(),
            end: Ok(()),
        }
    }
}

impl EndTransaction {
    /// The end of a half message that this producer sent.
    fn of(receipt: &SendReceipt, topic: &TopicName, decision: Decision) -> Result<Self, SendError> {
        let Some(commit_log_offset) = commit_log_offset(receipt) else {
            let text = format!(
                "the transaction cannot be ended, since the broker gave its half message the id \
                 `{}`, which holds no offset; the broker will ask for it",
                receipt.offset_message_id
            );
            return Err(SendError::new(
                SendErrorKind::Broker,
                Certainty::NotSent,
                text,
            ));
        };
        Ok(Self {
            topic: Some(topic.to_string()),
            broker: Some(receipt.queue.broker.to_string()),
            table_offset: receipt.queue_offset,
            commit_log_offset,
            message_id: receipt.message_id.clone(),
            transaction_id: receipt.transaction_id.clone(),
            decision,
            asked_on: None,
            half: receipt.half.clone(),
        })
    }

    fn header<'a>(&'a self, config: &'a Config) -> EndTransactionRequest<'a> {
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        EndTransactionRequest {
            topic: text(&self.topic),
            producer_group: config.wire_group(),
            tran_state_table_offset: self.table_offset,
            commit_log_offset: self.commit_log_offset,
            commit_or_rollback: self.decision.state.code(),
            from_transaction_check: Some(self.asked_on.is_some()),
            msg_id: Cow::Borrowed(&self.message_id),
            transaction_id: self.transaction_id.as_deref().map(Cow::Borrowed),
            broker_name: text(&self.broker),
        }
    }

    /// What the application's hooks are told.
    fn told(&self, config: &Config, topic: &TopicName, address: Endpoint) -> EndedTransaction {
        EndedTransaction {
            group: config.group.clone(),
            topic: config.own_topic(topic).into_owned(),
            message_id: self.message_id.clone(),
            transaction_id: self.transaction_id.clone(),
            address,
            state: match self.decision.state {
                TransactionState::Commit => TransactionKind::Commit,
                TransactionState::Rollback => TransactionKind::Rollback,
                TransactionState::Unknown => TransactionKind::None,
            },
            from_check: self.asked_on.is_some(),
        }
    }

    fn remark(&self) -> Option<String> {
        let what = match self.asked_on {
            Some(_) => CHECK_FAILURE,
            None => LOCAL_FAILURE,
        };
        let failure = self.decision.failure.as_ref()?;
        Some(format!("{what}{failure}"))
    }
}

/// Where the half message is: from the offset id, else from the id of brokers that give only one
/// (PROTOCOL G.1 step 4).
fn commit_log_offset(receipt: &SendReceipt) -> Option<i64> {
    let ids = [&receipt.offset_message_id, &receipt.message_id];
    let mut ids = ids.into_iter().map(|id| id.parse::<OffsetMessageId>());
    ids.find_map(Result::ok).map(|id| id.offset)
}

impl Prepared {
    /// Checks and prepares a half message: as [`message`](Self::message), marked as one of `config`'s
    /// group, and without any delay that it asked for (PROTOCOL G.1).
    ///
    /// # Errors
    /// [`SendErrorKind::InvalidMessage`] with the rule that is broken.
    pub fn half(
        config: &Config,
        mut message: Message,
        unique_id: impl FnOnce() -> UniqueId,
    ) -> Result<Self, SendError> {
        let properties = message.properties_mut();
        for name in DELAYS {
            properties.remove(name);
        }
        for (name, value) in [
            (property::TRAN_MSG, "true"),
            (property::PGROUP, &*config.wire_group()),
        ] {
            properties.set(name, value).map_err(InvalidMessage::from)?;
        }
        let mut half = Self::message(config, message, unique_id)?;
        // It shares no frame with others.
        half.key = None;
        Ok(half)
    }

    /// Prepares what tells a broker how the transaction of a half message ended. Its budget is the
    /// send timeout.
    ///
    /// # Errors
    /// [`SendErrorKind::Broker`] when the receipt does not say where the half message is.
    pub fn end_of(
        config: &Config,
        receipt: &SendReceipt,
        decision: Decision,
    ) -> Result<Self, SendError> {
        let topic = wire_topic(config, &receipt.queue.topic)?;
        let end = EndTransaction::of(receipt, &topic, decision)?;
        let target = Target::Queue(Box::new(receipt.queue.clone()));
        let mut prepared = Self::end(topic, target, end);
        prepared.timeout = config.send_timeout;
        Ok(prepared)
    }

    /// The connection that this must go to, when it is an answer.
    pub(crate) fn asked_on(&self) -> Option<ConnId> {
        self.end.as_ref()?.asked_on
    }

    /// Whether this may be tried again after such a failure, apart from the usual rules. A broker
    /// delivers a message once for each commit that it gets, so what may have been written is not
    /// written again: the broker asks.
    pub(crate) fn may_repeat_after(&self, failure: &AttemptFailure) -> bool {
        self.end
            .as_ref()
            .is_none_or(|end| end.asked_on.is_none() && !failure.may_be_stored())
    }
}

impl Engine {
    /// A transaction begins whose local part the engine knows nothing of: a shutdown waits within its
    /// grace until it is [over](Self::transaction_over), so that its end can still be told. A flush
    /// does not: the local part may ask for one.
    pub fn transaction_begun(&mut self, producer: ProducerId) {
        if let Some(member) = self.members.get_mut(producer) {
            member.open_transactions += 1;
        }
    }

    /// Its end was told, or will not be. Once for each that [began](Self::transaction_begun).
    pub fn transaction_over(&mut self, now: Now, producer: ProducerId) {
        if let Some(member) = self.members.get_mut(producer) {
            member.open_transactions = member.open_transactions.saturating_sub(1);
        }
        self.settle(now);
    }

    /// The answer to a check goes out on the connection on which the broker asked (PROTOCOL G.2).
    pub(crate) fn answer_on(&mut self, now: Now, id: OpId, conn: ConnId) {
        let address = self.peers.address_of(conn).cloned();
        let Some(send) = self.ops.get_mut(id).and_then(Op::as_send_mut) else {
            return;
        };
        if address.is_none() {
            let text = "the connection on which the broker asked is gone; it will ask again";
            let error = SendError::new(SendErrorKind::Connection, Certainty::NotSent, text);
            return self.fail_send(now, id, error);
        }
        let broker = send
            .prepared
            .end
            .as_ref()
            .and_then(|end| end.broker.clone());
        send.tries += 1;
        send.attempt = Some(Attempt {
            broker: Broker::unrouted(broker.unwrap_or_default().into(), address),
            vip: false,
            queue_id: 0,
            began: now.mono,
        });
        self.transmit_end(now, id, conn);
    }

    /// Writes the frame of END_TRANSACTION, oneway.
    pub(crate) fn transmit_end(&mut self, now: Now, id: OpId, conn: ConnId) {
        let Some(op) = self.ops.get(id) else { return };
        let Some(send) = op.as_send() else { return };
        let Some(end) = &send.prepared.end else {
            return;
        };
        let config = self.members.config(op.producer);
        let (header, remark) = (end.header(config), end.remark());
        let (opaque, body) = (self.pending.next_opaque(), Bytes::new());
        let encoded = encode(
            (&self.config, &self.extra),
            &mut self.heads,
            RequestCode::END_TRANSACTION.0,
            opaque,
            (Flags::ONEWAY, remark.as_deref()),
            &header,
            &body,
        );
        match encoded {
            Ok(head) => self.give_out_oneway(id, conn, head, body),
            Err(error) => self.fail_send(now, id, error.into()),
        }
    }

    /// Hands the end of a transaction that was written to the hooks after it.
    pub(crate) fn tell_ended(&mut self, op: &Op) {
        let config = self.members.config(op.producer);
        let Some(send) = op.as_send() else { return };
        let end = send.prepared.end.as_ref();
        let end = end.filter(|_| !config.hooks.end_transaction.is_empty());
        let to = send.attempt.as_ref().and_then(|a| a.address().cloned());
        if let (Some(end), Some(to)) = (end, to) {
            let told = end.told(config, &send.prepared.topic, to);
            let call = HookCall::ended(config, told);
            self.outputs.push_back(Output::Hook(call));
        }
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::{GroupName, MessageQueue, Properties, TopicName, UniqueIdSeed, UniqueIds};

    use super::*;

    const OFFSET_ID: &str = "0A00000100002A9F0000000000000400";

    fn config() -> Config {
        Config::new(GroupName::new("payers").unwrap())
    }

    fn half(message: Message) -> Result<Prepared, SendError> {
        let mut ids = UniqueIds::new(UniqueIdSeed {
            ip: [10, 0, 0, 1].into(),
            pid: 1,
            hash: 1,
            utc_offset_seconds: 0,
        });
        Prepared::half(&config(), message, || ids.next(1_750_000_000_000))
    }

    fn receipt(message_id: &str, offset_message_id: &str) -> SendReceipt {
        SendReceipt {
            status: SendStatus::SendOk,
            message_id: message_id.into(),
            offset_message_id: offset_message_id.into(),
            queue: MessageQueue::new(TopicName::new("T").unwrap(), "a", 2),
            queue_offset: 17,
            transaction_id: None,
            recall_handle: None,
            region: Cow::Borrowed("r"),
            trace_on: true,
            attempts: 1,
            half: None,
        }
    }

    #[test]
    fn a_half_message_is_marked_and_never_delayed() {
        let message = Message::new("T", "x").tag("paid").delay_level(3);
        let mut message = message.deliver_after(std::time::Duration::from_secs(9));
        for name in DELAYS {
            message.properties_mut().set(name, "5").unwrap();
        }
        let prepared = half(message).unwrap();
        let properties = Properties::from_wire(&*prepared.properties);
        assert_eq!(properties.get(property::TRAN_MSG), Some("true"));
        assert_eq!(properties.get(property::PGROUP), Some("payers"));
        assert_eq!(properties.get(property::TAGS), Some("paid"));
        assert_eq!(
            properties.get(property::UNIQ_KEY),
            Some(prepared.message_id())
        );
        for name in DELAYS {
            assert_eq!(properties.get(name), None, "{name}");
        }
        assert_eq!(prepared.sys_flag, 0x4);
    }

    #[test]
    fn the_callers_message_stays_as_it_was() {
        let message = Message::new("T", "x").delay_level(3);
        half(message.clone()).unwrap();
        assert_eq!(message.properties().get(property::DELAY), Some("3"));
        assert_eq!(message.properties().get(property::TRAN_MSG), None);
    }

    #[test]
    fn a_half_message_keeps_the_rules_of_messages() {
        let error = half(Message::new("T", "")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
        let error = half(Message::new("no topic", "x")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::InvalidMessage);
    }

    /// PROTOCOL G.1: state, its number, and the remark of a failure.
    #[test]
    fn each_decision_has_its_number_and_only_failures_a_remark() {
        let failing: Result<TransactionState, &str> = Err("no database");
        let rows: [(Decision, i32, Option<&str>); 5] = [
            (TransactionState::Commit.into(), 8, None),
            (TransactionState::Rollback.into(), 12, None),
            (TransactionState::Unknown.into(), 0, None),
            (Ok::<_, String>(TransactionState::Commit).into(), 8, None),
            (failing.into(), 0, Some("no database")),
        ];
        let (config, topic) = (config(), TopicName::new("T").unwrap());
        for (decision, code, why) in rows {
            let mut end = EndTransaction::of(&receipt("ID", OFFSET_ID), &topic, decision).unwrap();
            assert_eq!(end.header(&config).commit_or_rollback, code);
            let local = why.map(|why| format!("{LOCAL_FAILURE}{why}"));
            assert_eq!(end.remark(), local);
            assert_eq!(end.header(&config).from_transaction_check, Some(false));
            end.asked_on = Some(crate::slab::Key::new(1, 1));
            let check = why.map(|why| format!("{CHECK_FAILURE}{why}"));
            assert_eq!(end.remark(), check);
            assert_eq!(end.header(&config).from_transaction_check, Some(true));
        }
    }

    #[test]
    fn a_panic_is_a_failure_with_its_text() {
        let rows: [(Box<dyn Any + Send>, &str); 3] = [
            (Box::new("boom"), "panicked: boom"),
            (Box::new("boom".to_owned()), "panicked: boom"),
            (Box::new(7), "panicked: without text"),
        ];
        for (payload, text) in rows {
            let decision = Decision::panicked(&*payload);
            assert_eq!(decision.state, TransactionState::Unknown);
            assert_eq!(decision.failure.as_deref(), Some(text));
        }
    }

    #[test]
    fn a_long_failure_is_cut_between_two_characters() {
        let decision = Decision::failed("ä".repeat(MAX_FAILURE));
        assert_eq!(decision.failure, Some("ä".repeat(MAX_FAILURE / 2)));
        let odd = Decision::failed(format!("x{}", "ä".repeat(MAX_FAILURE)));
        assert_eq!(odd.failure.unwrap().len(), MAX_FAILURE - 1);
    }

    #[test]
    fn only_a_message_stored_safely_leaves_the_decision_to_the_local_transaction() {
        let rollback = Some(Decision::from(TransactionState::Rollback));
        assert_eq!(Decision::of_status(SendStatus::SendOk), None);
        for status in [
            SendStatus::FlushDiskTimeout,
            SendStatus::SlaveNotAvailable,
            SendStatus::FlushSlaveTimeout,
        ] {
            assert_eq!(Decision::of_status(status), rollback, "{status}");
        }
    }

    #[test]
    fn the_offset_comes_from_the_brokers_id_and_else_from_the_only_one() {
        assert_eq!(commit_log_offset(&receipt("ID", OFFSET_ID)), Some(0x400));
        assert_eq!(commit_log_offset(&receipt(OFFSET_ID, "")), Some(0x400));
        let error = Prepared::end_of(
            &config(),
            &receipt("ID", "nothing"),
            TransactionState::Commit.into(),
        );
        let error = error.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Broker);
        assert!(error.to_string().contains("`nothing`"), "{error}");
    }

    #[test]
    fn an_end_that_may_have_been_written_is_not_written_again() {
        let lost = |written| AttemptFailure::Lost {
            cause: crate::io::CloseCause::PeerClosed,
            written,
        };
        let decision = || TransactionState::Commit.into();
        let mut end = Prepared::end_of(&config(), &receipt("ID", OFFSET_ID), decision()).unwrap();
        assert!(end.may_repeat_after(&lost(false)));
        assert!(!end.may_repeat_after(&lost(true)));
        end.end.as_mut().unwrap().asked_on = Some(crate::slab::Key::new(1, 1));
        assert!(
            !end.may_repeat_after(&lost(false)),
            "an answer has one connection"
        );
        let half = half(Message::new("T", "x")).unwrap();
        assert!(half.may_repeat_after(&lost(true)));
    }
}
