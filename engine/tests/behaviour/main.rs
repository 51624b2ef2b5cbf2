//! What the engine promises, one promise a test, under a clock that the test turns.

#[cfg(feature = "acl")]
mod acl;
mod admin;
mod answers;
mod auto_batch;
mod connections;
mod discovering;
mod earlier;
mod ending;
mod fault;
mod hooks;
mod name_server_list;
mod name_servers;
mod naming;
mod others;
mod pressure;
mod reaching;
mod requests;
mod rig;
mod sharing;
mod static_topics;
mod timers;
mod trace;
mod transactions;
mod tries;
mod upkeep;
