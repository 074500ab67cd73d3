//! What events said has changed, and is still to be read.
//!
//! An event tells that a node has changed and not what it is now. The paths are gathered here, each once however many
//! events came, and are read some at a time. Owners of items are kept as a range, which may cover items that need no
//! reading: one read too many costs less than a set of ten thousand paths.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;

use crate::cluster::scope;
use crate::registry::Limits;

/// Nodes to be read before anything is decided.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    paths: BTreeSet<String>,
    /// The items with owners to be read. Of a large job these are all of its items at once: as paths they would take
    /// many times as much.
    owners: Range<u32>,
}

impl Dirty {
    /// Has this node read.
    pub(super) fn insert(&mut self, path: String) {
        self.paths.insert(path);
    }

    /// Has these nodes read.
    pub(super) fn extend(&mut self, paths: impl IntoIterator<Item = String>) {
        self.paths.extend(paths);
    }

    /// Has the owners of these items read, and of those between them and the ones that are to be read already.
    pub(super) fn insert_owners(&mut self, items: Range<u32>) {
        self.owners = match (self.owners.is_empty(), items.is_empty()) {
            (_, true) => return,
            (true, false) => items,
            (false, false) => self.owners.start.min(items.start)..self.owners.end.max(items.end),
        };
    }

    /// Returns whether nothing is to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.owners.is_empty()
    }

    /// Forgets all: the whole subtree has just been read.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes as many paths as are read together.
    ///
    /// Named paths go first. What is left over stays for the next read.
    pub(super) fn take(&mut self, job: &str, limits: Limits) -> Vec<String> {
        let most = limits.items_at_once();
        let mut taken: Vec<String> = iter::from_fn(|| self.paths.pop_first()).take(most).collect();
        let owners = scope::owners(job, self.owners.by_ref().take(most - taken.len()));
        taken.extend(owners);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod owners {
        use super::*;

        #[test]
        fn are_taken_some_at_a_time_behind_paths() {
            let most = u32::try_from(Limits::default().items_at_once()).expect("not so many");
            let mut dirty = Dirty::default();
            dirty.insert_owners(0..most * 3);
            dirty.insert("/job/leader".to_owned());
            let first = dirty.take("job", Limits::default());
            assert_eq!((first.len(), first[0].as_str()), (most as usize, "/job/leader"));
            let mut all: BTreeSet<String> = first.into_iter().collect();
            while !dirty.is_empty() {
                let taken = dirty.take("job", Limits::default());
                assert!(taken.len() <= most as usize, "{} at once", taken.len());
                all.extend(taken);
            }
            assert_eq!(all.len(), most as usize * 3 + 1);
            assert!(all.contains(&format!("/job/sharding/{}/instance", most * 3 - 1)));
        }

        #[test]
        fn of_more_items_are_read_with_those_before() {
            let mut dirty = Dirty::default();
            dirty.insert_owners(0..0);
            assert!(dirty.is_empty());
            dirty.insert_owners(4..6);
            dirty.insert_owners(2..3);
            let paths: Vec<String> = (2..6).map(|item| format!("/job/sharding/{item}/instance")).collect();
            assert_eq!(dirty.take("job", Limits::default()), paths);
            assert!(dirty.is_empty());
        }
    }
}
