//! Dialling.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rocketmq_engine::Endpoint;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout_at;

/// Connects to one of an endpoint's addresses, in the resolver's order. Host names are resolved
/// anew each time.
pub(crate) async fn dial(to: &Endpoint, by: Instant) -> io::Result<TcpStream> {
    let stream = timeout_at(by.into(), connect(to))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
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
