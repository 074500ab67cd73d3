//! Which attribute of Java's namespaces is which setting of ours.

use elasticjob::configuration::job::setting::{Place, SETTINGS, Setting};

/// Attributes of `<elasticjob:zookeeper>` that are keys of `reg-center` as they are.
pub(super) const REGISTRY: [&str; 8] = [
    "server-lists",
    "namespace",
    "base-sleep-time-milliseconds",
    "max-sleep-time-milliseconds",
    "max-retries",
    "session-timeout-milliseconds",
    "connection-timeout-milliseconds",
    "digest",
];

/// Returns whether an attribute of a job is a key of the job as it is.
pub(super) fn is_of_job(attribute: &str) -> bool {
    let is_stored = |setting: &&Setting| matches!(setting.place, Place::Registry { .. });
    let mut names = SETTINGS.iter().filter(is_stored).map(Setting::java_name);
    names.any(|name| name == attribute)
}

/// What an attribute of 1.x and 2.x becomes.
pub(super) enum Old {
    /// This value of this key.
    Is(&'static str, &'static str),
    /// The default, which needs no line.
    Default,
    /// Nothing: there is no counterpart.
    Nothing(&'static str),
}

/// Returns what an attribute of a job had meant in 1.x and 2.x; `None` if no version of ours knows the attribute.
pub(super) fn old(attribute: &str, value: &str) -> Option<Old> {
    let class = value.rsplit('.').next().unwrap_or(value);
    Some(match (attribute, class) {
        ("job-sharding-strategy-class", "AverageAllocationJobShardingStrategy") => {
            Old::Is("job-sharding-strategy-type", "AVG_ALLOCATION")
        }
        ("job-sharding-strategy-class", "OdevitySortByNameJobShardingStrategy") => {
            Old::Is("job-sharding-strategy-type", "ODEVITY")
        }
        ("job-sharding-strategy-class", "RotateServerByNameJobShardingStrategy") => {
            Old::Is("job-sharding-strategy-type", "ROUND_ROBIN")
        }
        ("job-sharding-strategy-class", _) => {
            Old::Nothing("write the strategy with `#[sharding_strategy]` and name it in `job-sharding-strategy-type`")
        }
        ("executor-service-handler", "DefaultExecutorServiceHandler")
        | ("job-exception-handler", "DefaultJobExceptionHandler") => Old::Default,
        ("monitor-port", "-1") | ("process-data-thread-count", "1") => Old::Default,
        ("executor-service-handler", _) => {
            Old::Nothing("choose a pool of ours with `job-executor-service-handler-type`")
        }
        ("job-exception-handler", _) => {
            Old::Nothing("write the handler with `#[job_error_handler]` and name it in `job-error-handler-type`")
        }
        ("monitor-port", _) => Old::Nothing("an application has one port for all jobs: `dump.port`"),
        _ => return None,
    })
}

/// Properties of connection pools that are settings of `tracing.data-source`, by what they become.
pub(super) fn of_data_source(property: &str) -> Option<&'static str> {
    Some(match property {
        "url" | "jdbcUrl" => "url",
        "username" | "user" => "username",
        "password" => "password",
        "driverClassName" | "driverClass" => "driver-class-name",
        "maximumPoolSize" | "maxTotal" | "maxActive" | "maxPoolSize" => "maximum-pool-size",
        _ => return None,
    })
}
