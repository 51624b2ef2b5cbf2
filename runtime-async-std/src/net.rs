//! Sockets: dialling them, and what the driver needs of them.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_io::{Async, Timer};
use blocking::unblock;
use bytes::BytesMut;
use rocketmq_engine::Endpoint;
use rocketmq_engine::driver::asynchronous;

/// Read at once, at most.
const CHUNK: usize = 32 * 1024;

/// Connects to one of an endpoint's addresses, in the resolver's order. Host names are resolved
/// anew each time.
pub(crate) async fn dial(to: &Endpoint, by: Instant) -> io::Result<Socket> {
    let mut connected = pin!(connect(to));
    let mut timeout = Timer::at(by);
    let stream = poll_fn(|cx| {
        if let Poll::Ready(result) = connected.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        ready!(Pin::new(&mut timeout).poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    })
    .await?;
    stream.get_ref().set_nodelay(true)?;
    Ok(Socket::new(stream))
}

/// A socket that remembers which way it was last found to block, so that neither a wake-up for the
/// other way nor one for new frames costs a system call.
pub(crate) struct Socket {
    stream: Async<TcpStream>,
    chunk: Box<[u8]>,
    drained: bool,
    full: bool,
}

impl Socket {
    fn new(stream: Async<TcpStream>) -> Self {
        Self {
            stream,
            chunk: vec![0; CHUNK].into(),
            drained: true,
            full: false,
        }
    }
}

impl asynchronous::Socket for Socket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(self.stream.poll_readable(cx))?;
        }
        let result = self.stream.get_ref().read(&mut self.chunk);
        let count = *result.as_ref().unwrap_or(&0);
        buffer.extend_from_slice(&self.chunk[..count]);
        // A read that did not fill the chunk took all there was.
        self.drained = count < self.chunk.len();
        Poll::Ready(result)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.full {
            ready!(self.stream.poll_writable(cx))?;
        }
        let result = self.stream.get_ref().write_vectored(slices);
        self.full = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        Poll::Ready(result)
    }
}

async fn connect(to: &Endpoint) -> io::Result<Async<TcpStream>> {
    if let Ok(ip) = to.host().parse::<IpAddr>() {
        return Async::<TcpStream>::connect(SocketAddr::new(ip, to.port())).await;
    }
    let (host, port) = (to.host().to_owned(), to.port());
    let mut last = io::ErrorKind::NotFound.into();
    for address in unblock(move || (host, port).to_socket_addrs()).await? {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
