//! What went wrong with an operation, what is known about the message, and what was tried.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_proto::{
    BatchError, BatchProblem, EncodeError, InvalidBatch, InvalidMessage, InvalidName, ResponseCode,
    TopicName,
};

use crate::admin::InvalidRequest;
pub use crate::attempt_report::{AttemptFailure, AttemptReport};
use crate::denial::is_denial;

/// What is known about a message whose send failed (DESIGN 6, certainty).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Certainty {
    /// No broker got the whole of it: it is stored nowhere.
    NotSent,
    /// A broker said no: it is stored nowhere.
    Rejected,
    /// It was written and no answer came: it may be stored.
    Unknown,
    /// A broker confirmed it; what failed came after that (a request without a reply).
    Stored,
}

/// What kind of failure ended an operation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The message, or an argument of the call, breaks a rule (PROTOCOL E.4, D.8); the text says
    /// which.
    InvalidMessage,
    /// A broker answered with an error code.
    Broker,
    /// The producer is shut down, or its runtime is gone.
    Closed,
    /// A broker cannot be reached, or the connection to it broke.
    Connection,
    /// A server does not let us: wrong or unknown credentials, or no permission (PROTOCOL G.5).
    Denied,
    /// There is no room for another message under way (only `try_enqueue`).
    Full,
    /// A hook of the application refused the message, or panicked.
    Hook,
    /// No name server answered.
    NameServer,
    /// A transaction without a check-back listener, which a broker would ask in vain.
    NoCheckBack,
    /// A request was stored, but its reply did not come in time, or cannot be read (PROTOCOL G.3;
    /// Java: 10006).
    NoReply,
    /// There is no such message (admin queries).
    NotFound,
    /// The name servers know no queue to send this topic to.
    NoRoute,
    /// The closure that chooses a queue panicked, or chose none.
    Selector,
    /// The budget of the call is used up.
    Timeout,
    /// The broker is too old for what the message asks (PROTOCOL D.2); the text names its version.
    Unsupported,
}

