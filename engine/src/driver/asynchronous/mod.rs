//! A producer for every runtime whose callers are futures: its face and its tasks. Needs nothing but
//! [`Future`] and [`Waker`](std::task::Waker), so any executor can poll it.
//!
//! What is left to a runtime: a [`Socket`] and how to dial one, an [`Alarm`], how to spawn
//! [`supervise()`] and [`serve`], and a builder around [`Producer`].

mod admin;
mod check_back;
mod events;
mod futures;
mod link;
mod producer;
mod supervise;
mod transaction;

pub use admin::{Admin, AdminFuture};
pub use check_back::CheckBackListener;
pub use events::{Events, NextEvent};
pub use futures::{
    Delivery, EnqueueFuture, FlushFuture, OnewayFuture, QueuesFuture, ReadyFuture, RequestFuture,
    SendFuture, ShutdownFuture,
};
pub use link::{Socket, serve};
pub use producer::Producer;
pub use supervise::{Alarm, supervise};
pub use transaction::TransactionFuture;
