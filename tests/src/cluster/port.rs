//! Choosing ports that nobody takes away while a server is stopped.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that operating systems hand to outgoing connections: on one of those, a client that dials a
/// stopped server may get the server's own port as its local one and so connect to itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
const ATTEMPTS: u16 = 2_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Listens on 127.0.0.1, on this port or on a free one.
pub(super) fn bind(port: Option<u16>) -> io::Result<TcpListener> {
    if let Some(port) = port {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    }
    // Processes that run side by side start far apart.
    let start = (process::id() % u32::from(COUNT)) as u16;
    let start = start.wrapping_mul(31) % COUNT;
    for _ in 0..ATTEMPTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}
