//! What the registry answered, and what follows from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use crate::cluster::firing::{ClaimOutcome, FiringRequest, Recordings};
use crate::cluster::governor::Purpose;
use crate::cluster::launch::Heard;
use crate::cluster::layout::Node;
use crate::cluster::ledger::Record;
use crate::cluster::member::Member;
use crate::cluster::scope::Scope;
use crate::cluster::view::View;
use crate::registry::{Answer, Error, WriteError, Written};
use crate::tasks::TaskError;

use super::attend::Live;
use super::follow::watches::Set;
use super::hindrance::Action;
use super::listening::Telling;
use super::{Left, Worker};

/// The answer to a request of the loop.
pub(super) enum Answered {
    Refreshed(Result<Box<View>, Error>),
    /// Data of these paths.
    Read(Vec<String>, Result<Vec<Answer>, Error>),
    /// Watches for this scope.
    Watched(Scope, Result<Set, Error>),
    Moved(Purpose, Moved),
    Firing(FiringAnswer),
    /// Whether our instance was removed, although our session lives.
    RemovalChecked(Result<bool, Error>),
    /// To what we said of ourselves; `None` where it may not have come about.
    MemberTold(Option<Member>),
    Left(Result<Vec<Written>, WriteError>),
    /// From the listeners.
    Heard(Telling, Result<Heard, TaskError>),
    ProgressWritten(Result<Vec<Written>, WriteError>),
    ProgressRead(Result<Vec<Answer>, Error>),
    /// Somebody else was told.
    Nothing,
}

/// The answer to a move of the governor.
pub(super) enum Moved {
    Written(Result<Vec<Written>, WriteError>),
    Read(Result<Vec<Answer>, Error>),
}

/// The answer to a request about firings.
pub(super) enum FiringAnswer {
    Clock(Result<Vec<Written>, WriteError>),
    Claimed(Result<Vec<Written>, WriteError>),
    SurveyedClaim(Result<Vec<Answer>, Error>),
    SettledClaim(Result<Vec<Answer>, Error>),
    Recorded(Result<Vec<Written>, WriteError>),
    SettledEnds(Result<Vec<Answer>, Error>),
    SurveyedTakeover(Result<Vec<Answer>, Error>),
    Contended(Result<Vec<Written>, WriteError>),
    Loaded(Vec<u32>, Result<Vec<Answer>, Error>),
    /// To the creation of ledgers that were missing.
    Created(Result<Vec<Written>, WriteError>),
}

impl FiringAnswer {
    /// What the request was made for, and how it went.
    fn outcome(&self) -> (Action, Result<(), &Error>) {
        fn written(result: &Result<Vec<Written>, WriteError>) -> Result<(), &Error> {
            result.as_ref().map(drop).map_err(AsRef::as_ref)
        }
        match self {
            Self::Clock(result) => (Action::CHECK_CLOCK, written(result)),
            Self::Claimed(result) => (Action::CLAIM, written(result)),
            Self::SurveyedClaim(result) | Self::SettledClaim(result) => (Action::READ_CLAIM, result.as_ref().map(drop)),
            Self::Recorded(result) => (Action::RECORD, written(result)),
            Self::SettledEnds(result) => (Action::READ_ENDS, result.as_ref().map(drop)),
            Self::SurveyedTakeover(result) => (Action::READ_TAKEOVER, result.as_ref().map(drop)),
            Self::Contended(result) => (Action::TAKE_OVER, written(result)),
            Self::Loaded(_, result) => (Action::READ_LEDGERS, result.as_ref().map(drop)),
            Self::Created(result) => (Action::CREATE_LEDGERS, written(result)),
        }
    }
}

/// The clock of this machine and that of the registry are too far apart.
#[derive(Debug, thiserror::Error)]
#[error(
    "the clock is {difference} ahead of the registry's (behind, if negative); `max-time-diff-seconds` allows {limit:?}"
)]
struct ClocksDiffer {
    difference: jiff::SignedDuration,
    limit: std::time::Duration,
}

impl Worker {
    pub(super) fn answered(&mut self, live: &mut Live, answered: Answered) {
        self.process.fail_point.pass();
        match answered {
            Answered::Refreshed(result) => self.refreshed(live, result),
            Answered::Read(paths, result) => self.was_read(live, paths, result),
            Answered::Watched(scope, result) => self.rewatched(live, scope, result),
            Answered::Moved(purpose, moved) => {
                live.governing.answered();
                self.moved(live, purpose, moved);
            }
            Answered::Firing(answer) => {
                live.firing.land();
                self.firing_answered(live, answer);
            }
            Answered::Left(result) => self.was_left(live, result),
            Answered::Heard(telling, result) => self.heard(live, telling, result),
            Answered::RemovalChecked(result) => self.removal_checked(live, result),
            Answered::MemberTold(told) => {
                live.announced.answered(told);
                live.governing.look();
            }
            Answered::ProgressWritten(result) => self.progress_written(live, &result),
            Answered::ProgressRead(result) => self.progress_read(live, result),
            Answered::Nothing => {}
        }
    }

