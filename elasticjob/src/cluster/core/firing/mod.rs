//! The way of one job's firings on this instance: from a time that has come to ends that are recorded.
//!
//! Pure: events come in, and [`next_request`](Firings::next_request) and the effects of answers go out. [Sources](sources) hold
//! what there is to fire for. A firing takes its items in one transaction, runs them, and is over once their ends are recorded.
//! Several firings may be [open], over different items. At most one claim and one recording of ends is in flight.
//!
//! What it relies on: a claim creates each item's `running` mark and sets its ledger with the version expected. So it fails if
//! another instance claimed, moved or repaired the item. An answer that was lost is settled by reading the ledger, which has the
//! run by its id.
//!
//! The order of [`next_request`](Firings::next_request) is the order of urgency, and each place has a reason:
//!
//! 1. Settle what is in doubt. Until it is known whether a claim happened, nothing can be decided about its items.
//! 2. Claim the rest of a firing that did not fit into one transaction, so that its items start together as far as
//!    possible.
//! 3. Close the firings that are over, which makes a time due that came meanwhile.
//! 4. Record ends, which frees items for others.
//! 5. Take over the items of dead instances: they are late already.
//! 6. Read ledgers, without which no claim can be made.
//! 7. Begin a firing.
//!
//! It never waits, sleeps, or reads a clock: the moments at which it must be asked again although nothing happens are
//! [`sources_at`](Firings::sources_at), [`linger_until`](Firings::linger_until) and
//! [`take_over_at`](Firings::take_over_at).

mod answer;
mod audit;
mod claim;
mod claiming;
mod clock;
mod end;
mod item_triggers;
mod ledgers;
mod listening;
mod make_up;
mod occasion;
mod open;
mod passing;
mod pause;
mod request;
mod runs;
mod skips;
mod sources;
mod takeover;
mod times;
mod triggers;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::core::context::Context;
use crate::cluster::core::request::Request;
use crate::cluster::ids::Ids;
use crate::cluster::ledger::{End, Reason, Verdict};
use crate::cluster::trigger::Trigger;
use crate::cluster::view::{ItemView, look};

pub(crate) use audit::SETTLED_AFTER;
pub(crate) use claim::Claim;
use claiming::{ClaimOutcome, Claiming};
use clock::ClockCheck;
use end::{Lingering, Recording, Recordings, Unrecorded};
use ledgers::{Ledgers, Slot};
use listening::ListenerPhase;
pub(crate) use occasion::{LATE_LIMIT, Occasion, Wanted};
use open::{FiringId, OpenFiring, OpenFirings};
use pause::Pause;
pub(crate) use request::{FiringRequest, Purpose, Start};
use runs::{Ended, Running, Runs};
pub(crate) use skips::Skipped;
use skips::Skips;
use sources::Sources;
use takeover::Takeover;

/// The firings of a job on this instance.
///
/// Invariants: an item is of one open firing at most. An item that runs, or has an end to be recorded, has no other
/// claim in flight. At most one claim and one recording are in flight. After the session is lost nothing of it is
/// believed, while what was to be fired for is kept.
#[derive(Debug)]
pub(crate) struct Firings {
    ids: Ids,
    sources: Sources,
    open: OpenFirings,
    claiming: Claiming,
    runs: Runs,
    recording: Recording,
    /// The ends that wait for others; `None` if none does.
    lingering: Option<Lingering>,
    ledgers: Ledgers,
    takeover: Takeover,
    skips: Skips,
    clock_check: ClockCheck,
    pause: Pause,
    /// Whether nothing new is to be started.
    is_stopped: bool,
    /// Whether the job has listeners.
    is_listened_to: bool,
}

impl Firings {
    /// Creates the firings of a job for which nothing has come yet.
    pub(crate) fn new(ids: Ids) -> Self {
        Self {
            ids,
            sources: Sources::default(),
            open: OpenFirings::default(),
            claiming: Claiming::Idle,
            runs: Runs::default(),
            recording: Recording::Idle,
            lingering: None,
            ledgers: Ledgers::default(),
            takeover: Takeover::default(),
            skips: Skips::default(),
            clock_check: ClockCheck::Due,
            pause: Pause::default(),
            is_stopped: false,
            is_listened_to: false,
        }
    }

    /// Takes in that the clock was set. What was dated later than now is of a clock that was ahead.
    pub(crate) fn look_again(&mut self, now: Timestamp) {
        self.pause.look_again(now);
        self.ledgers.look_again(now);
    }

