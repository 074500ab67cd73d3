//! The way of a claim: what is claimed for an occasion, and what its answer leads to.
//!
//! ```text
//!             granted ─────────────────────────▶ begin
//! Idle ─▶ InFlight ─ refused ─▶ Refused ─▶ Surveying ─▶ InFlight (once more) or given up
//!             └──── answer lost ─▶ Unknown ─▶ Settling ─▶ begin, or put back
//! ```
//!
//! A refusal is read about once: the view may be behind, and often only some of the items are not to be had. The claim
//! is then made again with the others. If it is refused a second time, this instance gives it up and forgets the
//! ledgers, which are read before the next claim: two refusals in a row mean that its picture of the items is wrong.
//!
//! A lost answer is never taken for a refusal, since the items would then run nowhere although they are marked; nor for
//! a grant, since they could then run twice. The ledger settles it: it has the run by its id if, and only if, the
//! transaction happened. The answer that the registry is busy is settled in the same way: it says nothing of the items.
//!
//! An item that the leader gives to another instance between the claim and its answer is not started. Its end is
//! recorded as skipped, which removes the mark, and its new owner is free to claim it.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use elasticjob_config::job::JobConfig;

use crate::cluster::core::context::Context;
use crate::cluster::instance::InstanceId;
use crate::cluster::ledger::{Gap, Reason, Record, Refusal, Run, Source};
use crate::cluster::mutation::Mutation;
use crate::registry::{Answer, CreateMode, Error, Stat, Step, WriteError, Written};

use super::claim::{Claim, ClaimedItem, Found, Granted, Kind, TakenTrigger, due_of};
use super::occasion::Wanted;
use super::passing::{Concern, PassedItem};
use super::{FiringId, Firings, Occasion, OpenFiring, Running, Slot, Start, not_started};

/// Where the claim that was sent last stands.
#[derive(Debug)]
pub(super) enum Claiming {
    /// It is answered.
    Idle,
    InFlight(Claim),
    /// It was refused: why has to be read.
    Refused(Claim),
    Surveying(Claim),
    /// Its answer was lost.
    Unknown(Claim),
    Settling(Claim),
}

/// What a claim led to.
#[derive(Debug, Default)]
pub(crate) struct ClaimOutcome {
    pub(crate) starts: Vec<Start>,
    /// Items that are not run at this time, and why.
    pub(crate) refused: Vec<(u32, &'static str)>,
    /// Times before this one that passed without a run.
    pub(crate) skipped: Vec<(u32, Gap)>,
    /// Times that have passed items which do not run.
    pub(crate) passed: Vec<(u32, Gap)>,
    /// Runs that dead instances left open, and that the claim ended as lost.
    pub(crate) lost: Vec<(u32, Run)>,
}

/// How the `running` marks of a job live; `None` if it is not to be monitored.
///
/// With failover a mark is persistent: it outlives the session of a dead instance, and so shows what that instance was
/// running. Without failover it goes with the session, and no repair is needed.
pub(super) fn mark_of(config: &JobConfig) -> Option<CreateMode> {
    config.monitor_execution().then_some(if config.failover() {
        CreateMode::Persistent
    } else {
        CreateMode::Ephemeral
    })
}

impl Firings {
    /// The claim of all own items that may run for the occasion, once the ends of those that are `ending` are recorded,
    /// which are in ascending order.
    pub(super) fn new_claim(&mut self, cx: &Context<'_>, id: FiringId, occasion: &Occasion, ending: &[u32]) -> Claim {
        let Context { view, config, .. } = *cx;
        let mark = mark_of(config);
        let items = self.runs.runnable(cx, occasion, mark, ending);
        let claimed = |item| self.claim_of(item, cx, occasion, ending);
        Claim {
            epoch: view.epoch.as_ref().map(|epoch| epoch.version),
            kind: Kind::Owned(id),
            mark,
            items: items.into_iter().filter_map(claimed).collect(),
            passed: self.passing(cx, occasion).into(),
            is_retry: false,
        }
    }

