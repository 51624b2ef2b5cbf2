//! Transactions (PROTOCOL B.5, B.6).

use std::borrow::Cow;

use super::macros::header;

header! {
    /// END_TRANSACTION (37), oneway. An exception's text goes into the command's remark.
    pub struct EndTransactionRequest<'a> {
        /// 5.x: the message's topic.
        topic: Option<Cow<'a, str>> = "topic",
        /// The producer's group.
        producer_group: Cow<'a, str> = "producerGroup",
        /// The half message's queue offset, or what the check said.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// The half message's place in the store, or what the check said.
        commit_log_offset: i64 = "commitLogOffset",
        /// 8 commit, 12 roll back, 0 not known yet.
        commit_or_rollback: i32 = "commitOrRollback",
        /// Whether this answers a check.
        from_transaction_check: Option<bool> = "fromTransactionCheck",
        /// The message's unique id.
        msg_id: Cow<'a, str> = "msgId",
        /// As in the receipt or the check.
        transaction_id: Option<Cow<'a, str>> = "transactionId",
        /// The broker this is meant for, 4.9.5 and later.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}

header! {
    /// CHECK_TRANSACTION_STATE (39), from the broker, oneway. The body is one stored message.
    pub struct CheckTransactionStateRequest<'a> {
        /// 5.x: the topic of half messages.
        topic: Option<Cow<'a, str>> = "topic",
        /// To be given back.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// To be given back.
        commit_log_offset: i64 = "commitLogOffset",
        /// The message's unique id.
        msg_id: Option<Cow<'a, str>> = "msgId",
        /// The same as `msg_id`.
        transaction_id: Option<Cow<'a, str>> = "transactionId",
        /// The message's offset id.
        offset_msg_id: Option<Cow<'a, str>> = "offsetMsgId",
        /// 5.x: the broker that asks.
        broker_name: Option<Cow<'a, str>> = "bname",
    }
}
