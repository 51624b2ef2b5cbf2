//! Requests that are not sends: topics, offsets, single messages, recall, what name servers know
//! (PROTOCOL B.8 to B.14). One mechanism for all: find the route if it takes one, ask the servers
//! concerned, collect, complete once.
//!
//! `request` is what can be asked, `answer` what comes of it, both pure; `names` is where topic names
//! go in and come out. `targets` says whom to ask, `state` how far that is, `run` is the whole
//! operation, `ask` one server of it, `write` the requests on the wire.

mod answer;
mod ask;
mod check;
mod names;
mod request;
mod run;
mod state;
mod targets;
mod write;

pub use answer::{AdminAnswer, CreatedTopic, QueryResult};
pub use request::{AdminRequest, InvalidRequest, KeyQuery, NewTopic, Question};
pub(crate) use state::AdminOp;

/// Questions that may be under way at once, beside the sends: admin requests, `publish_queues` and
/// `ready` together. One more is refused with [`SendErrorKind::Full`](crate::SendErrorKind::Full).
pub const MAX_QUESTIONS: usize = 1024;
