//! What decisions look at.

use std::time::Duration;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;

use crate::cluster::extent::Extent;
use crate::cluster::instance::InstanceId;
use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::cluster::view::{ItemView, View};
use crate::schedule::Calendar;

/// What decisions on a job look at: the view of its subtree, what this instance is known by, the configuration in force with
/// what was made of it, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) view: &'a View,
    pub(crate) me: &'a InstanceId,
    /// The UUID in the names of our latch nodes.
    pub(crate) latch: &'a str,
    pub(crate) config: &'a JobConfig,
    /// `None` for a one-off job.
    pub(crate) calendar: Option<&'a Calendar>,
    pub(crate) policy: Policy,
    pub(crate) placement: &'a Placement,
    /// Since when the items are there for this instance.
    pub(crate) extent: &'a Extent,
    /// The wall clock.
    pub(crate) now: Timestamp,
    /// The clock that only moves forward.
    pub(crate) elapsed: Duration,
    /// Whether this instance starts nothing more, and leaves.
    pub(crate) is_draining: bool,
}

impl<'a> Context<'a> {
    /// Returns the items of the job that belong to this instance.
    pub(crate) fn own_items(&self) -> impl Iterator<Item = (u32, &'a ItemView)> + use<'a> {
        self.view.items_of(self.me, self.config.sharding_total_count().get())
    }

    /// Returns the item, if it belongs to this instance.
    pub(crate) fn own_item(&self, item: u32) -> Option<(u32, &'a ItemView)> {
        let state = self.view.items.get(&item)?;
        let is_own = item < self.config.sharding_total_count().get() && state.owner.as_ref() == Some(self.me);
        is_own.then_some((item, &**state))
    }
}
