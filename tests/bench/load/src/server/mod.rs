//! A server that costs next to nothing: it stores no message and answers at once.
//!
//! One thread for each connection; what one read brought is answered in one write. Requests are
//! not decoded: the four numbers that matter are looked for in the raw header.

mod answer;
mod request;
mod serve;
mod tls;

pub use answer::Answers;
pub use serve::serve;
pub use tls::{ServerTls, self_signed};
