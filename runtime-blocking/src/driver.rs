//! What moves a producer's bytes, on the thread that leads. All it knows of RocketMQ is what the hub
//! tells it to do next.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rocketmq_engine::Now;
use rocketmq_engine::driver::{DialJob, Supervisor, Work};

use crate::bell::{BELL, Bell, Inbox};
use crate::link::{Link, Next};
use crate::net::{Dial, address, connected, resolve};

/// The size of one read.
const SCRATCH: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 128;

/// All there is to serve, and the poll that tells when. Whoever leads has it.
#[derive(Debug)]
pub(crate) struct Driver {
    sockets: Sockets,
    events: Events,
    inbox: Inbox,
    /// Whether the supervisor has something to say.
    ask: bool,
}

#[derive(Debug)]
struct Sockets {
    supervisor: Supervisor,
    /// When the supervisor is to be asked again.
    alarm: Option<Instant>,
    dials: BTreeMap<Token, (Dial, TcpStream)>,
    links: BTreeMap<Token, Link>,
    /// Connections that had more to do when their turn was over.
    again: Vec<Token>,
    next_token: usize,
    bell: Arc<Bell>,
    /// Where bytes are read to, before they go to their connection.
    scratch: Box<[u8]>,
    resolver: String,
    poll: Poll,
}

impl Driver {
    /// `resolver` is the name of threads that look up host names.
    pub(crate) fn new(supervisor: Supervisor, resolver: String) -> io::Result<Self> {
        let poll = Poll::new()?;
        let sockets = Sockets {
            supervisor,
            alarm: None,
            dials: BTreeMap::new(),
            links: BTreeMap::new(),
            again: Vec::new(),
            next_token: 0,
            bell: Bell::new(poll.registry())?,
            scratch: vec![0; SCRATCH].into(),
            resolver,
            poll,
        };
        Ok(Self {
            sockets,
            events: Events::with_capacity(EVENTS),
            inbox: Inbox::default(),
            ask: true,
        })
    }

    /// Waits for something to do and does it; false when the producer is closed.
    pub(crate) fn turn(&mut self) -> bool {
        let Self {
            sockets,
            events,
            inbox,
            ask,
        } = self;
        if *ask && !sockets.supervise() {
            return false;
        }
        let idle = sockets.again.is_empty();
        let called = sockets.bell.take(inbox, idle);
        let timeout = if called || !idle {
            Some(Duration::ZERO)
        } else {
            sockets.timeout()
        };
        match sockets.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return false,
            _ => sockets.bell.awake(),
        }
        sockets.serve(inbox, events);
        let now = Instant::now();
        sockets.give_up(now);
        *ask = inbox.supervisor || sockets.alarm.is_some_and(|alarm| alarm <= now);
        true
    }

    /// Whether nobody misses anything if the next turn comes some milliseconds later. Not so when
    /// the producer was found closed: that is asked again.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.ask && self.sockets.again.is_empty() && self.sockets.supervisor.is_quiet()
    }

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.sockets.bell
    }
}

impl Sockets {
    /// Does the supervisor's work; false when the producer is closed.
    fn supervise(&mut self) -> bool {
        let waker = self.bell.clone().into();
        loop {
            match self.supervisor.poll_work(Now::system(), &waker) {
                Work::Dial(job) => self.dial(job),
                Work::Exit => return false,
                Work::Wait { until } => {
                    self.alarm = until;
                    return true;
                }
            }
        }
    }

