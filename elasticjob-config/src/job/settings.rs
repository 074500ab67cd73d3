//! The settings of a job as texts, by the names that the registry has for them: to show, to compare, to change one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Errors, Fault, JobConfig, RawJobConfig};
use crate::list;
use crate::secret;

/// The settings, by Java's names.
const NAMES: [&str; 19] = [
    "cron",
    "timeZone",
    "shardingTotalCount",
    "shardingItemParameters",
    "jobParameter",
    "monitorExecution",
    "failover",
    "misfire",
    "maxTimeDiffSeconds",
    "reconcileIntervalMinutes",
    "jobShardingStrategyType",
    "jobExecutorServiceHandlerType",
    "jobErrorHandlerType",
    "jobListenerTypes",
    "description",
    "disabled",
    "overwrite",
    "label",
    "staticSharding",
];

/// What stands before the key of a property.
const PROPS: &str = "props.";

/// Where a setting is kept.
enum Slot<'a> {
    Text(&'a mut Option<String>),
    Number(&'a mut Option<i64>),
    Switch(&'a mut Option<bool>),
    List(&'a mut Vec<String>),
}

impl JobConfig {
    /// All settings that have a value, by their names in the registry; properties as `props.KEY`.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut raw = RawJobConfig::from(self);
        let mut settings = BTreeMap::new();
        for name in NAMES {
            let text = match slot(&mut raw, name) {
                Slot::Text(text) => text.take(),
                Slot::Number(number) => number.map(|number| number.to_string()),
                Slot::Switch(switch) => switch.map(|switch| switch.to_string()),
                Slot::List(list) => Some(list.join(",")),
            };
            settings.extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
        }
        let props = raw.props.into_iter();
        settings.extend(props.map(|(key, value)| (format!("{PROPS}{key}"), value)));
        settings
    }

    /// This configuration with some settings changed, by their names in the registry, however these are spelt; `None` gives
    /// a setting its default back, and removes a property.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let config = JobConfig::builder("sync").cron("0/5 * * * * ?").sharding_total_count(2).build()?;
    /// let changed = config.with_settings([("sharding-total-count", Some("4")), ("props.batch", Some("10"))])?;
    /// assert_eq!(changed.sharding_total_count().get(), 4);
    /// let errors = changed.with_settings([("shardingTotal", Some("5")), ("misfire", Some("maybe"))]).unwrap_err();
    /// assert_eq!(errors.faults().len(), 2);
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    ///
    /// # Errors
    /// All faults at once: names that are none, texts that say nothing, and what no job can run by.
    pub fn with_settings<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, Errors> {
        let mut raw = RawJobConfig::from(self);
        let mut faults = Vec::new();
        for (name, text) in changes {
            if let Err(problem) = set(&mut raw, name, text) {
                faults.push(Fault::new(name, text, problem));
            }
        }
        let checked = raw.check();
        match checked {
            Ok(config) if faults.is_empty() => Ok(config),
            Ok(_) => Err(Errors::new(self.name.as_str(), faults)),
            Err(errors) => {
                faults.extend_from_slice(errors.faults());
                Err(Errors::new(self.name.as_str(), faults))
            }
        }
    }

    /// Returns the value of a setting as it may be shown: `[provided]` for a secret, and for secrets that another value quotes.
    #[must_use]
    pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
        secret::shown(name, value)
    }
}

fn set(raw: &mut RawJobConfig, written: &str, text: Option<&str>) -> Result<(), String> {
    if let Some(key) = written.strip_prefix(PROPS).filter(|key| !key.is_empty()) {
        match text {
            Some(text) => drop(raw.props.insert(key.to_owned(), text.to_owned())),
            None => drop(raw.props.remove(key)),
        }
        return Ok(());
    }
    let Some(name) = NAMES.into_iter().find(|name| canonical(name) == canonical(written)) else {
        return Err(match canonical(written).as_str() {
            "jobname" => "a job keeps its name: it is its place in the registry".to_owned(),
            _ => format!("is no setting; these are: {}, and props.KEY", NAMES.join(", ")),
        });
    };
    match slot(raw, name) {
        Slot::Text(slot) => *slot = text.map(ToOwned::to_owned),
        Slot::Number(slot) => {
            *slot = text
                .map(|text| text.trim().parse().map_err(|_| "a whole number is expected".to_owned()))
                .transpose()?;
        }
        Slot::Switch(slot) => {
            *slot = text
                .map(|text| {
                    text.trim()
                        .parse()
                        .map_err(|_| "`true` or `false` is expected".to_owned())
                })
                .transpose()?;
        }
        Slot::List(slot) => {
            let items = list::items(text.unwrap_or_default());
            *slot = items.ok_or("a list is written `a, b` or `[a, b]`")?;
        }
    }
    Ok(())
}

fn slot<'a>(raw: &'a mut RawJobConfig, name: &'static str) -> Slot<'a> {
    match name {
        "cron" => Slot::Text(&mut raw.cron),
        "timeZone" => Slot::Text(&mut raw.time_zone),
        "shardingTotalCount" => Slot::Number(&mut raw.sharding_total_count),
        "shardingItemParameters" => Slot::Text(&mut raw.sharding_item_parameters),
        "jobParameter" => Slot::Text(&mut raw.job_parameter),
        "monitorExecution" => Slot::Switch(&mut raw.monitor_execution),
        "failover" => Slot::Switch(&mut raw.failover),
        "misfire" => Slot::Switch(&mut raw.misfire),
        "maxTimeDiffSeconds" => Slot::Number(&mut raw.max_time_diff_seconds),
        "reconcileIntervalMinutes" => Slot::Number(&mut raw.reconcile_interval_minutes),
        "jobShardingStrategyType" => Slot::Text(&mut raw.job_sharding_strategy_type),
        "jobExecutorServiceHandlerType" => Slot::Text(&mut raw.job_executor_service_handler_type),
        "jobErrorHandlerType" => Slot::Text(&mut raw.job_error_handler_type),
        "jobListenerTypes" => Slot::List(&mut raw.job_listener_types),
        "description" => Slot::Text(&mut raw.description),
        "disabled" => Slot::Switch(&mut raw.disabled),
        "overwrite" => Slot::Switch(&mut raw.overwrite),
        "label" => Slot::Text(&mut raw.label),
        "staticSharding" => Slot::Switch(&mut raw.static_sharding),
        other => unreachable!("`{other}` is one of NAMES"),
    }
}

/// Letters and digits in lower case.
fn canonical(name: &str) -> String {
    let known = name.chars().filter(|c| c.is_alphanumeric());
    known.flat_map(char::to_lowercase).collect()
}
