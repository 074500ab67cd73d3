//! Triggers of single items, as occasions. They stand in the registry, where the claim of the item takes them.
//!
//! A trigger of the whole job is addressed to an instance, which takes it out of the registry and keeps it in memory. A
//! trigger of one item is addressed to the item, whichever instance owns it: it stays in `ledger/requests` until the
//! transaction of the claim deletes it. So it is carried out once, also if the item moves or its owner dies before the
//! claim.
//!
//! Single items may fire beside an open firing of other items, because they wait for no time of the schedule.

use std::time::Duration;

use crate::cluster::core::context::Context;
use crate::cluster::core::governor::is_unsettled;
use crate::cluster::ledger::Reason;
use crate::cluster::trigger::Trigger;

use super::claiming::mark_of;
use super::occasion::{Occasion, OccasionSource, Wanted};
use super::open::OpenFirings;
use super::runs::Runs;
use super::skips::Skips;

/// A single item that could not be claimed is tried again after this long.
const PAUSE: Duration = Duration::from_secs(1);

/// The triggers of single items.
#[derive(Debug, Default)]
pub(super) struct ItemTriggers {
    /// No item is tried before this moment, on the clock that only moves forward.
    not_before: Duration,
}

impl OccasionSource for ItemTriggers {
    /// Returns the items that may run, are of no open firing, and have the same first trigger.
    fn next(&self, cx: &Context<'_>, runs: &Runs, open: &OpenFirings) -> Option<Occasion> {
        if !self.is_waiting(cx) || is_unsettled(cx.view, cx.config, cx.placement) {
            return None;
        }
        let requests = &cx.view.item_triggers;
        let is_free = |item: &u32| !open.has(*item);
        let asked = Wanted::These(requests.keys().copied().filter(is_free).collect());
        let asked = Occasion::triggered(Trigger::default(), asked, cx.now);
        let runnable = runs.runnable(cx, &asked, mark_of(cx.config), &[]);
        let first_trigger = |item: &u32| requests.get(item).and_then(|stored| stored.triggers.first());
        let trigger = runnable.iter().find_map(first_trigger)?.clone();
        let items = runnable
            .into_iter()
            .filter(|item| first_trigger(item) == Some(&trigger));
        let items = Wanted::These(items.collect());
        Some(Occasion {
            items,
            trigger,
            ..asked
        })
    }

    /// Does nothing: the claim takes the trigger out of the registry.
    fn take(&mut self) {}

    /// Does nothing: a claim that did not come about has left the trigger in the registry.
    fn put_back(&mut self, _: Occasion) {}

    fn give_up(&mut self, cx: &Context<'_>, _: &mut Skips, _: Reason) {
        self.pause(cx);
    }

    fn wake_at(&self, elapsed: Duration) -> Option<Duration> {
        (self.not_before > elapsed).then_some(self.not_before)
    }
}

impl ItemTriggers {
    /// Returns whether a single item may be tried.
    pub(super) fn is_waiting(&self, cx: &Context<'_>) -> bool {
        !cx.view.item_triggers.is_empty() && self.wake_at(cx.elapsed).is_none()
    }

    /// Waits before the next try. A trigger that could not be carried out stays in the registry, so it would be tried over and over.
    pub(super) fn pause(&mut self, cx: &Context<'_>) {
        self.not_before = cx.elapsed + PAUSE;
    }
}
