//! The face of a producer for every runtime whose callers are futures. Needs nothing but
//! [`Future`] and [`Waker`](std::task::Waker), so any executor can poll it.
//!
//! A runtime wraps [`Producer`] to give it a builder of its own; the rest is here, once.

mod events;
mod futures;
mod producer;

pub use events::{Events, NextEvent};
pub use futures::{
    Delivery, EnqueueFuture, FlushFuture, OnewayFuture, QueuesFuture, ReadyFuture, SendFuture,
    ShutdownFuture,
};
pub use producer::Producer;
