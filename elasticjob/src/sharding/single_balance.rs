//! The strategy for many jobs of one item each: a favourite instance for each job, by rendezvous hashing.

use super::average::assign_evenly;
use super::rendezvous::ranking;
use super::{Assignment, ShardingRequest, ShardingStrategy};

/// `SINGLE_SHARDING_BALANCE`: for jobs of one item each, which are to spread over the instances.
///
/// Each job has a favourite among the instances, found from its name and theirs, so that many jobs are shared evenly.
/// When an instance joins, it gets its part of the jobs, and the others stay where they are; when one goes, its jobs
/// spread over those that remain. A job of several items is shared as by [`AverageAllocation`](super::AverageAllocation),
/// from the favourite on.
///
/// Java (3.0.5) begins at an instance that the time of the sharding gives, so that each sharding moves the item anywhere,
/// and hands it to the next instance after each run. Here an item moves only for a reason. Every answer is one that
/// Java's strategy could give.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleShardingBalance;

impl SingleShardingBalance {
    pub(super) const NAME: &'static str = "SINGLE_SHARDING_BALANCE";
}

impl ShardingStrategy for SingleShardingBalance {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let count = request.instances().len();
        let favourite = ranking(request).first().copied().unwrap_or(0);
        assign_evenly(request, |position| (position + favourite) % count)
    }
}
