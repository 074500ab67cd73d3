//! The input of every decision: one borrowed struct, so that a decision is a function of what it is handed.
//!
//! The worker makes a [`Context`] for each decision and drops it afterwards. No decision keeps one: the view changes
//! with the next event, and a decision that remembered the old one would act on a state that the registry has left.

use std::time::Duration;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;

use crate::cluster::extent::Extent;
use crate::cluster::instance::InstanceId;
use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::cluster::recent::Kept;
use crate::cluster::view::{ItemView, View};
use crate::schedule::Calendar;

/// What decisions on a job look at: the view of its subtree, what this instance is known by, the configuration in force with
/// what was made of it, and the time.
///
/// All fields are of one moment. `now` and `elapsed` were read together, so a decision may compare either with what it
/// has noted before, but it must not mix them: the wall clock can be set, in both directions, while `elapsed` only
/// grows. Waits and patience are therefore measured by `elapsed`, and scheduled times by `now`.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The job's subtree as this instance has seen it last. It may be behind the registry; each write checks what it
    /// relies on.
    pub(crate) view: &'a View,
    /// The instance that decides, of the present session. An instance of an earlier session is another one.
    pub(crate) me: &'a InstanceId,
    /// The UUID in the names of our latch nodes.
    pub(crate) latch: &'a str,
    /// The configuration in force: that of the registry, unless this instance cannot run by it.
    pub(crate) config: &'a JobConfig,
    /// `None` for a one-off job.
    pub(crate) calendar: Option<&'a Calendar>,
    /// The props of our own that bear on decisions, such as the number of attempts and how far back a job catches up.
    pub(crate) policy: Policy,
    /// The sharding strategy in force, with what it reads from the configuration.
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
    ///
    /// Items at or beyond the sharding total count are left out, although the registry may still have an owner for
    /// them: they are about to be removed, and nothing is started for them.
    pub(crate) fn own_items(&self) -> impl Iterator<Item = (u32, &'a ItemView)> + use<'a> {
        self.view.items_of(self.me, self.config.sharding_total_count().get())
    }

    /// Returns how many outcomes the ledger of each item keeps.
    pub(crate) fn kept(&self) -> Kept {
        Kept::of(self.config.sharding_total_count().get())
    }

    /// Returns the item, if it belongs to this instance.
    /// `None` also for an item at or beyond the sharding total count.
    pub(crate) fn own_item(&self, item: u32) -> Option<(u32, &'a ItemView)> {
        let state = self.view.items.get(&item)?;
        let is_own = item < self.config.sharding_total_count().get() && state.owner.as_ref() == Some(self.me);
        is_own.then_some((item, &**state))
    }
}
