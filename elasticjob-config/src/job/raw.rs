//! From written settings to the configuration that the runtime accepts.
//!
//! Here is the only way from one to the other, so that a configuration has passed every check, wherever it was written.
//! Checks collect faults and go on. What is in the registry is judged more mildly where Java members leave things that
//! they do not use.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::setting::{MAX_TIME_DIFF, RECONCILE_INTERVAL, Units};
use super::{Errors, Fault, JobConfig, JobName, Kept, MAX_SHARDING_TOTAL_COUNT, Props, extension};
use crate::cron::{self, Expression};
use crate::item_parameters::ItemParameters;
use crate::zone::Zone;

/// Java's integers end here.
const LARGEST: i64 = i32::MAX as i64;

/// The configuration of one job as it was written, before any check. What is `None` was not written.
#[derive(Clone, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields mirror those of `JobConfig`, under Java's names and in Java's units"
)]
#[non_exhaustive]
pub struct RawJobConfig {
    pub job_name: String,
    pub cron: Option<String>,
    pub time_zone: Option<String>,
    pub sharding_total_count: Option<i64>,
    pub sharding_item_parameters: Option<String>,
    pub job_parameter: Option<String>,
    pub monitor_execution: Option<bool>,
    pub failover: Option<bool>,
    pub misfire: Option<bool>,
    pub max_time_diff_seconds: Option<i64>,
    pub reconcile_interval_minutes: Option<i64>,
    pub job_sharding_strategy_type: Option<String>,
    pub job_executor_service_handler_type: Option<String>,
    pub job_error_handler_type: Option<String>,
    pub job_listener_types: Vec<String>,
    pub description: Option<String>,
    pub props: BTreeMap<String, String>,
    pub disabled: Option<bool>,
    pub overwrite: Option<bool>,
    pub label: Option<String>,
    pub static_sharding: Option<bool>,
    pub(super) kept: Kept,
}

/// Where a configuration comes from decides how strict we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Written by our user, who can mend it.
    User,
    /// Found in the registry, where Java members live with what they do not use.
    #[cfg(feature = "sources")]
    Registry,
}

impl RawJobConfig {
    /// Nothing but a name.
    pub fn new(job_name: impl Into<String>) -> Self {
        Self {
            job_name: job_name.into(),
            ..Self::default()
        }
    }

    /// Checks everything and fills in ElasticJob's defaults: `monitor_execution` and `misfire` are on, the sharding is
    /// reconciled every 10 minutes, all else is off or empty. The sharding total count has no default.
    ///
    /// # Errors
    /// All faults at once.
    pub fn check(self) -> Result<JobConfig, Errors> {
        self.check_from(Origin::User)
    }

    pub(super) fn check_from(self, origin: Origin) -> Result<JobConfig, Errors> {
        let name = self.job_name.clone();
        match self.check_all(origin) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(Errors::new(name, faults)),
        }
    }

    /// Checks everything and goes on where something is wrong, so that more can be checked: what is at fault is left at its
    /// default. There is no configuration without a valid name.
    #[cfg(feature = "sources")]
    pub(crate) fn check_as_far_as_possible(self) -> (Option<JobConfig>, Vec<Fault>) {
        self.check_all(Origin::User)
    }

    /// Checks everything. The configuration is worth something only without faults.
    fn check_all(mut self, origin: Origin) -> (Option<JobConfig>, Vec<Fault>) {
        let mut faults = Vec::new();
        let name = JobName::parse(&self.job_name)
            .map_err(|error| faults.push(Fault::new("jobName", None, error.to_string())))
            .ok();
        let cron = parsed(&mut faults, "cron", non_empty(&self.cron), |text| {
            Expression::parse(text).map_err(|errors| join(errors.iter().map(cron::Error::message)))
        });
        let time_zone = parsed(&mut faults, "timeZone", non_empty(&self.time_zone), |text| {
            Zone::parse(text).map_err(|error| error.to_string())
        });
        let items = self.take_items(origin, &mut faults);
        let max_time_diff = duration(
            &mut faults,
            "maxTimeDiffSeconds",
            self.max_time_diff_seconds,
            MAX_TIME_DIFF,
        );
        let reconcile_minutes = self.reconcile_interval_minutes.or(Some(10));
        let reconcile_interval = duration(
            &mut faults,
            "reconcileIntervalMinutes",
            reconcile_minutes,
            RECONCILE_INTERVAL,
        );
        faults.extend(extension::check_props(&self.props));
        faults.extend(blank_listeners(&self.job_listener_types));
        let config = name.map(|name| JobConfig {
            name,
            cron,
            time_zone,
            sharding_total_count: items.total,
            item_parameters: items.parameters,
            item_parameters_text: items.text,
            job_parameter: self.job_parameter.unwrap_or_default(),
            monitor_execution: self.monitor_execution.unwrap_or(true),
            failover: self.failover.unwrap_or(false),
            misfire: self.misfire.unwrap_or(true),
            max_time_diff,
            reconcile_interval,
            sharding_strategy: self.job_sharding_strategy_type.filter(|name| !name.is_empty()),
            executor_service_handler: self.job_executor_service_handler_type.filter(|name| !name.is_empty()),
            error_handler: self.job_error_handler_type.filter(|name| !name.is_empty()),
            listener_types: self.job_listener_types,
            description: self.description.unwrap_or_default(),
            props: Props(self.props),
            disabled: self.disabled.unwrap_or(false),
            overwrite: self.overwrite.unwrap_or(false),
            label: self.label,
            static_sharding: self.static_sharding.unwrap_or(false),
            kept: self.kept,
        });
        (config, faults)
    }
}

