//! The way of one job's firings on this instance: from a time that has come to ends that are recorded.
//!
//! Pure: it is told what happened and asked what to [request](Firings::next_request) and what to start. One firing
//! is under way at a time: its items are claimed in one transaction, run, and end; the next begins when all ends are
//! recorded. At most one claim and one recording of ends is in flight.
//!
//! What it relies on: a claim creates each item's `running` mark and sets its ledger with the version expected, so
//! it fails where anybody else claimed, moved or repaired the item; an answer that was lost is settled by reading the
//! ledger, where a run is known by its id.

mod audit;
mod claim;
mod end;
mod listening;
mod make_up;
mod takeover;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};

use crate::limits;
use crate::registry::{Answer, CreateMode, Read, Step};
use crate::schedule::Calendar;

use super::governor::is_unsettled;
use super::ids::Ids;
use super::instance::InstanceId;
use super::layout::Node;
use super::ledger::{End, Gap, Record, Run, Source, Verdict};
use super::placement::Placement;
use super::policy::Policy;
use super::transaction::Transaction;
use super::trigger::Order;
use super::view::{ItemView, View};

pub(crate) use audit::SETTLED_AFTER;
pub(crate) use claim::{Claim, ClaimOutcome};
use end::Lingering;
pub(crate) use end::Recordings;
use listening::Listening;
use make_up::MakeUp;
use takeover::Takeover;

/// A time that could not be fired for so long is missed, not late.
pub(crate) const LATE_LIMIT: SignedDuration = SignedDuration::from_secs(5);

/// How many of the reasons why times were not fired are kept.
const REASONS: usize = 32;

/// Times that passed without a run are accounted for up to so long ago.
const ACCOUNTED: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What a decision on firings looks at.
pub(crate) struct Circumstances<'a> {
    pub(crate) view: &'a View,
    pub(crate) me: &'a InstanceId,
    pub(crate) config: &'a JobConfig,
    /// The wall clock.
    pub(crate) now: Timestamp,
    /// The clock that only moves forward.
    pub(crate) elapsed: Duration,
    /// The UUID in the names of our latch nodes.
    pub(crate) latch: &'a str,
    /// `None` for a one-off job.
    pub(crate) calendar: Option<&'a Calendar>,
    pub(crate) policy: Policy,
    pub(crate) placement: &'a Placement,
    /// Since when this instance is registered.
    pub(crate) registered_at: Timestamp,
}

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
    /// Items have become ours: times may have passed while they had no owner.
    must_look_back: bool,
    /// Nothing new is to be started.
    is_stopped: bool,
    /// The ends that wait for others; `None` where none does.
    lingering: Option<Lingering>,
    clock_check: ClockCheck,
    /// Whether the job has listeners.
    is_listened_to: bool,
}

/// Where the comparison of clocks before a firing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockCheck {
    Due,
    InFlight,
    Passed,
}

/// Something to fire for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) source: Source,
    /// The scheduled time, or when the order came.
    pub(crate) time: Timestamp,
    /// Who asked for it, if anybody did.
    pub(crate) order: Order,
    /// Only items that a Java member marked are run.
    pub(crate) is_for_marked: bool,
}

impl Occasion {
    fn new(source: Source, time: Timestamp) -> Self {
        Self {
            source,
            time,
            order: Order::default(),
            is_for_marked: false,
        }
    }
}

/// The firing under way.
#[derive(Debug)]
struct Current {
    occasion: Occasion,
    /// Claimed, or to be claimed, with ends not recorded yet.
    open: BTreeSet<u32>,
    /// What did not fit into the transaction of the claim.
    rest: Option<Claim>,
    listening: Listening,
}

/// Where the claim of the firing under way stands.
#[derive(Debug)]
enum Claiming {
    /// Nothing is asked.
    Idle,
    InFlight(Claim),
    /// It was refused: what is so has to be read.
    Refused(Claim),
    Surveying(Claim),
    /// The answer was lost.
    Unknown(Claim),
    Settling(Claim),
}

/// Where the recording of ends stands.
#[derive(Debug)]
enum Recording {
    Idle,
    InFlight(Batch),
    /// The transaction was refused, or its answer was lost: what it was about is looked at.
    Doubtful(Batch),
    Settling(Batch),
}

/// What one transaction records.
#[derive(Debug)]
struct Batch {
    ending: Vec<u32>,
    /// The firing that follows, claimed in the same transaction.
    make_up: Option<MakeUp>,
}

