//! The strategy that begins at either end of the instances, by the name of the job, as Java has it.

use super::average::assign_evenly;
use super::java_hash::java_hash;
use super::{Assignment, ShardingRequest, ShardingStrategy};

/// `ODEVITY`: as [`AverageAllocation`](super::AverageAllocation), beginning at one end of the instances for
/// half of the jobs, at the other end for the others.
///
/// It spreads jobs with fewer items than instances. Which end is a matter of the hash of the job's name:
/// even is ascending ids, odd is descending.
#[derive(Clone, Copy, Debug, Default)]
pub struct OddEven;

impl OddEven {
    pub(super) const NAME: &'static str = "ODEVITY";
}

impl ShardingStrategy for OddEven {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        if java_hash(request.job_name()) % 2 != 0 {
            return assign_evenly(request, |position| position);
        }
        let count = request.instances().len();
        assign_evenly(request, |position| count - 1 - position)
    }
}
