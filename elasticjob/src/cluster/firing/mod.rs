//! The way of one job's firings on this instance: from a time that has come to ends that are recorded.
//!
//! Pure: it is told what happened and asked what to [request](Firings::next_request) and what to start. One firing
//! is under way at a time: its items are claimed in one transaction, run, and end; the next begins when all ends are
//! recorded. At most one claim and one recording of ends is in flight.
//!
//! What it relies on: a claim creates each item's `running` mark and sets its ledger with the version expected, so
//! it fails where anybody else claimed, moved or repaired the item; an answer that was lost is settled by reading the
//! ledger, where a run is known by its id.

mod answer;
mod audit;
mod claim;
mod claiming;
mod clock;
mod end;
mod ledgers;
mod listening;
mod make_up;
mod occasion;
mod passing;
mod pause;
mod request;
mod state;
mod takeover;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::request::Request;

use super::context::Context;
use super::governor::is_unsettled;
use super::ids::Ids;
use super::ledger::{End, Source, Verdict};
use super::trigger::Order;
use super::view::ItemView;

pub(crate) use audit::SETTLED_AFTER;
pub(crate) use claim::Claim;
use claiming::ClaimOutcome;
use clock::ClockCheck;
use end::Lingering;
use end::{Recordings, Unrecorded};
use ledgers::Slot;
use listening::ListenerPhase;
use occasion::COALESCED;
pub(crate) use occasion::{LATE_LIMIT, Occasion, Skipped, Wanted};
use pause::Pause;
pub(crate) use request::{FiringRequest, Purpose, Start};
use state::{Claiming, Current, Ended, Recording, Running};
use takeover::Takeover;

/// A single item that was asked for and could not be claimed is tried again after this long.
const REQUEST_PAUSE: Duration = Duration::from_secs(1);

/// The state of a job's firings on this instance.
#[derive(Debug)]
pub(crate) struct Firings {
    ids: Ids,
    /// A scheduled time that has come and was not fired yet.
    due: Option<Occasion>,
    /// The newest scheduled time that came while a firing was under way.
    missed: Option<Timestamp>,
    /// Orders to run the job once, each for a run of its own.
    ordered: Vec<Order>,
    current: Option<Current>,
    claiming: Claiming,
    // Boxed, here and below: a map takes the room of eleven entries, and most instances have one item of a job.
    running: BTreeMap<u32, Box<Running>>,
    ended: BTreeMap<u32, Box<Ended>>,
    recording: Recording,
    /// The ledgers of our items, as of our last look or write.
    slots: BTreeMap<u32, Box<Slot>>,
    /// Items that somebody else was running when they were to be claimed. Without a mark no event says when that ends: they
    /// are looked at again for the next firing, and not before.
    doubtful: BTreeSet<u32>,
    takeover: Takeover,
    /// Times that were not fired and why, the newest last.
    skipped: VecDeque<Skipped>,
    /// Those of them that the log does not have yet.
    unsaid: Vec<Skipped>,
    /// Items have become ours: times may have passed while they had no owner.
    must_look_back: bool,
    /// Nothing new is to be started.
    is_stopped: bool,
    /// The ends that wait for others; `None` where none does.
    lingering: Option<Lingering>,
    clock_check: ClockCheck,
    pause: Pause,
    /// A single item that was asked for could not be claimed: it is not tried again before, by the clock that only moves forward.
    requests_not_before: Duration,
    /// Whether the job has listeners.
    is_listened_to: bool,
}

impl Firings {
    pub(crate) fn new(ids: Ids) -> Self {
        Self {
            ids,
            due: None,
            missed: None,
            ordered: Vec::new(),
            current: None,
            claiming: Claiming::Idle,
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            recording: Recording::Idle,
            slots: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            takeover: Takeover::default(),
            skipped: VecDeque::new(),
            unsaid: Vec::new(),
            must_look_back: false,
            is_stopped: false,
            lingering: None,
            clock_check: ClockCheck::Due,
            pause: Pause::default(),
            requests_not_before: Duration::ZERO,
            is_listened_to: false,
        }
    }

    /// Looks again: the clock was set. What it dated later than now is of a clock that was ahead.
    pub(crate) fn look_again(&mut self, now: Timestamp) {
        self.pause.look_again(now);
        for slot in self.slots.values_mut() {
            slot.since = slot.since.map(|since| since.min(now));
        }
    }

    /// Whether nothing is claimed, running, or unrecorded.
    pub(crate) fn is_idle(&self) -> bool {
        // One that is over is closed with the next request: nobody who leaves waits for that.
        (self.current.is_none() || self.is_over()) && self.running.is_empty() && self.ended.is_empty()
    }

    /// Whether the firing under way is over, and only to be closed.
    fn is_over(&self) -> bool {
        let is_over = |current: &Current| current.open.is_empty() && current.listening == ListenerPhase::Over;
        matches!(self.claiming, Claiming::Idle) && self.current.as_ref().is_some_and(is_over)
    }

