//! Which items each instance owns, so that no decision has to look at all items to find those of one instance.

use std::collections::BTreeSet;

use crate::cluster::instance::InstanceId;

/// The items that have an owner, by owner.
///
/// A vector: most jobs have a few instances, and a map makes room for eleven at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Owned(Vec<(InstanceId, BTreeSet<u32>)>);

impl Owned {
    /// Notes that an item has another owner, or none.
    pub(super) fn change(&mut self, item: u32, before: Option<&InstanceId>, now: Option<&InstanceId>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.remove(item, before);
        }
        if let Some(now) = now {
            self.add(item, now);
        }
    }

    fn add(&mut self, item: u32, owner: &InstanceId) {
        let place = self.place(owner).unwrap_or_else(|place| {
            self.0.reserve_exact(1);
            self.0.insert(place, (owner.clone(), BTreeSet::new()));
            place
        });
        self.0[place].1.insert(item);
    }

    fn remove(&mut self, item: u32, owner: &InstanceId) {
        let Ok(place) = self.place(owner) else { return };
        self.0[place].1.remove(&item);
        if self.0[place].1.is_empty() {
            self.0.remove(place);
        }
    }

    fn place(&self, owner: &InstanceId) -> Result<usize, usize> {
        self.0.binary_search_by(|(id, _)| id.cmp(owner))
    }

    /// Returns the items of an instance.
    pub(super) fn of(&self, owner: &InstanceId) -> Option<&BTreeSet<u32>> {
        Some(&self.0[self.place(owner).ok()?].1)
    }

    /// Returns all owners, each with its items, of which it has one at least.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&InstanceId, &BTreeSet<u32>)> {
        self.0.iter().map(|(owner, items)| (owner, items))
    }

    /// Counts the items below `total`.
    pub(super) fn count(&self, total: u32) -> usize {
        // Few items are beyond the total at nearly every moment, so these are counted.
        let count = |items: &BTreeSet<u32>| items.len() - items.range(total..).count();
        self.0.iter().map(|(_, items)| count(items)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::id;

    mod items_by_owner {
        use super::*;
        #[test]
        fn follow_each_change() {
            let (a, b) = (id("a@-@1"), id("b@-@1"));
            let mut owned = Owned::default();
            for item in [3, 1, 7] {
                owned.change(item, None, Some(&b));
            }
            owned.change(1, Some(&b), Some(&a));
            owned.change(1, Some(&a), Some(&a));
            assert_eq!(owned.of(&a), Some(&BTreeSet::from([1])));
            assert_eq!(owned.of(&b), Some(&BTreeSet::from([3, 7])));
            assert_eq!((owned.count(8), owned.count(7), owned.count(0)), (3, 2, 0));
            owned.change(1, Some(&a), None);
            assert_eq!(owned.of(&a), None);
            assert_eq!(owned.iter().map(|(owner, _)| owner).collect::<Vec<_>>(), [&b]);
        }
    }
}
