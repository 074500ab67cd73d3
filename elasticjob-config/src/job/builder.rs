use std::time::Duration;

use super::setting::{MAX_TIME_DIFF, RECONCILE_INTERVAL, Units};
use super::{Errors, Fault, JobConfig, RawJobConfig};

/// Makes a [`JobConfig`] by code. Every check waits for [`build`](Self::build), so that all faults come at once.
///
/// ```
/// # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
/// use elasticjob::configuration::job::JobConfig;
///
/// let config = JobConfig::builder("sync_orders").cron("0 0/5 * * * ?").sharding_total_count(3).build()?;
/// assert_eq!(config.sharding_total_count().get(), 3);
///
/// let faults = JobConfig::builder("sync_orders").cron("61 * * * * ?").build().unwrap_err();
/// // Both the cron expression, and the total count that is missing.
/// let shown = faults.to_string();
/// assert!(shown.contains("61 * * * * ?") && shown.contains("shardingTotalCount"), "{shown}");
/// # Ok::<(), elasticjob_config::job::Errors>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is checked before `build`"]
pub struct Builder {
    raw: RawJobConfig,
    faults: Vec<Fault>,
}

impl Builder {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            raw: RawJobConfig::new(name),
            faults: Vec::new(),
        }
    }

    /// When the job fires, in Quartz's syntax. A job without is a one-off job.
    pub fn cron(mut self, expression: impl Into<String>) -> Self {
        self.raw.cron = Some(expression.into());
        self
    }

    /// The zone that the cron expression is read in: an IANA name, or `GMT+8:00` and the like, which Java members know too.
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.raw.time_zone = Some(name.into());
        self
    }

    /// Into how many items the job is sharded: 1 to [`MAX_SHARDING_TOTAL_COUNT`](super::MAX_SHARDING_TOTAL_COUNT). Has no
    /// default.
    pub fn sharding_total_count(mut self, count: u32) -> Self {
        self.raw.sharding_total_count = Some(i64::from(count));
        self
    }

    /// What each sharding item is given: `0=Beijing,1=Shanghai`.
    pub fn sharding_item_parameters(mut self, text: impl Into<String>) -> Self {
        self.raw.sharding_item_parameters = Some(text.into());
        self
    }

    /// What all sharding items are given.
    pub fn job_parameter(mut self, text: impl Into<String>) -> Self {
        self.raw.job_parameter = Some(text.into());
        self
    }

    /// Whether running items are marked in the registry. Default: yes.
    pub fn monitor_execution(mut self, on: bool) -> Self {
        self.raw.monitor_execution = Some(on);
        self
    }

    /// Whether another instance takes over the running items of one that died. Default: no.
    pub fn failover(mut self, on: bool) -> Self {
        self.raw.failover = Some(on);
        self
    }

    /// Whether a firing that was missed because the last one still ran is made up. Default: yes.
    pub fn misfire(mut self, on: bool) -> Self {
        self.raw.misfire = Some(on);
        self
    }

    /// How far the clock may be from the registry's, in whole seconds. Default: no check.
    pub fn max_time_diff(mut self, limit: Option<Duration>) -> Self {
        self.raw.max_time_diff_seconds = Some(self.units("maxTimeDiffSeconds", limit, MAX_TIME_DIFF));
        self
    }

    /// How often the sharding is checked, in whole minutes; `None` for never. Default: every 10 minutes.
    pub fn reconcile_interval(mut self, interval: Option<Duration>) -> Self {
        let minutes = self.units("reconcileIntervalMinutes", interval, RECONCILE_INTERVAL);
        self.raw.reconcile_interval_minutes = Some(minutes);
        self
    }

    /// The type of the sharding strategy. Default: `AVG_ALLOCATION`.
    pub fn sharding_strategy(mut self, name: impl Into<String>) -> Self {
        self.raw.job_sharding_strategy_type = Some(name.into());
        self
    }

    /// The type of the pool that items run in. Default: `CPU`.
    pub fn executor_service_handler(mut self, name: impl Into<String>) -> Self {
        self.raw.job_executor_service_handler_type = Some(name.into());
        self
    }

    /// The type of the error handler. Default: `LOG`.
    pub fn error_handler(mut self, name: impl Into<String>) -> Self {
        self.raw.job_error_handler_type = Some(name.into());
        self
    }

    /// Adds a listener by its type.
    pub fn listener_type(mut self, name: impl Into<String>) -> Self {
        self.raw.job_listener_types.push(name.into());
        self
    }

    /// What the job is for, in words.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.raw.description = Some(text.into());
        self
    }

    /// Sets one property of the job's executor, error handler or another part.
    pub fn prop(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.raw.props.insert(key.into(), value.into());
        self
    }

    /// Removes a property.
    pub fn without_prop(mut self, key: &str) -> Self {
        self.raw.props.remove(key);
        self
    }

    /// Whether instances start disabled. Default: no.
    pub fn disabled(mut self, on: bool) -> Self {
        self.raw.disabled = Some(on);
        self
    }

    /// Whether this configuration replaces the one in the registry when the job starts. Default: no.
    pub fn overwrite(mut self, on: bool) -> Self {
        self.raw.overwrite = Some(on);
        self
    }

    /// With the sharding strategy `LABEL`, what an instance must say of itself to run the items. Others do not look at it. Default: no label.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.raw.label = Some(label.into());
        self
    }

    /// Whether items stay where they are when instances come and go. Default: no.
    pub fn static_sharding(mut self, on: bool) -> Self {
        self.raw.static_sharding = Some(on);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// All faults at once.
    pub fn build(self) -> Result<JobConfig, Errors> {
        let name = self.raw.job_name.clone();
        let mut faults = self.faults;
        match self.raw.check() {
            Ok(config) if faults.is_empty() => Ok(config),
            Ok(_) => Err(Errors::new(name, faults)),
            Err(errors) => {
                faults.extend_from_slice(errors.faults());
                Err(Errors::new(name, faults))
            }
        }
    }

    /// The registry holds whole units only.
    fn units(&mut self, key: &str, duration: Option<Duration>, units: Units) -> i64 {
        self.faults.retain(|fault| fault.key != key);
        let Some(duration) = duration else { return units.off };
        let seconds = u64::from(units.unit.seconds());
        if duration.subsec_nanos() != 0 || duration.as_secs() % seconds != 0 {
            let problem = format!("the registry holds whole {}", units.unit.name());
            self.faults
                .push(Fault::new(key, Some(&format!("{duration:?}")), problem));
        }
        i64::try_from(duration.as_secs() / seconds).unwrap_or(i64::MAX)
    }
}

impl From<&JobConfig> for Builder {
    fn from(config: &JobConfig) -> Self {
        Self {
            raw: RawJobConfig::from(config),
            faults: Vec::new(),
        }
    }
}
