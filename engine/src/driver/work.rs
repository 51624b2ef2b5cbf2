//! What a producer's supervisor has to do next.

use std::io;
use std::task::Waker;
use std::time::Instant;

use super::conn::{ConnRx, ConnTx, pair};
use super::hub::Hub;
use super::ticket::remember;
use crate::io::{ConnId, Endpoint, Input, Now};

/// The next piece of a supervisor's work.
#[derive(Debug)]
pub enum Work {
    /// Dial, beside everything else.
    Dial(DialJob),
    /// The producer is closed: end.
    Exit,
    /// Wait until the waker is called, or until this time.
    Wait {
        /// When to ask again at the latest; `None` for never.
        until: Option<Instant>,
    },
}

/// The heart of a producer: whoever serves it keeps the producer alive. Dropped, it ends the
/// producer at once: every operation completes, none hangs.
#[derive(Debug)]
pub struct Supervisor {
    hub: Hub,
    over: bool,
}

/// A connection to be made. Dropped without a word, it counts as failed.
#[derive(Debug)]
pub struct DialJob {
    hub: Hub,
    conn: ConnId,
    to: Endpoint,
    by: Instant,
    open: bool,
}

impl Supervisor {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, over: false }
    }

    /// What to do now. Ask again after each piece of work, and after each wait. The clock decides
    /// what is due, not the alarm that ended the wait.
    pub fn poll_work(&mut self, now: Now, waker: &Waker) -> Work {
        loop {
            let due = {
                let mut state = self.hub.lock();
                let next = state.engine.next_deadline();
                let due = next.is_some_and(|next| next <= now.mono);
                if !due {
                    if let Some((conn, to, by)) = state.dials.pop_front() {
                        let hub = self.hub.clone();
                        return Work::Dial(DialJob {
                            hub,
                            conn,
                            to,
                            by,
                            open: true,
                        });
                    }
                    if state.engine.is_closed() {
                        self.over = true;
                        return Work::Exit;
                    }
                    remember(&mut state.supervisor, waker);
                    state.alarm = next;
                    return Work::Wait { until: next };
                }
                due
            };
            if due {
                self.hub.tick(now);
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.over {
            self.hub.abort(Now::system());
        }
    }
}

impl DialJob {
    /// Where to. Resolve a host name anew each time.
    pub fn to(&self) -> &Endpoint {
        &self.to
    }

    /// When to give up. The engine has given up then in any case.
    pub fn by(&self) -> Instant {
        self.by
    }

    /// The connection stands: here are its two ends.
    pub fn connected(mut self, now: Now) -> (ConnTx, ConnRx) {
        self.open = false;
        let pair = pair(&self.hub, self.conn);
        self.hub.input(now, Input::Connected(self.conn));
        pair
    }

    /// It could not be made.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        self.open = false;
        self.hub
            .input(now, Input::ConnectFailed(self.conn, error.kind()));
    }
}

impl Drop for DialJob {
    fn drop(&mut self) {
        if self.open {
            let input = Input::ConnectFailed(self.conn, io::ErrorKind::Interrupted);
            self.hub.input(Now::system(), input);
        }
    }
}
