//! What a producer's supervisor has to do next.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::conn::{ConnRx, ConnTx, pair};
use super::hub::Hub;
use super::socks::Socks;
use super::state::Dial;
use super::ticket::remember;
use super::wire::Wire;
use crate::config::Config;
use crate::dial::{DialError, ProxyFailure};
use crate::guard::Panicked;
use crate::io::{ConnId, Endpoint, Input, Now};
use crate::proxy::ProxyRule;

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
    /// Whether this is the way to a proxy.
    proxied: bool,
    /// What lies between frames and socket: a proxy, encryption.
    wire: Option<Arc<Wire>>,
    open: bool,
}

impl Supervisor {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, over: false }
    }

    /// Whether nobody waits for anything, so that nothing is lost when nobody serves the connections
    /// for a moment.
    pub fn is_quiet(&self) -> bool {
        self.hub.lock().engine.is_quiet()
    }

    /// What to do now. Ask again after each piece of work, and after each wait. The clock decides
    /// what is due, not the alarm that ended the wait.
    pub fn poll_work(&mut self, now: Now, waker: &Waker) -> Work {
        loop {
            let mut state = self.hub.lock();
            let next = state.engine.next_deadline();
            if next.is_some_and(|next| next <= now.mono) {
                drop(state);
                self.hub.tick(now);
                continue;
            }
            if let Some(dial) = state.dials.pop_front() {
                drop(state);
                let conn = dial.conn;
                match DialJob::new(&self.hub, dial) {
                    Ok(job) => return Work::Dial(job),
                    Err(error) => self.hub.dial_failed(now, conn, error),
                }
                continue;
            }
            if state.engine.is_closed() {
                self.over = true;
                return Work::Exit;
            }
            remember(&mut state.supervisor, waker);
            state.alarm = next;
            return Work::Wait { until: next };
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
    fn new(hub: &Hub, dial: Dial) -> Result<Self, DialError> {
        let config = hub.client_config();
        let map = config.address_map.as_ref().filter(|_| !dial.plain);
        let mapped = map.map(|map| map.map(&dial.to)).transpose();
        let mapped = mapped.map_err(|Panicked| DialError::AddressMap)?;
        let target = match mapped.flatten() {
            Some(mapped) => {
                let told = Input::Mapped(dial.conn, mapped.clone());
                hub.input(Now::system(), told);
                mapped
            }
            None => dial.to.clone(),
        };
        let rule = config.proxies.iter().find(|rule| rule.matches(&target));
        let wire = wire(config, &dial.to, &target, rule, dial.plain)?.map(Arc::new);
        let to = rule.map_or(target, |rule| rule.proxy().clone());
        Ok(Self {
            hub: hub.clone(),
            conn: dial.conn,
            to,
            by: dial.by,
            proxied: rule.is_some(),
            wire,
            open: true,
        })
    }

    /// Where to: the server, or the proxy on the way to it. Resolve a host name anew each time.
    pub fn to(&self) -> &Endpoint {
        &self.to
    }

    /// When to give up. The engine has given up then in any case.
    pub fn by(&self) -> Instant {
        self.by
    }

    /// The connection stands: here are its two ends. A handshake that follows has until
    /// [`by`](Self::by); the engine's clock sees to that.
    pub fn connected(mut self, now: Now) -> (ConnTx, ConnRx) {
        self.open = false;
        let pair = pair(&self.hub, self.conn, self.wire.as_ref(), self.by);
        if self.wire.is_none() {
            self.hub.input(now, Input::Connected(self.conn));
        }
        pair
    }

    /// It could not be made.
    pub fn failed(mut self, now: Now, error: &io::Error) {
        self.open = false;
        let error = match self.proxied {
            true => DialError::Proxy(ProxyFailure::Unreachable(error.kind())),
            false => error.into(),
        };
        self.hub.dial_failed(now, self.conn, error);
    }
}

/// The layers of a connection to this server, if it is not a plain one. TLS expects the name that is
/// advertised; a proxy is told where that is reached.
fn wire(
    config: &Config,
    advertised: &Endpoint,
    target: &Endpoint,
    rule: Option<&ProxyRule>,
    plain: bool,
) -> Result<Option<Wire>, DialError> {
    let socks = rule
        .map(|rule| Socks::new(target.clone(), rule.clone()))
        .transpose()?;
    #[cfg(feature = "tls")]
    {
        let tls = config
            .tls
            .as_ref()
            .filter(|_| !plain)
            .map(|tls| tls.connect(advertised).map_err(DialError::Tls));
        let tls = tls.transpose()?;
        let plain = socks.is_none() && tls.is_none();
        Ok((!plain).then(|| Wire::new(socks, tls)))
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = (config, advertised, plain);
        Ok(socks.map(|socks| Wire::new(Some(socks))))
    }
}

impl Drop for DialJob {
    fn drop(&mut self) {
        if self.open {
            let error = DialError::Io(io::ErrorKind::Interrupted);
            self.hub.dial_failed(Now::system(), self.conn, error);
        }
    }
}