/// An item being run.
#[derive(Clone, Debug)]
struct Running {
    run: Run,
    /// The ledger's version since the claim.
    version: i32,
    record: Record,
    is_marked: bool,
    /// Whether it was taken over; then its `failover` node, and
    is_failover: bool,
    /// its `failovering` node, are there and go with its end.
    is_failovering: bool,
}

/// An item whose run ended, until that is recorded.
#[derive(Debug)]
struct Ended {
    running: Box<Running>,
    /// How; `None` where it is to be run again, as the next attempt.
    end: Option<End>,
    /// How often it was written without being recorded.
    attempts: u32,
}

/// An item's ledger.
#[derive(Clone, Debug)]
struct Slot {
    version: i32,
    record: Record,
    /// Since when the item is ours, where it was a Java member's before: that one ran it until then, and says so nowhere.
    since: Option<Timestamp>,
}

/// What the registry is asked, about firings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FiringRequest {
    /// Have the registry say what time it is there.
    CheckClock(Vec<Step>),
    /// Claim the items.
    Claim(Vec<Step>),
    /// Look why a claim was refused.
    SurveyClaim(Vec<Read>),
    /// Look whether a claim happened.
    SettleClaim(Vec<Read>),
    /// Look what there is to take over.
    SurveyTakeover(Vec<Read>),
    /// Join or leave the contenders for what there is to take over.
    Contend(Vec<Step>),
    /// Record ends.
    RecordEnds(Vec<Step>),
    /// Look whether ends were recorded.
    SettleEnds(Vec<Read>),
    /// Learn the ledgers of items that are newly ours.
    LoadLedgers(Vec<u32>, Vec<Read>),
}

/// A claimed item, to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) item: u32,
    pub(crate) run: Run,
    /// Greater than that of any run of the item before.
    pub(crate) fencing_token: i64,
}

/// Why a firing that is due does not go yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The leader is about to share the items out.
    Resharding,
    /// The ledgers of our items are still to be read.
    Ledgers,
}

