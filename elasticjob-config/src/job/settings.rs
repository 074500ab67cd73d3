//! The settings of a job as texts, by the names that the registry has for them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{JobConfig, RawJobConfig};
use crate::secret;

/// The settings, by Java's names.
pub(super) const NAMES: [&str; 19] = [
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
pub(super) const PROPS: &str = "props.";

/// Where a setting is kept.
pub(super) enum Slot<'a> {
    Text(&'a mut Option<String>),
    Number(&'a mut Option<i64>),
    Switch(&'a mut Option<bool>),
    List(&'a mut Vec<String>),
}

impl JobConfig {
    /// Returns all settings that have a value, by their names in the registry; properties as `props.KEY`.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        RawJobConfig::from(self).settings()
    }

    /// Returns the value of a setting as it may be shown: `[provided]` for a secret, and for secrets that another value quotes.
    #[must_use]
    pub fn shown<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
        secret::shown(name, value)
    }
}

impl RawJobConfig {
    pub(super) fn settings(mut self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for name in NAMES {
            let text = match slot(&mut self, name) {
                Slot::Text(text) => text.take(),
                Slot::Number(number) => number.map(|number| number.to_string()),
                Slot::Switch(switch) => switch.map(|switch| switch.to_string()),
                Slot::List(list) => Some(list.join(",")),
            };
            settings.extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
        }
        let props = self.props.into_iter();
        settings.extend(props.map(|(key, value)| (format!("{PROPS}{key}"), value)));
        settings
    }
}

pub(super) fn slot<'a>(raw: &'a mut RawJobConfig, name: &'static str) -> Slot<'a> {
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
