//! The suite's view of tokio: one harness for each kind of runtime.

use std::future::Future;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rocketmq_tokio::Config;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::asynchronous::{Producer, Spawn, begin, end};
use crate::suite::{Harness, Listener, Transacts};

/// A runtime of one thread, which the test's thread is not.
pub(crate) struct CurrentThread(Running);

/// A runtime of two threads.
pub(crate) struct MultiThread(Running);

impl Harness for CurrentThread {
    type Producer = Producer<OnTokio>;

    fn new() -> Self {
        Self(Running::start(|| {
            Builder::new_current_thread().enable_all().build().unwrap()
        }))
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer<OnTokio>, String> {
        self.0.start_producer(builder(group, name_servers, change))
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        self.0.producers(groups, name_servers)
    }

    fn abort(self) {}
}

impl Harness for MultiThread {
    type Producer = Producer<OnTokio>;

    fn new() -> Self {
        Self(Running::start(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2).enable_all().build().unwrap()
        }))
    }

    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Producer<OnTokio>, String> {
        self.0.start_producer(builder(group, name_servers, change))
    }

    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String> {
        self.0.producers(groups, name_servers)
    }

    fn abort(self) {}
}

impl Transacts for CurrentThread {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.0
            .start_producer(listening(group, name_servers, listener, change))
    }
}

impl Transacts for MultiThread {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String> {
        self.0
            .start_producer(listening(group, name_servers, listener, change))
    }
}

fn builder(
    group: &str,
    name_servers: &str,
    change: impl FnOnce(&mut Config),
) -> rocketmq_tokio::Builder {
    rocketmq_tokio::Producer::builder(group)
        .name_servers([name_servers])
        .config(change)
}

fn listening(
    group: &str,
    name_servers: &str,
    listener: Listener,
    change: impl FnOnce(&mut Config),
) -> rocketmq_tokio::Builder {
    builder(group, name_servers, change).check_back(move |message| {
        let listener = listener.clone();
        async move { listener(message) }
    })
}

/// A runtime that lives on a thread of its own and dies with this.
struct Running {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(build: fn() -> tokio::runtime::Runtime) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = build();
            tell.send(runtime.handle().clone()).unwrap();
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn start_producer(
        &self,
        builder: rocketmq_tokio::Builder,
    ) -> Result<Producer<OnTokio>, String> {
        let spawner = OnTokio(self.handle.clone());
        match end(&begin(&spawner, builder.start())) {
            Ok(producer) => Ok(Producer::new(&producer, spawner)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Running {
    fn producers(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Producer<OnTokio>>, String> {
        let builder = rocketmq_tokio::Client::builder().name_servers([name_servers]);
        let spawner = OnTokio(self.handle.clone());
        let client = end(&begin(&spawner, builder.start())).map_err(|e| e.to_string())?;
        let start = |group| match end(&begin(&spawner, client.producer(group).start())) {
            Ok(producer) => Ok(Producer::new(&producer, spawner.clone())),
            Err(error) => Err(error.to_string()),
        };
        groups.iter().map(start).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[derive(Clone)]
pub(crate) struct OnTokio(Handle);

impl Spawn for OnTokio {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(task));
    }
}
