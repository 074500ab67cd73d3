//! How runs are stopped: at their next good place, or at once.
//!
//! Winding down is a request: a job that works in a loop sees it and returns, with its work done so far. It is for what
//! can wait: the items move, the configuration changed, the job is paused, the instance leaves. Cancelling stops the
//! run where it awaits: it is for what cannot wait, such as an operator's cancel, the end of the grace period and a
//! lost registration. A run that is cancelled is also asked to end, so that a job needs to look at one of the two only.

use elasticjob_config::job::JobConfig;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::cluster::core::firing::WaitedFor;
use crate::cluster::view::Revision;
use crate::cluster::wind_down::{self, WindDown};
use crate::run::{Reason, RunKey};

use super::Worker;
use super::join::Joined;

/// Why a run is stopped at once.
///
/// The reason decides what is recorded of the run, and whether another instance may take its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// An operator cancelled the run: its work is not to go on, here or elsewhere.
    Cancel,
    /// This instance gives the run up, and another may run the item.
    LetGo(LetGo),
}

/// Why an instance gives its runs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It leaves the job, and the grace period is over.
    Leaving,
    /// It is no longer registered: the job was removed, or the session has ended.
    Removed,
}

impl LetGo {
    /// Returns the cause of the end of a run.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Leaving => Reason::InstanceLeft,
            Self::Removed => Reason::InstanceRemoved,
        }
    }
}

/// The ways to stop one run.
#[derive(Debug)]
pub(super) struct Signals {
    /// At once.
    pub(super) cancellation: CancellationToken,
    /// At its next good place, also if it is cancelled.
    pub(super) wind_down: WindDown,
    /// Why it was stopped at once; `None` if it was not.
    pub(super) stopped: Option<StopReason>,
    /// Whether it was handed to the executor, which reports its end.
    pub(super) is_launched: bool,
}

impl Signals {
    /// Signals that are given with those of all runs, too.
    pub(super) fn below(all: &CancellationToken) -> Self {
        let cancellation = all.child_token();
        let wind_down = WindDown::below(&cancellation);
        Self {
            cancellation,
            wind_down,
            stopped: None,
            is_launched: false,
        }
    }

    /// Stops the run at once. The first reason counts.
    pub(super) fn stop(&mut self, reason: StopReason) {
        self.stopped.get_or_insert(reason);
        self.cancellation.cancel();
    }

    /// Asks the run to end at its next good place, unless it was asked before.
    fn wind_down(&self, job: &str, item: u32, reason: &'static str) {
        if self.wind_down.ask(reason) {
            debug!(job, item, reason, "run asked to end");
        }
    }
}

impl Worker {
    /// Asks what runs to end where the view says that it should: all that runs if the job has changed, or what has changed of it,
    /// since this was done last.
    pub(super) fn wind_down(&self, joined: &mut Joined) {
        let view = &joined.follower.view;
        let total = self.settings.config.sharding_total_count().get();
        let before = joined.wound_down.replace((view.revision(), total));
        let is_same_job = |before: &(Revision, u32)| before.1 == total && before.0.is_same_job(view.revision());
        let changed = before
            .filter(is_same_job)
            .and_then(|(revision, _)| view.changed_since(revision));
        match changed {
            Some(changed) => {
                for (item, signals) in changed.flat_map(|item| self.signals_of(item)) {
                    self.wind_down_where_due(joined, item, signals);
                }
            }
            None => {
                for (key, signals) in &self.signals {
                    self.wind_down_where_due(joined, key.item, signals);
                }
            }
        }
    }

    /// Returns the ways to stop the runs of an item, of which there are several if one is of a session that is over.
    fn signals_of(&self, item: u32) -> impl Iterator<Item = (u32, &Signals)> {
        let runs = self.signals.range(RunKey::before(item)..);
        runs.take_while(move |(key, _)| key.item == item)
            .map(move |(_, signals)| (item, signals))
    }

    /// Asks runs to end if something waits for that: each once, as there may be many, and this is called after each event.
    pub(super) fn give_way(&mut self, joined: &Joined) {
        if self.signals.is_empty() || self.gave_way == WaitedFor::All {
            return;
        }
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        let waited_for = self.firings.waited_for(&cx);
        if waited_for == self.gave_way {
            return;
        }
        match &waited_for {
            WaitedFor::Nothing => {}
            WaitedFor::These(items) => items.iter().for_each(|item| self.wind_down_for_others(*item)),
            WaitedFor::All => self
                .firings
                .open_items()
                .for_each(|item| self.wind_down_for_others(item)),
        }
        self.gave_way = waited_for;
    }

    /// Asks the runs of an item to end, since others wait for that.
    fn wind_down_for_others(&self, item: u32) {
        self.signals_of(item)
            .for_each(|(_, signals)| signals.wind_down(self.application.name(), item, "others wait for its end"));
    }

    /// The same, of one run of this item.
    pub(super) fn wind_down_where_due(&self, joined: &Joined, item: u32, signals: &Signals) {
        let total = self.settings.config.sharding_total_count().get();
        if let Some(reason) = wind_down::reason(&joined.follower.view, joined.membership.id(), item, total) {
            signals.wind_down(self.application.name(), item, reason);
        }
    }

    /// Asks all that runs to end.
    pub(super) fn wind_down_all(&self, reason: &'static str) {
        for (key, signals) in &self.signals {
            signals.wind_down(self.application.name(), key.item, reason);
        }
    }

    /// Stops the runs that operators have cancelled.
    pub(super) fn cancel_where_asked(&mut self, joined: &Joined) {
        let view = &joined.follower.view;
        for item in view.cancels.keys() {
            let runs = self.signals.range_mut(RunKey::before(*item)..);
            for (RunKey { run, .. }, signals) in runs.take_while(|(key, _)| key.item == *item) {
                if let (Some(cancel), None) = (view.cancel_of(*item, run), signals.stopped) {
                    let job = self.application.name();
                    info!(job, item, run, cause = cancel.cause(), "run cancelled by an operator");
                    signals.stop(StopReason::Cancel);
                }
            }
        }
    }

    /// Stops all runs at once, and the calls of listeners.
    pub(super) fn let_go(&mut self, reason: LetGo) {
        for signals in self.signals.values_mut() {
            signals.stop(StopReason::LetGo(reason));
        }
        self.listener_calls.cancel();
    }
}

/// Whether a run by the one configuration was given something else than one by the other would be.
pub(super) fn gives_something_else(before: &JobConfig, now: &JobConfig) -> bool {
    before.props() != now.props()
        || before.job_parameter() != now.job_parameter()
        || before.item_parameters() != now.item_parameters()
}
