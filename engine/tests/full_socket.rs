//! A socket that takes nothing, beneath the connection that the async runtimes share (DESIGN 6,
//! certainty).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use rocketmq_engine::driver::asynchronous::{Producer, Socket, serve};
use rocketmq_engine::driver::{Setup, Work};
use rocketmq_engine::{Certainty, Now};
use rocketmq_proto::{FrameDecoder, Message, RemotingCommand, ResponseCode, SerializeType};

const BROKER: &str = "127.0.0.2:10911";
const ROUTE: &str = r#"{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"127.0.0.2:10911"}}],
    "queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#;

/// A name server that answers every question with one route; or a broker whose window is closed.
struct Peer {
    is_full: bool,
    received: BytesMut,
}

struct Link {
    is_full: bool,
    link: Pin<Box<dyn Future<Output = ()>>>,
}

impl Socket for Peer {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        let before = buffer.len();
        while let Some(frame) = FrameDecoder::default()
            .next_frame(&mut self.received)
            .unwrap()
        {
            let opaque = frame.command().unwrap().opaque;
            let answer = RemotingCommand::response(opaque, ResponseCode::SUCCESS, None);
            let answer = answer.with_body(ROUTE);
            answer.encode(SerializeType::Json, buffer).unwrap();
        }
        match buffer.len() - before {
            0 => Poll::Pending,
            read => Poll::Ready(Ok(read)),
        }
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_full {
            return Poll::Pending;
        }
        for slice in slices {
            self.received.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }
}

#[test]
fn what_a_full_socket_never_took_is_not_sent() {
    let mut setup = Setup::new("full");
    setup.name_servers(["127.0.0.1:9876"]);
    setup.config(|config| config.retries = 0);
    let (handle, supervisor) = setup.start().unwrap();
    let (mut supervisor, producer) = (supervisor.unwrap(), Producer::new(handle));
    let mut context = Context::from_waker(Waker::noop());
    let mut send = Box::pin(producer.send(Message::new("orders", "x")));
    assert!(send.as_mut().poll(&mut context).is_pending());

    let mut links = Vec::new();
    // The name server is dialled and asked, then the broker; more rounds than that do no harm.
    for _ in 0..10 {
        while let Work::Dial(job) = supervisor.poll_work(Now::system(), Waker::noop()) {
            let is_full = job.to().as_str() == BROKER;
            let received = BytesMut::new();
            let peer = Peer { is_full, received };
            let link = Box::pin(serve(job, Ok(peer)));
            links.push(Link { is_full, link });
        }
        for open in &mut links {
            assert!(open.link.as_mut().poll(&mut context).is_pending());
        }
    }
    assert_eq!(links.len(), 2, "a name server and a broker");
    assert!(send.as_mut().poll(&mut context).is_pending());

    // The broker's connection ends, and with it the only try.
    links.retain(|open| !open.is_full);
    let Poll::Ready(Err(error)) = send.as_mut().poll(&mut context) else {
        panic!("the send goes on");
    };
    assert_eq!(error.certainty(), Certainty::NotSent, "{error}");
}
