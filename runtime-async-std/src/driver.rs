//! The tasks: one for each producer, one for each connection. All they know of RocketMQ is what
//! the hub tells them to do next.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::Instant;

use async_io::Timer;
use rocketmq_engine::driver::asynchronous::{self, Alarm, serve};
use rocketmq_engine::driver::{DialJob, Supervisor};

use crate::net::dial;
use crate::task::{Task, Tasks};

/// Everything that a producer does beside its callers, as one future: poll it, on whatever
/// executor, for as long as the producer is to live. It is over when the producer was
/// [shut down](asynchronous::Producer::shutdown) or its last clone was dropped, and everything is
/// closed.
///
/// Dropped before that, in the middle of whatever is under way, it ends the producer at once: every
/// operation completes with [`Closed`](crate::SendErrorKind::Closed), none hangs.
#[derive(Debug)]
#[must_use = "nothing is sent unless the driver is polled; dropping it ends the producer"]
pub struct Driver {
    tasks: Tasks,
    new: Receiver<Task>,
}

impl Driver {
    pub(crate) fn new(supervisor: Option<Supervisor>) -> Self {
        let (spawner, new) = channel();
        let mut tasks = Tasks::default();
        if let Some(supervisor) = supervisor {
            tasks.push(Task::new(supervise(supervisor, move |task| {
                // Refused when the driver is gone; then the task is not needed either.
                drop(spawner.send(task));
            })));
        }
        Self { tasks, new }
    }

    pub(crate) fn push(&mut self, task: Task) {
        self.tasks.push(task);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { tasks, new } = &mut *self;
        let mut over = tasks.poll(cx.waker());
        for task in new.try_iter() {
            // It rings for another turn.
            tasks.push(task);
            over = Poll::Pending;
        }
        over
    }
}

/// Serves a producer until it is closed.
pub(crate) async fn supervise(supervisor: Supervisor, mut spawn: impl FnMut(Task)) {
    let alarm = Reactor(Timer::never());
    asynchronous::supervise(supervisor, alarm, |job| spawn(Task::new(connect(job)))).await;
}

async fn connect(job: DialJob) {
    let dialled = dial(job.to(), job.by()).await;
    serve(job, dialled).await;
}

struct Reactor(Timer);

impl Alarm for Reactor {
    fn set(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
