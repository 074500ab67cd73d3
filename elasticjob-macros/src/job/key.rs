//! The keys of the attribute.

use elasticjob_config::job::MAX_SHARDING_TOTAL_COUNT;

/// A key, with the kind of value it takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    /// How it may be written: the name of the job property, and a short form.
    pub(crate) names: &'static [&'static str],
    pub(crate) kind: Kind,
    /// The name in configuration files, for a property of the job; `props.` and a name for what is one of its props.
    pub(crate) property: Option<&'static str>,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text that is not blank.
    Name,
    /// How long something takes.
    Duration,
    /// A whole number between two.
    Number {
        least: i64,
        most: i64,
    },
    Flag,
    Texts,
    /// Types, by their paths.
    Types,
    Props,
    Path,
}

const fn property(names: &'static [&'static str], property: &'static str, kind: Kind) -> Key {
    Key {
        names,
        kind,
        property: Some(property),
    }
}

const fn ours(names: &'static [&'static str], kind: Kind) -> Key {
    Key {
        names,
        kind,
        property: None,
    }
}

/// All members of a cluster hold numbers in 32 bits, with a sign.
const MOST: i64 = i32::MAX as i64;

pub(crate) const NAME: Key = ours(&["name", "job_name"], Kind::Text);
pub(crate) const CRON: Key = property(&["cron"], "cron", Kind::Text);
pub(crate) const TIME_ZONE: Key = property(&["time_zone"], "time-zone", Kind::Text);
pub(crate) const SHARDING: Key = property(
    &["sharding", "sharding_total_count"],
    "sharding-total-count",
    Kind::Number {
        least: 1,
        most: MAX_SHARDING_TOTAL_COUNT as i64,
    },
);
pub(crate) const ITEM_PARAMETERS: Key = property(
    &["item_parameters", "sharding_item_parameters"],
    "sharding-item-parameters",
    Kind::Text,
);
pub(crate) const MONITOR_EXECUTION: Key = property(&["monitor_execution"], "monitor-execution", Kind::Flag);
pub(crate) const FAILOVER: Key = property(&["failover"], "failover", Kind::Flag);
pub(crate) const ONE_OFF: Key = ours(&["one_off"], Kind::Flag);
pub(crate) const BOOTSTRAP: Key = property(
    &["bootstrap", "job_bootstrap_bean_name"],
    "job-bootstrap-bean-name",
    Kind::Name,
);
pub(crate) const LISTENERS: Key = ours(&["listeners"], Kind::Types);
pub(crate) const LISTENER_TYPES: Key = property(&["job_listener_types"], "job-listener-types", Kind::Texts);
/// A prop of dataflow jobs.
pub(crate) const STREAMING: Key = property(&["streaming"], "props.streaming.process", Kind::Flag);
pub(crate) const CRATE: Key = ours(&["crate"], Kind::Path);

pub(crate) static KEYS: [Key; 30] = [
    NAME,
    CRON,
    TIME_ZONE,
    SHARDING,
    ITEM_PARAMETERS,
    property(&["parameter", "job_parameter"], "job-parameter", Kind::Text),
    MONITOR_EXECUTION,
    FAILOVER,
    property(&["misfire"], "misfire", Kind::Flag),
    property(
        &["max_time_diff_seconds"],
        "max-time-diff-seconds",
        Kind::Number { least: -1, most: MOST },
    ),
    property(
        &["reconcile_interval_minutes"],
        "reconcile-interval-minutes",
        Kind::Number { least: 0, most: MOST },
    ),
    property(
        &["strategy", "job_sharding_strategy_type"],
        "job-sharding-strategy-type",
        Kind::Name,
    ),
    property(
        &["executor", "job_executor_service_handler_type"],
        "job-executor-service-handler-type",
        Kind::Name,
    ),
    property(
        &["error_handler", "job_error_handler_type"],
        "job-error-handler-type",
        Kind::Name,
    ),
    LISTENERS,
    LISTENER_TYPES,
    property(&["description"], "description", Kind::Text),
    property(&["props"], "props", Kind::Props),
    property(&["disabled"], "disabled", Kind::Flag),
    property(&["overwrite"], "overwrite", Kind::Flag),
    property(&["label"], "label", Kind::Name),
    property(&["static_sharding"], "static-sharding", Kind::Flag),
    STREAMING,
    property(&["timeout"], "props.elasticjob.timeout", Kind::Duration),
    property(
        &["retry"],
        "props.elasticjob.retry",
        Kind::Number { least: 0, most: 1000 },
    ),
    property(&["retry_backoff"], "props.elasticjob.retry.backoff", Kind::Duration),
    property(
        &["retry_max_backoff"],
        "props.elasticjob.retry.max-backoff",
        Kind::Duration,
    ),
    ONE_OFF,
    BOOTSTRAP,
    CRATE,
];

impl Key {
    pub(crate) fn find(written: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.names.contains(&written))
    }

    /// All that may be written.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        KEYS.iter().flat_map(|key| key.names.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_should_belong_to_one_key() {
        let mut names: Vec<_> = Key::all_names().collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
