//! A fourth runtime: plain `std::net::TcpStream`s and one loop on one thread, over public items of
//! `rocketmq_engine::driver` alone. It shows what a runtime has to supply; for plain threads, take
//! `rocketmq-blocking`, which neither looks at its sockets every millisecond nor waits for a dial.
//!
//! `cargo run -p rocketmq-testkit --example fourth_runtime -- 127.0.0.1:9876` sends one message.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rocketmq_engine::Now;
use rocketmq_engine::driver::{self, ConnRx, ConnTx, DialJob, Handle, Setup, Supervisor, Work};

/// Sockets are looked at this often when nothing rings.
const GLANCE: Duration = Duration::from_millis(1);

#[allow(dead_code, reason = "the suite includes this file for `start`")]
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut setup = Setup::new("fourth-runtime");
    setup.name_servers(std::env::args().skip(1));
    let message = rocketmq_proto::Message::new("orders", "hello");
    let mut ticket = start(setup)?.send(Now::system(), message, true)?;
    let outcome = driver::park_on(|waker| ticket.poll_outcome(waker));
    println!("{:?}", outcome.into_receipt()?);
    Ok(())
}

/// Starts a producer and the one thread that serves it.
pub(crate) fn start(setup: Setup) -> std::result::Result<Handle, driver::StartError> {
    let (handle, supervisor) = setup.start()?;
    supervisor.map(|supervisor| thread::spawn(move || run(supervisor)));
    Ok(handle)
}

pub(crate) fn run(mut supervisor: Supervisor) {
    let doorbell = Waker::from(Arc::new(Doorbell(thread::current())));
    let mut links: Vec<Link> = Vec::new();
    loop {
        match supervisor.poll_work(Now::system(), &doorbell) {
            Work::Exit => return,
            Work::Dial(job) => links.extend(dial(job)),
            Work::Wait { .. } => {
                let mut moved = false;
                links.retain_mut(|link| link.step(&doorbell, &mut moved).is_continue());
                if !moved {
                    thread::park_timeout(GLANCE);
                }
            }
        }
    }
}

fn dial(job: DialJob) -> Option<Link> {
    match connect(&job) {
        Ok(stream) => {
            let (tx, rx) = job.connected(Now::system());
            Some(Link { stream, tx, rx })
        }
        Err(error) => {
            job.failed(Now::system(), &error);
            None
        }
    }
}

fn connect(job: &DialJob) -> Result<TcpStream> {
    let mut addresses = (job.to().host(), job.to().port()).to_socket_addrs()?;
    let address = addresses.next().ok_or(ErrorKind::NotFound)?;
    let left = job.by().saturating_duration_since(Instant::now());
    let stream = TcpStream::connect_timeout(&address, left.max(GLANCE))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

struct Link {
    stream: TcpStream,
    tx: ConnTx,
    rx: ConnRx,
}

impl Link {
    /// Writes and reads as far as the socket goes without waiting. An end that is dropped ends the
    /// connection, so every way out of here is the right one.
    fn step(&mut self, doorbell: &Waker, moved: &mut bool) -> ControlFlow<()> {
        while let Poll::Ready(batch) = self.tx.poll_batch(doorbell) {
            let Some(batch) = batch else {
                return ControlFlow::Break(());
            };
            match batch.write(|slices| self.stream.write_vectored(slices)) {
                Ok(count) => self.tx.wrote(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return ControlFlow::Break(()),
            }
            *moved = true;
        }
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
            Ok(0) | Err(_) => return ControlFlow::Break(()),
            Ok(count) => self.rx.buffer().extend_from_slice(&bytes[..count]),
        }
        *moved = true;
        self.rx.received(Now::system())
    }
}

struct Doorbell(Thread);

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
