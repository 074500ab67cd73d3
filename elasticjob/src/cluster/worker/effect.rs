//! The one place that carries out what decisions lead to.
//!
//! Decisions are pure: they see a view and return a list of effects. This is the list of all that a decision can do to
//! the world, and the order in the list counts. An error that is worth a person's attention is logged here, so that the
//! deciders need no log.

use jiff::SignedDuration;
use tracing::{debug, error, info, warn};

use crate::cluster::core::effect::{Effect, Report};
use crate::cluster::ledger::Run;

use super::Worker;
use super::answer::Purpose;
use super::join::Joined;

/// The clock of this machine and that of the registry are too far apart.
#[derive(Debug, thiserror::Error)]
#[error(
    "the clock is {difference} ahead of the registry's (behind, if negative); `max-time-diff-seconds` allows {limit:?}"
)]
struct ClocksDiffer {
    difference: SignedDuration,
    limit: std::time::Duration,
}

impl Worker {
    /// Does what follows from a decision, in its order.
    pub(super) fn carry_out(&mut self, joined: &mut Joined, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(request) => self.ask(joined, request.map(Purpose::Firing)),
                Effect::Start(starts) => self.start(joined, starts),
                Effect::Restart(starts) => {
                    self.launch(joined, starts);
                    self.process.fail_point.pass();
                }
                Effect::Trigger(triggers) => self.firings.trigger(triggers),
                Effect::CompareClocks { difference, limit } => {
                    let is_abort = self.runner.report(&ClocksDiffer { difference, limit });
                    let cx = joined.follower.context(&self.settings, self.stopping.is_some());
                    self.firings.clock_checked(&cx, !is_abort);
                }
                Effect::ReadNext(paths) => joined.follower.read_next(paths),
                Effect::FallBehind => joined.follower.fall_behind(),
                Effect::Report(report) => self.report(report),
            }
        }
    }

    /// Says what has happened: in the log, to metrics, as an event, to listeners.
    ///
    /// The level tells who is to act: `info` for what was to be expected, `warn` for what was lost or left behind, `error`
    /// for what stays as it is until a person acts, and `debug` for a race that another instance has won.
    fn report(&mut self, report: Report) {
        let job = self.application.name();
        match report {
            Report::Refused { items, reason } => info!(job, ?items, reason, "items skipped"),
            Report::LostOpen { item, run } => {
                warn!(
                    job,
                    item,
                    scheduled = %run.scheduled_time(),
                    run = run.id,
                    instance = run.owner,
                    "run lost: its instance recorded no end"
                );
                self.reporter.lost(item, Some(&run));
            }
            Report::Skipped { item, gap } => self.reporter.skipped(item, &gap),
            Report::Passed { item, gap } => self.reporter.passed(item, &gap),
            Report::Ended { item, run } => {
                self.reporter.ended(item, &run, self.process.clock.now());
                self.listener_calls.ended(item);
            }
            Report::Unrecorded { item, reason } => {
                warn!(job, item, reason, "end of a run not recorded");
                self.listener_calls.ended(item);
            }
            Report::Known { item, run } => self.reporter.known(item, &run),
            Report::NotContending(error) => debug!(job, %error, "not among the contenders"),
            Report::NotCreated(error) => debug!(job, %error, "ledgers not created"),
            Report::MarksRepaired { items, parked, lost } => {
                self.lost(&lost);
                warn!(job, ?items, "marks of dead instances removed");
                if !parked.is_empty() {
                    error!(job, items = ?parked, "given up at this time: the instances that ran them died in a row");
                }
            }
            Report::TakeoversCleared { lost } => {
                self.lost(&lost);
                let items: Vec<u32> = lost.iter().map(|(item, _)| *item).collect();
                info!(
                    job,
                    ?items,
                    "not taken over after all: lost with the instances that ran them"
                );
            }
            Report::ContendersRemoved(names) => warn!(job, ?names, "contenders without an instance removed"),
            Report::SwitchedOff(servers) => {
                info!(job, ?servers, "switched off: members there ignore the pause of the job");
            }
            Report::SharedOut(shared_out) => {
                self.reporter.resharded();
                let (items, waiting) = (shared_out.items(), shared_out.waiting());
                let reason = shared_out.reason();
                info!(job, items, waiting, reason, "sharding items shared out");
            }
            Report::StrategyFailed(fault) => {
                error!(job, strategy = self.settings.placement.strategy(), %fault, "sharding strategy failed: items stay where they are, and items without an instance do not run");
            }
            Report::MoveRefused { purpose, error } => {
                debug!(job, ?purpose, %error, "transaction of the leader or of a repair refused, deciding again");
            }
        }
    }

    /// Reports runs that ended with their instance.
    fn lost(&self, runs: &[(u32, Option<Run>)]) {
        runs.iter()
            .for_each(|(item, run)| self.reporter.lost(*item, run.as_ref()));
    }
}
