//! How runs are told to stop: at their next good place, or at once.

use elasticjob_config::job::JobConfig;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::cluster::view::Revision;
use crate::cluster::wind_down::{self, WindDown};
use crate::run::RunKey;

use super::Worker;
use super::join::Joined;

/// The ways to stop one run.
#[derive(Debug)]
pub(super) struct Signals {
    /// At once.
    pub(super) cancellation: CancellationToken,
    /// At its next good place, also if it is cancelled.
    pub(super) wind_down: WindDown,
    /// Whether it was handed to the executor, which tells of its end.
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
            is_launched: false,
        }
    }

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

    /// Asks the runs of the present firing to end if something waits for that: once, as there may be many, and this is called after
    /// each event.
    pub(super) fn give_way(&mut self, joined: &Joined) {
        if self.signals.is_empty() || self.gives_way {
            return;
        }
        let cx = joined.follower.context(&self.settings, self.stopping.is_some());
        for item in self.firings.waited_for(&cx) {
            self.gives_way = true;
            // Of a session that is over there may be others, which end anyway.
            self.signals_of(item)
                .for_each(|(_, signals)| signals.wind_down(self.application.name(), item, "others wait for its end"));
        }
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
    pub(super) fn cancel_where_asked(&self, joined: &Joined) {
        let cancelled = joined.follower.view.cancels.keys();
        let running = cancelled.flat_map(|item| {
            let runs = self.signals.range(RunKey::before(*item)..);
            runs.take_while(move |(key, _)| key.item == *item)
        });
        for (RunKey { item, run, .. }, signals) in running.filter(|(_, signals)| !signals.cancellation.is_cancelled()) {
            if let Some(cancel) = joined.follower.view.cancel_of(*item, run) {
                let job = self.application.name();
                info!(job, item, run, cause = cancel.cause(), "run cancelled by an operator");
                signals.cancellation.cancel();
            }
        }
    }

    /// Stops all that runs, at once, and what listeners are being told.
    pub(super) fn cancel_running(&self) {
        for signals in self.signals.values() {
            signals.cancellation.cancel();
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