    /// One item's part of a claim, where its ledger is known and admits it.
    ///
    /// `None` if the ledger says that the time is accounted for, or that another instance is running the item. In the
    /// second case the ledger is read again before the next firing, because no event tells when a run without a mark
    /// ends.
    fn claim_of(&mut self, item: u32, cx: &Context<'_>, occasion: &Occasion, ending: &[u32]) -> Option<ClaimedItem> {
        let after_end = self
            .runs
            .ended
            .get(&item)
            .filter(|_| ending.binary_search(&item).is_ok());
        let slot = match after_end {
            Some(ended) => Cow::Owned(ended.slot()),
            None => Cow::Borrowed(self.ledgers.get(item)?),
        };
        let was_elsewhere = || slot.since.is_some_and(|since| occasion.time <= since);
        if occasion.source == Source::Misfire && was_elsewhere()
            || occasion.is_looked_back && !slot.looks_back(item, occasion.time, cx)
        {
            return None;
        }
        match slot.admits(occasion.source, occasion.time, cx) {
            Ok(()) => {}
            Err(Refusal::Accounted) => return None,
            Err(Refusal::RunningElsewhere) => {
                self.ledgers.doubt(item);
                return None;
            }
        }
        let trigger = match occasion.items {
            Wanted::These(_) => Some(TakenTrigger::of(cx.view, item, &occasion.trigger)?),
            Wanted::All | Wanted::Marked => None,
        };
        let run = Run {
            id: self.ids.run(),
            due: occasion.time.as_millisecond(),
            attempt: 1,
            owner: cx.me.as_str().to_owned(),
            source: occasion.source,
            requests: occasion.trigger.requests.clone(),
            parameter: occasion.trigger.parameter.clone(),
            end: None,
        };
        let gap = self.gap(item, &slot, &run, cx);
        let lost = slot.record.replaced(Some(&run));
        let record = slot.claimed(&run, gap.clone(), cx);
        Some(ClaimedItem {
            item,
            run,
            version: slot.version,
            record,
            gap,
            lost,
            has_ledger: true,
            is_failovering: false,
            trigger,
        })
    }

    /// The claim was answered. Events that came before the answer must be in the view already.
    ///
    /// If the session has expired, everything that was claimed in it is void, and the claim is dropped.
    pub(crate) fn claimed(&mut self, cx: &Context<'_>, result: Result<Vec<Written>, WriteError>) -> ClaimOutcome {
        let Claiming::InFlight(claim) = std::mem::replace(&mut self.claiming, Claiming::Idle) else {
            return ClaimOutcome::default();
        };
        match result {
            Ok(written) => {
                let stats = written.into_iter().filter_map(|written| match written {
                    Written::Set(stat) => Some(stat),
                    _ => None,
                });
                let granted = claim.with_stats(stats);
                self.begin(cx, granted, &claim)
            }
            Err(WriteError {
                error: Error::SessionExpired,
                ..
            }) => {
                self.abandon(&claim);
                ClaimOutcome::default()
            }
            // A registry that was busy did nothing, and says nothing of the items: after a look they are as due as they were.
            Err(WriteError { error, .. }) if error.is_outcome_unknown() || matches!(error, Error::Busy(_)) => {
                self.claiming = Claiming::Unknown(claim);
                ClaimOutcome::default()
            }
            // It would be refused again.
            Err(WriteError { error, .. }) if error.is_permanent() => {
                self.abandon(&claim);
                if claim.is_takeover() {
                    self.takeover.refused(cx.elapsed);
                    return ClaimOutcome::default();
                }
                ClaimOutcome {
                    refused: claim
                        .items()
                        .map(|item| (item, "the registry refuses the claim"))
                        .collect(),
                    ..Default::default()
                }
            }
            Err(_) if claim.is_retry => {
                self.abandon(&claim);
                if claim.is_takeover() {
                    // The items wait as they did: another instance was faster, or they were shared out just now.
                    self.takeover.refused(cx.elapsed);
                    return ClaimOutcome::default();
                }
                // What we believe of the ledgers was wrong twice.
                let passed = claim.passed.iter().map(|passed| passed.item);
                claim.items().chain(passed).for_each(|item| self.ledgers.forget(item));
                ClaimOutcome {
                    refused: claim.items().map(|item| (item, "running elsewhere")).collect(),
                    ..Default::default()
                }
            }
            Err(_) => {
                self.claiming = Claiming::Refused(claim);
                ClaimOutcome::default()
            }
        }
    }