/// The items of a job.
struct Items {
    total: NonZeroU32,
    parameters: ItemParameters,
    /// The parameters as they were written.
    text: String,
}

impl RawJobConfig {
    /// Checks the number of items with their parameters, which may name items that there are not.
    fn take_items(&mut self, origin: Origin, faults: &mut Vec<Fault>) -> Items {
        let key = "shardingItemParameters";
        let total = total_count(faults, self.sharding_total_count);
        let text = self.sharding_item_parameters.take().unwrap_or_default();
        let parameters = parsed(faults, key, Some(&text), |text| {
            ItemParameters::parse(text).map_err(|errors| errors.summary())
        });
        if let (Origin::User, Some(parameters), Some(total)) = (origin, &parameters, total)
            && let Err(error) = parameters.check_range(total.get())
        {
            faults.push(Fault::new(key, Some(&text), error.summary()));
        }
        let parameters = parameters.unwrap_or_default();
        Items {
            total: total.unwrap_or_else(|| items_named_by(&parameters)),
            parameters,
            text,
        }
    }
}

/// Returns a fault for each listener without a name.
fn blank_listeners(types: &[String]) -> impl Iterator<Item = Fault> {
    let blank = types.iter().filter(|listener| listener.trim().is_empty());
    let problem = "the type of a listener cannot be blank";
    blank.map(move |listener| Fault::new("jobListenerTypes", Some(listener), problem))
}

/// Without the values, which may be secrets.
impl fmt::Debug for RawJobConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawJobConfig")
            .field("job_name", &self.job_name)
            .finish_non_exhaustive()
    }
}

impl From<&JobConfig> for RawJobConfig {
    fn from(config: &JobConfig) -> Self {
        Self {
            job_name: config.name.to_string(),
            cron: config.cron.as_ref().map(ToString::to_string),
            time_zone: config.time_zone.as_ref().map(|zone| zone.name().to_owned()),
            sharding_total_count: Some(i64::from(config.sharding_total_count.get())),
            sharding_item_parameters: Some(config.item_parameters_text.clone()),
            job_parameter: Some(config.job_parameter.clone()),
            monitor_execution: Some(config.monitor_execution),
            failover: Some(config.failover),
            misfire: Some(config.misfire),
            max_time_diff_seconds: Some(number(config.max_time_diff, MAX_TIME_DIFF)),
            reconcile_interval_minutes: Some(number(config.reconcile_interval, RECONCILE_INTERVAL)),
            job_sharding_strategy_type: config.sharding_strategy.clone(),
            job_executor_service_handler_type: config.executor_service_handler.clone(),
            job_error_handler_type: config.error_handler.clone(),
            job_listener_types: config.listener_types.clone(),
            description: Some(config.description.clone()),
            props: config.props.0.clone(),
            disabled: Some(config.disabled),
            overwrite: Some(config.overwrite),
            label: config.label.clone(),
            static_sharding: Some(config.static_sharding),
            kept: config.kept.clone(),
        }
    }
}

/// A duration as the registry holds it.
fn number(duration: Option<Duration>, units: Units) -> i64 {
    let whole = |duration: Duration| duration.as_secs() / u64::from(units.unit.seconds());
    duration.map_or(units.off, |duration| {
        i64::try_from(whole(duration)).expect("a checked duration fits Java's integer")
    })
}

/// Java's checks take an empty text for none.
fn non_empty(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn parsed<T>(
    faults: &mut Vec<Fault>,
    key: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let text = text?;
    parse(text)
        .map_err(|error| faults.push(Fault::new(key, Some(text), error.to_string())))
        .ok()
}

/// The value is shown beside the fault, so what remains is what is wrong with it.
fn join<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    messages.collect::<Vec<_>>().join("; ")
}

/// As many items as parameters are given for: what a total count that is wrong was probably meant to be.
fn items_named_by(parameters: &ItemParameters) -> NonZeroU32 {
    let last = parameters.iter().filter_map(|(item, _)| u32::try_from(item).ok()).max();
    let total = last
        .map_or(1, |last| last.saturating_add(1))
        .min(MAX_SHARDING_TOTAL_COUNT);
    NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
}

/// Checks the number of items, which has no default.
fn total_count(faults: &mut Vec<Fault>, count: Option<i64>) -> Option<NonZeroU32> {
    let key = "shardingTotalCount";
    let Some(count) = count else {
        faults.push(Fault::new(
            key,
            None,
            "is missing: say into how many items the job is sharded",
        ));
        return None;
    };
    let checked = u32::try_from(count)
        .ok()
        .filter(|count| *count <= MAX_SHARDING_TOTAL_COUNT)
        .and_then(NonZeroU32::new);
    if checked.is_none() {
        let problem = format!("the number of items is 1 to {MAX_SHARDING_TOTAL_COUNT}");
        faults.push(Fault::new(key, Some(&count.to_string()), problem));
    }
    checked
}

/// A duration from the number that the registry holds; `None` if the number means "off".
fn duration(faults: &mut Vec<Fault>, key: &str, count: Option<i64>, units: Units) -> Option<Duration> {
    let count = count.filter(|count| *count > units.off)?;
    if count > LARGEST {
        faults.push(Fault::new(
            key,
            Some(&count.to_string()),
            format!("the largest value is {LARGEST}"),
        ));
        return None;
    }
    Some(Duration::from_secs(
        count.unsigned_abs() * u64::from(units.unit.seconds()),
    ))
}
