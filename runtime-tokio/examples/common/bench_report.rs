//! What `bench` says.

use std::fmt;
use std::time::{Duration, Instant};

use crate::bench_args::Arguments;
use crate::cpu::cpu_time;
use crate::latency::Latency;

/// The two clocks at the begin of a measurement.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Option<Duration>,
}

/// A measurement: one line.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) time: Elapsed,
    pub(crate) latency: &'a Latency,
    pub(crate) failed: u64,
}

#[derive(Debug)]
pub(crate) struct Elapsed {
    wall: Duration,
    cpu: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    pub(crate) fn stop(self) -> Elapsed {
        let cpu = self.cpu.zip(cpu_time());
        Elapsed {
            wall: self.wall.elapsed(),
            cpu: cpu.map(|(before, after)| after.saturating_sub(before)),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arguments {
            mode,
            count,
            size,
            width,
            ..
        } = self.arguments;
        let wall = self.time.wall.as_secs_f64();
        let rate = *count as f64 / wall.max(1e-9);
        let cpu = self
            .time
            .cpu
            .map_or(f64::NAN, |cpu| micros(cpu) / *count as f64);
        let [p50, p99] = self.latency.quantiles([0.5, 0.99]);
        write!(
            f,
            "{} n={count} size={size} width={width} wall={wall:.3}s rate={rate:.0}/s \
             cpu={cpu:.2}us/msg p50={:.1}us p99={:.1}us failed={}",
            mode.name(),
            micros(p50),
            micros(p99),
            self.failed
        )
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
