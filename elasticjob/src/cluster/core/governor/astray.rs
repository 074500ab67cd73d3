//! Items that are not where the last assignment put them: their `sharding/{i}/instance` was deleted or set to something
//! else by an operator's hand, by a tool, or by a fault.
//!
//! One that has lost its owner is seen by the leader's watch, and is a reason to share the items out at once. For the rest
//! the leader compares the assignment with what the strategy says for the instances that are there, at each interval of
//! reconciliation, from what it knows already: where nothing is amiss that costs no request.

use elasticjob_config::job::JobConfig;

use crate::cluster::core::governor::resharding::Basis;
use crate::cluster::placement::Placement;
use crate::cluster::view::View;

/// Returns whether an item below `total` has no owner, although the assignment gave it one.
pub(crate) fn is_any_lost(view: &View, total: u32) -> bool {
    let Some(basis) = basis(view) else { return false };
    let has_owner = |item: u32| view.items.get(&item).is_some_and(|item| item.owner.is_some());
    // Counted first: all of them have owners at nearly every moment, and this is asked often.
    let missing = (total as usize).saturating_sub(view.count_owned(total));
    let waiting = basis.deferred().iter().filter(|item| !basis.leaves_out(*item));
    let explained = basis.left_out().iter().chain(waiting);
    missing > 0 && missing > explained.filter(|item| *item < total && !has_owner(*item)).count()
}

/// Returns whether an item is somewhere else than the strategy says, or there is one beyond the total. A strategy that does
/// not give the same answer twice says nothing.
pub(crate) fn is_any(view: &View, config: &JobConfig, placement: &Placement) -> bool {
    let Some(basis) = basis(view) else { return false };
    let total = config.sharding_total_count().get();
    let mut beyond = view
        .items
        .range(total..)
        .filter(|(item, _)| !basis.deferred().contains(**item));
    if beyond.any(|(_, item)| item.exists || item.owner.is_some()) {
        return true;
    }
    let Some(owners) = placement.settled_owners(view, config) else {
        return false;
    };
    let owner = |item: u32| view.items.get(&item).and_then(|item| item.owner.as_ref());
    let is_elsewhere = |item: u32, wanted: Option<&_>| owner(item) != wanted && !basis.deferred().contains(item);
    (0..)
        .zip(&owners)
        .any(|(item, wanted)| is_elsewhere(item, wanted.as_ref()))
}

fn basis(view: &View) -> Option<&Basis> {
    view.epoch.as_ref()?.basis.as_ref()
}
