//! All sources of a job's occasions, in the order in which they are asked.
//!
//! Scheduled times come before triggers of the whole job, since a time is lost after a while and a trigger is not.
//! Triggers of single items come last, because they may also begin beside an open firing.

use std::time::Duration;

use crate::cluster::core::context::Context;

use super::item_triggers::ItemTriggers;
use super::occasion::{Occasion, OccasionSource};
use super::open::OpenFirings;
use super::runs::Runs;
use super::times::Times;
use super::triggers::Triggers;

/// The sources of a job's occasions.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) times: Times,
    pub(super) triggers: Triggers,
    pub(super) item_triggers: ItemTriggers,
}

/// Names a source. The first is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Times,
    Triggers,
    ItemTriggers,
}

impl Origin {
    const ALL: [Self; 3] = [Self::Times, Self::Triggers, Self::ItemTriggers];
}

impl Sources {
    /// Returns what to fire for now, and the source that has it.
    ///
    /// Beside open firings that is a single item, or nothing. If an occasion that has to be alone waits, a single item begins
    /// only beside a firing that the occasion waits for anyway: triggers of items that follow each other keep no time waiting.
    pub(super) fn next(&self, cx: &Context<'_>, runs: &Runs, open: &OpenFirings) -> Option<(Origin, Occasion)> {
        let is_admitted = |origin: &Origin| match origin {
            Origin::Times | Origin::Triggers => open.is_empty(),
            Origin::ItemTriggers => open.is_empty() || open.is_any_alone() || !self.is_alone_waiting(cx),
        };
        Origin::ALL
            .into_iter()
            .filter(is_admitted)
            .find_map(|origin| Some((origin, self.get(origin).next(cx, runs, open)?)))
    }

    /// Returns whether an occasion waits that has to be alone.
    pub(super) fn is_alone_waiting(&self, cx: &Context<'_>) -> bool {
        let missed = self.times.missed();
        let is_made_up = missed.is_some_and(|missed| missed.is_made_up(cx.config.misfire()));
        is_made_up || self.times.is_due() || !self.triggers.is_empty()
    }

    fn get(&self, origin: Origin) -> &dyn OccasionSource {
        match origin {
            Origin::Times => &self.times,
            Origin::Triggers => &self.triggers,
            Origin::ItemTriggers => &self.item_triggers,
        }
    }

    pub(super) fn source(&mut self, origin: Origin) -> &mut dyn OccasionSource {
        match origin {
            Origin::Times => &mut self.times,
            Origin::Triggers => &mut self.triggers,
            Origin::ItemTriggers => &mut self.item_triggers,
        }
    }

    /// Returns whether there may be something to fire for. Much cheaper than [`next`](Self::next).
    pub(super) fn is_waiting(&self, cx: &Context<'_>, open: &OpenFirings) -> bool {
        self.is_due(cx, open) || open.is_empty() && self.times.is_to_look_back()
    }

    /// Returns whether an occasion is known that may begin beside the open firings.
    pub(super) fn is_due(&self, cx: &Context<'_>, open: &OpenFirings) -> bool {
        let is_alone_due = open.is_empty() && (self.times.is_due() || !self.triggers.is_empty());
        is_alone_due || self.item_triggers.is_waiting(cx)
    }

    /// Drops what has not begun: nothing new is to be started.
    pub(super) fn stop(&mut self) {
        self.times.stop();
        self.triggers.stop();
    }

    /// Returns when a source is to be asked again, on the clock that only moves forward.
    pub(super) fn wake_at(&self, elapsed: Duration) -> Option<Duration> {
        let moments = Origin::ALL.map(|origin| self.get(origin).wake_at(elapsed));
        moments.into_iter().flatten().min()
    }
}
