//! The simulation (DESIGN 10.3): the engine, the testkit's servers and a network that a seed decides,
//! under a virtual clock. One seed is one world; the same seed is the same world, to the byte.

mod asking;
mod book;
mod discovery;
mod dressed;
mod fellow;
mod frames;
mod listing;
mod logical;
mod net;
mod plan;
mod questions;
mod rng;
mod trace;
mod traffic;
mod transactions;
mod truth;
mod upsets;
mod wire;
mod workload;
mod world;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rocketmq_engine::Stats;

use trace::Trace;
use world::World;

/// What many worlds had to show, so that one can see whether they were worth running.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) worlds: u64,
    pub(crate) steps: u64,
    pub(crate) connections: u64,
    pub(crate) sent: u64,
    pub(crate) sent_oneway: u64,
    pub(crate) not_sent: u64,
    pub(crate) rejected: u64,
    pub(crate) unknown: u64,
    pub(crate) replied: u64,
    pub(crate) unanswered: u64,
    pub(crate) unmatched_replies: u64,
    pub(crate) retries: u64,
    pub(crate) auto_batches: u64,
    pub(crate) traced: u64,
    pub(crate) trace_dropped: u64,
    pub(crate) late_replies: u64,
    pub(crate) transactions_ended: u64,
    pub(crate) checks: u64,
    pub(crate) lost: u64,
}

/// A world in which something that must hold did not.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) why: String,
    last_lines: Vec<String>,
}

/// Runs worlds on several threads, all of them or up to the first failure of each thread. Gives the
/// failure of the lowest seed.
pub(crate) fn run_many(
    seeds: Range<u64>,
    threads: usize,
    progress: impl Fn(u64) + Sync,
) -> Result<Totals, Failure> {
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    let failed = Mutex::new(None::<u64>);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut sum = Totals::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().expect("no panic").is_some() {
                        break;
                    }
                    match run(seed, Trace::off()) {
                        Ok(of_world) => sum.add(&of_world),
                        Err(_) => {
                            let mut failed = failed.lock().expect("no panic");
                            *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                        }
                    }
                    progress(seed);
                }
                totals.lock().expect("no panic").add(&sum);
            });
        }
    });
    let failed = *failed.lock().expect("no panic");
    match failed {
        Some(seed) => Err(replay(seed, false).err().unwrap_or_else(|| Failure {
            seed,
            why: "it failed, but not when run again: the simulation is not deterministic".into(),
            last_lines: Vec::new(),
        })),
        None => Ok(*totals.lock().expect("no panic")),
    }
}

/// Runs one world with its trace; gives a digest of all that crossed the engine's border.
pub(crate) fn replay(seed: u64, print: bool) -> Result<u64, Failure> {
    let trace = Trace::on(print);
    match run(seed, trace.clone()) {
        Ok(_) => Ok(trace.digest()),
        Err(why) => Err(Failure {
            seed,
            why,
            last_lines: trace.last_lines(),
        }),
    }
}

fn run(seed: u64, trace: Trace) -> Result<Totals, String> {
    let run = || {
        let mut world = World::new(seed, trace);
        world.run()?;
        let mut totals = Totals::of(&world.engine.stats());
        totals.steps = world.steps();
        totals.connections = world.net.dials;
        Ok(totals)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

impl Totals {
    fn of(stats: &Stats) -> Self {
        Self {
            worlds: 1,
            steps: 0,
            connections: 0,
            sent: stats.sent,
            sent_oneway: stats.sent_oneway,
            not_sent: stats.failed_not_sent,
            rejected: stats.failed_rejected,
            unknown: stats.failed_unknown,
            replied: stats.replied,
            unanswered: stats.failed_stored,
            unmatched_replies: stats.unmatched_replies,
            retries: stats.retries,
            auto_batches: stats.auto_batches,
            traced: stats.traced,
            trace_dropped: stats.trace_dropped,
            late_replies: stats.late_replies,
            transactions_ended: stats.transactions_ended,
            checks: stats.checks,
            lost: stats.connections_lost,
        }
    }

    fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.steps += other.steps;
        self.connections += other.connections;
        self.sent += other.sent;
        self.sent_oneway += other.sent_oneway;
        self.not_sent += other.not_sent;
        self.rejected += other.rejected;
        self.unknown += other.unknown;
        self.replied += other.replied;
        self.unanswered += other.unanswered;
        self.unmatched_replies += other.unmatched_replies;
        self.retries += other.retries;
        self.auto_batches += other.auto_batches;
        self.traced += other.traced;
        self.trace_dropped += other.trace_dropped;
        self.late_replies += other.late_replies;
        self.transactions_ended += other.transactions_ended;
        self.checks += other.checks;
        self.lost += other.lost;
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.last_lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {} failed: {}", self.seed, self.why)?;
        write!(
            f,
            "replay it with: cargo run --release -p rocketmq-testkit --example simulate -- \
             --seed {} --trace",
            self.seed
        )
    }
}
