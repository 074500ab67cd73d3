//! What has changed in a view, so that a decision that looked at all items once looks only at those that changed since.
//!
//! A decision keeps the revision of its last look. If it asks for the changes since then, it gets the items, or `None`
//! if too many have changed or the view was replaced; then it looks at all. The list is never longer than the job has
//! items.

use std::collections::VecDeque;

/// A state of a view. Nothing that decisions look at differs between two views of the same revision.
///
/// Left out are the ledgers, and the marks of items that neither wait to move nor to be taken over: they change with each firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    job: u64,
    item: u64,
}

impl Revision {
    /// Returns whether nothing but single items differs.
    pub(crate) fn is_same_job(self, other: Self) -> bool {
        self.job == other.job
    }
}

/// The changes of a view since it was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// How often anything changed that concerns the job as a whole.
    job: u64,
    /// The items that changed, the newest last,
    items: VecDeque<u32>,
    /// and how many changed before these.
    forgotten: u64,
}

impl Changes {
    /// Begins the changes of a view that replaces another. All of it counts as changed, since no event named the differences.
    pub(super) fn after(before: &Self) -> Self {
        Self {
            job: before.job + 1,
            items: VecDeque::new(),
            forgotten: before.now() + 1,
        }
    }

    /// Notes that something changed that concerns the job as a whole.
    pub(super) fn job(&mut self) {
        self.job += 1;
    }

    /// Notes that an item has changed, of a job of which so many items are known. More changes than there are items are not kept:
    /// then a look at all items takes no longer.
    pub(super) fn item(&mut self, item: u32, known: usize) {
        self.items.push_back(item);
        while self.items.len() > known.max(1) {
            self.items.pop_front();
            self.forgotten += 1;
        }
    }

    fn now(&self) -> u64 {
        self.forgotten + self.items.len() as u64
    }

    /// Returns the revision as of now.
    pub(super) fn revision(&self) -> Revision {
        Revision {
            job: self.job,
            item: self.now(),
        }
    }

    /// Returns the items that have changed since, each as often as it did; `None` if not all of them are known any more.
    pub(super) fn since(&self, revision: Revision) -> Option<impl Iterator<Item = u32> + use<'_>> {
        let seen = revision.item.checked_sub(self.forgotten)?;
        let seen = usize::try_from(seen).ok().filter(|seen| *seen <= self.items.len())?;
        Some(self.items.range(seen..).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(changes: &Changes, revision: Revision) -> Option<Vec<u32>> {
        changes.since(revision).map(Iterator::collect)
    }

    mod changes {
        use super::*;
        #[test]
        fn are_those_after_the_revision() {
            let mut changes = Changes::default();
            changes.item(4, 3);
            let seen = changes.revision();
            assert_eq!(since(&changes, seen), Some(vec![]));
            changes.item(9, 3);
            changes.item(4, 3);
            assert_eq!(since(&changes, seen), Some(vec![9, 4]));
            assert!(changes.revision().is_same_job(seen) && changes.revision() != seen);
            changes.job();
            assert!(!changes.revision().is_same_job(seen));
        }

        #[test]
        fn are_forgotten_if_there_are_more_than_items() {
            let mut changes = Changes::default();
            let first = changes.revision();
            changes.item(0, 2);
            let second = changes.revision();
            changes.item(1, 2);
            changes.item(0, 2);
            assert_eq!(since(&changes, first), None);
            assert_eq!(since(&changes, second), Some(vec![1, 0]));
        }

        #[test]
        fn are_unknown_after_a_view_was_replaced() {
            let mut before = Changes::default();
            before.item(0, 9);
            let seen = before.revision();
            let mut after = Changes::after(&before);
            assert_eq!(since(&after, seen), None);
            assert!(!after.revision().is_same_job(seen));
            after.item(1, 9);
            assert_eq!(since(&after, seen), None);
        }
    }
}
