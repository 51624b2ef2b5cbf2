//! A world: engine, servers, network and clocks, and the loop that lets things happen one by one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_engine::proto::{TopicName, UniqueIdSeed, UniqueIds, namespace};
use rocketmq_engine::{
    Answer, Config, Engine, Input, Now, OpId, Operation, Output, ProducerId, SendReceipt,
};
use rocketmq_testkit::{Cluster, ClusterState};

use super::asking::Asked;
use super::book::Book;
use super::dressed;
use super::net::{Net, NetEvent};
use super::plan::{Plan, Weather};
use super::rng::Rng;
use super::trace::Trace;
use super::transactions::Ledger;
use super::workload::STABLE;

/// More happens in no world; if it does, something spins.
const MOST_STEPS: u64 = 100_000;
/// No single call asks for more.
const MOST_OUTPUTS: usize = 5_000;
/// Where the wall clock begins, ms since the Unix epoch.
const UNIX_START: i64 = 1_750_000_000_000;
/// Where the other clock begins: with room to jump back an hour at each of a world's upsets.
const MONO_START: Duration = Duration::from_secs(20 * 3600);
/// What the last shutdown is given, ample in fine weather.
const LAST_GRACE: Duration = Duration::from_secs(5);
/// How long an engine may take beyond the grace, to say goodbye (DESIGN 6).
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    pub(super) trace: Trace,
    pub(super) engine: Engine,
    pub(super) producer: ProducerId,
    /// Another producer on the same client, once it has joined.
    pub(super) fellow: Option<ProducerId>,
    /// How often the logical queues were dealt.
    pub(super) epoch: i64,
    /// Whose call the present one is.
    pub(super) caller: ProducerId,
    pub(super) config: Arc<Config>,
    pub(super) ids: UniqueIds,
    pub(super) cluster: ClusterState,
    pub(super) net: Net,
    pub(super) book: Book,
    /// What local transactions wrote down.
    pub(super) ledger: Ledger,
    pub(super) weather: Weather,
    /// Since the beginning of the world, on the clock that never goes back.
    pub(super) now: Duration,
    /// How far the wall clock is off, in ms.
    pub(super) skew: i64,
    pub(super) is_calm: bool,
    /// Whether the application has replaced the list of name servers.
    pub(super) is_relisted: bool,
    /// Whether a name server has lost its routes: even the stable topic's may have been odd then.
    pub(super) routes_shaken: bool,
    base: Instant,
    agenda: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    /// The deadline that the driver's alarm is set for, and when it will ring.
    alarm: Option<(Instant, Duration)>,
    steps: u64,
    most_steps: u64,
}

pub(super) enum Event {
    /// The application withdraws a call.
    Abandon(OpId),
    /// The application's closure is through.
    Answer(OpId, Answer),
    /// All that was broken is mended.
    Calm,
    /// A check-back listener has decided.
    Decide(OpId, String),
    /// A local transaction is through.
    Local(Box<SendReceipt>),
    /// A check-back listener looks for work.
    TakeCheck,
    /// The application calls.
    Call,
    /// The application shuts the producer down in the midst of things.
    EarlyEnd,
    /// By now everything must be over.
    End,
    FellowJoins,
    FellowLeaves,
    Net(NetEvent),
    /// A send that must succeed.
    Probe,
    /// A consumer's reply reaches a broker.
    Reply(Asked),
    Revive(usize),
    Shutdown,
    /// A tick that nobody asked for.
    Tick,
    Upset,
    /// A send that shows the producer which connections are dead; it may fail.
    WarmUp,
}

