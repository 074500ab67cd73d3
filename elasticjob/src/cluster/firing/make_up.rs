//! The firing that follows right after another: a time that came meanwhile, or that a Java member marked.
//!
//! It is claimed in the transaction that records the last ends of the firing before, so that nobody gets in between and a
//! crash loses neither. Where that cannot be, it is claimed as any other firing.

use std::collections::BTreeSet;

use crate::cluster::context::Context;
use crate::cluster::ledger::Source;
use crate::cluster::mutation::Mutation;
use crate::limits;
use crate::registry::{Step, size_of};

use super::claim::Granted;
use super::occasion::COALESCED;
use super::occasion::Wanted;
use super::{Claim, ClaimOutcome, Claiming, Current, Firings, Occasion};

/// A firing that is claimed with the ends of the one before.
#[derive(Debug)]
pub(super) struct MakeUp {
    occasion: Occasion,
    pub(super) claim: Claim,
}

impl Firings {
    /// What is to be fired for when the firing under way is over.
    pub(super) fn occasion_to_make_up(&self, cx: &Context<'_>) -> Option<Occasion> {
        if self.is_stopped || cx.view.is_paused() || Mutation::DropMisfire.is_on() {
            return None;
        }
        let is_misfire_on = cx.config.misfire();
        if let Some(time) = self.missed.filter(|_| is_misfire_on || self.is_asked_for()) {
            return Some(Occasion::new(Source::Misfire, time));
        }
        if !is_misfire_on {
            return None;
        }
        // A Java member marks times that it missed. Stale marks are about, so one counts after a normal firing alone.
        let is_normal = self
            .current
            .as_ref()
            .is_some_and(|current| current.occasion.source != Source::Misfire);
        let is_marked = is_normal && self.own_items(cx).any(|(_, item)| item.is_misfire_marked);
        is_marked.then(|| Occasion {
            items: Wanted::Marked,
            ..Occasion::new(Source::Misfire, cx.now)
        })
    }

    /// Whether the firing under way was asked for. `misfire` is about scheduled times that get in each other's way: a request
    /// takes none of them.
    fn is_asked_for(&self) -> bool {
        let source = self.current.as_ref().map(|current| current.occasion.source);
        source == Some(Source::Trigger)
    }

    /// The firing to be claimed together with these ends, whose steps are given, if they are the last of theirs.
    pub(super) fn make_up(&mut self, cx: &Context<'_>, ending: &[u32], ends: &[Step]) -> Option<MakeUp> {
        let are_last = |current: &Current| {
            let ending: BTreeSet<u32> = ending.iter().copied().collect();
            current.rest.is_none() && current.open.is_subset(&ending)
        };
        let is_over = matches!(self.claiming, Claiming::Idle) && self.current.as_ref().is_some_and(are_last);
        // Ends that were refused once go alone: whatever was wrong with the claim is not to hold them up.
        let is_plain = |item: &u32| {
            let ended = self.ended.get(item);
            ended.is_some_and(|ended| !ended.goes_on && ended.attempts == 0)
        };
        let must_check_clock = cx.config.max_time_diff().is_some();
        if !is_over || must_check_clock || !ending.iter().all(is_plain) || self.is_held_up(cx) {
            return None;
        }
        let occasion = self.occasion_to_make_up(cx)?;
        let claim = self.new_claim(cx, &occasion, ending);
        let view = cx.view;
        let is_fitting = size_of(ends) + size_of(&claim.steps(view)) <= limits::worker_transaction_size(view.job());
        if claim.items.is_empty() || !is_fitting {
            return None;
        }
        if occasion.items != Wanted::Marked {
            self.missed = None;
        }
        Some(MakeUp { occasion, claim })
    }

    /// It was claimed: the firing under way is this one now.
    pub(super) fn begin_make_up(&mut self, cx: &Context<'_>, make_up: MakeUp, granted: Granted) -> ClaimOutcome {
        let MakeUp { occasion, claim } = make_up;
        let listening = self.listening_of_make_up();
        self.current = Some(Current {
            listening,
            occasion,
            open: claim.items().collect(),
            rest: None,
            is_begun: true,
        });
        self.begin(cx, granted, &claim)
    }

    /// It was not claimed: its time is as missed as it was.
    pub(super) fn put_back(&mut self, make_up: MakeUp) {
        let Occasion { time, items, .. } = make_up.occasion;
        if items == Wanted::Marked || Mutation::ForgetRefusedMakeUp.is_on() {
            return;
        }
        if self.missed.is_some() {
            self.skip(time, COALESCED);
        } else {
            self.missed = Some(time);
        }
    }
}
