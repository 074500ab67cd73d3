//! Ballots, in memory; a real application would have a database.

use std::sync::atomic::{AtomicU64, Ordering};

/// The ballots that this process has seen.
#[derive(Debug, Default)]
pub(crate) struct Ballots(AtomicU64);

impl Ballots {
    /// Counts those of a region.
    pub(crate) fn count(&self, region: &str) -> u64 {
        let votes = region.bytes().map(u64::from).sum();
        self.0.fetch_add(votes, Ordering::Relaxed);
        votes
    }

    /// How many were counted here so far.
    pub(crate) fn counted(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