    /// Forgets what has not begun: nothing new is to be started.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        self.due = None;
        self.missed = None;
        self.ordered.clear();
    }

    /// Whether a time that comes now has to wait for the end of a firing. One that runs no item is in no other's way.
    pub(crate) fn is_firing(&self) -> bool {
        let is_going_on = |current: &Current| !current.open.is_empty() || current.listening != ListenerPhase::Over;
        self.current.as_ref().is_some_and(is_going_on)
    }

    /// The items whose runs something waits for: an order, or a time that has come and that other items could run at.
    pub(crate) fn waited_for(&self, cx: &Context<'_>) -> impl Iterator<Item = u32> {
        let is_idle = |(item, state): (u32, &ItemView)| !state.is_disabled && !self.running.contains_key(&item);
        let requests = &cx.view.requests;
        let is_asked_for = || !requests.is_empty() && self.own_items(cx).any(|(item, _)| requests.contains_key(&item));
        let is_waited_for =
            || !self.ordered.is_empty() || is_asked_for() || self.missed.is_some() && self.own_items(cx).any(is_idle);
        let current = self.current.as_ref().filter(|_| is_waited_for());
        current.into_iter().flat_map(|current| current.open.iter().copied())
    }

    /// The items being run.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> {
        self.running.keys().copied()
    }

    /// The next request to make, if there is one. `view` must be settled and in step with the registry.
    pub(crate) fn next_request(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        self.follow_pause(cx);
        if let Some(request) = self.settle(cx) {
            return Some(request);
        }
        if let Some(request) = self.claim_rest(cx) {
            return Some(request);
        }
        self.finish_current(cx);
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

    /// When, on the clock that only moves forward, single items that are asked for are tried again.
    pub(crate) fn requests_at(&self, elapsed: Duration) -> Option<Duration> {
        (self.requests_not_before > elapsed).then_some(self.requests_not_before)
    }

    /// A single item that was asked for could not be claimed. The order stays, so without a pause it would be tried over and
    /// over.
    fn pause_requests(&mut self, cx: &Context<'_>) {
        self.requests_not_before = cx.elapsed + REQUEST_PAUSE;
    }

    /// When, on the clock that only moves forward, ends that wait for others are recorded anyway.
    pub(crate) fn linger_until(&self) -> Option<Duration> {
        match self.recording {
            Recording::Idle => self.lingering.map(Lingering::until),
            _ => None,
        }
    }

    /// The session is over: what was claimed in it is no longer ours.
    pub(crate) fn lose_session(&mut self) {
        self.claiming = Claiming::Idle;
        if let Some(make_up) = self.recording.take().and_then(|batch| batch.make_up) {
            self.put_back(make_up);
        }
        self.ended.clear();
        self.running.clear();
        self.slots.clear();
        self.doubtful.clear();
        self.lingering = None;
        self.takeover.reset();
        self.clock_check = ClockCheck::Due;
        if let Some(current) = self.current.take() {
            self.missed = self
                .missed
                .take()
                .or(Some(current.occasion.time))
                .filter(|time| *time > current.occasion.time);
        }
        if let Some(time) = self.missed.take() {
            self.due = Some(Occasion::new(Source::Schedule, time));
        }
    }

    /// The connection was away and is back, with the same session: what was under way may have happened or not.
    pub(crate) fn reconnect(&mut self) {
        self.slots.clear();
        self.doubtful.clear();
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

    /// Whether a firing has to wait: the leader is about to share the items out, or ledgers of ours are still to be read.
    fn is_held_up(&self, cx: &Context<'_>) -> bool {
        let is_known = |item: &u32| self.slots.contains_key(item) || self.running.contains_key(item);
        cx.view.is_held_up() || !self.own_items(cx).all(|(item, _)| is_known(&item))
    }

    fn own_items<'a>(&self, cx: &Context<'a>) -> impl Iterator<Item = (u32, &'a ItemView)> {
        cx.view.items_of(cx.me, cx.config.sharding_total_count().get())
    }

    /// Asks what became of what is in doubt.
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

    /// Closes the firing whose ends are all recorded, and turns a time that came meanwhile into the next.
    fn finish_current(&mut self, cx: &Context<'_>) {
        if !self.is_over() {
            return;
        }
        let make_up = self.occasion_to_make_up(cx);
        let is_in_vain = |current: &Current| matches!(current.occasion.items, Wanted::These(_)) && !current.is_begun;
        if self.current.as_ref().is_some_and(is_in_vain) {
            self.pause_requests(cx);
        }
        self.current = None;
        if let Some(time) = self.missed.take()
            && make_up.is_none()
        {
            self.skip(time, "it came while the firing before it went on, and `misfire` is off");
        }
        match make_up {
            // What is marked stays so, and is made up after the next firing.
            Some(make_up) if make_up.items == Wanted::Marked && self.due.is_some() => {}
            Some(make_up) => {
                if let Some(older) = self.due.replace(make_up) {
                    self.skip(older.time, COALESCED);
                }
            }
            None => {}
        }
    }

    /// Begins the firing that is due, if nothing is in its way.
    fn fire(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if self.is_stopped || self.current.is_some() || cx.view.is_paused() {
            return None;
        }
        let is_asked = !self.ordered.is_empty() || !cx.view.requests.is_empty();
        let is_waiting = self.due.is_some() || is_asked || self.must_look_back;
        if !is_waiting || self.is_held_up(cx) {
            return None;
        }
        self.look_back(cx);
        let requested = self.requested(cx);
        // An order is given once: taken while nobody has the items yet, it would be lost.
        let is_to_wait = || is_unsettled(cx.view, cx.config, cx.placement);
        if self.due.is_none() && (self.ordered.is_empty() && requested.is_none() || is_to_wait()) {
            return None;
        }
        if cx.config.max_time_diff().is_some() {
            match self.clock_check {
                ClockCheck::Due => return Some(self.check_clock(cx.view)),
                ClockCheck::InFlight => return None,
                ClockCheck::Passed => self.clock_check = ClockCheck::Due,
            }
        }
        let occasion = match (self.due.take(), requested) {
            (Some(due), _) => due,
            (None, Some(requested)) if self.ordered.is_empty() => requested,
            // The one that came first.
            (None, _) => Occasion {
                order: self.ordered.remove(0),
                ..Occasion::new(Source::Trigger, cx.now)
            },
        };
        let claim = self.new_claim(cx, &occasion, &[]);
        if claim.is_empty() {
            if matches!(occasion.items, Wanted::These(_)) {
                self.pause_requests(cx);
            }
            // No item of this instance runs: that is no firing of it, and its listeners hear nothing.
            return None;
        }
        let open: BTreeSet<u32> = claim.items().collect();
        let listening = match open.is_empty() {
            true => ListenerPhase::Over,
            false => self.listening(),
        };
        self.current = Some(Current {
            occasion,
            open,
            rest: None,
            is_begun: false,
            listening,
        });
        self.claim_part(cx, claim)
    }

    /// Claims what of the firing under way is not claimed yet, as much as fits into a transaction, and may still be claimed:
    /// since the last part an operator may have switched an item off, the leader have given it away, or this instance been
    /// told to stop.
    fn claim_rest(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if !matches!(self.claiming, Claiming::Idle) {
            return None;
        }
        let current = self.current.as_mut()?;
        let mut claim = current.rest.take()?;
        let runnable = self.still_runnable(cx, &claim);
        claim
            .split_off_barred(&runnable)
            .into_iter()
            .for_each(|item| self.close(item));
        self.claim_part(cx, claim)
    }

    /// The items of the firing under way that may be claimed now, as this claim was to.
    fn still_runnable(&self, cx: &Context<'_>, claim: &Claim) -> BTreeSet<u32> {
        let current = self.current.as_ref().filter(|_| !self.is_stopped);
        let runnable = current.map(|current| self.runnable(cx, &current.occasion, claim.mark, &[]));
        runnable.into_iter().flatten().collect()
    }

    /// Claims as many of these items as fit into a transaction, and leaves the others for later.
    fn claim_part(&mut self, cx: &Context<'_>, mut claim: Claim) -> Option<FiringRequest> {
        if claim.is_empty() {
            return None;
        }
        let rest = claim.split_off(cx.view);
        if let Some(current) = &mut self.current {
            current.rest = rest;
        }
        let steps = claim.steps(cx.view);
        self.claiming = Claiming::InFlight(claim);
        Some(Request::write_as_member(Purpose::Claim, steps))
    }

    /// A run ended by itself or was ended; nobody has been told yet.
    pub(crate) fn finished(&mut self, item: u32, end: End, elapsed: Duration) {
        if let Some(running) = self.running.remove(&item) {
            self.record_later(item, running, end, elapsed);
        }
    }

    /// A run was stopped by the fence although its session lives on: it is to be run again, as the next attempt, if
    /// `attempts` are not used up.
    pub(crate) fn fenced(&mut self, item: u32, end: End, attempts: u32, elapsed: Duration) {
        let is_last = self
            .running
            .get(&item)
            .is_none_or(|running| running.run.attempt >= attempts);
        self.finished(item, end, elapsed);
        if let (false, Some(ended)) = (is_last, self.ended.get_mut(&item)) {
            ended.goes_on = true;
        }
    }

    /// Whether the end of this attempt is waited for: not one of a session that is over.
    pub(crate) fn is_running(&self, item: u32, run: &str, attempt: u32) -> bool {
        self.running
            .get(&item)
            .is_some_and(|running| running.run.id == run && running.run.attempt == attempt)
    }

    /// An item of the firing under way needs nothing more.
    fn close(&mut self, item: u32) {
        if let Some(current) = &mut self.current {
            current.open.remove(&item);
        }
    }
}

/// The end of an item that was claimed and then not started.
pub(crate) fn not_started(reason: &'static str) -> End {
    End::because(Verdict::Skipped, reason)
}
