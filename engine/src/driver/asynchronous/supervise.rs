//! A producer's supervisor, as a future.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::driver::{DialJob, Supervisor, Work};
use crate::io::Now;

/// The one timer of a producer.
pub trait Alarm {
    /// Rings at this time and at no other.
    fn set(&mut self, at: Instant);

    /// Whether it rang; otherwise the task is woken when it does. May ring early or late: the clock
    /// decides what is due (DESIGN 9, 1).
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Serves a producer until it is closed. `dial` begins a dial beside everything else. The alarm is
/// set anew only when the deadline moved (DESIGN 9, 10). Dropped, it ends the producer.
pub async fn supervise(
    mut supervisor: Supervisor,
    mut alarm: impl Alarm,
    mut dial: impl FnMut(DialJob),
) {
    let mut armed = None;
    poll_fn(|cx| {
        loop {
            match supervisor.poll_work(Now::system(), cx.waker()) {
                Work::Dial(job) => dial(job),
                Work::Exit => return Poll::Ready(()),
                Work::Wait { until: None } => return Poll::Pending,
                Work::Wait { until: Some(at) } => {
                    if armed != Some(at) {
                        alarm.set(at);
                        armed = Some(at);
                    }
                    ready!(alarm.poll(cx));
                    armed = None;
                }
            }
        }
    })
    .await;
}
