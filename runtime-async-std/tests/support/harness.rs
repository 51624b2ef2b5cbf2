//! The suite's view of executors: async-std's, one of smol, and none at all.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Weak};
use std::task::Context;
use std::thread::{self, JoinHandle, Thread};

use async_std::task;
use rocketmq_async_std::{Builder, Client, Config, Driver, Task};

use crate::asynchronous::{Producer, Spawn};
use crate::suite::support::thread_waker;
use crate::suite::{Harness, Listener, Transacts};

/// Tasks on async-std's executor. It cannot be ended, but they can.
#[derive(Default)]
pub(crate) struct AsyncStd(Arc<Mutex<Vec<task::JoinHandle<()>>>>);

/// An executor of smol's kind, on a thread of its own.
pub(crate) struct Smol {
    executor: Weak<smol::Executor<'static>>,
    /// Its end stops the executor.
    stop: Option<smol::channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// No executor: each producer's driver is polled by a thread in a loop.
#[derive(Default)]
pub(crate) struct Bare {
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Harness for AsyncStd {
    type Producer = Producer<OnAsyncStd>;

    fn new() -> Self {
        Self::default()
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(builder(group, name_servers, change))
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        let tasks = self.0.clone();
        let spawner = move |work| tasks.lock().unwrap().push(task::spawn(work));
        on_one_client(groups, name_servers, spawner, &OnAsyncStd)
    }

    fn abort(self) {}
}

impl AsyncStd {
    fn started(&self, builder: Builder) -> Result<Producer<OnAsyncStd>, String> {
        let tasks = self.0.clone();
        let spawner = move |work| tasks.lock().unwrap().push(task::spawn(work));
        match builder.start_with(spawner) {
            Ok(producer) => Ok(Producer::new(&producer, OnAsyncStd)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Smol {
    fn started(&self, builder: Builder) -> Result<Producer<OnSmol>, String> {
        let executor = OnSmol(self.executor.clone());
        let spawner = executor.clone();
        match builder.start_with(move |task| spawner.spawn(task)) {
            Ok(producer) => Ok(Producer::new(&producer, executor)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Bare {
    fn started(&self, builder: Builder) -> Result<Producer<OnAsyncStd>, String> {
        let (producer, driver) = builder.into_parts().map_err(|error| error.to_string())?;
        let stop = self.stop.clone();
        let thread = thread::spawn(move || drive(driver, &stop));
        self.threads.lock().unwrap().push(thread);
        // Callers are at home elsewhere.
        Ok(Producer::new(&producer, OnAsyncStd))
    }
}

impl Transacts for AsyncStd {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(listening(group, name_servers, listener, change))
    }
}

impl Transacts for Smol {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(listening(group, name_servers, listener, change))
    }
}

impl Transacts for Bare {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(listening(group, name_servers, listener, change))
    }
}

fn listening(
    group: &str,
    name_servers: &str,
    listener: Listener,
    change: impl FnOnce(&mut Config),
) -> Builder {
    builder(group, name_servers, change).check_back(move |message| {
        let listener = listener.clone();
        async move { listener(message) }
    })
}

impl Drop for AsyncStd {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        for task in tasks {
            task::block_on(task.cancel());
        }
    }
}

impl Harness for Smol {
    type Producer = Producer<OnSmol>;

    fn new() -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = smol::channel::bounded(1);
        let thread = thread::spawn(move || {
            let executor = Arc::new(smol::Executor::new());
            tell.send(Arc::downgrade(&executor)).unwrap();
            let _ = smol::block_on(executor.run(stopped.recv()));
        });
        Self {
            executor: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(builder(group, name_servers, change))
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        let executor = OnSmol(self.executor.clone());
        let spawner = executor.clone();
        on_one_client(
            groups,
            name_servers,
            move |task| spawner.spawn(task),
            &executor,
        )
    }

    fn abort(self) {}
}

impl Drop for Smol {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Harness for Bare {
    type Producer = Producer<OnAsyncStd>;

    fn new() -> Self {
        Self::default()
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.started(builder(group, name_servers, change))
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        let builder = Client::builder().name_servers([name_servers]);
        let (client, driver) = builder.into_parts().map_err(|error| error.to_string())?;
        let stop = self.stop.clone();
        let thread = thread::spawn(move || drive(driver, &stop));
        self.threads.lock().unwrap().push(thread);
        let start = |group| match client.producer(group).into_parts() {
            Ok((producer, _over_at_once)) => Ok(Producer::new(&producer, OnAsyncStd)),
            Err(error) => Err(error.to_string()),
        };
        groups.iter().map(start).collect()
    }

    fn abort(self) {}
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.lock().unwrap().drain(..) {
            Thread::unpark(thread.thread());
            thread.join().unwrap();
        }
    }
}

fn on_one_client<S: Spawn>(
    groups: &[&str],
    name_servers: &str,
    spawner: impl FnMut(Task) + Clone + Send + 'static,
    callers: &S,
) -> Result<Vec<Producer<S>>, String> {
    let builder = Client::builder().name_servers([name_servers]);
    let client = builder.start_with(spawner).map_err(|e| e.to_string())?;
    let start = |group| match client.producer(group).start_with(|_| ()) {
        Ok(producer) => Ok(Producer::new(&producer, callers.clone())),
        Err(error) => Err(error.to_string()),
    };
    groups.iter().map(start).collect()
}

/// Polls a driver until it is over or is to be dropped.
fn drive(driver: Driver, stop: &AtomicBool) {
    let mut driver = Box::pin(driver);
    let waker = thread_waker();
    let mut cx = Context::from_waker(&waker);
    while !stop.load(Ordering::SeqCst) && driver.as_mut().poll(&mut cx).is_pending() {
        thread::park();
    }
}

#[derive(Clone)]
pub(crate) struct OnAsyncStd;

impl Spawn for OnAsyncStd {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(task));
    }
}

#[derive(Clone)]
pub(crate) struct OnSmol(Weak<smol::Executor<'static>>);

impl Spawn for OnSmol {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(executor) = self.0.upgrade() {
            executor.spawn(task).detach();
        }
    }
}

fn builder(group: &str, name_servers: &str, change: impl FnOnce(&mut Config)) -> Builder {
    rocketmq_async_std::Producer::builder(group)
        .name_servers([name_servers])
        .config(change)
}
