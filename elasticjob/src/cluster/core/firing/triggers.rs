//! Triggers of the whole job, as occasions.
//!
//! They were taken out of the registry when they came to this instance, and from then on exist in this process alone.
//! So they are not fired for before the items have instances, they are kept during a pause and over the loss of a
//! session, and they are put back if their claim claims nothing. They are given up if the job's clocks differ too much,
//! and dropped if the job stops here.

use crate::cluster::core::context::Context;
use crate::cluster::core::governor::is_unsettled;
use crate::cluster::ledger::Reason;
use crate::cluster::trigger::Trigger;

use super::occasion::{Occasion, OccasionSource, Wanted};
use super::open::OpenFirings;
use super::runs::Runs;
use super::skips::Skips;

/// The triggers that wait, each for runs of its own. The oldest is first.
#[derive(Debug, Default)]
pub(super) struct Triggers(Vec<Trigger>);

impl OccasionSource for Triggers {
    fn next(&self, cx: &Context<'_>, _: &Runs, _: &OpenFirings) -> Option<Occasion> {
        // A trigger is taken once: taken before the items have instances, it would be lost.
        let trigger = self
            .0
            .first()
            .filter(|_| !is_unsettled(cx.view, cx.config, cx.placement))?;
        Some(Occasion::triggered(trigger.clone(), Wanted::All, cx.now))
    }

    fn take(&mut self) {
        self.0.remove(0);
    }

    fn put_back(&mut self, occasion: Occasion) {
        self.0.insert(0, occasion.trigger);
    }

    fn give_up(&mut self, _: &Context<'_>, _: &mut Skips, _: Reason) {
        self.0.clear();
    }
}

impl Triggers {
    /// Adds triggers. Those that wait and want the same become one.
    pub(super) fn add(&mut self, triggers: Vec<Trigger>) {
        triggers.into_iter().for_each(|trigger| trigger.join(&mut self.0));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all: nothing more is started here.
    pub(super) fn stop(&mut self) {
        self.0.clear();
    }
}
