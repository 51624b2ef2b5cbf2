//! From settings to a running producer.

use std::future::Future;

use rocketmq_engine::driver::asynchronous::CheckBackListener;
use rocketmq_engine::driver::{Setup, StartError};
use rocketmq_engine::proto::StoredMessage;
use rocketmq_engine::{Config, Decision};

use crate::driver::{Driver, supervise};
use crate::producer::Producer;
use crate::task::Task;

/// Settings of a producer that is to be started. Made by [`Producer::builder`] and
/// [`Client::producer`](crate::Client::producer).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    listener: Option<CheckBackListener>,
}

impl Builder {
    /// The name servers to ask, as `host:port`; a text may hold several, separated by `;`
    /// (Java: `namesrvAddr`). No default. Replaces what was said before.
    pub fn name_servers<S: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.setup.name_servers(addresses);
        self
    }

    /// Changes any other setting; see [`Config`] for all of them and their defaults.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.setup.config(change);
        self
    }

    /// What answers when a broker asks about a half message whose end it does not know, which
    /// [`send_in_transaction`](rocketmq_engine::driver::asynchronous::Producer::send_in_transaction)
    /// needs: a closure that takes the half message, as it was stored and decompressed, and gives a
    /// future of a [`TransactionState`](crate::TransactionState), or of a `Result` of one. An error or
    /// a panic is answered as "unknown", as is taking longer than [`Config::check_timeout`], when the
    /// future is dropped; then the broker asks again, every 30 to 60 s and 15 times at most.
    ///
    /// It runs in tasks of its own, [`Config::check_concurrency`] of them, 1 by default. It must not
    /// rely on what this process remembers: brokers ask any producer of the group.
    pub fn check_back<F, T>(mut self, listener: F) -> Self
    where
        F: Fn(StoredMessage) -> T + Send + Sync + 'static,
        T: Future<Output: Into<Decision>> + Send + 'static,
    {
        self.listener = Some(CheckBackListener::new(listener));
        self
    }

    /// Starts the producer on the executor of the feature that is on: async-std's, or smol's; with
    /// both on, async-std's (then [`start_with`](Self::start_with) can name the other). Nothing is
    /// asked of any server yet: the first send is, or
    /// [`ready`](rocketmq_engine::driver::asynchronous::Producer::ready).
    ///
    /// # Errors
    /// The first setting that is wrong.
    #[cfg(any(feature = "async-std", feature = "smol"))]
    pub async fn start(self) -> Result<Producer, StartError> {
        #[cfg(feature = "async-std")]
        return self.start_with(crate::spawn::async_std);
        #[cfg(not(feature = "async-std"))]
        return self.start_with(crate::spawn::smol);
    }

    /// Starts the producer on any executor: `spawner` hands it a task, to be polled to its end
    /// beside everything else. It is called once here,
    /// and once for each task of a check-back listener, later once for each connection, from
    /// within the first task.
    ///
    /// A task that is dropped, with its executor or by it, ends its connection, and the first one
    /// the producer: every operation then completes with an error, none hangs.
    ///
    /// ```no_run
    /// # #[cfg(feature = "smol")]
    /// # fn example() -> Result<(), rocketmq_async_std::StartError> {
    /// use rocketmq_async_std::Producer;
    ///
    /// static EXECUTOR: smol::Executor<'_> = smol::Executor::new();
    /// let producer = Producer::builder("order-service")
    ///     .name_servers(["127.0.0.1:9876"])
    ///     .start_with(|task| EXECUTOR.spawn(task).detach())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn start_with(
        self,
        mut spawner: impl FnMut(Task) + Clone + Send + 'static,
    ) -> Result<Producer, StartError> {
        let (handle, supervisor) = self.setup.start()?;
        // A producer of a client is served with it.
        if let Some(supervisor) = supervisor {
            let supervision = supervise(supervisor, spawner.clone());
            spawner(Task::new(supervision));
        }
        for task in self.listener.into_iter().flat_map(|it| it.tasks(&handle)) {
            spawner(Task::new(task));
        }
        Ok(Producer::new(handle))
    }

    /// The producer, and the future that is all its tasks: for whoever has an executor that cannot
    /// spawn, or none at all. That of a producer of a client is over at once: the client's serves it.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn into_parts(self) -> Result<(Producer, Driver), StartError> {
        let (handle, supervisor) = self.setup.start()?;
        let mut driver = Driver::new(supervisor);
        for task in self.listener.into_iter().flat_map(|it| it.tasks(&handle)) {
            driver.push(Task::new(task));
        }
        Ok((Producer::new(handle), driver))
    }
}

impl From<Setup> for Builder {
    fn from(setup: Setup) -> Self {
        Self {
            setup,
            listener: None,
        }
    }
}
