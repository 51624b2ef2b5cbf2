//! How other threads reach the one that moves bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use mio::{Registry, Token, Waker};
use rocketmq_engine::driver::DialJob;

/// The token of the doorbell itself.
pub(crate) const BELL: Token = Token(usize::MAX);

/// The doorbell of the I/O thread. As a waker, it is the supervisor's.
#[derive(Debug)]
pub(crate) struct Bell {
    waker: Waker,
    /// Whether the I/O thread sleeps, or is about to: only then a ring costs a system call.
    sleeping: AtomicBool,
    inbox: Mutex<Inbox>,
}

/// What the I/O thread is called for.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The supervisor has work.
    pub(crate) supervisor: bool,
    /// These connections have something to write, or are to be closed.
    pub(crate) links: Vec<Token>,
    /// Host names were looked up.
    pub(crate) resolved: Vec<(DialJob, io::Result<Vec<SocketAddr>>)>,
    closed: bool,
}

impl Bell {
    pub(crate) fn new(registry: &Registry) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            waker: Waker::new(registry, BELL)?,
            sleeping: AtomicBool::new(false),
            inbox: Mutex::default(),
        }))
    }

    pub(crate) fn link(&self, token: Token) {
        self.ring(|inbox| inbox.links.push(token));
    }

    pub(crate) fn resolved(&self, job: DialJob, addresses: io::Result<Vec<SocketAddr>>) {
        let mut late = Some((job, addresses));
        self.ring(|inbox| {
            if !inbox.closed {
                inbox.resolved.extend(late.take());
            }
        });
    }

    /// Swaps what has come in since with what was worked off. Says whether there is anything;
    /// if not, and the thread is about to `sleep`, the next ring wakes it.
    pub(crate) fn take(&self, inbox: &mut Inbox, sleep: bool) -> bool {
        inbox.links.clear();
        inbox.supervisor = false;
        // Before the look into the inbox: whoever puts something in after it sees this.
        self.sleeping.store(sleep, Ordering::SeqCst);
        std::mem::swap(inbox, &mut *self.lock());
        let any = inbox.supervisor || !inbox.links.is_empty() || !inbox.resolved.is_empty();
        if any {
            self.sleeping.store(false, Ordering::SeqCst);
        }
        any
    }

    /// The I/O thread does not sleep any more, whatever woke it.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// Nobody will look any more.
    pub(crate) fn close(&self) -> Inbox {
        let mut inbox = self.lock();
        let left = std::mem::take(&mut *inbox);
        inbox.closed = true;
        left
    }

    fn ring(&self, put: impl FnOnce(&mut Inbox)) {
        put(&mut self.lock());
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // Fails only when the system has run out of memory or files; the thread then sleeps
            // until its alarm.
            let _ = self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Nothing under this lock panics.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring(|inbox| inbox.supervisor = true);
    }
}
