//! The application's own code around sends and requests (PROTOCOL E.10, kernel steps).
//!
//! # The order
//!
//! | | hook | where it runs | what it may do | when it panics |
//! |---|---|---|---|---|
//! | 1 | [`CheckForbiddenHook::check`] | in the call, before anything is sent; after the unique id and compression | refuse | the call fails |
//! | 2 | [`SendHook::before`] | right after | refuse, add properties | the call fails |
//! | 3 | [`RpcHook::before`] | where the request is written, again for each try; before the signature | add header fields | that send fails |
//! | 4 | [`RpcHook::after`] | where the answer was read | look | counted |
//! | 5 | [`SendHook::after`] | where the send ended, once for all of its tries | look | counted |
//!
//! [`EndTransactionHook::ended`] runs when the end of a transaction was written. Hooks of a kind
//! run in the order of their list. None of them runs under a lock of this library, and each is caught
//! on its own: a panic harms its own send at most. Those of rows 3 to 5 run on the task or thread that
//! serves a connection, or a deadline, and [`SendHook::after`] of a send that fails at once in the
//! call: keep them short, what takes long belongs elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_proto::{
    GroupName, IdText, InvalidProperty, RemotingCommand, RequestCode, TopicName, TransactionKind,
};

use crate::config::Config;
use crate::error::SendError;
use crate::guard::guarded;
use crate::io::Endpoint;
pub use crate::outgoing::Outgoing;
use crate::receipt::SendReceipt;

/// The hooks of a producer; none by default.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Hooks {
    /// Asked whether a message may be sent at all (`registerCheckForbiddenHook`).
    pub forbidden: Vec<Arc<dyn CheckForbiddenHook>>,
    /// Around each send (`registerSendMessageHook`).
    pub send: Vec<Arc<dyn SendHook>>,
    /// Told of each transaction that was ended (`registerEndTransactionHook`).
    pub end_transaction: Vec<Arc<dyn EndTransactionHook>>,
    /// Around each request to any server (`RPCHook`). They are the client's: all producers that share
    /// one have the same.
    pub rpc: Vec<Arc<dyn RpcHook>>,
}

/// Decides whether a message may be sent.
pub trait CheckForbiddenHook: Send + Sync {
    /// Refuses the message with an error; for a batch asked about each member.
    ///
    /// # Errors
    /// The refusal becomes the error of the call ([`SendErrorKind::Hook`](crate::SendErrorKind)).
    fn check(&self, message: &Outgoing<'_>) -> Result<(), Refusal>;
}

/// Sees each message before and after it is sent.
pub trait SendHook: Send + Sync {
    /// Before: may add properties to the producer's own copy, or refuse. For a batch called for each
    /// member.
    ///
    /// # Errors
    /// The refusal becomes the error of the call ([`SendErrorKind::Hook`](crate::SendErrorKind)).
    fn before(&self, message: &mut Outgoing<'_>) -> Result<(), Refusal> {
        let _ = message;
        Ok(())
    }

    /// After: once for each send that was accepted, a batch counting as one. Not called for what was
    /// refused before, nor for a send that was cancelled while it waited for room.
    fn after(&self, sent: &SentMessage) {
        let _ = sent;
    }
}

/// Is told when the end of a transaction was written: once, however many tries that took, and not at
/// all when it could not be.
pub trait EndTransactionHook: Send + Sync {
    /// The end of a transaction.
    fn ended(&self, end: &EndedTransaction);
}

/// Sees every request of this client, those to name servers and heartbeats included, and its answer.
pub trait RpcHook: Send + Sync {
    /// Before it is signed and written; again for each try.
    fn before(&self, request: &mut RpcRequest<'_>) {
        let _ = request;
    }

    /// After its answer came. Not called when none did.
    fn after(&self, answer: &RpcAnswer) {
        let _ = answer;
    }
}

/// Why a hook refuses a message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// A send that is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SentMessage {
    /// The producer's group.
    pub group: GroupName,
    /// The topic, without namespace.
    pub topic: TopicName,
    /// The unique id, or the list of a batch's.
    pub message_id: IdText,
    /// Whether no answer was asked for.
    pub oneway: bool,
    /// The broker of the last try; `None` when there was none.
    pub broker: Option<Arc<str>>,
    /// Its address.
    pub address: Option<Endpoint>,
    /// From the call to its end.
    pub elapsed: Duration,
    /// How many tries it took.
    pub attempts: u32,
    /// The receipt (`None` for a oneway send that was written), or the error.
    pub outcome: Result<Option<SendReceipt>, SendError>,
}

/// A transaction whose end was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedTransaction {
    /// The producer's group.
    pub group: GroupName,
    /// The topic, without namespace.
    pub topic: TopicName,
    /// The unique id of the half message.
    pub message_id: IdText,
    /// The transaction's id, where the broker gave one.
    pub transaction_id: Option<IdText>,
    /// Where the end went.
    pub address: Endpoint,
    /// Commit or rollback; [`TransactionKind::None`] when the state is not known yet.
    pub state: TransactionKind,
    /// Whether the broker had asked.
    pub from_check: bool,
}

