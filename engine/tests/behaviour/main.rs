//! What the engine promises, one promise a test, under a clock that the test turns.

mod answers;
mod auto_batch;
mod connections;
mod ending;
mod fault;
mod name_server_list;
mod name_servers;
mod pressure;
mod requests;
mod rig;
mod sharing;
mod tries;