/// What happened to a firing that will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) time: Timestamp,
    pub(crate) reason: &'static str,
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
            must_look_back: false,
            is_stopped: false,
            lingering: None,
            clock_check: ClockCheck::Due,
            is_listened_to: false,
        }
    }

    /// A scheduled time has come.
    pub(crate) fn came(&mut self, time: Timestamp) -> Option<Skipped> {
        if self.current.is_some() {
            let older = self.missed.replace(time)?;
            return Some(self.skip(older, "coalesced with a later one"));
        }
        let older = self.due.replace(Occasion::new(Source::Schedule, time))?;
        Some(self.skip(older.time, "coalesced with a later one"))
    }

    /// Notes that a time is not fired, for the account of whoever asks why.
    fn skip(&mut self, time: Timestamp, reason: &'static str) -> Skipped {
        if self.skipped.len() >= REASONS {
            self.skipped.pop_front();
        }
        let skipped = Skipped { time, reason };
        self.skipped.push_back(skipped.clone());
        skipped
    }

    /// The times after the ledger's and before the run's, where it is for a scheduled one: none of ours ran the item then.
    fn gap(&self, slot: &Slot, run: &Run, circumstances: &Circumstances<'_>) -> Option<Gap> {
        if matches!(run.source, Source::Trigger | Source::Failover) {
            return None;
        }
        let time = claim::due_of(run);
        let oldest = time.saturating_sub(ACCOUNTED).unwrap_or(Timestamp::MIN);
        let after = slot.record.until(circumstances.now)?.max(oldest);
        let count = circumstances.calendar?.count_between(after, time);
        let known = self
            .skipped
            .iter()
            .rev()
            .find(|skipped| skipped.time > after && skipped.time < time);
        let reason = match (slot.since, known) {
            (Some(_), _) => "ran elsewhere",
            (None, Some(skipped)) => skipped.reason,
            (None, None) => "no instance ran the item",
        };
        (count > 0).then(|| Gap {
            after: after.as_millisecond(),
            before: time.as_millisecond(),
            count,
            reason: reason.to_owned(),
        })
    }

    /// Somebody asks for runs. While one is under way they wait; orders that wait and want the same become one run.
    pub(crate) fn order(&mut self, orders: Vec<Order>) {
        orders.into_iter().for_each(|order| order.join(&mut self.ordered));
    }

    /// Whether nothing is claimed, running, or unrecorded.
    pub(crate) fn is_idle(&self) -> bool {
        // One that is over is closed with the next request: nobody who leaves waits for that.
        (self.current.is_none() || self.is_over()) && self.running.is_empty() && self.ended.is_empty()
    }

    /// Whether the firing under way is over, and only to be closed.
    fn is_over(&self) -> bool {
        let is_over = |current: &Current| current.open.is_empty() && current.listening == Listening::Over;
        matches!(self.claiming, Claiming::Idle) && self.current.as_ref().is_some_and(is_over)
    }

    /// Forgets what has not begun: nothing new is to be started.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        self.due = None;
        self.missed = None;
        self.ordered.clear();
    }

    /// Whether a time that comes now has to wait for the end of a firing.
    pub(crate) fn is_firing(&self) -> bool {
        self.current.is_some()
    }

    /// The items whose runs something waits for: an order, or a time that has come and that other items could run at.
    pub(crate) fn waited_for(&self, circumstances: &Circumstances<'_>) -> impl Iterator<Item = u32> {
        let is_idle = |(item, state): (u32, &ItemView)| !state.is_disabled && !self.running.contains_key(&item);
        let is_waited_for =
            || !self.ordered.is_empty() || self.missed.is_some() && self.own_items(circumstances).any(is_idle);
        let current = self.current.as_ref().filter(|_| is_waited_for());
        current.into_iter().flat_map(|current| current.open.iter().copied())
    }

    /// The items being run.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> {
        self.running.keys().copied()
    }

    /// The next request to make, if there is one. `view` must be settled and in step with the registry.
    pub(crate) fn next_request(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        if let Some(request) = self.settle(circumstances) {
            return Some(request);
        }
        if let Some(request) = self.claim_rest(circumstances) {
            return Some(request);
        }
        self.finish_current(circumstances);
        if let Some(request) = self.record_ends(circumstances) {
            return Some(request);
        }
        if let Some(request) = self.take_over(circumstances) {
            return Some(request);
        }
        self.doubt();
        if let Some(request) = self.load_ledgers(circumstances) {
            return Some(request);
        }
        self.fire(circumstances)
    }

    /// When, on the clock that only moves forward, ends that wait for others are recorded anyway.
    pub(crate) fn linger_until(&self) -> Option<Duration> {
        match self.recording {
            Recording::Idle => self.lingering.map(Lingering::until),
            _ => None,
        }
    }

    /// Gives up a time that waited too long.
    pub(crate) fn give_up(&mut self, reason: &'static str) -> Option<Skipped> {
        let due = self.due.take()?;
        Some(self.skip(due.time, reason))
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

    fn hold(&self, circumstances: &Circumstances<'_>) -> Option<Hold> {
        if circumstances.view.is_held_up() {
            return Some(Hold::Resharding);
        }
        let is_unknown = |(item, _): &(u32, _)| !self.slots.contains_key(item) && !self.running.contains_key(item);
        self.own_items(circumstances)
            .any(|item| is_unknown(&item))
            .then_some(Hold::Ledgers)
    }

    fn own_items<'a>(&self, circumstances: &Circumstances<'a>) -> impl Iterator<Item = (u32, &'a ItemView)> {
        circumstances
            .view
            .items_of(circumstances.me, circumstances.config.sharding_total_count().get())
    }

    /// Asks what became of what is in doubt.
    fn settle(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        let view = circumstances.view;
        match std::mem::replace(&mut self.claiming, Claiming::Idle) {
            Claiming::Unknown(claim) => {
                let reads = claim.survey(view);
                self.claiming = Claiming::Settling(claim);
                return Some(FiringRequest::SettleClaim(reads));
            }
            Claiming::Refused(claim) => {
                let reads = claim.survey(view);
                self.claiming = Claiming::Surveying(claim);
                return Some(FiringRequest::SurveyClaim(reads));
            }
            other => self.claiming = other,
        }
        match std::mem::replace(&mut self.recording, Recording::Idle) {
            Recording::Doubtful(batch) => {
                let reads = batch.survey(view);
                self.recording = Recording::Settling(batch);
                Some(FiringRequest::SettleEnds(reads))
            }
            other => {
                self.recording = other;
                None
            }
        }
    }

    /// Closes the firing whose ends are all recorded, and turns a time that came meanwhile into the next.
    fn finish_current(&mut self, circumstances: &Circumstances<'_>) {
        if !self.is_over() {
            return;
        }
        let make_up = self.occasion_to_make_up(circumstances);
        self.missed = None;
        self.current = None;
        if make_up.is_some() {
            self.due = make_up;
        }
    }

    /// Has the ledgers read anew that somebody else was about to write when they were looked at last, if there is something
    /// to fire for.
    fn doubt(&mut self) {
        let is_due = self.due.is_some() || !self.ordered.is_empty();
        if is_due && self.current.is_none() {
            self.slots.retain(|item, _| !self.doubtful.contains(item));
        }
    }

    /// Reads the ledgers of items that became ours, and forgets those that are not any more.
    fn load_ledgers(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        let Circumstances { view, me, config, .. } = *circumstances;
        let total = config.sharding_total_count().get();
        let is_ours = |item: u32| {
            item < total
                && view
                    .items
                    .get(&item)
                    .is_some_and(|item| item.owner.as_ref() == Some(me))
        };
        self.slots.retain(|item, _| is_ours(*item));
        self.doubtful.retain(|item| is_ours(*item));
        if self.is_stopped {
            // Nothing more is started, and what runs has its own.
            return None;
        }
        let is_known = |item: &u32| {
            self.slots.contains_key(item) || self.running.contains_key(item) || self.ended.contains_key(item)
        };
        let own = self.own_items(circumstances).map(|(item, _)| item);
        let missing: Vec<u32> = own.filter(|item| !is_known(item)).take(limits::reads()).collect();
        if missing.is_empty() {
            return None;
        }
        let job = circumstances.view.job();
        let reads = missing
            .iter()
            .map(|item| Read::Data(Node::LedgerItem(*item).of(job)))
            .collect();
        Some(FiringRequest::LoadLedgers(missing, reads))
    }

    /// Takes in ledgers that were asked for. Those that are missing are to be created by these steps.
    pub(crate) fn loaded(
        &mut self,
        circumstances: &Circumstances<'_>,
        items: &[u32],
        answers: Vec<Answer>,
    ) -> Vec<Step> {
        let Circumstances { view, now, .. } = *circumstances;
        let was_of_java = |item: &u32| view.items.get(item).is_some_and(|item| item.was_of_java);
        let mut transaction = Transaction::on(view);
        for (item, answer) in items.iter().zip(answers) {
            match answer {
                Answer::Data(Some((data, stat))) => {
                    // One that is looked at again has been ours all the time.
                    self.must_look_back |= !self.doubtful.remove(item);
                    self.slots.insert(
                        *item,
                        Box::new(Slot {
                            version: stat.version,
                            record: Record::parse(&data),
                            since: was_of_java(item).then_some(now),
                        }),
                    );
                }
                _ => {
                    transaction.create(
                        Node::LedgerItem(*item),
                        Record::default().to_bytes(),
                        CreateMode::Persistent,
                    );
                }
            }
        }
        transaction.into_steps()
    }

    /// Begins the firing that is due, if nothing is in its way.
    fn fire(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        if self.is_stopped || self.current.is_some() {
            return None;
        }
        let is_waiting = self.due.is_some() || !self.ordered.is_empty() || self.must_look_back;
        if !is_waiting || self.hold(circumstances).is_some() {
            return None;
        }
        self.look_back(circumstances);
        // An order is given once: taken while nobody has the items yet, it would be lost.
        let is_to_wait = || is_unsettled(circumstances.view, circumstances.config, circumstances.placement);
        if self.due.is_none() && (self.ordered.is_empty() || is_to_wait()) {
            return None;
        }
        if circumstances.config.max_time_diff().is_some() {
            match self.clock_check {
                ClockCheck::Due => return Some(self.check_clock(circumstances.view)),
                ClockCheck::InFlight => return None,
                ClockCheck::Passed => self.clock_check = ClockCheck::Due,
            }
        }
        let occasion = match self.due.take() {
            Some(due) => due,
            // The one that came first.
            None => Occasion {
                order: self.ordered.remove(0),
                ..Occasion::new(Source::Trigger, circumstances.now)
            },
        };
        let claim = self.new_claim(circumstances, &occasion, &[]);
        let open = claim.items().collect();
        let rest = (!claim.is_empty()).then_some(claim);
        let listening = self.listening();
        self.current = Some(Current {
            occasion,
            open,
            rest,
            listening,
        });
        self.claim_rest(circumstances)
    }

    /// Makes up the newest time that passed while our items had no owner: since we are here, as a misfire; before that
    /// only where the job is to catch up.
    fn look_back(&mut self, circumstances: &Circumstances<'_>) {
        let Circumstances {
            config,
            now,
            calendar: Some(calendar),
            policy,
            registered_at,
            ..
        } = *circumstances
        else {
            return;
        };
        if !std::mem::take(&mut self.must_look_back) || self.due.is_some() {
            return;
        }
        let misfire = config.misfire().then_some(registered_at);
        let catch_up = policy
            .catch_up
            .map(|limit| now.saturating_sub(limit).unwrap_or(Timestamp::MIN));
        let Some(since) = [misfire, catch_up].into_iter().flatten().min() else {
            return;
        };
        let Some(time) = calendar.newest(now, since) else {
            return;
        };
        let mut known = self.slots.values().filter_map(|slot| slot.until(now));
        if known.any(|until| until < time) {
            self.due = Some(Occasion::new(Source::Misfire, time));
        }
    }

    fn check_clock(&mut self, view: &View) -> FiringRequest {
        let mut transaction = Transaction::on(view);
        if !view.has(Node::CurrentTime) {
            transaction.create(Node::CurrentTime, "", CreateMode::Persistent);
        }
        transaction.set(Node::CurrentTime, "", None);
        self.clock_check = ClockCheck::InFlight;
        FiringRequest::CheckClock(transaction.into_steps())
    }

    /// The clocks were compared, or could not be: the firing goes on, or is given up.
    pub(crate) fn clock_checked(&mut self, goes_on: bool) -> Option<Skipped> {
        if goes_on {
            self.clock_check = ClockCheck::Passed;
            return None;
        }
        self.clock_check = ClockCheck::Due;
        if let Some(due) = self.due.take() {
            return Some(self.skip(due.time, "the clocks differ too much"));
        }
        self.ordered.clear();
        None
    }

    /// The clocks could not be compared: that is tried again.
    pub(crate) fn clock_not_checked(&mut self) {
        self.clock_check = ClockCheck::Due;
    }

    /// Gives up a scheduled time that could not be fired for too long.
    pub(crate) fn drop_late(&mut self, now: Timestamp) -> Option<Skipped> {
        let is_late = |due: &&Occasion| due.source == Source::Schedule && now.duration_since(due.time) > LATE_LIMIT;
        self.due.as_ref().filter(is_late)?;
        self.give_up("too late")
    }

    /// The firing under way is not to be followed by a make-up run.
    pub(crate) fn abort_make_up(&mut self) -> Option<Skipped> {
        let time = self.missed.take()?;
        Some(self.skip(time, "the error handler gave the firing up"))
    }

    /// Claims what of the firing under way is not claimed yet, as much as fits into a transaction.
    fn claim_rest(&mut self, circumstances: &Circumstances<'_>) -> Option<FiringRequest> {
        if !matches!(self.claiming, Claiming::Idle) {
            return None;
        }
        let current = self.current.as_mut()?;
        let mut claim = current.rest.take()?;
        current.rest = claim.split_off(circumstances.view);
        let steps = claim.steps(circumstances.view);
        self.claiming = Claiming::InFlight(claim);
        Some(FiringRequest::Claim(steps))
    }

    /// A run ended by itself or was ended; nobody has been told yet.
    pub(crate) fn finished(&mut self, item: u32, end: End, elapsed: Duration) {
        if let Some(running) = self.running.remove(&item) {
            self.ended.insert(
                item,
                Box::new(Ended {
                    running,
                    end: Some(end),
                    attempts: 0,
                }),
            );
            self.linger(elapsed);
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
            ended.end = None;
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

impl Slot {
    /// Up to when there is nothing to make up.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.record.until(now)?.max(self.since.unwrap_or(Timestamp::MIN)))
    }

    /// The ledger with a claim in it.
    fn claimed(&self, run: &Run, now: Timestamp) -> Record {
        self.record.ran_elsewhere(self.since, now).claimed(run.clone(), now)
    }
}

impl Recording {
    /// What is being recorded; nothing is from here on.
    fn take(&mut self) -> Option<Batch> {
        match std::mem::replace(self, Self::Idle) {
            Self::Idle => None,
            Self::InFlight(batch) | Self::Doubtful(batch) | Self::Settling(batch) => Some(batch),
        }
    }
}

/// The end of an item that was claimed and then not started.
pub(crate) fn not_started(reason: &'static str) -> End {
    End::because(Verdict::Skipped, reason)
}
