//! The check-back listener of a producer whose world is made of tasks.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rocketmq_proto::StoredMessage;

use crate::driver::check_backs::caught;
use crate::driver::{CheckBacks, CheckJob, Handle};
use crate::guard::discard;
use crate::io::Now;
use crate::transaction::Decision;

type Answering = Pin<Box<dyn Future<Output = Decision> + Send>>;
type Listener = dyn Fn(StoredMessage) -> Answering + Send + Sync;

/// What answers the brokers' questions about half messages, for the builders of runtimes. Made of a
/// closure that takes the half message, as the broker stored it and decompressed, and gives a future
/// of a [`TransactionState`](crate::TransactionState), or of a `Result` of one.
#[derive(Clone)]
pub struct CheckBackListener(Arc<Listener>);

impl CheckBackListener {
    /// A listener. See the builder of the runtime.
    pub fn new<F, T>(listener: F) -> Self
    where
        F: Fn(StoredMessage) -> T + Send + Sync + 'static,
        T: Future<Output: Into<Decision>> + Send + 'static,
    {
        Self(Arc::new(move |message| {
            let answering = listener(message);
            Box::pin(async move { answering.await.into() })
        }))
    }

    /// The tasks that serve it, as many as [`Config::check_concurrency`](crate::Config) says, to be
    /// spawned beside the producer's own. They end with the producer.
    pub fn tasks(
        self,
        producer: &Handle,
    ) -> impl Iterator<Item = impl Future<Output = ()> + Send + 'static + use<>> + use<> {
        let checks = producer.check_backs();
        let count = producer.config().check_concurrency;
        (0..count).map(move |_| serve(checks.clone(), self.0.clone()))
    }
}

async fn serve(mut checks: CheckBacks, listener: Arc<Listener>) {
    while let Some((job, message)) = poll_fn(|cx| checks.poll_next(Now::system(), cx.waker())).await
    {
        match message {
            Ok(message) => answer(job, message, &*listener).await,
            Err(decision) => job.answer(Now::system(), decision),
        }
    }
}

/// Runs the listener for one message; one that takes too long is dropped where it waits.
async fn answer(mut job: CheckJob, message: StoredMessage, listener: &Listener) {
    let mut answering = match caught(|| listener(message)) {
        Ok(answering) => answering,
        Err(decision) => return job.answer(Now::system(), decision),
    };
    let decision = poll_fn(|cx| match poll_caught(answering.as_mut(), cx) {
        Poll::Ready(decision) => Poll::Ready(Some(decision)),
        Poll::Pending => job.poll_expired(cx.waker()).map(|()| None),
    })
    .await;
    discard(answering);
    if let Some(decision) = decision {
        job.answer(Now::system(), decision);
    }
}

/// Polls the application's future; a panic is a decision as well.
pub(super) fn poll_caught<T>(future: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<Decision>
where
    T: Future<Output: Into<Decision>> + ?Sized,
{
    caught(|| future.poll(cx).map(Into::into)).unwrap_or_else(Poll::Ready)
}

impl fmt::Debug for CheckBackListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckBackListener")
    }
}
