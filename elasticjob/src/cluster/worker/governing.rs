//! The part of the worker that governs the job as a whole, where the instance leads it or has to say something.
//!
//! The governor is asked only when something that it looks at has changed, or at a time that it named itself: with ten
//! thousand items a look is not cheap. One move is under way at a time, and its answer is a reason to look again.
//!
//! Moves are transactions that check what they were decided on. A refusal means that the view is about to change, which
//! is usual. Some in a row mean that an event may be missing: then the whole job is read again.

use std::time::Duration;

use tracing::debug;

use crate::cluster::core::governor::{Decision, Governor, is_unsettled};
use crate::cluster::view::{Revision, StoredEpoch, View};

use super::Worker;
use super::answer::Purpose;
use super::flight::Flight;
use super::join::Joined;
use super::step::AUDIT_DELAY;

/// The view is read again after so many refused moves in a row.
const REFUSALS_TO_DOUBT: u32 = 3;

/// The governor, and when it is asked next.
#[derive(Debug)]
pub(super) struct Governing {
    pub(super) governor: Governor,
    flight: Flight,
    next: Next,
    /// When the reporter last got the own items.
    reported: Option<Reported>,
}

/// The state of the job at which the reporter got the own items.
#[derive(Clone, Copy, Debug)]
struct Reported {
    revision: Revision,
    total: u32,
}

impl Reported {
    fn of(view: &View, total: u32) -> Self {
        let revision = view.revision();
        Self { revision, total }
    }
}

/// When the governor is asked for its next move.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// When something changes.
    Rest,
    /// Then, or when something changes, on the clock that only moves forward.
    At(Duration),
    Now,
}

impl Governing {
    /// Begins with a look: the view has just been read.
    pub(super) fn new() -> Self {
        Self {
            governor: Governor::new(),
            flight: Flight::Idle,
            next: Next::Now,
            reported: None,
        }
    }

    /// Has the governor look: something that it looks at has changed.
    pub(super) fn look(&mut self) {
        self.next = Next::Now;
    }

    /// Returns whether something has changed that the governor has not looked at.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.next, Next::Now)
    }

    /// Returns whether no move of the governor is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_idle()
    }

    /// Notes that a move is under way.
    pub(super) fn asked(&mut self) {
        self.flight.start(());
    }

    /// Notes that a move was answered.
    pub(super) fn answered(&mut self) {
        self.flight.land();
        self.look();
    }
}

impl Worker {
    /// Makes the governor's next move.
    ///
    /// What follows from the view for reports, `health` and the metrics is brought up to date first, at the same
    /// occasions.
    pub(super) fn govern(&mut self, joined: &mut Joined) {
        if !joined.governing.flight.is_idle() {
            return;
        }
        match joined.governing.next {
            Next::Rest => return,
            Next::At(at) if at > self.process.clock.elapsed() => return joined.wake_by(at),
            Next::At(_) | Next::Now => joined.governing.next = Next::Rest,
        }
        self.reporter.pauses(joined.follower.view.pause.as_ref());
        self.reporter.tells_of_failed_runs(self.settings.policy.failed_runs);
        self.reporter
            .notices(self.settings.config.notices(joined.follower.view.has_java_members()));
        self.report_items(joined);
        if joined.governing.governor.refused_in_a_row() >= REFUSALS_TO_DOUBT {
            debug!(
                job = self.application.name(),
                "transactions refused in a row, reading the job again"
            );
            return self.refresh(joined);
        }
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        match joined.governing.governor.decide(&cx) {
            Decision::Rest => {}
            Decision::Wait(until) => {
                joined.governing.next = Next::At(until);
                joined.wake_by(until);
            }
            Decision::Move(request) => {
                debug!(job = self.application.name(), purpose = ?request.purpose, "governing");
                self.ask(joined, request.map(Purpose::Governor));
            }
        }
    }

    /// Reports which items are ours. Times of new ones may have passed unnoticed.
    fn report_items(&mut self, joined: &mut Joined) {
        self.report_own_items(joined);
        self.reporter
            .unassigned(self.unassigned(joined), self.settings.placement.strategy());
        let unseen_by = joined
            .governing
            .governor
            .unseen_by(self.process.clock.elapsed())
            .cloned();
        if self.reporter.unseen_by(unseen_by) {
            self.tell_member(joined);
        }
    }

    /// Reports the own items, if any has changed since the last report.
    fn report_own_items(&mut self, joined: &mut Joined) {
        let (view, me) = (&joined.follower.view, joined.membership.id());
        let total = self.settings.config.sharding_total_count().get();
        let reported = joined.governing.reported.filter(|reported| reported.total == total);
        let is_news = |item| item < total && view.is_of(item, me) != self.reporter.tells_of_item(item);
        let changed = reported.and_then(|reported| view.changed_since(reported.revision));
        if changed.is_some_and(|mut changed| !changed.any(is_news)) {
            joined.governing.reported = Some(Reported::of(view, total));
            return;
        }
        if reported.is_some() && view.epoch.as_ref().is_some_and(StoredEpoch::is_unfinished) {
            // Most are still to come, and all are reported at once. Times of these may have passed already.
            self.audit_after(AUDIT_DELAY);
            return;
        }
        if self
            .reporter
            .owns(view.items_of(me, total).map(|(item, _)| item).collect())
        {
            self.audit_after(AUDIT_DELAY);
        }
        joined.governing.reported = Some(Reported::of(view, total));
    }

    /// The items that the strategy gives to no instance. Only the leader looks at all items, and knows. Others that have no
    /// owner are about to get one.
    fn unassigned(&self, joined: &Joined) -> Vec<u32> {
        let (view, total) = (&joined.follower.view, self.settings.config.sharding_total_count().get());
        let is_led_here = view.leader.as_ref() == Some(joined.membership.id());
        let Some(basis) = view.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref()) else {
            return Vec::new();
        };
        if !is_led_here
            || basis.left_out().is_empty()
            || is_unsettled(view, &self.settings.config, &self.settings.placement)
        {
            return Vec::new();
        }
        let is_nobodys = |item: &u32| view.items.get(item).is_none_or(|item| item.owner.is_none());
        let left_out = basis.left_out().iter().take_while(|item| *item < total);
        left_out.filter(is_nobodys).collect()
    }
}
