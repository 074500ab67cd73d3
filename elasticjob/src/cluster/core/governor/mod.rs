//! Decides what this instance has to do for the job as a whole: stand for election, share the items out, repair marks.
//!
//! Level-triggered: each decision compares the view with how it should be. A step that was lost, refused, or overtaken by
//! another instance's needs no handling of its own: the next decision sees its result.
//! It is pure: the core asks for one [`Move`] at a time, on a settled view, and reports how that went.
//!
//! The moves are tried in a fixed order, and the first that applies is made: triggers for this instance, contenders,
//! election, marks, triggers of instances that left, members that ignore a pause, resharding. Election comes before all
//! that the leader does. Marks come before resharding, because an item with a stale mark could not move.
//!
//! Any instance elects and takes its triggers. Repairs are for one instance at a time, the leader if it is one of ours,
//! and else the first of ours: two that repair at once do no harm, since the registry refuses the second, but cost
//! requests. Resharding is for the leader alone.
//!
//! Refused moves back off exponentially, from 50 ms to 2 s. Reasons to reshard are collected for 200 ms after the last
//! of them, and 2 s after the first: a deployment of a hundred instances leads to a few assignments and not to a
//! hundred.

pub(crate) mod abandoned;
pub(crate) mod assignment;
pub(crate) mod astray;
pub(crate) mod contenders;
pub(crate) mod election;
pub(crate) mod marks;
pub(crate) mod overlooked;
pub(crate) mod resharding;
pub(crate) mod unseen;

use std::time::Duration;

use elasticjob_config::job::JobConfig;

use crate::cluster::core::context::Context;
use crate::cluster::core::effect::{Effect, Report};
use crate::cluster::core::request::{Reply, Request};
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::ledger::Run;
use crate::cluster::pause;
use crate::cluster::placement::Placement;
use crate::cluster::surveyed::Surveyed;
use crate::cluster::transaction::Transaction;
use crate::cluster::trigger::Trigger;
use crate::cluster::view::View;
use crate::registry::{Answer, Error, Read, Step};
use crate::sharding::StrategyFault;

use assignment::Parts;
use contenders::{Concern, Head, Heads};
use election::Election;
use overlooked::Overlooked;
use resharding::{Basis, SharedOut};
use unseen::Unseen;

/// After a reason to share the items out, others may follow: wait this long for them,
const DEBOUNCE: Duration = Duration::from_millis(200);
/// but for all of them together no longer than this.
const DEBOUNCE_LIMIT: Duration = Duration::from_secs(2);

/// After moves that were refused in a row the next waits, doubling from the first to the second.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LIMIT: Duration = Duration::from_secs(2);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing, until the view changes.
    Rest,
    /// Nothing, until the view changes or this moment comes.
    Wait(Duration),
    Move(Move),
}

/// One request to the registry, and what it is for.
pub(crate) type Move = Request<Purpose>;

/// Why a request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Take the triggers to run the job now.
    TakeTrigger(Vec<Trigger>),
    Elect,
    SurveyContenders(Vec<Head>),
    /// Remove contenders that no instance stands behind, by name.
    RemoveContenders(Vec<String>),
    SurveyMarks(Vec<u32>),
    /// Remove marks of dead instances; the second items were tried often enough.
    RepairMarks {
        items: Vec<u32>,
        parked: Vec<u32>,
        /// The items with runs that ended with their instances, including the parked ones.
        lost: Vec<(u32, Option<Run>)>,
    },
    SurveyAbandoned(Vec<u32>),
    /// Remove items from the queue of those to be taken over; the runs of these are over with their instances.
    ClearFailover {
        lost: Vec<(u32, Option<Run>)>,
    },
    /// Remove triggers to instances that are gone.
    ClearTriggers,
    /// Look at the switches of servers that do not obey a pause.
    SurveyDisobedient(Vec<String>),
    SwitchOffDisobedient(Vec<String>),
    AnnounceResharding,
    /// Look at all items, of which there are so many below the total, to share them out.
    SurveyItems {
        total: u32,
    },
    Reshard,
}

