//! The strategy that moves as few items as possible.

use super::spread::{Class, spread};
use super::{Assignment, ShardingRequest, ShardingStrategy};

/// `STICKY`: an item stays where it is, unless another instance has to have more.
///
/// No instance has two items more than another, and of all ways to bring that about this is one of those that move the
/// fewest items. It suits jobs with instances that keep something for their items: a cache, a connection, a warm model.
///
/// The order of the instances differs from job to job. So the first items of a new cluster, and the items that are left over,
/// go to other instances in each job, and jobs of few items spread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sticky;

impl Sticky {
    pub(super) const NAME: &'static str = "STICKY";
}

impl ShardingStrategy for Sticky {
    fn assign(&self, request: &ShardingRequest<'_>) -> Assignment {
        let everywhere = Class::of(request, |_| true);
        spread(request, &[everywhere], |_| 0)
    }
}
