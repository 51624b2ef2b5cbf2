//! What is said of a measurement.

use std::fmt;
use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::usage::{Usage, memory};

/// The clocks at the begin of a measurement.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    wall: Instant,
    usage: Option<Usage>,
}

/// A measurement: one line.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) mode: &'a str,
    /// Messages.
    pub(crate) count: u64,
    /// Bytes of each.
    pub(crate) size: u32,
    pub(crate) width: u32,
    pub(crate) time: Elapsed,
    pub(crate) latency: &'a Latency,
    pub(crate) failed: u64,
    /// Whether to tell what the line has no place for otherwise.
    pub(crate) details: bool,
}

#[derive(Debug)]
pub(crate) struct Elapsed {
    wall: Duration,
    usage: Option<Usage>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            wall: Instant::now(),
            usage: Usage::now(),
        }
    }

    pub(crate) fn stop(self) -> Elapsed {
        let usage = self.usage.zip(Usage::now());
        Elapsed {
            wall: self.wall.elapsed(),
            usage: usage.map(|(before, after)| after.since(before)),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mode,
            count,
            size,
            width,
            failed,
            ..
        } = self;
        let wall = self.time.wall.as_secs_f64();
        let rate = *count as f64 / wall.max(1e-9);
        let usage = self.time.usage;
        let cpu = usage.map_or(f64::NAN, |usage| micros(usage.cpu) / *count as f64);
        let [p50, p99, p999] = self.latency.quantiles([0.5, 0.99, 0.999]).map(micros);
        write!(
            f,
            "{mode} n={count} size={size} width={width} wall={wall:.3}s rate={rate:.0}/s \
             cpu={cpu:.3}us/msg p50={p50:.1}us p99={p99:.1}us failed={failed}"
        )?;
        if self.details {
            let peak = memory("VmHWM").unwrap_or_default();
            let switches = usage.map_or(f64::NAN, |usage| usage.switches as f64 / *count as f64);
            write!(
                f,
                " p999={p999:.1}us peak={peak}KiB switches={switches:.4}/msg"
            )?;
        }
        Ok(())
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