/// The state between decisions.
#[derive(Debug, Default)]
pub(crate) struct Governor {
    leaderless_since: Option<Duration>,
    heads: Heads,
    due: Option<Due>,
    /// The assignment is to be compared with what the strategy says.
    must_compare: bool,
    /// What the comparison found is being repaired.
    is_repairing: bool,
    /// Parts of an assignment that are still to be written.
    parts: Option<Parts>,
    /// What the log says of that assignment once all of it is written.
    shared_out: Option<SharedOut>,
    /// What follows from the last read.
    prepared: Option<Move>,
    /// The first item with a mark that is still to be checked. Set if an instance went away, and at the start: marks may be stale.
    marks_from: Option<u32>,
    /// The same when they were last read, unless more of them became suspect since.
    surveyed_from: Option<u32>,
    overlooked: Overlooked,
    unseen: Unseen,
    refused_in_a_row: u32,
    not_before: Duration,
}

/// A sharding that is due.
#[derive(Debug)]
struct Due {
    basis: Basis,
    first: Duration,
    last: Duration,
}

impl Governor {
    /// Creates a governor that looks for stale marks first.
    pub(crate) fn new() -> Self {
        Self {
            marks_from: Some(0),
            ..Self::default()
        }
    }

    /// An instance is gone, or it is time to look whether something is out of order.
    pub(crate) fn check_marks(&mut self) {
        self.marks_from = Some(0);
        self.surveyed_from = None;
    }

    /// It is time to look whether the items are where they belong.
    pub(crate) fn check_assignment(&mut self) {
        self.must_compare = true;
    }

    /// Forgets what was under way: the session or the connection changed.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    /// The next thing to do on a view that is settled.
    pub(crate) fn decide(&mut self, cx: &Context<'_>) -> Decision {
        let view = cx.view;
        if let Some(triggers) = view.triggers.get(cx.me)
            && !cx.is_draining
            // It is kept where all members see it, until the pause is over.
            && !view.is_paused()
        {
            let mut transaction = Transaction::on(view);
            transaction.delete(Node::TriggerFor(cx.me.as_str()));
            return write(Purpose::TakeTrigger(triggers.clone()), transaction.into_steps());
        }
        if cx.elapsed < self.not_before {
            return Decision::Wait(self.not_before);
        }
        if let Some(prepared) = self.prepared.take() {
            return Decision::Move(prepared);
        }
        let look_at = match self.contenders(cx) {
            Ok(look_at) => look_at,
            Err(to_do) => return Decision::Move(to_do),
        };
        match self.without_contenders(cx) {
            Decision::Rest => look_at.map_or(Decision::Rest, Decision::Wait),
            Decision::Wait(until) => Decision::Wait(look_at.map_or(until, |at| at.min(until))),
            decision => decision,
        }
    }

    /// Returns the first move that applies, of those that do not concern contenders.
    fn without_contenders(&mut self, cx: &Context<'_>) -> Decision {
        match self.election(cx) {
            Decision::Rest => {}
            decision => return decision,
        }
        match self.marks(cx) {
            Decision::Rest => {}
            decision => return decision,
        }
        match clear_triggers(cx) {
            Decision::Rest => {}
            decision => return decision,
        }
        match keep_pause(cx) {
            Decision::Rest => {}
            decision => return decision,
        }
        self.resharding(cx)
    }

    fn election(&mut self, cx: &Context<'_>) -> Decision {
        let Context {
            view,
            me,
            latch,
            elapsed,
            ..
        } = *cx;
        if view.leader.is_some() {
            self.leaderless_since = None;
        }
        if cx.is_draining && view.leader.as_ref() != Some(me) {
            return elected(elapsed, election::withdraw(view, latch));
        }
        let since = match view.leader {
            Some(_) => elapsed,
            None => *self.leaderless_since.get_or_insert(elapsed),
        };
        elected(elapsed, election::next(view, me, latch, elapsed.saturating_sub(since)))
    }

    /// Checks the contenders that stay at the head of a latch. Returns a move, or when to check again.
    fn contenders(&mut self, cx: &Context<'_>) -> Result<Option<Duration>, Move> {
        let Context { view, me, elapsed, .. } = *cx;
        if !contenders::is_watcher(view, me) {
            self.heads = Heads::default();
            return Ok(None);
        }
        match self.heads.next(view, elapsed) {
            Concern::None => Ok(None),
            Concern::Later(at) => Ok(Some(at)),
            Concern::Survey(heads) => {
                let reads = contenders::survey(view, &heads);
                Err(Request::read_in_sync(Purpose::SurveyContenders(heads), reads))
            }
        }
    }

