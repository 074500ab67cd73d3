//! The default strategy, as Java has it, and the way to share out that other strategies start from.

use super::{Assignment, ShardingRequest, ShardingStrategy};

/// `AVG_ALLOCATION`: consecutive items to each instance in turn, as many to each; what is left over, one by
/// one to the first instances.
///
/// Three instances get of ten items: 0, 1, 2, 9; 3, 4, 5; and 6, 7, 8.
#[derive(Clone, Copy, Debug, Default)]
pub struct AverageAllocation;

impl AverageAllocation {
    pub(super) const NAME: &'static str = "AVG_ALLOCATION";
}

impl ShardingStrategy for AverageAllocation {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        assign_evenly(request, |position| position)
    }
}

/// Shares the items out among the instances in the order that `instance_at` says: position to index.
pub(super) fn assign_evenly(request: &ShardingRequest<'_>, instance_at: impl Fn(usize) -> usize) -> Assignment {
    let count = request.instances().len();
    let share = request.total_count() as usize / count.max(1);
    let in_shares = share * count;
    Assignment::from_fn(request, |item| match item as usize {
        _ if count == 0 => None,
        item if item < in_shares => Some(instance_at(item / share)),
        left_over => Some(instance_at(left_over - in_shares)),
    })
}
