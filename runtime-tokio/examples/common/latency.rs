//! How long calls took.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Histograms of durations, to three digits, that many tasks share.
#[derive(Debug)]
pub(crate) struct Latency(Vec<Mutex<Histogram<u64>>>);

impl Latency {
    /// As many histograms as there are threads, so that they are never fought for.
    pub(crate) fn new(threads: usize) -> Self {
        let histograms = (0..threads.max(1)).map(|_| Mutex::new(empty()));
        Self(histograms.collect())
    }

    /// Counts a call of the task with this number; one of more than a minute as a minute.
    pub(crate) fn record(&self, task: usize, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let histogram = &self.0[task % self.0.len()];
        histogram
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(nanos);
    }

    /// The times within which these shares of the calls were done; zero without any.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut all = empty();
        for histogram in &self.0 {
            // All have the same bounds, so everything fits.
            let _always_fits = all.add(&*histogram.lock().unwrap_or_else(PoisonError::into_inner));
        }
        shares.map(|share| Duration::from_nanos(all.value_at_quantile(share)))
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are constants that fit")
}
