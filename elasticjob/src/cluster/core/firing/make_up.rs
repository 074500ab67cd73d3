//! The firing that follows right after others: a time that came meanwhile, or that a Java member marked.
//!
//! It is claimed in the transaction that records the last ends of the firings before, so that no other instance gets in between
//! and a crash loses neither. If that cannot be, it is claimed as any other firing.
//!
//! Two kinds of times are made up. A time of our own calendar that came while a firing went on is made up if `misfire`
//! is on, and also if only triggered firings were in its way, because a trigger replaces no scheduled time. A `misfire`
//! mark of a Java member is made up after a normal firing alone: marks can be stale, and a make-up run that led to
//! another would never end.
//!
//! However many times came meanwhile, one make-up run follows, for the newest of them. The older ones are skipped with
//! a reason.

use crate::cluster::core::context::Context;
use crate::cluster::ledger::{Reason, Source};
use crate::cluster::mutation::Mutation;
use crate::registry::{Step, size_of};

use super::claim::Granted;
use super::occasion::Wanted;
use super::sources::Origin;
use super::times::Missed;
use super::{Claim, ClaimOutcome, Claiming, FiringId, Firings, Occasion, OpenFiring};

/// A firing that is claimed with the ends of those before.
#[derive(Debug)]
pub(super) struct MakeUp {
    id: FiringId,
    occasion: Occasion,
    /// The time that it makes up; `None` if a Java member marked the items.
    missed: Option<Missed>,
    pub(super) claim: Claim,
}

impl Firings {
    /// Has the time fired for next that came while `over` went on, which was the last open firing.
    pub(super) fn make_up_after(&mut self, cx: &Context<'_>, over: &Occasion) {
        let make_up = self.occasion_to_make_up(cx, over);
        if let Some(missed) = self.sources.times.take_missed()
            && make_up.is_none()
        {
            self.skips.add(missed.time, Reason::MisfireOff);
        }
        match make_up {
            // What is marked stays so, and is made up after the next firing.
            Some(make_up) if make_up.items == Wanted::Marked && self.sources.times.is_due() => {}
            Some(make_up) => self.sources.times.make_up(make_up, &mut self.skips),
            None => {}
        }
    }

    /// Returns what is to be fired for when `last` is over, the last open firing.
    fn occasion_to_make_up(&self, cx: &Context<'_>, last: &Occasion) -> Option<Occasion> {
        if self.is_stopped || cx.view.is_paused() || Mutation::DropMisfire.is_on() {
            return None;
        }
        let is_misfire_on = cx.config.misfire();
        let missed = self.sources.times.missed();
        if let Some(missed) = missed.filter(|missed| missed.is_made_up(is_misfire_on)) {
            return Some(Occasion::at(Source::Misfire, missed.time));
        }
        if !is_misfire_on {
            return None;
        }
        // A Java member marks times that it missed. Marks may be stale, so one counts after a normal firing alone.
        let is_normal = last.source != Source::Misfire;
        let is_marked = is_normal && cx.own_items().any(|(_, item)| item.is_misfire_marked);
        is_marked.then(|| Occasion {
            items: Wanted::Marked,
            ..Occasion::at(Source::Misfire, cx.now)
        })
    }

    /// Returns the firing to be claimed together with the ends of these items, if they are the last ends of all open firings. `ends`
    /// are the steps that record them. The items are in ascending order.
    pub(super) fn make_up(&mut self, cx: &Context<'_>, ending: &[u32], ends: &[Step]) -> Option<MakeUp> {
        let is_ending = |item: &u32| ending.binary_search(item).is_ok();
        let are_last = |firing: &OpenFiring| firing.rest.is_none() && firing.items.iter().all(is_ending);
        let is_over = matches!(self.claiming, Claiming::Idle) && self.open.iter().all(are_last);
        // Ends that were refused once go alone: a fault of the claim is not to hold them up.
        let is_plain = |item: &u32| {
            let ended = self.runs.ended.get(item);
            ended.is_some_and(|ended| !ended.goes_on && ended.attempts == 0)
        };
        let must_check_clock = cx.config.max_time_diff().is_some();
        if !is_over || must_check_clock || !ending.iter().all(is_plain) || self.is_held_up(cx) {
            return None;
        }
        let occasion = self.occasion_to_make_up(cx, &self.open.iter().last()?.occasion)?;
        let id = self.open.name();
        let claim = self.new_claim(cx, id, &occasion, ending);
        let view = cx.view;
        let limits = view.limits().of_worker(view.job());
        let is_fitting = limits.take(size_of(ends) + size_of(&claim.steps(view)));
        if claim.items.is_empty() || !is_fitting {
            return None;
        }
        let missed = match occasion.items {
            Wanted::Marked => None,
            Wanted::All | Wanted::These(_) => self.sources.times.take_missed(),
        };
        Some(MakeUp {
            id,
            occasion,
            missed,
            claim,
        })
    }

    /// Takes in that it was claimed: it is open in the place of the firings before.
    pub(super) fn begin_make_up(&mut self, cx: &Context<'_>, make_up: MakeUp, granted: Granted) -> ClaimOutcome {
        let MakeUp {
            id, occasion, claim, ..
        } = make_up;
        let phase = self.phase_of_make_up();
        self.open.clear();
        self.sources.times.is_being_made_up();
        self.open.add(OpenFiring {
            id,
            origin: Origin::Times,
            occasion,
            items: claim.items().collect(),
            rest: None,
            is_begun: true,
            phase,
        });
        self.begin(cx, granted, &claim)
    }

    /// Takes in that it was not claimed: its time is as missed as it was.
    pub(super) fn put_back(&mut self, make_up: MakeUp) {
        if let Some(missed) = make_up.missed.filter(|_| !Mutation::ForgetRefusedMakeUp.is_on()) {
            self.sources.times.put_back_missed(missed, &mut self.skips);
        }
    }
}
