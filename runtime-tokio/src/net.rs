//! Sockets: dialling them, and what the driver needs of them.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use rocketmq_engine::Endpoint;
use rocketmq_engine::driver::asynchronous;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout_at;

/// Connects to one of an endpoint's addresses, in the resolver's order. Host names are resolved
/// anew each time.
pub(crate) async fn dial(to: &Endpoint, by: Instant) -> io::Result<Socket> {
    let stream = timeout_at(by.into(), connect(to))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(Socket(stream))
}

pub(crate) struct Socket(TcpStream);

impl asynchronous::Socket for Socket {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.0.try_read_buf(buffer)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }
}

async fn connect(to: &Endpoint) -> io::Result<TcpStream> {
    if let Ok(ip) = to.host().parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(ip, to.port())).await;
    }
    let mut last = io::ErrorKind::NotFound.into();
    for address in lookup_host((to.host(), to.port())).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
