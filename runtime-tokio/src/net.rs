//! Sockets: dialling them, and what the driver needs of them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use rocketmq_engine::Endpoint;
use rocketmq_engine::driver::asynchronous;
use tokio::io::{AsyncReadExt, AsyncWrite};
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
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        pin!(self.0.read_buf(buffer)).poll(cx)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
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
