//! How `produce` ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::produce_report::{Report, Summary};

/// For what is under way at the end; it has come to its own end before.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// As clap ends for wrong arguments.
pub(crate) const WRONG_ARGUMENTS: u8 = 2;
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Tells how it went.
pub(crate) fn end<W: Write>(
    summary: &Summary,
    report: &Report<W>,
    input_error: Option<&io::Error>,
    interrupted: bool,
) -> ExitCode {
    if let Some(error) = input_error {
        complain(format_args!("cannot read standard input: {error}"));
    }
    if let Some(error) = report.broken() {
        complain(format_args!("cannot write to standard output: {error}"));
    }
    complain(summary);
    if interrupted {
        return INTERRUPTED.into();
    }
    if summary.failed == 0 && input_error.is_none() && report.broken().is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Tells it on standard error, and does not mind when nobody listens.
pub(crate) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "produce: {what}");
}