/// Why an operation failed.
///
/// Its text names the last cause; it is never hidden behind "timeout" (PROTOCOL I 7).
#[derive(Clone)]
pub struct SendError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: SendErrorKind,
    certainty: Certainty,
    text: String,
    code: Option<ResponseCode>,
    attempts: Vec<AttemptReport>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind, certainty: Certainty, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            certainty,
            text: text.into(),
            code: None,
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// The error of everything that meets a producer which is shut down.
    pub fn closed(certainty: Certainty) -> Self {
        Self::new(
            SendErrorKind::Closed,
            certainty,
            "the producer is shut down",
        )
    }

    /// The error of a `try_` call that found no permit.
    pub fn full() -> Self {
        Self::new(
            SendErrorKind::Full,
            Certainty::NotSent,
            "too many messages are under way: wait for one, or raise max_in_flight or \
             max_in_flight_bytes",
        )
    }

    /// The error of a message that a hook keeps back.
    pub(crate) fn hook(text: impl Into<String>) -> Self {
        Self::new(SendErrorKind::Hook, Certainty::NotSent, text)
    }

    /// The error of a transaction that nobody would answer for (Java: "TransactionListener is
    /// null").
    pub(crate) fn no_check_back() -> Self {
        Self::new(
            SendErrorKind::NoCheckBack,
            Certainty::NotSent,
            "the producer has no check-back listener: whenever the end of a transaction is lost, \
             the broker asks for it and must be answered; give the builder one with check_back",
        )
    }

    /// The error of a question beyond [`MAX_QUESTIONS`](crate::MAX_QUESTIONS).
    pub(crate) fn too_many_questions() -> Self {
        let text = format!(
            "{} questions are under way, the most there may be: wait for one",
            crate::MAX_QUESTIONS
        );
        Self::new(SendErrorKind::Full, Certainty::NotSent, text)
    }

    /// What is known after such tries.
    pub(crate) fn certainty_of(attempts: &[AttemptReport]) -> Certainty {
        if attempts.iter().any(|attempt| attempt.cause.may_be_stored()) {
            return Certainty::Unknown;
        }
        let was_refused =
            |attempt: &AttemptReport| matches!(attempt.cause, AttemptFailure::Answered { .. });
        if attempts.iter().any(was_refused) {
            Certainty::Rejected
        } else {
            Certainty::NotSent
        }
    }

    pub(crate) fn with_attempts(mut self, attempts: Vec<AttemptReport>) -> Self {
        self.0.code = attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.cause.code());
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn no_route(topic: &TopicName, why: &str) -> Self {
        let text = format!("no route info of this topic: {topic} ({why})");
        Self::new(SendErrorKind::NoRoute, Certainty::NotSent, text)
    }

    /// The error of a send that is out of tries or time: kind and text from its last try.
    pub(crate) fn after_attempts(
        topic: &TopicName,
        elapsed: Duration,
        timed_out: bool,
        certainty: Certainty,
        attempts: Vec<AttemptReport>,
    ) -> Self {
        let last = attempts.last();
        let kind = SendErrorKind::of(last.map(|attempt| &attempt.cause), timed_out);
        let mut text = format!(
            "sending to topic {topic} failed after {} and {elapsed:.1?}",
            plural(attempts.len(), "try", "tries")
        );
        if let Some(last) = last {
            text.push_str(&format!("; the last, to {last}"));
        }
        Self::new(kind, certainty, text).with_attempts(attempts)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> SendErrorKind {
        self.0.kind
    }

    /// What is known about the message.
    pub fn certainty(&self) -> Certainty {
        self.0.certainty
    }

    /// The last code that a broker answered, if one did.
    pub fn code(&self) -> Option<ResponseCode> {
        self.0.code
    }

    /// The tries, first to last. Empty when it failed before the first.
    pub fn attempts(&self) -> &[AttemptReport] {
        &self.0.attempts
    }

    /// Whether sending the same message again later may succeed. With [`Certainty::Unknown`] it may
    /// then be stored twice, with [`Certainty::Stored`] it is.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            SendErrorKind::Connection
            | SendErrorKind::Full
            | SendErrorKind::NameServer
            | SendErrorKind::NoReply
            | SendErrorKind::NoRoute
            | SendErrorKind::Timeout => true,
            SendErrorKind::Broker => self.0.code.is_none_or(|code| {
                code != ResponseCode::MESSAGE_ILLEGAL && code != ResponseCode::INVALID_PARAMETER
            }),
            SendErrorKind::Closed
            | SendErrorKind::Denied
            | SendErrorKind::Hook
            | SendErrorKind::InvalidMessage
            | SendErrorKind::NoCheckBack
            | SendErrorKind::NotFound
            | SendErrorKind::Selector
            | SendErrorKind::Unsupported => false,
        }
    }

    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, SendErrorKind::NoReply | SendErrorKind::Timeout)
    }
}

impl SendErrorKind {
    /// The kind of an error by its last try.
    pub(crate) fn of(last: Option<&AttemptFailure>, timed_out: bool) -> Self {
        match last {
            Some(AttemptFailure::Answered { code, remark }) if is_denial(*code, remark) => {
                Self::Denied
            }
            Some(AttemptFailure::Answered { .. } | AttemptFailure::BadAnswer(_)) => Self::Broker,
            Some(AttemptFailure::TimerIgnored { .. }) => Self::Unsupported,
            Some(
                AttemptFailure::NoReply(_)
                | AttemptFailure::NoVersion(_)
                | AttemptFailure::NotWritten(_)
                | AttemptFailure::ConnectTimeout(_),
            )
            | None => Self::Timeout,
            Some(_) if timed_out => Self::Timeout,
            Some(_) => Self::Connection,
        }
    }
}

/// "1 try", "3 tries".
fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("kind", &self.0.kind)
            .field("certainty", &self.0.certainty)
            .field("text", &self.0.text)
            .field("attempts", &self.0.attempts)
            .finish()
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Errors of the codec that mean: this message cannot be sent.
macro_rules! invalid_message {
    ($($error:ty),*) => {
        $(impl From<$error> for SendError {
            fn from(source: $error) -> Self {
                invalid(source)
            }
        })*
    };
}

invalid_message!(
    BatchError,
    BatchProblem,
    EncodeError,
    InvalidBatch,
    InvalidMessage,
    InvalidName,
    InvalidRequest
);

fn invalid(source: impl std::error::Error + Send + Sync + 'static) -> SendError {
    let mut error = SendError::new(
        SendErrorKind::InvalidMessage,
        Certainty::NotSent,
        source.to_string(),
    );
    error.0.source = Some(Arc::new(source));
    error
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