    fn marks(&mut self, cx: &Context<'_>) -> Decision {
        let Context { view, me, .. } = *cx;
        if marks::is_repairer(view, me) {
            let items = abandoned::find(view, succession(cx));
            if !items.is_empty() {
                let reads = abandoned::survey(view, &items);
                return read(Purpose::SurveyAbandoned(items), reads);
            }
        }
        let Some(from) = self.marks_from.filter(|_| marks::is_repairer(view, me)) else {
            return Decision::Rest;
        };
        let suspects = marks::suspects(view, from);
        if suspects.is_empty() {
            self.marks_from = None;
            return Decision::Rest;
        }
        // Those before were looked at just now.
        self.marks_from = suspects.first().copied();
        self.surveyed_from = self.marks_from;
        read(Purpose::SurveyMarks(suspects.clone()), marks::survey(view, &suspects))
    }

    fn resharding(&mut self, cx: &Context<'_>) -> Decision {
        let Context {
            view,
            me,
            config,
            elapsed,
            ..
        } = *cx;
        if view.leader.as_ref() != Some(me) {
            self.due = None;
            self.parts = None;
            return self.under_another(cx);
        }
        self.unseen = Unseen::default();
        if let Some(steps) = self.parts.as_mut().and_then(Iterator::next) {
            return write(Purpose::Reshard, steps);
        }
        if !is_due(view, config, cx.placement) && !self.is_amiss(cx) {
            self.due = None;
            return Decision::Rest;
        }
        let basis = Basis::now(view, cx.placement.terms());
        let due = match self.due.take() {
            Some(due) if due.basis == basis => due,
            Some(due) => Due {
                basis,
                first: due.first,
                last: elapsed,
            },
            None => Due {
                basis,
                first: elapsed,
                last: elapsed,
            },
        };
        let ready = (due.last + DEBOUNCE).min(due.first + DEBOUNCE_LIMIT);
        self.due = Some(due);
        if elapsed < ready {
            return Decision::Wait(ready);
        }
        // Looked for once: what moves items without need is not to do so without end.
        self.is_repairing |= std::mem::take(&mut self.must_compare);
        if !view.is_resharding_necessary {
            return write(Purpose::AnnounceResharding, resharding::announce(view));
        }
        let total = config.sharding_total_count().get();
        let items = resharding::scope(view, total);
        Decision::Move(Request::survey(Purpose::SurveyItems { total }, items, total))
    }

    /// Returns whether an item is not where the last assignment put it, although nothing that this was made for has changed.
    fn is_amiss(&mut self, cx: &Context<'_>) -> bool {
        let Context {
            view,
            config,
            placement,
            ..
        } = *cx;
        if view.candidates_for_items().next().is_none() {
            return false;
        }
        if astray::is_any_lost(view, config.sharding_total_count().get()) {
            return true;
        }
        self.must_compare = self.must_compare && !config.static_sharding() && astray::is_any(view, config, placement);
        self.must_compare
    }

    /// Returns the leader, if it is one of ours and cannot see this instance.
    pub(crate) fn unseen_by(&self, elapsed: Duration) -> Option<&InstanceId> {
        self.unseen.by(elapsed)
    }

    /// Returns what to do if another instance leads: a Java leader needs a flag for the instances that it overlooks.
    fn under_another(&mut self, cx: &Context<'_>) -> Decision {
        let (view, config) = (cx.view, cx.config);
        let look_at = self.unseen.next(view, cx.me, config.static_sharding(), cx.elapsed);
        if let Some(at) = look_at {
            return Decision::Wait(at);
        }
        if !view.is_led_by_java() || !marks::is_repairer(view, cx.me) || config.static_sharding() {
            return Decision::Rest;
        }
        let total = config.sharding_total_count().get();
        match self.overlooked.next(view, total, cx.elapsed) {
            None => Decision::Rest,
            Some(due) if cx.elapsed < due => Decision::Wait(due),
            Some(_) => {
                self.overlooked.flagged();
                write(Purpose::AnnounceResharding, resharding::announce(view))
            }
        }
    }

    /// Records the answer to a [`Move`].
    pub(crate) fn answered(&mut self, cx: &Context<'_>, purpose: Purpose, reply: Reply) -> Vec<Effect> {
        let effect = match reply {
            Reply::Written(result) => {
                self.was_written(cx.elapsed, result.is_ok());
                match result {
                    Ok(_) => self.effect_of(purpose),
                    Err(error) => Some(Effect::Report(Report::MoveRefused { purpose, error })),
                }
            }
            Reply::Read(answers) => {
                self.was_read(cx, &purpose, answers);
                None
            }
            Reply::Surveyed(items) => {
                let fault = self.was_surveyed(cx, &purpose, items).err();
                fault.map(|fault| Effect::Report(Report::StrategyFailed(fault)))
            }
        };
        effect.into_iter().collect()
    }

