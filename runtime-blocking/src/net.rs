//! Dialling.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Instant;
use std::vec;

use mio::net::TcpStream;
use rocketmq_engine::Endpoint;
use rocketmq_engine::driver::DialJob;

/// A dial under way: one address after the other, in the resolver's order, until the job's time is
/// over.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) job: DialJob,
    left: vec::IntoIter<SocketAddr>,
    last: io::Error,
}

impl Dial {
    pub(crate) fn new(job: DialJob, addresses: Vec<SocketAddr>) -> Self {
        let last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        Self {
            job,
            left: addresses.into_iter(),
            last,
        }
    }

    /// Begins to connect to the next address.
    ///
    /// # Errors
    /// Why the last address failed: there is none left.
    pub(crate) fn next(&mut self) -> io::Result<TcpStream> {
        for address in self.left.by_ref() {
            match TcpStream::connect(address) {
                Ok(stream) => return Ok(stream),
                Err(error) => self.last = error,
            }
        }
        Err(std::mem::replace(
            &mut self.last,
            io::ErrorKind::NotFound.into(),
        ))
    }

    /// This address failed.
    pub(crate) fn after(self, last: io::Error) -> Self {
        Self { last, ..self }
    }

    /// When to give up.
    pub(crate) fn by(&self) -> Instant {
        self.job.by()
    }
}

/// Whether a connection stands; `None` as long as that is open.
pub(crate) fn connected(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
    }
    match stream.peer_addr() {
        Ok(_) => Some(stream.set_nodelay(true)),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

/// The address of an endpoint that is none to look up.
pub(crate) fn address(to: &Endpoint) -> Option<SocketAddr> {
    let ip = to.host().parse::<IpAddr>().ok()?;
    Some(SocketAddr::new(ip, to.port()))
}

/// Looks a name up. Blocks, for as long as the system's resolver likes.
pub(crate) fn resolve(to: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    Ok((to.host(), to.port()).to_socket_addrs()?.collect())
}

/// Any other error ends a connection: a socket that fails at once would be served for ever.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
