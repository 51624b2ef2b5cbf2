//! What several measurements need.

pub mod engine;
pub mod samples;