    /// Returns what follows from a write that succeeded.
    fn effect_of(&mut self, purpose: Purpose) -> Option<Effect> {
        let report = match purpose {
            Purpose::TakeTrigger(triggers) => return Some(Effect::Trigger(triggers)),
            Purpose::RepairMarks { items, parked, lost } => Report::MarksRepaired { items, parked, lost },
            Purpose::ClearFailover { lost } => Report::TakeoversCleared { lost },
            Purpose::RemoveContenders(names) => Report::ContendersRemoved(names),
            Purpose::SwitchOffDisobedient(servers) => Report::SwitchedOff(servers),
            Purpose::Reshard => Report::SharedOut(self.take_shared_out()?),
            Purpose::Elect
            | Purpose::SurveyContenders(_)
            | Purpose::SurveyMarks(_)
            | Purpose::SurveyAbandoned(_)
            | Purpose::ClearTriggers
            | Purpose::SurveyDisobedient(_)
            | Purpose::AnnounceResharding
            | Purpose::SurveyItems { .. } => return None,
        };
        Some(Effect::Report(report))
    }

    /// Records what a read of a [`Move`] gave.
    fn was_read(&mut self, cx: &Context<'_>, purpose: &Purpose, answers: Result<Vec<Answer>, Error>) {
        let Ok(answers) = answers else {
            return self.refused(cx.elapsed);
        };
        match purpose {
            Purpose::SurveyContenders(heads) => {
                let (names, steps) = contenders::removal(cx.view, heads, answers);
                if !steps.is_empty() {
                    self.prepared = Some(Request::write_as_member(Purpose::RemoveContenders(names), steps));
                }
            }
            Purpose::SurveyMarks(suspects) => match marks::repair(cx.view, suspects, answers, succession(cx)) {
                Some(marks::Repair {
                    items,
                    parked,
                    lost,
                    steps,
                }) => {
                    self.prepared = Some(Request::write_as_member(
                        Purpose::RepairMarks { items, parked, lost },
                        steps,
                    ))
                }
                None if self.marks_from == self.surveyed_from => {
                    self.marks_from = suspects.last().map(|last| last + 1);
                }
                None => {}
            },
            Purpose::SurveyAbandoned(items) => {
                let abandoned::Clearing { lost, steps } = abandoned::clear(cx.view, items, answers);
                self.prepared = Some(Request::write_as_member(Purpose::ClearFailover { lost }, steps));
            }
            Purpose::SurveyDisobedient(servers) => {
                if let Some((switched, steps)) = pause::switch_off(cx.view, servers, answers) {
                    self.prepared = Some(Request::write_as_member(Purpose::SwitchOffDisobedient(switched), steps));
                }
            }
            _ => {}
        }
    }

    /// Records what a survey of the items found.
    ///
    /// # Errors
    /// What the sharding strategy did wrong. The items stay where they are then, and the cluster goes on.
    fn was_surveyed(
        &mut self,
        cx: &Context<'_>,
        purpose: &Purpose,
        items: Result<Vec<Surveyed>, Error>,
    ) -> Result<(), StrategyFault> {
        let Context {
            view,
            config,
            placement,
            extent,
            ..
        } = *cx;
        let Ok(items) = items else {
            self.refused(cx.elapsed);
            return Ok(());
        };
        let total = config.sharding_total_count().get();
        let is_as_before = *purpose == Purpose::SurveyItems { total }
            && items.iter().map(Surveyed::item).eq(resharding::scope(view, total));
        if !is_as_before {
            // There are more items now, or fewer, than were looked at: it is decided again.
            return Ok(());
        }
        let (target, fault) = match placement.owners(view, config, &items) {
            Ok(target) => (target, Ok(())),
            Err(fault) => (as_it_is(cx, &items), Err(fault)),
        };
        let basis = Basis::now(view, placement.terms());
        let (parts, shared_out) = Parts::new(view, basis, target, items, extent);
        self.parts = Some(parts);
        self.shared_out = Some(shared_out);
        fault
    }

