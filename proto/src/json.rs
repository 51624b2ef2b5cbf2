//! A small lenient JSON reader and the pieces of a writer (PROTOCOL A.2, C.2).
//!
//! Reads what fastjson writes and reads: standard JSON, and besides it bare keys (`{0:"a"}`), single quotes and stray
//! commas. It pulls: the caller says what it expects next, nothing is built in between. It never recurses.

mod lexer;
mod plain;
mod scan;
mod text;
pub(crate) mod write;

pub(crate) use lexer::{Lexer, Value};
pub(crate) use plain::Plain;
pub(crate) use text::Text;

use thiserror::Error;

/// A text is not JSON, not even lenient JSON.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("JSON at byte {offset}: {problem}")]
#[non_exhaustive]
pub struct JsonError {
    /// Where in the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub problem: &'static str,
}
