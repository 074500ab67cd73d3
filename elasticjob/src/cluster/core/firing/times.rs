//! The scheduled times of a job, as occasions: those that come, those that came while a firing went on, and those that passed
//! while items had no owner.
//!
//! At most one time is due, and at most one is missed. A newer time replaces an older one, which is skipped as
//! coalesced: after a long run or a long outage a job runs once, and not once for every time that passed.
//!
//! Looking back closes the gap between two owners. Between the death of an owner, or a start of the whole cluster, and
//! the next sharding out no instance fires. So an instance that gains items looks for the newest time that passed
//! meanwhile. If it is at most [`LATE_LIMIT`] old, it is fired late. If it is older, it is made up with `misfire`, or
//! within the time that the job catches up.

use jiff::{SignedDuration, Timestamp};

use crate::cluster::core::context::Context;
use crate::cluster::ledger::{Reason, Source};
use crate::cluster::mutation::Mutation;
use crate::cluster::view::ItemView;

use super::ledgers::Ledgers;
use super::occasion::{LATE_LIMIT, Occasion, OccasionSource};
use super::open::OpenFirings;
use super::runs::Runs;
use super::skips::Skips;

/// The scheduled times that wait to be fired for.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// What is fired for next.
    due: Option<Occasion>,
    /// The newest time that came while a firing went on.
    missed: Option<Missed>,
    /// Whether items have come to this instance: times may have passed while they had no owner.
    must_look_back: bool,
}

/// A time that came while a firing went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) time: Timestamp,
    /// Whether only triggered firings were in its way. `misfire` is about scheduled times that are in each other's way: a
    /// trigger takes none of them.
    is_behind_triggers: bool,
}

/// Since when times that passed while items had no owner are of interest.
struct Interest {
    /// A time since then is late, and fired.
    late: Option<Timestamp>,
    /// A time since then is missed, and made up.
    missed: Option<Timestamp>,
    /// A time since then is logged: this instance was there, and the job was not paused.
    here: Timestamp,
}

impl OccasionSource for Times {
    fn next(&self, _: &Context<'_>, _: &Runs, _: &OpenFirings) -> Option<Occasion> {
        self.due.clone()
    }

    fn take(&mut self) {
        self.due = None;
    }

    fn put_back(&mut self, occasion: Occasion) {
        self.due.get_or_insert(occasion);
    }

    fn give_up(&mut self, _: &Context<'_>, skips: &mut Skips, reason: Reason) {
        if let Some(due) = self.due.take() {
            skips.add(due.time, reason);
        }
    }
}

