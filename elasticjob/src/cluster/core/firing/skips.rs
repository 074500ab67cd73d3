//! Scheduled times that were not fired, and why.
//!
//! A skipped time is reported twice, to different readers: at once to the log and the trace listeners, and with the
//! next claim in the ledger of each item, as the reason of the gap. For the second the newest 32 are kept. If more were
//! skipped before a claim succeeds, the gap still counts every time, and the newest reason stands for it.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::cluster::ledger::Reason;

/// How many of the times that were not fired are kept.
const KEPT: usize = 32;

/// A scheduled time that is not fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) time: Timestamp,
    pub(crate) reason: Reason,
}

/// The scheduled times that were not fired. The log says so of each, and the next claim of each item says why.
#[derive(Debug, Default)]
pub(super) struct Skips {
    /// The newest last.
    kept: VecDeque<Skipped>,
    /// Those that the log does not have yet.
    unsaid: Vec<Skipped>,
}

impl Skips {
    /// Notes that a time is not fired.
    pub(super) fn add(&mut self, time: Timestamp, reason: Reason) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        let skipped = Skipped { time, reason };
        self.kept.push_back(skipped.clone());
        self.unsaid.push(skipped);
    }

    /// Returns the newest one.
    pub(super) fn newest(&self) -> Option<&Skipped> {
        self.kept.back()
    }

    /// Returns the newest one between two times.
    pub(super) fn newest_between(&self, after: Timestamp, before: Timestamp) -> Option<&Skipped> {
        let mut newest = self.kept.iter().rev();
        newest.find(|skipped| skipped.time > after && skipped.time < before)
    }

    /// Takes those that the log does not have yet.
    pub(super) fn take_unsaid(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.unsaid)
    }
}
