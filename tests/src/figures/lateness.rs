//! How late firings are, from many threads at once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// What one bucket spans.
const WIDTH: Duration = Duration::from_micros(100);

/// Two seconds of them; what is later counts as in the last.
const BUCKETS: usize = 20_000;

/// Counts firings by how late they were. Relaxed: each count stands for itself.
pub(super) struct Lateness {
    buckets: Box<[AtomicU32]>,
    longest: AtomicU64,
}

/// What was counted between two resets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) median: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
}

impl Lateness {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(),
            longest: AtomicU64::new(0),
        }
    }

    /// Counts a firing that was due at `scheduled` and began at `now`.
    pub(super) fn note(&self, scheduled: Timestamp, now: Timestamp) {
        let late = Duration::try_from(now.duration_since(scheduled)).unwrap_or_default();
        let bucket = (late.as_nanos() / WIDTH.as_nanos()).min(BUCKETS as u128 - 1) as usize;
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
    }

    /// Starts over, and gives what was counted.
    pub(super) fn take(&self) -> Summary {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.swap(0, Ordering::Relaxed).into())
            .collect();
        let count = counts.iter().sum();
        Summary {
            count,
            median: quantile(&counts, count / 2),
            p99: quantile(&counts, count * 99 / 100),
            longest: Duration::from_micros(self.longest.swap(0, Ordering::Relaxed)),
        }
    }
}

/// Returns the upper end of the bucket that the firing of this rank is in.
fn quantile(counts: &[u64], rank: u64) -> Duration {
    let mut before = 0;
    let bucket = counts.iter().position(|count| {
        before += count;
        before > rank
    });
    WIDTH * bucket.map_or(0, |bucket| bucket as u32 + 1)
}