    /// Records how a write of a [`Move`] went.
    fn was_written(&mut self, elapsed: Duration, succeeded: bool) {
        if succeeded {
            self.refused_in_a_row = 0;
            self.is_repairing &= self.parts.as_ref().is_some_and(|parts| !parts.is_done());
        } else {
            self.refused(elapsed);
        }
    }

    /// Returns what the log says of an assignment, once, when the last of its parts is written.
    fn take_shared_out(&mut self) -> Option<SharedOut> {
        let is_done = self.parts.as_ref().is_none_or(Parts::is_done);
        is_done.then(|| self.shared_out.take()).flatten()
    }

    /// Returns how many moves in a row were refused. After several, the view is taken to be wrong and is read again.
    pub(crate) fn refused_in_a_row(&self) -> u32 {
        self.refused_in_a_row
    }

    /// Drops what was prepared for a state that the registry has left, and waits before the next move, twice as long
    /// for each refusal.
    fn refused(&mut self, elapsed: Duration) {
        self.parts = None;
        self.shared_out = None;
        self.prepared = None;
        self.must_compare |= std::mem::take(&mut self.is_repairing);
        let pause = BACKOFF_FIRST.saturating_mul(1 << self.refused_in_a_row.min(10));
        self.not_before = elapsed + pause.min(BACKOFF_LIMIT);
        self.refused_in_a_row += 1;
    }
}

fn elected(elapsed: Duration, election: Election) -> Decision {
    match election {
        Election::Settled => Decision::Rest,
        Election::Wait(time) => Decision::Wait(elapsed + time),
        Election::Write(steps) => write(Purpose::Elect, steps),
    }
}

/// Returns what becomes of items if their instances died.
fn succession(cx: &Context<'_>) -> marks::Succession {
    marks::Succession {
        failover: cx.config.failover() && cx.config.monitor_execution(),
        attempts: cx.policy.failover_attempts,
        total: cx.config.sharding_total_count().get(),
    }
}

/// Removes the triggers of instances that left before they took them: no other instance takes those.
fn clear_triggers(cx: &Context<'_>) -> Decision {
    let Context { view, me, .. } = *cx;
    if !marks::is_repairer(view, me) {
        return Decision::Rest;
    }
    let gone = view.triggers.keys().filter(|id| !view.instances.contains(*id));
    let mut transaction = Transaction::on(view);
    for id in gone {
        let is_added = transaction.add_if_it_fits(|transaction| {
            transaction.delete(Node::TriggerFor(id.as_str()));
        });
        if !is_added {
            break;
        }
    }
    if transaction.is_empty() {
        Decision::Rest
    } else {
        write(Purpose::ClearTriggers, transaction.into_steps())
    }
}

/// Members that do not obey a pause are switched off for as long as it lasts.
fn keep_pause(cx: &Context<'_>) -> Decision {
    let disobedient = pause::disobedient(cx.view, cx.me);
    if disobedient.is_empty() {
        Decision::Rest
    } else {
        let reads = pause::survey(cx.view, &disobedient);
        read(Purpose::SurveyDisobedient(disobedient), reads)
    }
}

/// Returns whether the leader has to share the items out.
fn is_due(view: &View, config: &JobConfig, placement: &Placement) -> bool {
    resharding::reason(view, placement.terms(), config.static_sharding()).is_some()
}

/// Returns whether the items are about to move, or have no owner yet, by what every instance can see.
pub(crate) fn is_unsettled(view: &View, config: &JobConfig, placement: &Placement) -> bool {
    match &view.leader {
        None => true,
        // A Java leader raises its flags, and says no more.
        Some(_) if view.is_led_by_java() => view.is_held_up(),
        Some(_) => is_due(view, config, placement),
    }
}

/// Returns the owner of each item if it may keep the item. No other instance gets anything.
fn as_it_is(cx: &Context<'_>, items: &[Surveyed]) -> Vec<Option<InstanceId>> {
    let mut target = vec![None; cx.config.sharding_total_count().get() as usize];
    for (item, owner) in items.iter().filter_map(Surveyed::owned) {
        let may_stay = cx.view.candidates_for_items().any(|candidate| candidate == owner);
        if let (Some(slot), true) = (target.get_mut(item as usize), may_stay) {
            *slot = Some(owner.clone());
        }
    }
    target
}

fn write(purpose: Purpose, steps: Vec<Step>) -> Decision {
    Decision::Move(Request::write_as_member(purpose, steps))
}

fn read(purpose: Purpose, reads: Vec<Read>) -> Decision {
    Decision::Move(Request::read_in_sync(purpose, reads))
}