/// A request that is about to be signed and written.
#[derive(Debug)]
pub struct RpcRequest<'a> {
    pub(crate) to: &'a Endpoint,
    pub(crate) code: RequestCode,
    pub(crate) opaque: i32,
    pub(crate) oneway: bool,
    pub(crate) body: &'a Bytes,
    pub(crate) fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RpcAnswer {
    /// Who answered.
    pub from: Endpoint,
    /// What was asked.
    pub request: RequestCode,
    /// The answer, with the request's correlation number.
    pub answer: RemotingCommand,
}

/// Hooks that are due: see [`Output::Hook`](crate::Output::Hook).
pub struct HookCall {
    config: Arc<Config>,
    what: What,
}

#[derive(Debug)]
enum What {
    Answered(Box<RpcAnswer>),
    Ended(Box<EndedTransaction>),
    Sent(Box<SentMessage>),
}

impl Hooks {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.forbidden.is_empty()
            && self.send.is_empty()
            && self.end_transaction.is_empty()
            && self.rpc.is_empty()
    }

    /// Whether both lists hold the same hooks around requests.
    pub(crate) fn has_same_rpc(&self, other: &Self) -> bool {
        let pairs = || self.rpc.iter().zip(&other.rpc);
        self.rpc.len() == other.rpc.len() && pairs().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl HookCall {
    pub(crate) fn answered(config: &Arc<Config>, answer: RpcAnswer) -> Self {
        Self::new(config, What::Answered(Box::new(answer)))
    }

    pub(crate) fn ended(config: &Arc<Config>, end: EndedTransaction) -> Self {
        Self::new(config, What::Ended(Box::new(end)))
    }

    pub(crate) fn sent(config: &Arc<Config>, sent: SentMessage) -> Self {
        Self::new(config, What::Sent(Box::new(sent)))
    }

    fn new(config: &Arc<Config>, what: What) -> Self {
        let config = config.clone();
        Self { config, what }
    }

    /// Runs them, where no lock is held. A panic in one is swallowed and harms no other; says how
    /// many there were, for [`Stats::hook_panics`](crate::Stats::hook_panics).
    pub fn run(self) -> u64 {
        let Self { config, what } = self;
        let hooks = &config.hooks;
        let count = |panicked: bool| u64::from(panicked);
        let panics: u64 = match &what {
            What::Answered(answer) => {
                let run = |hook: &Arc<dyn RpcHook>| guarded(|| hook.after(answer)).is_err();
                hooks.rpc.iter().map(run).map(count).sum()
            }
            What::Ended(end) => {
                let run = |hook: &Arc<dyn EndTransactionHook>| guarded(|| hook.ended(end)).is_err();
                hooks.end_transaction.iter().map(run).map(count).sum()
            }
            What::Sent(sent) => {
                let run = |hook: &Arc<dyn SendHook>| guarded(|| hook.after(sent)).is_err();
                hooks.send.iter().map(run).map(count).sum()
            }
        };
        // It may be the last to hold the settings of a producer that is gone, and the hooks with them.
        panics + count(guarded(|| drop(config)).is_err())
    }
}

impl RpcRequest<'_> {
    /// Sets a header field; replaces an earlier value. In a binary header an empty one is left out
    /// (PROTOCOL G.5).
    pub fn set_field(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name.into(), value.into().into()));
    }

    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// The server it goes to.
    pub fn to(&self) -> &Endpoint {
        self.to
    }

    /// What is asked.
    pub fn code(&self) -> RequestCode {
        self.code
    }

    /// The correlation number, by which [`RpcHook::after`] knows it again.
    pub fn opaque(&self) -> i32 {
        self.opaque
    }

    /// Whether no answer is asked for.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        self.body
    }
}

impl Refusal {
    /// A refusal for this reason, which becomes part of the error's text.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self::new(why)
    }
}

impl From<InvalidProperty> for Refusal {
    fn from(why: InvalidProperty) -> Self {
        Self::new(why.to_string())
    }
}

impl fmt::Debug for HookCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("forbidden", &self.forbidden.len())
            .field("send", &self.send.len())
            .field("end_transaction", &self.end_transaction.len())
            .field("rpc", &self.rpc.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Brittle;

    impl EndTransactionHook for Brittle {
        fn ended(&self, _: &EndedTransaction) {}
    }

    impl Drop for Brittle {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_hook_that_panics_when_it_is_dropped_harms_nobody() {
        let mut config = Config::new(GroupName::new("g").unwrap());
        config.hooks.end_transaction.push(Arc::new(Brittle));
        let config = Arc::new(config);
        let end = EndedTransaction {
            group: config.group.clone(),
            topic: TopicName::new("T").unwrap(),
            message_id: IdText::default(),
            transaction_id: None,
            address: Endpoint::new("a:1").unwrap(),
            state: TransactionKind::Commit,
            from_check: false,
        };
        let call = HookCall::ended(&config, end);
        drop(config);
        assert_eq!(call.run(), 1);
    }
}