    fn was_read(&mut self, live: &mut Live, paths: Vec<String>, result: Result<Vec<Answer>, Error>) {
        self.went(live, Action::READ_CHANGES, result.as_ref().map(drop));
        live.governing.look();
        if result.as_ref().is_err_and(Error::is_session_lost) {
            live.left.get_or_insert(Left::SessionLost);
        }
        for (path, answer) in paths.iter().zip(result.iter().flatten()) {
            if let (Some(Node::LedgerItem(item)), Answer::Data(Some((data, _)))) =
                (Node::parse(self.application.name(), path), answer)
            {
                self.waiters.note(item, &Record::parse(data));
            }
        }
        // If it failed, everything is read anew after the reconnect; until then these stay to be read.
        let total = self.settings.config.sharding_total_count().get();
        live.follower.was_read(paths, result.ok(), total);
    }

    fn moved(&mut self, live: &mut Live, purpose: Purpose, moved: Moved) {
        match moved {
            Moved::Written(result) => {
                let outcome = result.as_ref().map(drop).map_err(AsRef::as_ref);
                self.went(live, Action::moving(&purpose), outcome);
                live.governing
                    .governor
                    .was_written(self.process.clock.elapsed(), result.is_ok());
                let job = self.application.name();
                match (&purpose, result) {
                    (Purpose::TakeTrigger(orders), Ok(_)) => self.firings.order(orders.clone()),
                    (Purpose::RepairMarks { items, parked, lost }, Ok(_)) => {
                        lost.iter()
                            .for_each(|(item, run)| self.account.lost(*item, run.as_ref()));
                        warn!(job, ?items, "marks of dead instances removed");
                        if !parked.is_empty() {
                            error!(job, items = ?parked, "given up at this time: the instances that ran them died in a row");
                        }
                    }
                    (Purpose::ClearFailover { lost }, Ok(_)) => {
                        lost.iter()
                            .for_each(|(item, run)| self.account.lost(*item, run.as_ref()));
                        let items: Vec<u32> = lost.iter().map(|(item, _)| *item).collect();
                        info!(
                            job,
                            ?items,
                            "not taken over after all: lost with the instances that ran them"
                        );
                    }
                    (Purpose::RemoveContenders(names), Ok(_)) => {
                        warn!(job, ?names, "contenders without an instance removed");
                    }
                    (Purpose::SwitchOffDisobedient(servers), Ok(_)) => {
                        info!(job, ?servers, "switched off: members there ignore the pause of the job");
                    }
                    (Purpose::Reshard, Ok(_)) => {
                        if let Some(shared_out) = live.governing.governor.take_shared_out() {
                            self.account.resharded();
                            let (items, waiting) = (shared_out.items(), shared_out.waiting());
                            info!(
                                job,
                                items,
                                waiting,
                                reason = shared_out.reason(),
                                "sharding items shared out"
                            );
                        }
                    }
                    (_, Ok(_)) => {}
                    (_, Err(error)) => {
                        debug!(job, ?purpose, %error, "transaction of the leader or of a repair refused, deciding again")
                    }
                }
            }
            Moved::Read(answers) => {
                self.went(live, Action::moving(&purpose), answers.as_ref().map(drop));
                let cx = live.follower.context(&self.settings, self.stopping.is_some());
                if let Err(fault) = live.governing.governor.was_read(&cx, &purpose, answers) {
                    error!(job = self.application.name(), strategy = self.settings.placement.strategy(), %fault, "sharding strategy failed: items stay where they are, and items without an instance do not run");
                }
            }
        }
    }

    /// Notes how a request went. What the registry refuses is told the other instances, and shown by `explain`.
    pub(super) fn went(&mut self, live: &mut Live, action: Action, result: Result<(), &Error>) {
        if self.account.went(action, result) {
            self.tell_member(live);
        }
    }

