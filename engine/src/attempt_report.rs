//! One try of a send: to whom, how long, and how it failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_proto::ResponseCode;

use crate::dial::DialError;
use crate::event::dialled_as;
use crate::io::{CloseCause, CloseReason, Endpoint};
use crate::receipt::SendStatus;

/// One try of a send.
#[derive(Clone, Debug)]
pub struct AttemptReport {
    /// The broker's name.
    pub broker: Arc<str>,
    /// Its address; `None` when the route gave none.
    pub address: Option<Endpoint>,
    /// Where it was dialled, when the [address map](crate::Config::address_map) said so.
    pub mapped: Option<Endpoint>,
    /// How long the try took.
    pub elapsed: Duration,
    /// How it ended.
    pub cause: AttemptFailure,
}

/// How one try of a send failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttemptFailure {
    /// The broker answered with an error code.
    Answered {
        /// The code.
        code: ResponseCode,
        /// The broker's own words.
        remark: String,
    },
    /// The broker's answer could not be read.
    BadAnswer(String),
    /// The connection could not be made.
    Connect(DialError),
    /// The connection could not be made in the time there was.
    ConnectTimeout(Duration),
    /// We closed the connection.
    Dropped {
        /// Why.
        why: CloseReason,
        /// Whether the whole request had been written before.
        written: bool,
    },
    /// The connection broke.
    Lost {
        /// How.
        cause: CloseCause,
        /// Whether the whole request had been written before.
        written: bool,
    },
    /// The route names no master for this broker (PROTOCOL C.6, I 2).
    NoAddress,
    /// No answer within the time of this try.
    NoReply(Duration),
    /// The broker did not say its version within the time of this try, which a message with a timer
    /// waits for (PROTOCOL D.2).
    NoVersion(Duration),
    /// The socket did not take the whole request within the time of this try (oneway).
    NotWritten(Duration),
    /// Stored, but not flushed or replicated in time, and the configuration asks for another broker.
    NotStoredOk(SendStatus),
    /// The broker would ignore the message's timer and deliver it at once (PROTOCOL D.2).
    TimerIgnored {
        /// The broker's version (PROTOCOL A.5).
        version: i32,
    },
}

impl AttemptFailure {
    /// Whether the broker may have stored the message although this try failed.
    pub fn may_be_stored(&self) -> bool {
        match self {
            Self::BadAnswer(_) | Self::NoReply(_) | Self::NotStoredOk(_) | Self::NotWritten(_) => {
                true
            }
            Self::Lost {
                cause: CloseCause::Tls(failure),
                written,
            } => *written && !failure.precedes_data(),
            Self::Dropped { written, .. } | Self::Lost { written, .. } => *written,
            Self::Answered { .. }
            | Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::NoAddress
            | Self::NoVersion(_)
            | Self::TimerIgnored { .. } => false,
        }
    }

    pub(crate) fn code(&self) -> Option<ResponseCode> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for AttemptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.broker)?;
        if let Some(address) = &self.address {
            write!(f, " at {address}{}", dialled_as(&self.mapped))?;
        }
        write!(f, " after {:.1?}: {}", self.elapsed, self.cause)
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { code, remark } if remark.is_empty() => {
                write!(f, "the broker answered {code}")
            }
            Self::Answered { code, remark } => write!(f, "the broker answered {code}: {remark}"),
            Self::BadAnswer(why) => write!(f, "the broker's answer cannot be read: {why}"),
            Self::Connect(error) => write!(f, "connecting failed: {error}"),
            Self::ConnectTimeout(time) => write!(f, "no connection within {time:.1?}"),
            Self::Dropped { why, written } => {
                write!(
                    f,
                    "the connection was closed since {why}, {}",
                    written_text(*written)
                )
            }
            Self::Lost { cause, written } => write!(f, "{cause}, {}", written_text(*written)),
            Self::NoAddress => f.write_str("the route names no master for this broker"),
            Self::NoReply(time) => write!(f, "no reply within {time:.1?}"),
            Self::NoVersion(time) => write!(
                f,
                "the broker did not say its version within {time:.1?}, and old ones ignore timers"
            ),
            Self::NotWritten(time) => write!(f, "the socket took not all of it within {time:.1?}"),
            Self::NotStoredOk(status) => write!(f, "the broker stored it with {status}"),
            Self::TimerIgnored { version } => write!(
                f,
                "the broker is of version {version}, before 5.0 ({}), and would ignore the timer and \
                 deliver the message at once; use delay_level, or allow it with \
                 allow_ignored_timers",
                rocketmq_proto::version::V5_0_0
            ),
        }
    }
}

fn written_text(written: bool) -> &'static str {
    if written {
        "after the request was written"
    } else {
        "before the request was written"
    }
}
