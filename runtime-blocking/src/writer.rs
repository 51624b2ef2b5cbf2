//! The writing side of a connection: whoever has something to write may do it, one at a time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Wake, Waker};

use mio::Token;
use mio::net::TcpStream;
use rocketmq_engine::Now;
use rocketmq_engine::driver::ConnTx;
use rocketmq_engine::driver::threads::writes_through;

use crate::bell::Bell;
use crate::net::is_passing;
/// Writes before others get their turn.
const TURNS: usize = 16;

/// A connection's writing end. As a waker, it is told that there is something to write.
#[derive(Debug)]
pub(crate) struct Writer {
    token: Token,
    stream: Arc<TcpStream>,
    tx: Mutex<Option<ConnTx>>,
    /// How often somebody came to write since nobody did. The first one writes, for the others too.
    claims: AtomicUsize,
    bell: Arc<Bell>,
}

/// How far writing came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    /// There is more, and the socket may take it.
    More,
    /// The connection is over.
    Over,
    /// All there was, or all that the socket takes: the waker or the socket will tell.
    Waiting,
}

impl Writer {
    pub(crate) fn new(
        token: Token,
        stream: Arc<TcpStream>,
        tx: ConnTx,
        bell: Arc<Bell>,
    ) -> Arc<Self> {
        let tx = Mutex::new(Some(tx));
        Arc::new(Self {
            token,
            stream,
            tx,
            claims: AtomicUsize::new(0),
            bell,
        })
    }

    /// Writes what there is, unless somebody else is at it: he goes on for us then.
    pub(crate) fn write(self: &Arc<Self>) -> Written {
        if self.claims.fetch_add(1, Ordering::Acquire) > 0 {
            return Written::Waiting;
        }
        let waker = Waker::from(self.clone());
        let mut place = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..TURNS {
            let claims = self.claims.load(Ordering::Acquire);
            let written = self.step(&mut place, &waker);
            // Whoever came after the step began may have something that it did not see.
            let done = || {
                self.claims
                    .compare_exchange(claims, 0, Ordering::AcqRel, Ordering::Relaxed)
            };
            if written == Written::Over || (written == Written::Waiting && done().is_ok()) {
                return written;
            }
        }
        self.claims.store(0, Ordering::Release);
        Written::More
    }

    fn step(&self, place: &mut Option<ConnTx>, waker: &Waker) -> Written {
        let Some(tx) = place else {
            return Written::Over;
        };
        let batch = match tx.poll_batch(waker) {
            Poll::Pending => return Written::Waiting,
            Poll::Ready(None) => return Written::Over,
            Poll::Ready(Some(batch)) => batch,
        };
        match batch.write(|slices| (&*self.stream).write_vectored(slices)) {
            Ok(written) => {
                tx.wrote(written);
                Written::More
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Written::More,
            // The socket will tell; asked again, the hub tells should the connection be closed.
            Err(error) if is_passing(&error) => match tx.poll_batch(waker) {
                Poll::Ready(None) => Written::Over,
                _ => Written::Waiting,
            },
            Err(error) => {
                if let Some(tx) = place.take() {
                    tx.failed(Now::system(), &error);
                }
                Written::Over
            }
        }
    }
}

impl Wake for Writer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !writes_through() || self.write() != Written::Waiting {
            self.bell.link(self.token);
        }
    }
}
