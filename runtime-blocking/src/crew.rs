//! A producer's threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rocketmq_engine::Config;
use rocketmq_engine::driver::Supervisor;

use crate::callbacks::Callbacks;
use crate::driver::Driver;
use crate::writer::write_through;

/// How long a shutdown waits for callbacks that are still running.
const CALLBACKS_END: Duration = Duration::from_secs(1);

/// The threads that serve one producer. Dropped with its last handle: they end by themselves then.
#[derive(Debug)]
pub(crate) struct Crew {
    callbacks: Arc<Callbacks>,
    io: Mutex<Option<JoinHandle<()>>>,
    /// Callers that wait for a broker.
    callers: AtomicUsize,
}

impl Crew {
    pub(crate) fn start(
        config: &Config,
        supervisor: Supervisor,
        callback_threads: usize,
    ) -> io::Result<Arc<Self>> {
        let name = |role| format!("rmq-{}-{role}", config.group);
        let callbacks = Callbacks::new(name("callback"), callback_threads, config.max_in_flight);
        let driver = Driver::new(supervisor, name("resolve"))?;
        let io = thread::Builder::new()
            .name(name("io"))
            .spawn(|| driver.run())?;
        Ok(Arc::new(Self {
            callbacks,
            io: Mutex::new(Some(io)),
            callers: AtomicUsize::new(0),
        }))
    }

    /// Runs a call that ends by waiting for the broker. The only one to do so writes by itself: it
    /// would have to wake the I/O thread, and has nothing better to do. When there are several, one
    /// thread that writes for all of them does it in fewer system calls.
    pub(crate) fn waiting<T>(&self, call: impl FnOnce() -> T) -> T {
        let others = self.callers.fetch_add(1, Ordering::Relaxed);
        let result = if others == 0 {
            write_through(call)
        } else {
            call()
        };
        self.callers.fetch_sub(1, Ordering::Relaxed);
        result
    }

    pub(crate) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Waits for the threads of a closed producer to end.
    pub(crate) fn join(&self) {
        // Held while joining, so that everybody who shuts down returns after the end.
        let mut io = self.io.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(io) = io.take() {
            // A panic of its was reported by the panic hook, and has completed every operation.
            let _ = io.join();
        }
        drop(io);
        self.callbacks.join(Instant::now() + CALLBACKS_END);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.callbacks.close();
    }
}
