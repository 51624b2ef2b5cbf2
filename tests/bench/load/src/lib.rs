//! What stands beside the producers when they are measured from end to end.

pub mod server;
