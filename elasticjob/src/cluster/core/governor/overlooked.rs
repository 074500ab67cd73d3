//! Detects that a Java leader has left out an instance that came, or one that went.
//!
//! A Java leader reads the instances, waits for all items to end, shares them out, and removes the resharding flag. An instance
//! that came during the wait has raised the flag before, and no member raises it again: the instance stays without items until
//! another instance comes or goes.
//!
//! One instance of ours then raises the flag again, after 2 s, and again after 4, 8, 16 and 32 s while nothing changes.
//! After five flags it stops until an instance comes or goes, because a Java sharding strategy may leave an instance
//! out on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::instance::InstanceId;
use crate::cluster::view::View;

/// A Java leader flags what it sees by itself, but not at once. The pause doubles with each flag of ours.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many flags of ours, until an instance comes or goes: a Java strategy may leave an instance out on purpose.
const FLAGS: u32 = 5;

/// What was seen of this so far.
#[derive(Debug, Default)]
pub(super) struct Overlooked {
    candidates: BTreeSet<InstanceId>,
    since: Option<Duration>,
    flags: u32,
}

impl Overlooked {
    /// When to flag that the items are to be shared out; `None` where nothing is amiss, or nothing helps.
    pub(super) fn next(&mut self, view: &View, total: u32, elapsed: Duration) -> Option<Duration> {
        let candidates = view.candidates_for_items();
        if !candidates.eq(self.candidates.iter().rev()) {
            *self = Self {
                candidates: view.candidates_for_items().cloned().collect(),
                ..Self::default()
            };
        }
        if view.is_resharding() || !is_any_overlooked(view, total) {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(elapsed);
        (self.flags < FLAGS).then(|| since + PATIENCE * (1 << self.flags))
    }

    /// It is flagged now.
    pub(super) fn flagged(&mut self) {
        self.flags += 1;
        self.since = None;
    }
}

/// Returns whether an instance has no item while another has several, or an item does not belong to a present instance.
fn is_any_overlooked(view: &View, total: u32) -> bool {
    if view.candidates_for_items().next().is_none() {
        return false;
    }
    let is_orphan = |(owner, items): (&InstanceId, &BTreeSet<u32>)| {
        !view.instances.contains(owner) && items.range(..total).next().is_some()
    };
    if view.count_owned(total) < total as usize || view.owners().any(is_orphan) {
        return true;
    }
    // Two say as much as all.
    let items_of = |id: &InstanceId| view.items_of(id, total).take(2).count();
    let is_idle = view.candidates_for_items().any(|id| items_of(id) == 0);
    is_idle && view.instances.iter().any(|id| items_of(id) > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::view::ServerStatus;

    const TOTAL: u32 = 3;

    /// These instances, and the owner of each item.
    fn view(instances: &[&str], owners: [&str; TOTAL as usize]) -> View {
        let mut view = View::new("job");
        for id in instances.iter().map(|id| InstanceId::parse(id).expect("an id")) {
            view.servers.insert(id.server().to_owned(), ServerStatus::Enabled);
            view.instances.insert(id);
        }
        for (item, owner) in (0..).zip(owners) {
            view.give(item, InstanceId::parse(owner));
        }
        view
    }

    fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn flags_an_idle_instance_beside_a_busy_one() {
        let next = |instances: &[&str], owners| Overlooked::default().next(&view(instances, owners), TOTAL, second(7));
        let due = Some(second(9));
        assert_eq!(next(&["a@-@1", "b@-@1"], ["a@-@1"; 3]), due);
        assert_eq!(next(&["a@-@1", "b@-@1"], ["a@-@1", "b@-@1", "a@-@1"]), None);
        let four = ["a@-@1", "b@-@1", "c@-@1", "d@-@1"];
        assert_eq!(next(&four, ["a@-@1", "b@-@1", "c@-@1"]), None, "each has one at most");
        assert_eq!(next(&["a@-@1"], ["a@-@1", "z@-@1", "a@-@1"]), due, "its owner is gone");
        assert_eq!(next(&["a@-@1"], ["a@-@1", "a@-@1", ""]), due, "it has no owner");
        assert_eq!(next(&[], [""; 3]), None, "no instance could have it");
    }

    #[test]
    fn who_is_switched_off_should_not_be_missed() {
        let mut view = view(&["a@-@1", "b@-@1"], ["a@-@1"; 3]);
        view.servers.insert("b".to_owned(), ServerStatus::Disabled);
        assert_eq!(Overlooked::default().next(&view, TOTAL, second(0)), None);
    }

    #[test]
    fn leaves_a_leader_that_reshards_alone() {
        let mut view = view(&["a@-@1", "b@-@1"], ["a@-@1"; 3]);
        let mut overlooked = Overlooked::default();
        assert_eq!(overlooked.next(&view, TOTAL, second(0)), Some(second(2)));
        view.is_resharding_necessary = true;
        assert_eq!(overlooked.next(&view, TOTAL, second(1)), None);
        view.is_resharding_necessary = false;
        assert_eq!(overlooked.next(&view, TOTAL, second(5)), Some(second(7)));
    }

    #[test]
    fn is_flagged_ever_later_and_gives_up_until_an_instance_comes() {
        let mut overlooked = Overlooked::default();
        let before = view(&["a@-@1", "b@-@1"], ["a@-@1"; 3]);
        let mut pauses = Vec::new();
        while let Some(due) = overlooked.next(&before, TOTAL, second(0)) {
            pauses.push(due.as_secs());
            overlooked.flagged();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32]);
        let after = view(&["a@-@1", "b@-@1", "c@-@1"], ["a@-@1"; 3]);
        assert_eq!(overlooked.next(&after, TOTAL, second(0)), Some(second(2)));
    }
}
