//! How many runs of an item failed in a row, as far as this instance knows.
//!
//! The ledger has only the newest runs of an item, so the number begins at one where this instance sees the first
//! failed run. It counts runs and not reports: a failed run that is read again from its ledger is not counted twice,
//! which its id tells.

use std::collections::BTreeMap;

/// The items with failed newest runs.
#[derive(Debug, Default)]
pub(in crate::cluster::worker) struct Failures(BTreeMap<u32, Streak>);

/// Runs that failed one after another.
#[derive(Debug)]
struct Streak {
    runs: u32,
    /// The newest of them.
    newest: String,
}

impl Failures {
    /// A run of an item failed.
    pub(in crate::cluster::worker) fn failed(&mut self, item: u32, run: &str) {
        let runs = self.0.get(&item).map_or(0, |streak| streak.runs);
        self.begin(item, run, runs.saturating_add(1));
    }

    /// The ledger says that this is the newest run of an item, and that it failed. How the runs before one that is new to this
    /// instance ended is not known.
    pub(in crate::cluster::worker) fn failed_before(&mut self, item: u32, run: &str) {
        if self.0.get(&item).is_none_or(|streak| streak.newest != run) {
            self.begin(item, run, 1);
        }
    }

    /// A run of an item succeeded.
    pub(in crate::cluster::worker) fn succeeded(&mut self, item: u32) {
        self.0.remove(&item);
    }

    /// Returns how many of the last runs of an item failed, if these are `least` or more.
    pub(in crate::cluster::worker) fn of(&self, item: u32, least: u32) -> Option<u32> {
        self.0
            .get(&item)
            .map(|streak| streak.runs)
            .filter(|runs| *runs >= least)
    }

    /// Returns how many of the last runs of these items failed, if that are `least` or more, in ascending order of the items.
    pub(in crate::cluster::worker) fn among(&self, items: &[u32], least: u32) -> BTreeMap<u32, u32> {
        let is_shown = |(item, streak): &(&u32, &Streak)| streak.runs >= least && items.binary_search(item).is_ok();
        let shown = self.0.iter().filter(is_shown);
        shown.map(|(item, streak)| (*item, streak.runs)).collect()
    }

    /// Puts the newest failed run of an item down, as the last of so many.
    fn begin(&mut self, item: u32, run: &str, runs: u32) {
        let newest = run.to_owned();
        self.0.insert(item, Streak { runs, newest });
    }
}
