//! Shares items out evenly, with few moves, where not every item may run everywhere.
//!
//! This is the optimal semi-matching of Harvey, Ladner, Lovász and Tamir, begun with the present assignment. Items stay
//! where they are, items without an owner go to the instance with the fewest, and then, as long as a chain of moves leads from
//! an instance to one that has at least two items less, each instance on the way hands one item on. Without such a chain
//! no assignment is more even.
//!
//! Each chain is found by a breadth-first search over instances and classes, and makes the assignment more even by one item. Which
//! item that is costs no look at all items: a job may have a million, and half of them move to the second instance. The result
//! depends on the request alone, and ties go to the favourite of the job.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::rendezvous::ranking;
use super::{Assignment, ShardingRequest};

/// Items that may run on the same instances.
pub(super) struct Class {
    /// These instances, the job's favourite first.
    instances: Vec<usize>,
}

impl Class {
    /// The class of the items that may run on the instances of which `admits` holds.
    pub(super) fn of(request: &ShardingRequest<'_>, admits: impl Fn(usize) -> bool) -> Self {
        Self {
            instances: ranking(request).into_iter().filter(|index| admits(*index)).collect(),
        }
    }
}

/// Shares the items out, each to an instance of its class, or to none if the class has no instance.
pub(super) fn spread(request: &ShardingRequest<'_>, classes: &[Class], class_of: impl Fn(u32) -> usize) -> Assignment {
    let mut plan = Plan {
        request,
        classes,
        held: vec![BTreeMap::new(); request.instances().len()],
        loads: vec![0; request.instances().len()],
    };
    let mut homeless = Vec::new();
    for item in 0..request.total_count() {
        let class = class_of(item);
        match request.current(item) {
            Some(owner) if classes[class].instances.contains(&owner) => plan.give(item, class, owner),
            _ => homeless.push((item, class)),
        }
    }
    for (item, class) in homeless {
        // The first of equals, so the job's favourite.
        let least = classes[class].instances.iter().min_by_key(|index| plan.loads[**index]);
        if let Some(owner) = least {
            plan.give(item, class, *owner);
        }
    }
    while let Some(chain) = plan.chain() {
        plan.carry_out(&chain);
    }
    plan.into_assignment()
}

struct Plan<'a> {
    request: &'a ShardingRequest<'a>,
    classes: &'a [Class],
    /// The items of each instance, by their class.
    held: Vec<BTreeMap<usize, Held>>,
    /// How many these are.
    loads: Vec<usize>,
}

/// The items of one class that an instance holds in the plan, by the instance that has them at present.
#[derive(Clone, Debug, Default)]
struct Held {
    by_owner: BTreeMap<Option<usize>, BTreeSet<u32>>,
}

impl Held {
    /// Takes the item that is best handed on from one instance to another: rather one that comes home, and one that has to move
    /// anyway; of equals the last.
    fn take(&mut self, from: usize, to: usize) -> Option<u32> {
        let last_of = |owner| Some((owner, *self.by_owner.get(&owner)?.last()?));
        let moving = || {
            let owners = self.by_owner.keys().copied().filter(|owner| *owner != Some(from));
            owners.filter_map(last_of).max_by_key(|(_, item)| *item)
        };
        let (owner, item) = last_of(Some(to)).or_else(moving).or_else(|| last_of(Some(from)))?;
        let items = self.by_owner.get_mut(&owner)?;
        items.remove(&item);
        if items.is_empty() {
            self.by_owner.remove(&owner);
        }
        Some(item)
    }

    fn is_empty(&self) -> bool {
        self.by_owner.is_empty()
    }

    fn items(&self) -> impl Iterator<Item = u32> {
        self.by_owner.values().flatten().copied()
    }
}

/// An item of this class is handed on.
#[derive(Clone, Copy)]
struct Link {
    from: usize,
    class: usize,
    to: usize,
}