    fn firing_answered(&mut self, live: &mut Live, answer: FiringAnswer) {
        let (action, outcome) = answer.outcome();
        self.went(live, action, outcome);
        let cx = live.follower.context(&self.settings, self.stopping.is_some());
        match answer {
            FiringAnswer::Clock(result) => self.clock_answered(result),
            FiringAnswer::Claimed(result) => {
                let outcome = self.firings.claimed(&cx, result);
                self.claim_settled(live, outcome);
            }
            FiringAnswer::SettledClaim(result) => {
                let outcome = self.firings.settled_claim(&cx, result);
                self.claim_settled(live, outcome);
            }
            FiringAnswer::SurveyedClaim(result) => {
                let (retry, outcome) = self.firings.surveyed_claim(&cx, result);
                self.claim_settled(live, outcome);
                if let Some(steps) = retry {
                    self.request_firing(live, FiringRequest::Claim(steps));
                }
            }
            FiringAnswer::Recorded(result) => {
                let recordings = self.firings.recorded(&cx, result);
                self.follow(live, recordings);
            }
            FiringAnswer::SurveyedTakeover(result) => {
                if let Some(request) = self.firings.surveyed_takeover(&cx, result) {
                    self.request_firing(live, request);
                }
            }
            // Where it stands is seen from the contenders; a refusal is seen from them, too.
            FiringAnswer::Contended(result) => {
                if let Err(error) = result {
                    debug!(job = self.application.name(), %error, "not among the contenders");
                    if !error.error.is_outcome_unknown() {
                        live.follower.fall_behind();
                    }
                }
            }
            FiringAnswer::SettledEnds(result) => {
                let (unrecorded, recordings) = self.firings.settled_ends(&cx, result);
                for unrecorded in unrecorded {
                    let item = unrecorded.item;
                    warn!(
                        job = self.application.name(),
                        item,
                        reason = unrecorded.reason,
                        "end of a run not recorded"
                    );
                    self.tellings.ended(item);
                }
                self.follow(live, recordings);
            }
            FiringAnswer::Loaded(items, result) => {
                let Ok(answers) = result else { return };
                let steps = self.firings.loaded(&cx, &items, answers);
                for (item, run) in self.firings.newest_runs(&items) {
                    self.account.known(item, run);
                }
                if !steps.is_empty() {
                    self.create_ledgers(live, steps);
                }
            }
            // Refused where somebody else was first: either way they are there now, and are read next.
            FiringAnswer::Created(result) => {
                if let Err(error) = result {
                    debug!(job = self.application.name(), %error, "ledgers not created");
                    // Or their parents are there, unseen by us.
                    let parents = [Node::Ledger, Node::LedgerItems];
                    live.follower
                        .read_next(parents.map(|node| node.of(self.application.name())));
                }
            }
        }
    }

    fn claim_settled(&mut self, live: &mut Live, outcome: ClaimOutcome) {
        let mut refused: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (item, reason) in outcome.refused {
            refused.entry(reason).or_default().push(item);
        }
        for (reason, items) in refused {
            info!(job = self.application.name(), ?items, reason, "items skipped");
        }
        for (item, run) in outcome.lost {
            warn!(
                job = self.application.name(),
                item,
                scheduled = %run.scheduled_time(),
                run = run.id,
                instance = run.owner,
                "run lost: its instance recorded no end"
            );
            self.account.lost(item, Some(&run));
        }
        for (item, gap) in outcome.skipped {
            self.account.skipped(item, &gap);
        }
        for (item, gap) in outcome.passed {
            self.account.passed(item, &gap);
        }
        self.start(live, outcome.starts);
    }

    /// Says what has ended, and starts what goes on.
    fn follow(&mut self, live: &mut Live, recordings: Recordings) {
        let now = self.process.clock.now();
        for (item, run) in recordings.ended {
            self.account.ended(item, &run, now);
            self.tellings.ended(item);
        }
        self.launch(live, recordings.again);
        self.process.fail_point.pass();
        self.claim_settled(live, recordings.made_up);
    }

    fn clock_answered(&mut self, result: Result<Vec<Written>, WriteError>) {
        let stat = result.ok().and_then(|written| match written.last() {
            Some(Written::Set(stat)) => Some(*stat),
            _ => None,
        });
        let (Some(stat), Some(limit)) = (stat, self.settings.config.max_time_diff()) else {
            self.firings.clock_not_checked();
            return;
        };
        let theirs = Timestamp::from_millisecond(stat.modified_at).unwrap_or(Timestamp::UNIX_EPOCH);
        let difference = self.process.clock.now().duration_since(theirs);
        if difference.unsigned_abs() <= limit {
            self.firings.clock_checked(true);
            return;
        }
        let is_abort = self.runner.report(&ClocksDiffer { difference, limit });
        self.firings.clock_checked(!is_abort);
    }

    fn was_left(&mut self, live: &mut Live, result: Result<Vec<Written>, WriteError>) {
        match result {
            Ok(_) => live.left = Some(Left::Stopped),
            Err(error) if error.error.is_session_lost() => live.left = Some(Left::Stopped),
            Err(error) => {
                debug!(job = self.application.name(), %error, "leaving refused, reading the job again");
                live.leaving.land();
                if live.follower.is_in_step() {
                    self.refresh(live);
                }
            }
        }
    }
}
