//! How it stands with a job on this instance, kept by its worker and read by others without asking the worker.
//!
//! A caller gets an answer also if the worker hangs, and can see that it does: before it sleeps the worker leaves
//! word until when. If that moment has passed and the worker is not awake, it is overdue. A worker that waits for the
//! registry has no such moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::pause::StoredPause;
use crate::cluster::refusal::{Trouble, shortened};

/// Stands for "it has not said when".
const UNKNOWN: u64 = u64::MAX;

/// What a worker lets be known of itself.
#[derive(Debug)]
pub(crate) struct WorkerStatus {
    made_at: Instant,
    /// When the worker is awake at the latest, in milliseconds since `made_at`. While it attends to an event: since when.
    awake_by: AtomicU64,
    /// A std mutex: never held across an await.
    now: Mutex<Now>,
}

/// How it stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// The items that are ours.
    pub(crate) items: Vec<u32>,
    /// The items that no instance runs, if this one leads.
    pub(crate) unassigned: Vec<u32>,
    /// What this instance cannot do for the job since the registry refuses it, and why.
    pub(crate) hindrances: Vec<String>,
    /// The pause of the whole job, if it is paused.
    pub(crate) pause: Option<StoredPause>,
    /// How many of all that we claimed run, or wait for room in the pool.
    pub(crate) running: usize,
    /// Since when without a break anything runs.
    pub(crate) running_since: Option<Timestamp>,
    /// When a firing last began.
    pub(crate) last_firing: Option<Timestamp>,
    /// Scheduled times without a verdict.
    pub(crate) unaccounted: u64,
    /// How many of the last runs of an item failed.
    pub(crate) failing: BTreeMap<u32, u32>,
    /// What keeps the job from being run here as the registry has it.
    pub(crate) trouble: Option<Trouble>,
    /// What the configuration in force says otherwise than the application's own.
    pub(crate) differences: Option<String>,
}

impl WorkerStatus {
    /// Returns the status of a worker that has not begun.
    pub(in crate::cluster::worker) fn new() -> Self {
        Self {
            made_at: Instant::now(),
            awake_by: AtomicU64::new(UNKNOWN),
            now: Mutex::default(),
        }
    }

    /// Returns a copy of all, which is of one moment.
    pub(crate) fn now(&self) -> Now {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the job runs here by an older configuration than the stored one, as the others see it.
    pub(in crate::cluster::worker) fn outdated(&self) -> Option<String> {
        match &self.now.lock().unwrap_or_else(PoisonError::into_inner).trouble {
            Some(Trouble::Outdated { reason }) => Some(shortened(reason)),
            _ => None,
        }
    }

    /// What the configuration in force says otherwise than the application's own, as the others see it.
    pub(in crate::cluster::worker) fn differences(&self) -> Option<String> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.differences.as_deref().map(shortened)
    }

    /// What this instance cannot do for the job since the registry refuses it, and why.
    pub(in crate::cluster::worker) fn hindrances(&self) -> Vec<String> {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .hindrances
            .clone()
    }

    /// By how much the worker has missed the moment at which it wanted to be awake.
    pub(crate) fn overdue(&self, now: Instant) -> Duration {
        // Relaxed: it orders nothing.
        match self.awake_by.load(Ordering::Relaxed) {
            UNKNOWN => Duration::ZERO,
            awake_by => now.saturating_duration_since(self.made_at + Duration::from_millis(awake_by)),
        }
    }

    /// Returns whether this holds of what is known, without a copy. The closure runs under the lock and must not ask
    /// the status.
    pub(in crate::cluster::worker) fn now_is(&self, holds: impl FnOnce(&Now) -> bool) -> bool {
        holds(&self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known, as one step to those who read it. The closure runs under the lock and must not ask the
    /// status.
    pub(in crate::cluster::worker) fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The worker sleeps until then, or until something happens.
    pub(in crate::cluster::worker) fn sleeps_until(&self, at: Instant) {
        let awake_by = at.saturating_duration_since(self.made_at).as_millis();
        self.awake_by
            .store(u64::try_from(awake_by).unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// The worker is awake, and attends to something.
    pub(in crate::cluster::worker) fn is_awake(&self) {
        self.sleeps_until(Instant::now());
    }

    /// The worker waits for the registry, which says when it is there.
    pub(in crate::cluster::worker) fn waits(&self) {
        self.awake_by.store(UNKNOWN, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_should_be_overdue_from_when_it_wanted_to_be_awake() {
        let status = WorkerStatus::new();
        let overdue = || status.overdue(Instant::now());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(overdue(), Duration::ZERO, "it has not said anything");
        status.sleeps_until(Instant::now() + Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(overdue(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(overdue(), Duration::from_secs(2));
        status.is_awake();
        assert_eq!(overdue(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(overdue(), Duration::from_secs(1), "it does not come to an end");
        status.waits();
        assert_eq!(overdue(), Duration::ZERO);
    }
}
