//! The tasks: one for each producer, one for each connection. All they know of RocketMQ is what
//! the hub tells them to do next.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use rocketmq_engine::Now;
use rocketmq_engine::driver::{ConnRx, ConnTx, DialJob, Supervisor, Work};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use crate::net::dial;

/// Slices of one vectored write.
const SLICES: usize = 64;
/// Reads and writes before other tasks get their turn.
const TURNS: usize = 32;

/// Serves a producer until it is closed. One timer, armed anew only when the deadline moved.
pub(crate) async fn supervise(mut supervisor: Supervisor) {
    let mut alarm = pin!(sleep_until(Instant::now().into()));
    let mut armed = None;
    poll_fn(|cx| {
        loop {
            match supervisor.poll_work(Now::system(), cx.waker()) {
                Work::Dial(job) => drop(tokio::spawn(connect(job))),
                Work::Exit => return Poll::Ready(()),
                Work::Wait { until: None } => return Poll::Pending,
                Work::Wait { until: Some(at) } => {
                    if armed != Some(at) {
                        alarm.as_mut().reset(at.into());
                        armed = Some(at);
                    }
                    ready!(alarm.as_mut().poll(cx));
                    armed = None;
                }
            }
        }
    })
    .await;
}

async fn connect(job: DialJob) {
    match dial(job.to(), job.by()).await {
        Ok(stream) => {
            let (tx, rx) = job.connected(Now::system());
            Link {
                stream,
                tx: Some(tx),
                rx: Some(rx),
            }
            .serve()
            .await;
        }
        Err(error) => job.failed(Now::system(), &error),
    }
}

/// A connection. One task reads and writes, each as far as the socket goes: neither waits for the
/// other.
struct Link {
    stream: TcpStream,
    tx: Option<ConnTx>,
    rx: Option<ConnRx>,
}

/// What a step of reading or writing came to.
enum Step {
    /// Something was done; there may be more.
    Done,
    /// The connection is over.
    Over,
}

impl Link {
    async fn serve(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            let wrote = self.poll_write(cx);
            let read = self.poll_read(cx);
            match (wrote, read) {
                (Poll::Ready(Step::Over), _) | (_, Poll::Ready(Step::Over)) => {
                    return Poll::Ready(());
                }
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                _ => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Some(tx) = &mut self.tx else {
            return Poll::Ready(Step::Over);
        };
        let Some(batch) = ready!(tx.poll_batch(cx.waker())) else {
            return Poll::Ready(Step::Over);
        };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = batch.slices(&mut slices);
        loop {
            let result = match ready!(self.stream.poll_write_ready(cx)) {
                Ok(()) => self.stream.try_write_vectored(&slices[..used]),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if is_passing(&error) => {}
                Ok(written) => {
                    tx.wrote(Now::system(), written);
                    return Poll::Ready(Step::Done);
                }
                Err(error) => {
                    if let Some(tx) = self.tx.take() {
                        tx.failed(Now::system(), &error);
                    }
                    return Poll::Ready(Step::Over);
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Some(rx) = &mut self.rx else {
            return Poll::Ready(Step::Over);
        };
        loop {
            let result = match ready!(self.stream.poll_read_ready(cx)) {
                Ok(()) => self.stream.try_read_buf(rx.buffer()),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if is_passing(&error) => {}
                Ok(0) => {
                    if let Some(rx) = self.rx.take() {
                        rx.ended(Now::system());
                    }
                    return Poll::Ready(Step::Over);
                }
                Ok(_) if rx.received(Now::system()).is_continue() => {
                    return Poll::Ready(Step::Done);
                }
                Ok(_) => return Poll::Ready(Step::Over),
                Err(error) => {
                    if let Some(rx) = self.rx.take() {
                        rx.failed(Now::system(), &error);
                    }
                    return Poll::Ready(Step::Over);
                }
            }
        }
    }
}

/// Any other error ends the connection: a socket that fails at once would be polled for ever.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
