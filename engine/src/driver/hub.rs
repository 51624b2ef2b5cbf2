//! The hub: the engine, what it wants done, and the one lock around both.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocketmq_proto::{UniqueId, UniqueIdSeed, UniqueIds};

use super::events::Events;
use super::state::{After, State};
use super::work::Supervisor;
use crate::config::{Config, ConfigError};
use crate::dial::DialError;
use crate::engine::Engine;
use crate::guard::{discard, guarded};
use crate::io::{Answer, Ask, CloseCause, ConnId, Endpoint, Input, Now, OpId};
use crate::name_servers::parse_name_servers;
use crate::stats::{BrokerStats, Stats};

/// A client's engine, shared by its producers, their callers and its actors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) ids: Mutex<UniqueIds>,
    state: Mutex<State>,
}

impl Hub {
    /// A client and the supervisor that a runtime has to serve. Dropping the supervisor ends the
    /// client's producers: whatever is under way completes as closed.
    ///
    /// # Errors
    /// [`ConfigError`] names a setting that is out of bounds.
    pub fn new(
        config: Config,
        seed: u64,
        ids: UniqueIdSeed,
    ) -> Result<(Self, Supervisor), ConfigError> {
        let config = Arc::new(config);
        let hub = Self(Arc::new(Shared {
            config: config.clone(),
            ids: Mutex::new(UniqueIds::new(ids)),
            state: Mutex::new(State::new(Engine::new(config, seed)?)),
        }));
        let supervisor = Supervisor::new(hub.clone());
        Ok((hub, supervisor))
    }

    /// Subscribes to the events from now on.
    pub fn events(&self) -> Events {
        self.lock().watchers.subscribe()
    }

    /// The numbers.
    pub fn stats(&self) -> Stats {
        self.lock().stats()
    }

    /// Replaces the list of name servers; see [`Engine::set_name_servers`].
    ///
    /// # Errors
    /// An address is not `host:port`, or there is none.
    pub fn set_name_servers<S: AsRef<str>>(
        &self,
        now: Now,
        addresses: impl IntoIterator<Item = S>,
    ) -> Result<(), ConfigError> {
        let servers = parse_name_servers(addresses).map_err(|error| ConfigError {
            field: "name_servers",
            value: error.0,
            bound: "must be host:port with a port from 1 to 65535, like 10.0.0.1:9876",
        })?;
        self.with(|state| state.engine.set_name_servers(now, servers))
    }

    /// The name servers that are asked now.
    pub fn name_servers(&self) -> Vec<Endpoint> {
        self.lock().engine.name_servers().to_vec()
    }

    /// The numbers of each broker.
    pub fn broker_stats(&self) -> Vec<BrokerStats> {
        self.lock().engine.broker_stats()
    }

    /// The settings of the client.
    pub fn client_config(&self) -> &Arc<Config> {
        &self.0.config
    }

    pub(super) fn next_id(&self, now: Now) -> UniqueId {
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next(now.unix_ms)
    }

    /// The engine's invariants, for tests; see [`Engine::check`].
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self, now: Now) -> Result<(), String> {
        self.lock().engine.check(now.mono)
    }

    /// Withdraws an operation that has no permit yet.
    pub(super) fn abandon(&self, op: OpId) {
        let now = Now::system();
        let _dropped_after_the_lock = self.with(|state| {
            let spent = state.engine.abandon(now, op)?;
            Some((spent, state.take_slot(op)))
        });
    }

    /// Ends everything at once.
    pub(super) fn abort(&self, now: Now) {
        self.with(|state| state.engine.abort(now));
    }

    /// Takes in something about a connection.
    pub(super) fn input(&self, now: Now, input: Input<'_>) {
        self.with(|state| state.engine.handle(now, input));
    }

    /// A connection did not come about.
    pub(super) fn dial_failed(&self, now: Now, conn: ConnId, error: DialError) {
        let outbox = self.with(|state| {
            state.engine.handle(now, Input::ConnectFailed(conn, error));
            state.take_outbox(conn)
        });
        if let Some(writer) = outbox.and_then(|outbox| outbox.writer) {
            writer.wake();
        }
    }

    /// A connection ended: first what was written on it, then its end.
    pub(super) fn closed(&self, now: Now, conn: ConnId, cause: CloseCause) {
        let outbox = self.with(|state| {
            let outbox = state.take_outbox(conn);
            if let Some(outbox) = &outbox {
                let (written, offered) = outbox.progress.seen();
                state.engine.handle(now, Input::Flushed(conn, written));
                state.engine.handle(now, Input::Offered(conn, offered));
            }
            state.engine.handle(now, Input::Closed(conn, cause));
            outbox
        });
        if let Some(writer) = outbox.and_then(|outbox| outbox.writer) {
            writer.wake();
        }
    }

    /// Lets time pass: what was written counts before what is overdue.
    pub(super) fn tick(&self, now: Now) {
        let late = self.with(|state| {
            let mut late = Vec::new();
            for index in 0..state.outboxes.len() {
                let Some(outbox) = &mut state.outboxes[index] else {
                    continue;
                };
                let conn = outbox.conn;
                let (written, offered) = outbox.progress.seen();
                let too_late = outbox.too_late(now.mono);
                state.engine.handle(now, Input::Flushed(conn, written));
                state.engine.handle(now, Input::Offered(conn, offered));
                if let Some(error) = too_late {
                    // Said here, since the engine only knows that a dial took too long.
                    state.engine.handle(now, Input::ConnectFailed(conn, error));
                    late.extend(state.take_outbox(conn));
                }
            }
            state.engine.handle(now, Input::Tick);
            late
        });
        for writer in late.into_iter().filter_map(|outbox| outbox.writer) {
            writer.wake();
        }
    }

    /// Runs a piece of work under the lock, carries out what the engine then wants, and after the
    /// lock is released calls whom it concerns.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.with_room(&mut After::default(), work)
    }

    /// The same for whoever comes again and again: `room` is empty before and after, and spares the
    /// allocations.
    pub(super) fn with_room<R>(&self, room: &mut After, work: impl FnOnce(&mut State) -> R) -> R {
        let result = self.under_lock(room, work);
        let asks = room.call();
        if !asks.is_empty() {
            self.ask(asks);
        }
        result
    }

    fn under_lock<R>(&self, after: &mut After, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = work(&mut state);
        state.carry_out(after);
        result
    }

    /// Runs the application's code and brings back its answers. An answer may lead to the next
    /// question: a loop, since there may be as many as there are sends.
    fn ask(&self, asks: Vec<(OpId, Ask)>) {
        let mut asks = VecDeque::from(asks);
        while let Some((op, ask)) = asks.pop_front() {
            let answer = guarded(|| answer(&ask)).unwrap_or(Answer::Panicked);
            let now = Now::system();
            let mut after = After::default();
            self.under_lock(&mut after, |state| state.engine.answer(now, op, answer));
            discard(ask);
            asks.extend(after.call());
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        match self.0.state.lock() {
            Ok(state) => state,
            Err(poisoned) => {
                let mut left_behind = poisoned.into_inner().break_off();
                left_behind.call();
                self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

/// Runs the application's own code.
fn answer(ask: &Ask) -> Answer {
    match ask {
        Ask::SelectQueue { queues, message } => match message.placement() {
            rocketmq_proto::Placement::Select(selector) => {
                Answer::Queue(selector.choose(queues, message))
            }
            _ => Answer::Queue(None),
        },
    }
}