    /// What was read after a claim was refused: it is tried once more with the items that are still to be had.
    ///
    /// Returns the steps of the second attempt, if anything is left to claim, and what became of the other items. A
    /// pause that was found gives the whole claim up. An item whose ledger changed gets its gap computed again, since
    /// another instance may have run it at times that seemed to have passed without a run.
    pub(crate) fn surveyed_claim(
        &mut self,
        cx: &Context<'_>,
        answers: Result<Vec<Answer>, Error>,
    ) -> (Option<Vec<Step>>, ClaimOutcome) {
        let claim = match std::mem::replace(&mut self.claiming, Claiming::Idle) {
            Claiming::Surveying(claim) => claim,
            // The connection was away since: it is asked again.
            other => {
                self.claiming = other;
                return (None, ClaimOutcome::default());
            }
        };
        let Ok(answers) = answers else {
            self.claiming = Claiming::Refused(claim);
            return (None, ClaimOutcome::default());
        };
        let view = cx.view;
        let runnable = claim
            .firing()
            .map_or_else(BTreeSet::new, |id| self.still_runnable(cx, id, &claim));
        let mut answers = Found::new(answers);
        let epoch = answers.next().map(|(_, stat)| stat.version);
        if answers.next_is_pause(view) {
            return (None, self.refused_by_pause(&claim));
        }
        let mut outcome = ClaimOutcome::default();
        let mut retry = Claim {
            epoch,
            kind: claim.kind.clone(),
            mark: claim.mark,
            items: VecDeque::new(),
            passed: VecDeque::new(),
            is_retry: true,
        };
        for claimed in claim.items {
            let item = claimed.item;
            match self.claim_again(cx, claimed, retry.mark.is_some(), &runnable, &mut answers) {
                Ok(claimed) => retry.items.push_back(claimed),
                Err(reason) => {
                    outcome.refused.push((item, reason));
                    self.open.close(item);
                }
            }
        }
        for passed in claim.passed {
            retry.passed.extend(self.pass_again(cx, &passed, &mut answers));
        }
        if retry.is_empty() {
            return (None, outcome);
        }
        // What is known of the items now may take more room than before.
        let firing = retry.firing().and_then(|id| self.open.get_mut(id));
        if let (Some(mut rest), Some(firing)) = (retry.split_off(view), firing) {
            if let Some(later) = firing.rest.take() {
                rest.items.extend(later.items);
                rest.passed.extend(later.passed);
            }
            firing.rest = Some(rest);
        }
        let steps = retry.steps(view);
        self.claiming = Claiming::InFlight(retry);
        (Some(steps), outcome)
    }

    /// Returns one item's part of a claim by what the next three answers say, or why the item is not run.
    fn claim_again(
        &mut self,
        cx: &Context<'_>,
        claimed: ClaimedItem,
        is_marked: bool,
        runnable: &BTreeSet<u32>,
        answers: &mut Found,
    ) -> Result<ClaimedItem, &'static str> {
        let item = claimed.item;
        let (owner, mark, ledger) = (answers.next(), answers.next(), answers.next());
        let Some((data, stat)) = ledger else {
            self.ledgers.forget(item);
            return Err("its ledger is gone");
        };
        let slot = self.slot_read_again(item, &data, stat);
        if owner.is_none_or(|(owner, _)| owner != cx.me.as_str().as_bytes()) {
            return Err("given to another instance");
        }
        if is_marked && mark.is_some() {
            return Err("running elsewhere");
        }
        if !runnable.contains(&item) {
            return Err("not to be run any more");
        }
        slot.admits(claimed.run.source, due_of(&claimed.run), cx)
            .map_err(|refusal| match refusal {
                Refusal::Accounted => "accounted for already",
                Refusal::RunningElsewhere => "running elsewhere",
            })?;
        // Another instance may have run it at times that seemed to be a gap.
        let gap = self.gap(item, &slot, &claimed.run, cx);
        Ok(ClaimedItem {
            version: stat.version,
            record: slot.claimed(&claimed.run, gap.clone(), cx),
            gap,
            lost: slot.record.replaced(Some(&claimed.run)),
            ..claimed
        })
    }

    /// Returns the part of a claim that lets a time pass an item, by what the next two answers say.
    fn pass_again(&mut self, cx: &Context<'_>, passed: &PassedItem, answers: &mut Found) -> Option<PassedItem> {
        let (owner, ledger) = (answers.next(), answers.next());
        let Some((data, stat)) = ledger else {
            self.ledgers.forget(passed.item);
            return None;
        };
        let slot = self.slot_read_again(passed.item, &data, stat);
        let owner = owner.and_then(|(owner, _)| InstanceId::parse(&String::from_utf8_lossy(&owner)));
        // It has come to another instance, which accounts for it.
        let is_elsewhere = owner.is_some_and(|owner| owner != *cx.me && cx.view.is_alive(&owner));
        if is_elsewhere {
            return None;
        }
        self.passed_item(cx, passed.item, &slot, passed.time, passed.reason)
    }

