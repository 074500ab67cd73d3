//! What a job fires for, and where that comes from.
//!
//! An [`Occasion`] says why, when and for which items; an [`OccasionSource`] holds occasions until one is taken. The
//! separation matters because a claim can fail: the firings take an occasion when its claim is made, and put it back if
//! the claim claimed nothing. No source decides whether a firing may begin.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::core::context::Context;
use crate::cluster::ledger::{Reason, Source};
use crate::cluster::trigger::Trigger;
use crate::cluster::view::ItemView;

use super::open::OpenFirings;
use super::runs::Runs;
use super::skips::Skips;

/// An occasion that could not be fired for so long is missed, not late.
///
/// An older time is made up if `misfire` is on, or if the job catches up, and is skipped otherwise.
pub(crate) const LATE_LIMIT: SignedDuration = SignedDuration::from_secs(5);

/// Something to fire for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) source: Source,
    /// The scheduled time of the runs, or when the trigger was taken.
    pub(crate) time: Timestamp,
    /// Since when it could be fired for: lateness counts from here. For a time of the job's own schedule both are the same.
    pub(crate) arisen: Timestamp,
    /// The trigger that it answers. Empty if it answers none.
    pub(crate) trigger: Trigger,
    pub(crate) items: Wanted,
    /// Its time passed before items came to this instance, and only these items run.
    pub(crate) is_looked_back: bool,
}

/// Which items of this instance an occasion is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// The items that a Java member marked as missed.
    Marked,
    These(BTreeSet<u32>),
}

/// Where occasions come from. A source keeps an occasion until it is taken; the firings decide when one may begin.
pub(super) trait OccasionSource {
    /// Returns what there is to fire for now. Reads only: the answer stays the same until something happens.
    fn next(&self, cx: &Context<'_>, runs: &Runs, open: &OpenFirings) -> Option<Occasion>;

    /// Takes the occasion that [`next`](Self::next) returned: its firing begins.
    fn take(&mut self);

    /// Takes an occasion back: its firing was to begin and claimed nothing.
    fn put_back(&mut self, occasion: Occasion);

    /// Gives up what [`next`](Self::next) returned.
    fn give_up(&mut self, cx: &Context<'_>, skips: &mut Skips, reason: Reason);

    /// Returns when it is asked next although nothing happens, on the clock that only moves forward.
    fn wake_at(&self, _elapsed: Duration) -> Option<Duration> {
        None
    }
}

impl Wanted {
    /// Returns whether it is for this item.
    pub(super) fn is(&self, item: u32, state: &ItemView) -> bool {
        match self {
            Self::All => true,
            Self::Marked => state.is_misfire_marked,
            Self::These(items) => items.contains(&item),
        }
    }

    /// Returns whether a firing for it begins only while no other is open.
    pub(super) fn is_alone(&self) -> bool {
        match self {
            Self::All | Self::Marked => true,
            Self::These(_) => false,
        }
    }
}

impl Occasion {
    /// Returns one for all items, at a time of the schedule.
    pub(super) fn at(source: Source, time: Timestamp) -> Self {
        Self {
            source,
            time,
            arisen: time,
            trigger: Trigger::default(),
            items: Wanted::All,
            is_looked_back: false,
        }
    }

    /// Returns one that answers a trigger, for these items.
    pub(super) fn triggered(trigger: Trigger, items: Wanted, now: Timestamp) -> Self {
        Self {
            trigger,
            items,
            ..Self::at(Source::Trigger, now)
        }
    }
}