impl Plan<'_> {
    fn give(&mut self, item: u32, class: usize, owner: usize) {
        let held = self.held[owner].entry(class).or_default();
        held.by_owner
            .entry(self.request.current(item))
            .or_default()
            .insert(item);
        self.loads[owner] += 1;
    }

    /// A way to make it more even, from one of those that have the most.
    fn chain(&self) -> Option<Vec<Link>> {
        let least = self.loads.iter().min()?;
        let mut donors: Vec<usize> = (0..self.loads.len())
            .filter(|index| self.loads[*index] >= least + 2)
            .collect();
        donors.sort_by_key(|index| std::cmp::Reverse(self.loads[*index]));
        donors.into_iter().find_map(|donor| self.chain_from(donor))
    }

    /// Returns the shortest way from the donor to the instance with the fewest items that it can reach.
    fn chain_from(&self, donor: usize) -> Option<Vec<Link>> {
        let mut reached: Vec<Option<Link>> = vec![None; self.loads.len()];
        let mut is_open = vec![true; self.classes.len()];
        let mut receiver: Option<usize> = None;
        let mut queue = VecDeque::from([donor]);
        while let Some(from) = queue.pop_front() {
            for class in self.held[from].keys().copied() {
                // All that it leads to has been reached.
                if !std::mem::replace(&mut is_open[class], false) {
                    continue;
                }
                for to in self.classes[class].instances.iter().copied() {
                    if to == donor || reached[to].is_some() {
                        continue;
                    }
                    reached[to] = Some(Link { from, class, to });
                    queue.push_back(to);
                    if receiver.is_none_or(|receiver| self.loads[to] < self.loads[receiver]) {
                        receiver = Some(to);
                    }
                }
            }
        }
        let receiver = receiver.filter(|receiver| self.loads[*receiver] + 2 <= self.loads[donor])?;
        let last = reached[receiver];
        Some(std::iter::successors(last, |link| reached[link.from]).collect())
    }

    fn carry_out(&mut self, chain: &[Link]) {
        for Link { from, class, to } in chain.iter().copied() {
            let held = self.held[from].entry(class).or_default();
            let item = held.take(from, to);
            let item = item.expect("a link leads from an instance that has an item of its class");
            if held.is_empty() {
                self.held[from].remove(&class);
            }
            self.loads[from] -= 1;
            self.give(item, class, to);
        }
    }

    fn into_assignment(self) -> Assignment {
        let mut owners = vec![None; self.request.total_count() as usize];
        for (owner, held) in self.held.iter().enumerate() {
            for item in held.values().flat_map(Held::items) {
                owners[item as usize] = Some(owner);
            }
        }
        Assignment::from_fn(self.request, |item| owners[item as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::super::Candidate;
    use super::*;

    #[test]
    fn passes_chains_through_balanced_instances() {
        // Items 0 to 2 may run on the first two instances, item 3 on the last two.
        let request = ShardingRequest::new("job", 4, ["c@-@1", "b@-@1", "a@-@1"].map(Candidate::new));
        let request = request.with_current([(0, "c@-@1"), (1, "c@-@1"), (2, "c@-@1"), (3, "b@-@1")]);
        let classes = [
            Class::of(&request, |index| index < 2),
            Class::of(&request, |index| index > 0),
        ];
        let assignment = spread(&request, &classes, |item| usize::from(item == 3));
        // Two moves: the direct one leaves the last instance without an item.
        assert_eq!(assignment.owners(), [Some(0), Some(0), Some(1), Some(2)]);
    }

    /// Ends within a moment only if a move does not look at all items.
    #[test]
    fn moves_half_of_a_large_job_to_its_second_instance() {
        let total = 200_000;
        let request = ShardingRequest::new("job", total, ["a@-@1", "b@-@1"].map(Candidate::new));
        let request = request.with_current((0..total).map(|item| (item, "a@-@1")));
        let everywhere = Class::of(&request, |_| true);
        let assignment = spread(&request, &[everywhere], |_| 0);
        let moved = assignment.owners().iter().filter(|owner| **owner == Some(1)).count();
        assert_eq!(moved, 100_000);
    }

    #[test]
    fn hands_on_what_comes_home_before_what_moves_anyway() {
        let held = |items: [(Option<usize>, u32); 3]| {
            let mut held = Held::default();
            for (owner, item) in items {
                held.by_owner.entry(owner).or_default().insert(item);
            }
            held
        };
        let mut all = held([(Some(0), 9), (Some(1), 1), (None, 5)]);
        let taken: Vec<_> = std::iter::from_fn(|| all.take(0, 1)).collect();
        assert_eq!(taken, [1, 5, 9]);
        assert!(all.is_empty());
    }

    #[test]
    fn leaves_items_of_a_class_without_instances_unassigned() {
        let request = ShardingRequest::new("job", 2, [Candidate::new("a@-@1")]).with_current([(0, "a@-@1")]);
        let classes = [Class::of(&request, |_| false), Class::of(&request, |_| true)];
        let assignment = spread(&request, &classes, |item| usize::from(item == 1));
        assert_eq!(assignment.owners(), [None, Some(0)]);
    }
}
