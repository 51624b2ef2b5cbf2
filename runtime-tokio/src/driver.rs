//! The tasks: one for each producer, one for each connection. All they know of RocketMQ is what
//! the hub tells them to do next.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use rocketmq_engine::driver::asynchronous::{self, Alarm, serve};
use rocketmq_engine::driver::{DialJob, Supervisor};
use tokio::time::{Sleep, sleep_until};

use crate::net::dial;

/// Serves a producer until it is closed.
pub(crate) async fn supervise(supervisor: Supervisor) {
    let alarm = Timer(Box::pin(sleep_until(Instant::now().into())));
    asynchronous::supervise(supervisor, alarm, |job| {
        drop(tokio::spawn(connect(job)));
    })
    .await;
}

async fn connect(job: DialJob) {
    let dialled = dial(job.to(), job.by()).await;
    serve(job, dialled).await;
}

struct Timer(Pin<Box<Sleep>>);

impl Alarm for Timer {
    fn set(&mut self, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
