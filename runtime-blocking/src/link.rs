//! A connection, as the thread that leads serves it.

use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::Arc;

use mio::Token;
use mio::event::Event;
use mio::net::TcpStream;
use rocketmq_engine::Now;
use rocketmq_engine::driver::{ConnRx, DialJob};

use crate::bell::Bell;
use crate::net::is_passing;
use crate::writer::{Writer, Written};

/// Reads before others get their turn.
const TURNS: usize = 16;

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Arc<TcpStream>,
    writer: Arc<Writer>,
    rx: Option<ConnRx>,
    /// The other side has closed, or the socket has failed: reading goes on to the end.
    ending: bool,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// It has more to do at once.
    Again,
    /// It is over.
    Over,
    /// It waits for its socket or for its waker.
    Wait,
}

impl Link {
    /// A job that was done. The stream is registered under this token already.
    pub(crate) fn new(job: DialJob, token: Token, stream: TcpStream, bell: &Arc<Bell>) -> Self {
        let stream = Arc::new(stream);
        let (tx, rx) = job.connected(Now::system());
        let writer = Writer::new(token, stream.clone(), tx, bell.clone());
        Self {
            stream,
            writer,
            rx: Some(rx),
            ending: false,
        }
    }

    /// The socket has become ready.
    pub(crate) fn ready(&mut self, event: &Event, scratch: &mut [u8]) -> Next {
        self.ending |= event.is_read_closed() || event.is_error();
        let wrote = if event.is_writable() {
            self.write()
        } else {
            Next::Wait
        };
        if wrote == Next::Over || !(event.is_readable() || self.ending) {
            return wrote;
        }
        match self.read(scratch) {
            Next::Wait => wrote,
            next => next,
        }
    }

    /// Does what may have been left or asked for, whatever it is.
    pub(crate) fn serve(&mut self, scratch: &mut [u8]) -> Next {
        match (self.write(), self.read(scratch)) {
            (Next::Over, _) | (_, Next::Over) => Next::Over,
            (Next::Wait, Next::Wait) => Next::Wait,
            _ => Next::Again,
        }
    }

    pub(crate) fn write(&self) -> Next {
        match self.writer.write() {
            Written::More => Next::Again,
            Written::Over => Next::Over,
            Written::Waiting => Next::Wait,
        }
    }

    /// Closes the socket both ways, whoever may still hold it. The last one to drop it takes it
    /// out of the poll.
    pub(crate) fn close(self) {
        // Fails when the other side was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn read(&mut self, scratch: &mut [u8]) -> Next {
        for _ in 0..TURNS {
            let Some(rx) = &mut self.rx else {
                return Next::Over;
            };
            match (&*self.stream).read(scratch) {
                Ok(0) => {
                    if let Some(rx) = self.rx.take() {
                        rx.ended(Now::system());
                    }
                    return Next::Over;
                }
                Ok(count) => {
                    rx.buffer().extend_from_slice(&scratch[..count]);
                    if rx.received(Now::system()).is_break() {
                        return Next::Over;
                    }
                    // A short read has emptied a Unix socket: what comes later is a new event.
                    if cfg!(unix) && count < scratch.len() && !self.ending {
                        return Next::Wait;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_passing(&error) => return Next::Wait,
                Err(error) => {
                    if let Some(rx) = self.rx.take() {
                        rx.failed(Now::system(), &error);
                    }
                    return Next::Over;
                }
            }
        }
        Next::Again
    }
}