    /// Returns whether nothing is claimed, runs, or has an end that is not recorded.
    pub(crate) fn is_idle(&self) -> bool {
        // A firing that is over is closed with the next request: leaving does not wait for that.
        self.runs.is_empty() && self.open.iter().all(|firing| self.is_over(firing))
    }

    /// Returns whether a firing is over, and only to be closed.
    fn is_over(&self, firing: &OpenFiring) -> bool {
        firing.is_over() && matches!(self.claiming, Claiming::Idle)
    }

    /// Drops what has not begun: nothing new is to be started.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        self.sources.stop();
    }

    /// Returns whether a time that comes now has to wait for the end of a firing. A firing that runs no item is in no other's way.
    pub(crate) fn is_firing(&self) -> bool {
        self.open.is_going_on()
    }

    /// Takes in a scheduled time that has come.
    pub(crate) fn came(&mut self, time: Timestamp) {
        self.sources.times.came(time, &self.open, &mut self.skips);
    }

    /// Takes in triggers of the whole job. While a firing goes on they wait; those that wait and want the same become one.
    pub(crate) fn trigger(&mut self, triggers: Vec<Trigger>) {
        self.sources.triggers.add(triggers);
    }

    /// Gives up a scheduled time that could not be fired for too long.
    pub(crate) fn drop_late(&mut self, now: Timestamp) {
        self.sources.times.drop_late(now, &mut self.skips);
    }

    /// Lets no make-up run follow the firings that are open.
    pub(crate) fn abort_make_up(&mut self) {
        if let Some(missed) = self.sources.times.take_missed() {
            self.skips.add(missed.time, Reason::GivenUp);
        }
    }

    /// Takes in that another configuration is in force: what was found by the one before may be otherwise.
    pub(crate) fn reconfigured(&mut self) {
        self.ledgers.reconfigured();
        self.takeover.reconfigured();
    }

    /// Takes the times that were skipped since the last call.
    pub(crate) fn take_skipped(&mut self) -> Vec<Skipped> {
        self.skips.take_unsaid()
    }

    /// Returns the runs that something waits for: a trigger, or a time that has come and that other items could run at.
    pub(crate) fn waited_for(&self, cx: &Context<'_>) -> WaitedFor {
        let is_idle = |(item, state): (u32, &ItemView)| !state.is_disabled && !self.runs.running.contains_key(&item);
        let is_time_waiting = || self.sources.times.missed().is_some() && cx.own_items().any(is_idle);
        let is_own = |item: &u32| cx.own_item(*item).is_some();
        let requested = || cx.view.item_triggers.keys().copied().filter(is_own);
        if self.open.is_empty() {
            WaitedFor::Nothing
        } else if !self.sources.triggers.is_empty() || is_time_waiting() {
            WaitedFor::All
        } else if self.is_shared() {
            WaitedFor::These(requested().filter(|item| self.open.has(*item)).collect())
        } else if requested().next().is_some() {
            WaitedFor::All
        } else {
            WaitedFor::Nothing
        }
    }

    /// Returns the items of all open firings.
    pub(crate) fn open_items(&self) -> impl Iterator<Item = u32> {
        self.open.items()
    }

    /// Returns whether a firing may begin beside those that are open. The firings of a job with listeners follow each other:
    /// its listeners would take two for one.
    fn is_shared(&self) -> bool {
        !self.is_listened_to && !self.open.is_listened_to()
    }

    /// Returns the items that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> {
        self.runs.running.keys().copied()
    }

    /// Returns the next request to make, if there is one. The view must be settled and in step with the registry.
    ///
    /// What is in doubt is settled first, then what has begun is carried on, and only then something new is begun.
    pub(crate) fn next_request(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        self.follow_pause(cx);
        self.follow_items(cx);
        if let Some(request) = self.settle(cx) {
            return Some(request);
        }
        if let Some(request) = self.claim_rest(cx) {
            return Some(request);
        }
        self.close_firings(cx);
        if let Some(request) = self.record_ends(cx) {
            return Some(request);
        }
        if let Some(request) = self.take_over(cx) {
            return Some(request);
        }
        self.doubt(cx);
        if let Some(request) = self.load_ledgers(cx) {
            return Some(request);
        }
        self.fire(cx)
    }

    /// Returns when a source is to be asked again, on the clock that only moves forward.
    pub(crate) fn sources_at(&self, elapsed: Duration) -> Option<Duration> {
        self.sources.wake_at(elapsed)
    }

    /// Returns when ends that wait for others are recorded anyway, on the clock that only moves forward.
    pub(crate) fn linger_until(&self) -> Option<Duration> {
        match self.recording {
            Recording::Idle => self.lingering.map(Lingering::until),
            _ => None,
        }
    }

    /// Forgets what was claimed in the session that is over: it is no longer ours.
    ///
    /// The marks of a lost session are gone or will be repaired by another instance, and the fence has stopped the
    /// runs. A time that came while they ran is fired for in the next session; triggers that wait stay.
    pub(crate) fn lose_session(&mut self) {
        self.claiming = Claiming::Idle;
        if let Some(make_up) = self.recording.take().and_then(|batch| batch.make_up) {
            self.put_back(make_up);
        }
        self.runs = Runs::default();
        self.ledgers = Ledgers::default();
        self.lingering = None;
        self.takeover.reset();
        self.clock_check = ClockCheck::Due;
        self.sources.times.lose_session(&self.open);
        self.open.clear();
    }

    /// Takes in that the connection is back with the same session: what was in flight may have happened or not.
    ///
    /// A claim or recording that was being settled is settled again. Ledgers are read again: another instance may have
    /// written them while this one heard nothing.
    pub(crate) fn reconnect(&mut self) {
        self.ledgers = Ledgers::default();
        self.claiming = match std::mem::replace(&mut self.claiming, Claiming::Idle) {
            Claiming::Settling(claim) => Claiming::Unknown(claim),
            Claiming::Surveying(claim) => Claiming::Refused(claim),
            other => other,
        };
        self.recording = match std::mem::replace(&mut self.recording, Recording::Idle) {
            Recording::Settling(batch) => Recording::Doubtful(batch),
            other => other,
        };
        self.takeover.reset();
    }

    /// Returns whether a firing has to wait: the leader is about to share the items out, or ledgers of this instance are still to
    /// be read.
    fn is_held_up(&self, cx: &Context<'_>) -> bool {
        let is_unread = |item| {
            look();
            !self.is_known(item) && cx.own_item(item).is_some()
        };
        cx.view.is_held_up() || self.ledgers.unread().any(is_unread)
    }

    /// Returns whether there is no need to read the ledger of an item: it is known, or the item's run stands for it.
    fn is_known(&self, item: u32) -> bool {
        self.ledgers.get(item).is_some() || self.runs.running.contains_key(&item)
    }

    /// Reads what became of a request that is in doubt.
    fn settle(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        let view = cx.view;
        match std::mem::replace(&mut self.claiming, Claiming::Idle) {
            Claiming::Unknown(claim) => {
                let reads = claim.survey(view);
                self.claiming = Claiming::Settling(claim);
                return Some(Request::read(Purpose::SettleClaim, reads));
            }
            Claiming::Refused(claim) => {
                let reads = claim.survey(view);
                self.claiming = Claiming::Surveying(claim);
                return Some(Request::read(Purpose::SurveyClaim, reads));
            }
            other => self.claiming = other,
        }
        match std::mem::replace(&mut self.recording, Recording::Idle) {
            Recording::Doubtful(batch) => {
                let reads = batch.survey(view);
                self.recording = Recording::Settling(batch);
                Some(Request::read(Purpose::SettleEnds, reads))
            }
            other => {
                self.recording = other;
                None
            }
        }
    }

    /// Closes the firings that are over. After the last one, a time that came meanwhile is due.
    fn close_firings(&mut self, cx: &Context<'_>) {
        if !matches!(self.claiming, Claiming::Idle) {
            return;
        }
        while let Some(over) = self.open.take_closed() {
            if matches!(over.occasion.items, Wanted::These(_)) && !over.is_begun {
                self.sources.item_triggers.pause(cx);
            }
            if self.open.is_empty() {
                self.make_up_after(cx, &over.occasion);
            }
        }
    }

    /// Begins a firing, if there is something to fire for and nothing is in its way.
    fn fire(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if self.is_stopped || cx.view.is_paused() || !self.open.is_empty() && !self.is_shared() {
            return None;
        }
        if !self.sources.is_waiting(cx, &self.open) || self.is_held_up(cx) {
            return None;
        }
        if self.open.is_empty() {
            let paused_until = self.pause.until();
            self.sources
                .times
                .look_back(cx, &self.ledgers, paused_until, &mut self.skips);
        }
        let (origin, occasion) = self.sources.next(cx, &self.runs, &self.open)?;
        if cx.config.max_time_diff().is_some() {
            match self.clock_check {
                ClockCheck::Due => return Some(self.check_clock(cx.view)),
                ClockCheck::InFlight => return None,
                ClockCheck::Passed => self.clock_check = ClockCheck::Due,
            }
        }
        self.sources.source(origin).take();
        let id = self.open.name();
        let claim = self.new_claim(cx, id, &occasion, &[]);
        if claim.is_empty() {
            if matches!(occasion.items, Wanted::These(_)) {
                self.sources.item_triggers.pause(cx);
            }
            // No item of this instance runs: that is no firing of it, and its listeners are not called.
            return None;
        }
        let items: BTreeSet<u32> = claim.items().collect();
        let phase = if items.is_empty() {
            ListenerPhase::Over
        } else {
            self.first_phase()
        };
        self.open.add(OpenFiring {
            id,
            origin,
            occasion,
            items,
            rest: None,
            is_begun: false,
            phase,
        });
        self.claim_part(cx, id, claim)
    }

    /// Claims what of an open firing is not claimed yet, as much as fits into a transaction and may still be claimed: since the
    /// last part an operator may have switched an item off, the leader may have given it away, or this instance may have been
    /// stopped.
    fn claim_rest(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if !matches!(self.claiming, Claiming::Idle) {
            return None;
        }
        // Each part is looked at when its turn comes, and not all that is left before each part.
        while let Some((id, mut claim)) = self.open.take_rest() {
            let rest = claim.split_off(cx.view);
            self.open.leave(id, rest);
            let runnable = self.still_runnable(cx, id, &claim);
            let barred = claim.split_off_barred(&runnable);
            barred.into_iter().for_each(|item| self.open.close(item));
            if !claim.is_empty() {
                return Some(self.send_claim(cx, claim));
            }
        }
        None
    }

    /// Returns those of the items that a claim is about to take, for an open firing, that may be claimed now.
    fn still_runnable(&self, cx: &Context<'_>, id: FiringId, claim: &Claim) -> BTreeSet<u32> {
        let Some(firing) = self.open.get(id).filter(|_| !self.is_stopped) else {
            return BTreeSet::new();
        };
        let own = claim.items().filter_map(|item| cx.own_item(item));
        let runnable = self.runs.runnable_of(own, cx, &firing.occasion, claim.mark, &[]);
        runnable.collect()
    }

    /// Claims as many of these items as fit into a transaction, and leaves the others for later.
    fn claim_part(&mut self, cx: &Context<'_>, id: FiringId, mut claim: Claim) -> Option<FiringRequest> {
        if claim.is_empty() {
            return None;
        }
        let rest = claim.split_off(cx.view);
        self.open.leave(id, rest);
        Some(self.send_claim(cx, claim))
    }

    /// Returns the request for a claim, which is in flight from now on.
    fn send_claim(&mut self, cx: &Context<'_>, claim: Claim) -> FiringRequest {
        let steps = claim.steps(cx.view);
        self.claiming = Claiming::InFlight(claim);
        Request::write_as_member(Purpose::Claim, steps)
    }

    /// Takes in that a run has ended, or was ended.
    pub(crate) fn finished(&mut self, item: u32, end: End, elapsed: Duration) {
        if let Some(running) = self.runs.running.remove(&item) {
            self.ledgers.has_run(item);
            self.record_later(item, running, end, elapsed);
        }
    }

    /// Takes in that the fence stopped a run although its session lives. It goes on as its next attempt, if `attempts` are not
    /// used up.
    pub(crate) fn fenced(&mut self, item: u32, end: End, attempts: u32, elapsed: Duration) {
        let running = self.runs.running.get(&item);
        let is_last = running.is_none_or(|running| running.run.attempt >= attempts);
        self.finished(item, end, elapsed);
        if let (false, Some(ended)) = (is_last, self.runs.ended.get_mut(&item)) {
            ended.goes_on = true;
        }
    }

    /// Returns whether the end of this attempt is waited for. The end of a run of an earlier session is not.
    pub(crate) fn is_running(&self, item: u32, run: &str, attempt: u32) -> bool {
        let running = self.runs.running.get(&item);
        running.is_some_and(|running| running.run.id == run && running.run.attempt == attempt)
    }
}

/// Which runs of the open firings something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WaitedFor {
    /// No run is waited for: none has to end early.
    Nothing,
    /// A trigger waits for each of these items.
    These(BTreeSet<u32>),
    /// Something waits for all open firings to be over.
    All,
}

/// Returns the end of an item that was claimed and then not started.
pub(crate) fn not_started(reason: Reason) -> End {
    End::coded(Verdict::Skipped, reason)
}