    /// What was read after the answer to a claim was lost: where the ledger has our run, the claim happened.
    ///
    /// If none of it happened and the firing has no other items, its occasion is put back: it is as due as it was.
    pub(crate) fn settled_claim(&mut self, cx: &Context<'_>, answers: Result<Vec<Answer>, Error>) -> ClaimOutcome {
        let claim = match std::mem::replace(&mut self.claiming, Claiming::Idle) {
            Claiming::Settling(claim) => claim,
            // The connection was away since: it is asked again.
            other => {
                self.claiming = other;
                return ClaimOutcome::default();
            }
        };
        let Ok(answers) = answers else {
            self.claiming = Claiming::Unknown(claim);
            return ClaimOutcome::default();
        };
        let mut answers = Found::new(answers);
        let (_epoch, _pause) = (answers.next(), answers.next());
        let mut granted = Granted::default();
        for item in &claim.items {
            let (_owner, _mark, ledger) = (answers.next(), answers.next(), answers.next());
            let Some((data, stat)) = ledger else { continue };
            let is_made = item.is_in(&Record::parse(&data)) && !Mutation::DisbelieveClaim.is_on();
            if is_made || Mutation::BelieveClaim.is_on() {
                granted.items.push((item.clone(), stat));
            }
        }
        for passed in &claim.passed {
            let (_owner, ledger) = (answers.next(), answers.next());
            let Some((data, stat)) = ledger else { continue };
            if Record::parse(&data) == passed.record {
                granted.passed.push((passed.clone(), stat));
            } else {
                // What is known of it is of before, or another instance has written since.
                self.ledgers.forget(passed.item);
            }
        }
        if granted.is_empty() {
            // It did not happen.
            self.abandon(&claim);
            let is_all = |firing: &OpenFiring| firing.items.is_empty() && firing.rest.is_none();
            let id = claim.firing().filter(|id| self.open.get(*id).is_some_and(is_all));
            if let Some(firing) = id.and_then(|id| self.open.take(id)) {
                // The occasion is as due as it was.
                self.sources.source(firing.origin).put_back(firing.occasion);
            }
            return ClaimOutcome::default();
        }
        self.begin(cx, granted, &claim)
    }

    /// Starts what is claimed, except for what was given away meanwhile.
    pub(super) fn begin(&mut self, cx: &Context<'_>, granted: Granted, claim: &Claim) -> ClaimOutcome {
        let Context { view, me, elapsed, .. } = *cx;
        let mut outcome = ClaimOutcome::default();
        if let Some(firing) = claim.firing().and_then(|id| self.open.get_mut(id)) {
            firing.is_begun |= !granted.items.is_empty();
        }
        for (passed, stat) in granted.passed {
            let slot = Slot {
                version: stat.version,
                record: passed.record,
                since: None,
                was_busy: false,
                concern: passed.concern,
            };
            self.ledgers.insert(passed.item, slot);
            outcome.passed.push((passed.item, passed.gap));
            outcome.lost.extend(passed.lost.map(|run| (passed.item, run)));
        }
        for (claimed, stat) in granted.items {
            let ClaimedItem {
                item,
                run,
                record,
                gap,
                lost,
                ..
            } = claimed;
            outcome.skipped.extend(gap.map(|gap| (item, gap)));
            outcome.lost.extend(lost.map(|run| (item, run)));
            let running = Box::new(Running {
                run: run.clone(),
                version: stat.version,
                record,
                is_marked: claim.mark.is_some(),
                is_failover: claim.is_takeover(),
                is_failovering: claim.is_takeover(),
            });
            if view.is_of(item, me) || claim.is_takeover() {
                self.runs.running.insert(item, running);
                outcome.starts.push(Start {
                    item,
                    run,
                    fencing_token: stat.modified,
                });
            } else {
                self.record_later(item, running, not_started(Reason::GivenAway), elapsed);
                outcome.refused.push((item, Reason::GivenAway.in_english()));
            }
        }
        outcome
    }

    /// Keeps the ledger of an item that was read again, beside what is known of it otherwise.
    fn slot_read_again(&mut self, item: u32, data: &[u8], stat: Stat) -> Slot {
        let known = self.ledgers.get(item);
        let slot = Slot {
            version: stat.version,
            record: Record::parse(data),
            since: known.and_then(|slot| slot.since),
            was_busy: known.is_some_and(|slot| slot.was_busy),
            concern: known.map_or(Concern::Own, |slot| slot.concern),
        };
        self.ledgers.insert(item, slot.clone());
        slot
    }

    /// Closes the items of a claim that will not be granted, so that their firing can end.
    fn abandon(&mut self, claim: &Claim) {
        for item in claim.items() {
            self.open.close(item);
        }
    }
}
