//! How other threads reach the one that moves bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};

use mio::{Registry, Token, Waker};
use rocketmq_engine::driver::DialJob;

/// The token of the doorbell itself.
pub(crate) const BELL: Token = Token(usize::MAX);

/// Whoever moves bytes will look into the inbox before it sleeps.
const AWAKE: u8 = 0;
/// It sleeps in the poll, or is about to: only then a ring costs a system call.
const ASLEEP: u8 = 1;
/// Nobody moves bytes: the I/O thread is to be called.
const UNATTENDED: u8 = 2;

/// The doorbell of the thread that moves bytes. As a waker, it is the supervisor's.
#[derive(Debug)]
pub(crate) struct Bell {
    waker: Waker,
    state: AtomicU8,
    inbox: Mutex<Inbox>,
    io_thread: OnceLock<Thread>,
}

/// The doorbell as the waker of the caller that leads.
#[derive(Debug)]
pub(crate) struct CallersBell(pub(crate) Arc<Bell>);

/// What the thread that moves bytes is called for.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The supervisor has work.
    pub(crate) supervisor: bool,
    /// These connections have something to write, or are to be closed.
    pub(crate) links: Vec<Token>,
    /// Host names were looked up.
    pub(crate) resolved: Vec<(DialJob, io::Result<Vec<SocketAddr>>)>,
    /// The caller that leads may have its outcome.
    caller: bool,
    closed: bool,
}

impl Bell {
    pub(crate) fn new(registry: &Registry) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            waker: Waker::new(registry, BELL)?,
            state: AtomicU8::new(AWAKE),
            inbox: Mutex::default(),
            io_thread: OnceLock::new(),
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
        inbox.caller = false;
        // Before the look into the inbox: whoever puts something in after it sees this.
        let state = if sleep { ASLEEP } else { AWAKE };
        self.state.store(state, Ordering::SeqCst);
        std::mem::swap(inbox, &mut *self.lock());
        let any = inbox.caller || inbox.has_work();
        if any {
            self.awake();
        }
        any
    }

    /// Somebody moves bytes and does not sleep, whatever woke it.
    pub(crate) fn awake(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Nobody moves bytes from now on; the next ring calls the I/O thread.
    pub(crate) fn unattended(&self) {
        self.state.store(UNATTENDED, Ordering::SeqCst);
        if self.has_work() {
            self.call();
        }
    }

    /// Whether something has come in.
    pub(crate) fn has_work(&self) -> bool {
        self.lock().has_work()
    }

    /// The present thread is the I/O thread.
    pub(crate) fn is_heard_here(&self) {
        self.io_thread.get_or_init(thread::current);
    }

    /// Has the I/O thread look whether it is to lead.
    pub(crate) fn call(&self) {
        if let Some(thread) = self.io_thread.get() {
            thread.unpark();
        }
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
        match self.state.swap(AWAKE, Ordering::SeqCst) {
            // Fails only when the system has run out of memory or files; the thread then sleeps
            // until its alarm.
            ASLEEP => drop(self.waker.wake()),
            UNATTENDED => self.call(),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Nothing under this lock panics.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn has_work(&self) -> bool {
        self.supervisor || !self.links.is_empty() || !self.resolved.is_empty()
    }
}

impl Wake for CallersBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.ring(|inbox| inbox.caller = true);
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
