//! The configuration in force: taken over from the registry if this process can run the job by it.
//!
//! Taking over has two steps, and the first may fail without a trace. `prepare` makes all that the configuration needs:
//! the sharding strategy, the policy, the executor of the job. Code of the application takes part in that and may
//! panic, which is a refusal like any other. Only after that `put_in_force` changes what the worker goes by, and cannot
//! fail.
//!
//! A refused configuration leaves the last one in force, and the other instances and `health` learn the reason. Each
//! stored version is judged once: a refused one is not tried again until the registry has another.

use std::sync::Arc;

use elasticjob_config::job::JobConfig;
use tracing::info;

use crate::cluster::placement::Placement;
use crate::cluster::policy::Policy;
use crate::cluster::refusal::Trouble;
use crate::cluster::registration::KnownConfig;
use crate::guard;
use crate::schedule::Calendar;

use super::Worker;
use super::join::Joined;
use super::signals::gives_something_else;

impl Worker {
    /// Takes over a configuration that was changed in the registry; an invalid one is refused.
    pub(super) fn take_over_stored(&mut self, joined: &mut Joined) {
        let Some(stored) = joined.follower.view.take_config() else {
            return;
        };
        let is_known = joined.config_known.is(&stored);
        joined.config_known = KnownConfig::Read(stored.modified);
        if is_known {
            return;
        }
        joined.governing.look();
        info!(job = self.application.name(), "configuration changed in the registry");
        let total = self.settings.config.sharding_total_count().get();
        self.take_over(self.application.stored(&stored.text));
        let now = self.settings.config.sharding_total_count().get();
        joined.follower.learn_owners_of_more(total, now);
    }

    /// Takes over a stored configuration, or leaves the last one in force and says why.
    pub(super) fn take_over(&mut self, config: Result<JobConfig, String>) {
        let prepared = config.and_then(|config| self.prepare(&config).map(|()| config));
        match prepared {
            Ok(config) => {
                self.reporter
                    .differs(&self.application.config.differences(&config), false);
                self.put_in_force(Arc::new(config));
            }
            Err(reason) => self.keep_the_last(reason),
        }
    }

    /// Leaves the last configuration in force, and says why.
    pub(super) fn keep_the_last(&mut self, reason: String) {
        self.reporter.troubled(Some(Trouble::Outdated { reason }));
    }

    /// Has everything ready that a configuration needs, or says what is missing.
    ///
    /// After an error the policy and the placement are those from before.
    pub(super) fn prepare(&mut self, config: &JobConfig) -> Result<(), String> {
        // Strategies, handlers and factories are the application's.
        let checked = guard::call(|| self.checked(config)).map_err(|panicked| panicked.to_string());
        (self.settings.policy, self.settings.placement) = checked.flatten()?;
        self.reporter.troubled(None);
        Ok(())
    }

    /// Puts a configuration into force that everything is ready for.
    ///
    /// Runs that are under way go on with the configuration they were given. They are asked to end at their next good
    /// place if they would be given other parameters or props now. The calendar is replaced only if the schedule is
    /// another one: otherwise it keeps its place, and no scheduled time is passed over or comes twice.
    pub(super) fn put_in_force(&mut self, config: Arc<JobConfig>) {
        let now = self.process.clock.now();
        self.settings.is_in_force = true;
        self.firings.listened_to(self.runner.is_listened_to());
        let is_same_schedule = match &self.settings.calendar {
            Some(calendar) => calendar.is_of(&config),
            None => config.cron().is_none(),
        };
        if gives_something_else(&self.settings.config, &config) {
            self.wind_down_all("the configuration has changed");
        }
        self.settings.config = config;
        self.firings.reconfigured();
        let total = self.settings.config.sharding_total_count().get();
        self.settings.extent.become_of(total, now);
        if is_same_schedule {
            return;
        }
        self.settings.calendar = match self.settings.calendar.take() {
            Some(calendar) => calendar.replaced(&self.settings.config, now),
            None => Calendar::new(&self.settings.config, now),
        };
        match &self.settings.calendar {
            Some(calendar) => info!(
                job = self.application.name(),
                cron = calendar.expression().as_str(),
                schedule = calendar.expression().describe(),
                zone = calendar.zone().name(),
                next = calendar
                    .next()
                    .map(|next| next.to_zoned(calendar.zone().time_zone().clone()).to_string()),
                "scheduled"
            ),
            None => info!(job = self.application.name(), "one-off: runs when asked to"),
        }
    }

    /// Makes the strategy and the policy of a configuration, and has the executor take it. It comes last, as nothing
    /// can be refused after it.
    fn checked(&self, config: &JobConfig) -> Result<(Policy, Placement), String> {
        let placement = Placement::of(config, &self.process.strategies)?;
        let policy = Policy::of(config.props())?;
        self.runner.configure(config)?;
        Ok((policy, placement))
    }
}