impl Times {
    /// Takes in a scheduled time that has come. One that came before it and was not fired is skipped.
    pub(super) fn came(&mut self, time: Timestamp, open: &OpenFirings, skips: &mut Skips) {
        let older = if open.is_going_on() {
            let missed = Missed {
                time,
                is_behind_triggers: open.are_triggered(),
            };
            self.missed.replace(missed).map(|older| older.time)
        } else {
            let older = self.due.replace(Occasion::at(Source::Schedule, time));
            older.map(|older| older.time)
        };
        if let Some(older) = older {
            skips.add(older, Reason::Coalesced);
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// Returns the time that came while a firing went on.
    pub(super) fn missed(&self) -> Option<Missed> {
        self.missed
    }

    /// Takes the time that came while a firing went on.
    pub(super) fn take_missed(&mut self) -> Option<Missed> {
        self.missed.take()
    }

    /// Takes back a time that was to be made up with the ends of a firing, and was not.
    pub(super) fn put_back_missed(&mut self, missed: Missed, skips: &mut Skips) {
        match self.missed {
            Some(_) => skips.add(missed.time, Reason::Coalesced),
            None => self.missed = Some(missed),
        }
    }

    /// Notes that a time is being made up, which is in the way of one that came since.
    pub(super) fn is_being_made_up(&mut self) {
        if let Some(missed) = &mut self.missed {
            missed.is_behind_triggers = false;
        }
    }

    /// Fires for `occasion` next, in the place of what was to be next.
    pub(super) fn make_up(&mut self, occasion: Occasion, skips: &mut Skips) {
        if let Some(older) = self.due.replace(occasion) {
            skips.add(older.time, Reason::Coalesced);
        }
    }

    /// Drops the times that have come.
    pub(super) fn stop(&mut self) {
        self.due = None;
        self.missed = None;
    }

    /// Drops the times that have come: the job is paused.
    pub(super) fn pause(&mut self) {
        self.stop();
    }

    /// Gives up a scheduled time that could not be fired for too long.
    pub(super) fn drop_late(&mut self, now: Timestamp, skips: &mut Skips) {
        let is_late =
            |due: &mut Occasion| due.source == Source::Schedule && now.duration_since(due.arisen) > LATE_LIMIT;
        if let Some(late) = self.due.take_if(is_late) {
            skips.add(late.time, Reason::TooLate);
        }
    }

    /// Fires again for the time that came while the firings of the lost session went on.
    pub(super) fn lose_session(&mut self, open: &OpenFirings) {
        let is_newer = |missed: &Missed| open.newest_time().is_none_or(|newest| missed.time > newest);
        if let Some(missed) = self.missed.take().filter(is_newer) {
            self.due = Some(Occasion::at(Source::Schedule, missed.time));
        }
    }

    /// Has [`look_back`](Self::look_back) look.
    pub(super) fn must_look_back(&mut self) {
        self.must_look_back = true;
    }

    pub(super) fn is_to_look_back(&self) -> bool {
        self.must_look_back
    }

    /// Looks for the newest time that passed while items of this instance had no owner. A time since this instance is here is
    /// fired late, or made up if it is missed. An earlier time, or one of a pause, is made up only if the job catches up.
    pub(super) fn look_back(
        &mut self,
        cx: &Context<'_>,
        ledgers: &Ledgers,
        paused_until: Option<Timestamp>,
        skips: &mut Skips,
    ) {
        let Some(calendar) = cx.calendar else { return };
        if !std::mem::take(&mut self.must_look_back) || self.due.is_some() {
            return;
        }
        let interest = Interest::of(cx, paused_until);
        let Some(time) = calendar.newest(cx.now, interest.since()) else {
            return;
        };
        let is_missing = |(item, state): (u32, &ItemView)| {
            let slot = ledgers.get(item).filter(|_| !state.is_disabled);
            slot.is_some_and(|slot| slot.accounted(item, cx) < time && slot.looks_back(item, time, cx))
        };
        if !cx.own_items().any(is_missing) {
            return;
        }
        match interest.source(time) {
            Some(source) => {
                self.due = Some(Occasion {
                    is_looked_back: true,
                    ..Occasion::at(source, time)
                });
            }
            None => skips.add(time, Reason::TooLate),
        }
    }
}

impl Missed {
    /// Returns whether the time is made up: `misfire` is on, or no other scheduled time was in its way.
    pub(super) fn is_made_up(self, is_misfire_on: bool) -> bool {
        is_misfire_on || self.is_behind_triggers
    }
}

impl Interest {
    fn of(cx: &Context<'_>, paused_until: Option<Timestamp>) -> Self {
        let Context {
            config,
            now,
            policy,
            extent,
            ..
        } = *cx;
        let ago = |time: SignedDuration| now.saturating_sub(time).unwrap_or(Timestamp::MIN);
        let registered_at = extent.registered_at();
        // What passed during a pause was meant to pass, and is no misfire.
        let here = paused_until.map_or(registered_at, |until| until.max(registered_at));
        let catch_up = policy
            .catch_up
            .map(|limit| now.saturating_sub(limit).unwrap_or(Timestamp::MIN));
        Self {
            late: (!Mutation::LoseFirstTime.is_on()).then(|| ago(LATE_LIMIT).max(here)),
            missed: config.misfire().then_some(here).into_iter().chain(catch_up).min(),
            here,
        }
    }

    /// Returns the oldest time of interest.
    fn since(&self) -> Timestamp {
        self.missed.map_or(self.here, |missed| missed.min(self.here))
    }

    /// Returns what a time is fired as; `None` if it is not fired any more.
    fn source(&self, time: Timestamp) -> Option<Source> {
        let is_since = |since: Option<Timestamp>| since.is_some_and(|since| time >= since);
        match (is_since(self.late), is_since(self.missed)) {
            (true, _) => Some(Source::Schedule),
            (false, true) => Some(Source::Misfire),
            (false, false) => None,
        }
    }
}