impl World {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let namespace = plan.config.namespace.as_deref().unwrap_or_default();
        let cluster = dressed::guard(&plan.config, Cluster::builder())
            .name_servers(plan.name_servers)
            .brokers(plan.brokers)
            .flavour(plan.flavour)
            .auto_create(plan.auto_create)
            .topic(namespace::wrap(namespace, STABLE), plan.stable_queues)
            .configure_brokers(|broker| {
                broker.seed = seed;
                broker.request_log = 0;
                broker.check_after_ms = 0;
                broker.check_interval_ms = Some(u64::MAX);
            })
            .into_state();
        let config = Arc::new(plan.config.clone());
        let mut engine = Engine::new(config.clone(), seed).expect("the plan's settings are sound");
        let base = Instant::now();
        let start = Now {
            mono: base + MONO_START,
            unix_ms: UNIX_START as u64,
        };
        let producer = engine
            .join(start, config.clone())
            .expect("the first of its name");
        engine.listen_for_checks(producer);
        let mut world = Self {
            net: Net::new(&cluster),
            ids: UniqueIds::new(UniqueIdSeed {
                ip: IpAddr::from([10, 0, 2, 1]),
                pid: 1,
                hash: seed as u32,
                utc_offset_seconds: 0,
            }),
            book: Book::default(),
            ledger: Ledger::default(),
            weather: plan.weather,
            now: MONO_START,
            skew: 0,
            is_calm: false,
            is_relisted: false,
            routes_shaken: false,
            base,
            agenda: BTreeMap::new(),
            scheduled: 0,
            alarm: None,
            steps: 0,
            most_steps: MOST_STEPS,
            plan,
            rng,
            trace,
            engine,
            producer,
            fellow: None,
            epoch: 0,
            caller: producer,
            config,
            cluster,
        };
        world.make_topics();
        world.make_agenda();
        world
    }

    /// Lets everything happen, to the end.
    pub(super) fn run(&mut self) -> Result<(), String> {
        // What the start itself led to.
        self.drain()?;
        loop {
            self.steps += 1;
            if self.steps > self.most_steps {
                return Err(format!("still busy after {} steps", self.steps));
            }
            let ring = self.alarm();
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (next, ring) {
                (None, None) => break,
                (next, Some(ring)) if next.is_none_or(|next| ring < next) => {
                    self.now = self.now.max(ring);
                    self.tick()?;
                }
                _ => {
                    let Some(((at, _), event)) = self.agenda.pop_first() else {
                        break;
                    };
                    self.now = self.now.max(at);
                    self.happen(event)?;
                }
            }
            self.drain()?;
        }
        self.check_end()
    }

    /// How much happened, for the records.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.agenda
            .insert((self.now + after, self.scheduled), event);
    }

    pub(super) fn schedule_at(&mut self, at: Duration, event: NetEvent) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), Event::Net(event));
    }

    /// Nobody runs for a while. The application's plans wait; what is on its way arrives.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.now += time;
        self.book.stood_still(time);
        for ((at, turn), event) in std::mem::take(&mut self.agenda) {
            let waits = !matches!(event, Event::Net(_));
            let at = if waits { at + time } else { at };
            self.agenda.insert((at, turn), event);
        }
    }

    /// The clock of deadlines jumps back. What is on its way arrives when it would have, and the
    /// application goes on; whatever waits for a moment that was set before waits so much longer.
    pub(super) fn turn_back(&mut self, time: Duration) {
        self.now = self.now.saturating_sub(time);
        self.skew += time.as_millis() as i64;
        self.alarm = None;
        // What is tried again every few seconds is tried all through the hour.
        self.most_steps += 100 * MOST_STEPS;
        for wire in self.net.wires.values_mut() {
            wire.last_to_server = wire.last_to_server.saturating_sub(time);
            wire.last_to_client = wire.last_to_client.saturating_sub(time);
        }
        for ((at, turn), event) in std::mem::take(&mut self.agenda) {
            let waits = matches!(
                event,
                Event::Calm | Event::End | Event::Probe | Event::Shutdown | Event::WarmUp
            );
            let at = if waits { at } else { at.saturating_sub(time) };
            self.agenda.insert((at, turn), event);
        }
    }

    pub(super) fn moment(&self) -> Now {
        Now {
            mono: self.base + self.now,
            unix_ms: self.unix_ms(),
        }
    }

    pub(super) fn unix_ms(&self) -> u64 {
        (UNIX_START + self.skew + self.now.as_millis() as i64) as u64
    }

    pub(super) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.base)
    }

    /// Tells the engine something that its driver noticed.
    pub(super) fn feed(&mut self, input: Input<'_>) {
        self.trace.line(self.now, || match &input {
            Input::Received(conn, bytes) => format!("< Received {conn}, {} bytes", bytes.len()),
            other => format!("< {other:?}"),
        });
        let now = self.moment();
        self.engine.handle(now, input);
    }

    /// Takes all outputs and checks what must hold afterwards.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        let mut count = 0;
        while let Some(output) = self.engine.poll_output() {
            count += 1;
            if count > MOST_OUTPUTS {
                return Err(format!("more than {MOST_OUTPUTS} outputs in one step"));
            }
            self.carry_out(output)?;
        }
        self.net.just_closed = None;
        self.net.just_ended = None;
        // What is due by now may be armed, until the next tick.
        self.engine.check(self.base)
    }

    fn make_agenda(&mut self) {
        let horizon = self.plan.horizon;
        for _ in 0..self.plan.calls {
            let at = self.rng.time(horizon);
            self.schedule(at, Event::Call);
        }
        for _ in 0..self.plan.upsets {
            let at = self.rng.time(horizon);
            self.schedule(at, Event::Upset);
        }
        for _ in 0..self.rng.below(4) {
            let at = self.rng.time(horizon);
            self.schedule(at, Event::Tick);
        }
        if self.plan.early_end {
            let at = self.rng.time(horizon);
            self.schedule(at, Event::EarlyEnd);
        }
        if self.rng.chance(300) {
            let at = self.rng.time(horizon);
            self.schedule(at, Event::FellowJoins);
            let at = at + self.rng.time(horizon);
            self.schedule(at, Event::FellowLeaves);
        }
        let settled = horizon + self.plan.settling();
        let probed = settled + self.plan.settling();
        self.schedule(horizon, Event::Calm);
        self.schedule(settled, Event::WarmUp);
        self.schedule(probed, Event::Probe);
        let over = probed + self.plan.longest_call() + self.plan.lateness;
        self.schedule(over, Event::Shutdown);
        let end = over + LAST_GRACE + GOODBYE + 2 * self.plan.lateness;
        self.schedule(end + Duration::from_millis(1), Event::End);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Abandon(op) => self.abandon(op),
            Event::Answer(op, answer) => {
                self.trace
                    .line(self.now, || format!("< answer {op} {answer:?}"));
                let now = self.moment();
                self.engine.answer(now, op, answer);
                Ok(())
            }
            Event::Calm => self.calm(),
            Event::Decide(op, message_id) => {
                self.decide(op, &message_id);
                Ok(())
            }
            Event::Local(receipt) => self.local_over(&receipt),
            Event::TakeCheck => self.take_check(),
            Event::Call => self.call(),
            Event::EarlyEnd => self.end_early(),
            Event::End => self.check_closed(),
            Event::FellowJoins => self.fellow_joins(),
            Event::FellowLeaves => self.fellow_leaves(),
            Event::Net(event) => self.net_event(event),
            Event::Probe => self.probe(),
            Event::Reply(asked) => self.push_reply(&asked),
            Event::Revive(server) => {
                self.revive(server);
                Ok(())
            }
            Event::Shutdown => {
                let grace = LAST_GRACE;
                self.submit(Operation::Shutdown { grace }, None, true)?;
                self.end_fellow(Operation::Shutdown { grace })
            }
            Event::Tick => self.tick(),
            Event::Upset => self.upset(),
            Event::WarmUp => self.warm_up(),
        }
    }

    /// When the driver's alarm rings: at the deadline or somewhat later.
    fn alarm(&mut self) -> Option<Duration> {
        let deadline = self.engine.next_deadline()?;
        match self.alarm {
            Some((set_for, ring)) if set_for == deadline => Some(ring),
            _ => {
                let ring = self.since_start(deadline) + self.rng.time(self.plan.lateness);
                self.alarm = Some((deadline, ring));
                Some(ring)
            }
        }
    }

    /// What was written counts before what is overdue.
    fn tick(&mut self) -> Result<(), String> {
        self.report_written();
        self.feed(Input::Tick);
        self.drain()?;
        self.engine.check(self.moment().mono)?;
        self.book.check_overdue(self.now)
    }

    fn carry_out(&mut self, output: Output) -> Result<(), String> {
        self.trace.line(self.now, || self.describe(&output));
        match output {
            Output::Ask { op, ask } => self.asked(op, &ask),
            Output::Admitted { op } => self.book.admitted(op),
            Output::CheckBack => {
                let after = self.rng.time(Duration::from_millis(100));
                self.schedule(after, Event::TakeCheck);
                Ok(())
            }
            Output::Complete { op, outcome, .. } => {
                self.half_stored(op, &outcome)?;
                self.book.completed(op, outcome)?;
                self.check_probes()
            }
            Output::Connect {
                conn,
                to,
                by,
                plain,
            } => {
                let by = self.since_start(by);
                self.dial(conn, &to, by, plain)
            }
            Output::Disconnect { conn, .. } => self.hang_up(conn),
            Output::Event(_) => Ok(()),
            Output::Hook(call) => {
                let _panics = call.run();
                Ok(())
            }
            Output::Transmit { conn, frame } => {
                self.trace.bytes(&frame.head);
                self.trace.bytes(&frame.body);
                self.transmit(conn, frame)
            }
        }
    }

    fn describe(&self, output: &Output) -> String {
        match output {
            Output::Complete { op, outcome, .. } => format!("> Complete {op} {outcome:?}"),
            Output::Connect { conn, to, by, .. } => {
                let by = self.since_start(*by).as_secs_f64();
                format!("> Connect {conn} to {to} by {by:.6}")
            }
            Output::Transmit { conn, frame } => format!(
                "> Transmit {conn} #{} of {} bytes, {}",
                frame.seq.0,
                frame.len(),
                super::frames::describe(frame)
            ),
            Output::Ask { op, .. } => format!("> Ask {op}"),
            other => format!("> {other:?}"),
        }
    }
}

pub(super) fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a legal name")
}
