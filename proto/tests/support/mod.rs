//! The golden vectors beside the workspace's tests.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// The bytes of one file of `tests/golden`.
pub(crate) fn golden(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The JSON values of a file that has one on each line.
pub(crate) fn golden_lines(file: &str) -> Vec<Value> {
    let text = String::from_utf8(golden(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
