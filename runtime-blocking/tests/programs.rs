//! The example programs keep the contracts of those on the other runtimes.

#![cfg(unix)]

#[path = "../../tests/programs/mod.rs"]
mod programs;
