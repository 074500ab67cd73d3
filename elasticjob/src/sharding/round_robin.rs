//! The strategy that begins at another instance for each job, as Java has it.

use super::average::assign_evenly;
use super::java_hash::java_hash;
use super::{Assignment, ShardingRequest, ShardingStrategy};

/// `ROUND_ROBIN`: as [`AverageAllocation`](super::AverageAllocation), beginning at another instance for each
/// job.
///
/// It spreads jobs with fewer items than instances. Where it begins is the hash of the job's name.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl RoundRobin {
    pub(super) const NAME: &'static str = "ROUND_ROBIN";
}

impl ShardingStrategy for RoundRobin {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let count = request.instances().len();
        // The one hash without an absolute value: Java's strategy fails for it, so any offset will do.
        let hash = java_hash(request.job_name()).checked_abs().unwrap_or(0);
        assign_evenly(request, |position| (position + hash as usize) % count)
    }
}