    /// How long there is nothing to do but to wait.
    fn timeout(&self) -> Option<Duration> {
        let dials = self.dials.values().map(|(dial, _)| dial.by());
        let next = dials.chain(self.alarm).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn serve(&mut self, inbox: &mut Inbox, events: &Events) {
        for event in events.iter().filter(|event| event.token() != BELL) {
            self.ready(event);
        }
        for token in &inbox.links {
            let next = self.links.get(token).map(Link::write);
            self.after(*token, next);
        }
        for token in std::mem::take(&mut self.again) {
            self.serve_link(token);
        }
        for (job, addresses) in inbox.resolved.drain(..) {
            match addresses {
                Ok(addresses) => self.connect(Dial::new(job, addresses)),
                Err(error) => job.failed(Now::system(), &error),
            }
        }
    }

    fn ready(&mut self, event: &Event) {
        let token = event.token();
        if let Some(link) = self.links.get_mut(&token) {
            let next = link.ready(event, &mut self.scratch);
            return self.after(token, Some(next));
        }
        let Some(result) = self
            .dials
            .get(&token)
            .and_then(|(_, stream)| connected(stream))
        else {
            return;
        };
        let Some((dial, mut stream)) = self.dials.remove(&token) else {
            return;
        };
        match result {
            Ok(()) => {
                let link = Link::new(dial.job, token, stream, &self.bell);
                self.links.insert(token, link);
                // What was to be written before the connection stood was told to nobody.
                self.serve_link(token);
            }
            Err(error) => {
                // Closing the socket does the same.
                let _ = self.poll.registry().deregister(&mut stream);
                self.connect(dial.after(error));
            }
        }
    }

    fn serve_link(&mut self, token: Token) {
        let scratch = &mut self.scratch;
        let next = self.links.get_mut(&token).map(|link| link.serve(scratch));
        self.after(token, next);
    }

    fn after(&mut self, token: Token, next: Option<Next>) {
        match next {
            Some(Next::Again) => self.again.push(token),
            Some(Next::Over) => {
                if let Some(link) = self.links.remove(&token) {
                    link.close();
                }
            }
            Some(Next::Wait) | None => {}
        }
    }

    /// Begins to dial. Host names are looked up anew each time, and on a thread of their own: the
    /// system's resolver blocks.
    fn dial(&mut self, job: DialJob) {
        if let Some(address) = address(job.to()) {
            return self.connect(Dial::new(job, vec![address]));
        }
        let bell = self.bell.clone();
        let thread = thread::Builder::new().name(self.resolver.clone());
        // When the system gives no thread, the job is dropped: it counts as failed.
        let _ = thread.spawn(move || {
            let addresses = resolve(job.to());
            bell.resolved(job, addresses);
        });
    }

    fn connect(&mut self, mut dial: Dial) {
        let error = loop {
            let mut stream = match dial.next() {
                Ok(stream) => stream,
                Err(error) => break error,
            };
            let token = Token(self.next_token);
            self.next_token += 1;
            let interest = Interest::READABLE | Interest::WRITABLE;
            match self.poll.registry().register(&mut stream, token, interest) {
                Ok(()) => {
                    self.dials.insert(token, (dial, stream));
                    return;
                }
                Err(error) => dial = dial.after(error),
            }
        };
        dial.job.failed(Now::system(), &error);
    }

    /// Ends dials whose time is over.
    fn give_up(&mut self, now: Instant) {
        while let Some((&token, _)) = self.dials.iter().find(|(_, (dial, _))| dial.by() <= now) {
            if let Some((dial, _closed)) = self.dials.remove(&token) {
                let error = io::ErrorKind::TimedOut.into();
                dial.job.failed(Now::system(), &error);
            }
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for link in std::mem::take(&mut self.links).into_values() {
            link.close();
        }
        drop(self.bell.close());
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_engine::driver::{Setup, park_on};
    use rocketmq_engine::proto::Message;
    use rocketmq_engine::{Certainty, SendErrorKind};

    use super::*;

    #[test]
    fn when_the_io_thread_panics_everything_completes() {
        let mut setup = Setup::new("panics");
        setup.name_servers(["127.0.0.1:1"]);
        let (handle, supervisor) = setup.start().unwrap();
        let driver = Driver::new(supervisor.unwrap(), "resolve".into()).unwrap();
        let mut ticket = handle
            .send(Now::system(), Message::new("orders", "x"), true)
            .unwrap();
        let thread = thread::spawn(move || {
            let _driver = driver;
            panic!("as this test wants");
        });
        let error = park_on(|waker| ticket.poll_outcome(waker)).into_receipt();
        let error = error.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Closed);
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(thread.join().is_err());
        let later = handle.send(Now::system(), Message::new("orders", "x"), true);
        assert_eq!(later.unwrap_err().kind(), SendErrorKind::Closed);
    }
}
