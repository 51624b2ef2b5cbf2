//! What several measurements need.

pub mod engine;
