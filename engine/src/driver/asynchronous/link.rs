//! A connection, as a future: reads and writes as far as the socket goes, neither waits for the
//! other.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use crate::driver::{ConnRx, ConnTx, DialJob};
use crate::io::Now;

/// Reads and writes before other tasks get their turn.
const TURNS: usize = 32;

/// A socket, as an async runtime offers it. `WouldBlock` and `Interrupted` mean "try again"; any other
/// error ends the connection: a socket that fails at once would be polled for ever (DESIGN 9, 2).
pub trait Socket {
    /// Appends what can be read at once, 0 at the end of the stream. As long as there is nothing, the
    /// task is woken when there is. A read that did not fill the buffer took all there was: the
    /// system call that would only say so can be spared.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut)
    -> Poll<io::Result<usize>>;

    /// Writes what can be written at once. As long as that is nothing, the task is woken when it is
    /// something.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
}

/// Ends a dial: serves the connection until it is over, or says why there is none. Dropped, it ends
/// the connection.
pub async fn serve<S: Socket + Unpin>(job: DialJob, dialled: io::Result<S>) {
    match dialled {
        Ok(socket) => {
            let (tx, rx) = job.connected(Now::system());
            Link {
                socket,
                tx: Some(tx),
                rx: Some(rx),
            }
            .await;
        }
        Err(error) => job.failed(Now::system(), &error),
    }
}

struct Link<S> {
    socket: S,
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

impl<S: Socket + Unpin> Future for Link<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Who has to wait is not asked again: he wakes this task. What was read may be worth an
        // answer.
        let (mut reads, mut writes) = (true, true);
        for _ in 0..TURNS {
            // Read first: what a connection has said by now, its end above all, is known before
            // anything is written on it.
            if reads {
                match self.poll_read(cx) {
                    Poll::Ready(Step::Done) => writes = true,
                    Poll::Ready(Step::Over) => return Poll::Ready(()),
                    Poll::Pending => reads = false,
                }
            }
            if writes {
                match self.poll_write(cx) {
                    Poll::Ready(Step::Done) => {}
                    Poll::Ready(Step::Over) => return Poll::Ready(()),
                    Poll::Pending => writes = false,
                }
            }
            if !reads && !writes {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Socket> Link<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Some(tx) = &mut self.tx else {
            return Poll::Ready(Step::Over);
        };
        let Some(batch) = ready!(tx.poll_batch(cx.waker())) else {
            return Poll::Ready(Step::Over);
        };
        let socket = &mut self.socket;
        let result = batch.write(|slices| {
            loop {
                match ready!(socket.poll_write(cx, slices)) {
                    Err(error) if is_passing(&error) => {}
                    result => return Poll::Ready(result),
                }
            }
        });
        match result {
            Poll::Pending => {
                tx.took_nothing();
                Poll::Pending
            }
            Poll::Ready(Ok(written)) => {
                tx.wrote(written);
                Poll::Ready(Step::Done)
            }
            Poll::Ready(Err(error)) => {
                if let Some(tx) = self.tx.take() {
                    tx.failed(Now::system(), &error);
                }
                Poll::Ready(Step::Over)
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Some(rx) = &mut self.rx else {
            return Poll::Ready(Step::Over);
        };
        loop {
            match ready!(self.socket.poll_read(cx, rx.buffer())) {
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

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
