//! The one table of the settings of a job.
//!
//! A row says what a setting is called, what it takes, where its value is kept, and what it is for. Each part of the framework that
//! knows settings by their names reads them here: files and environment (`sources/key.rs`, `sources/bind/job.rs`), the registry
//! (`stored.rs`, `registry_form.rs`), changes of single settings (`change.rs`), the keys of the attribute `elastic_job` and of
//! Java's XML, `docs/settings.md` and the JSON schema.
//!
//! To add a setting, add a row, its field in [`RawJobConfig`](super::RawJobConfig) and in [`JobConfig`](super::JobConfig), and take it from one to the
//! other in `raw.rs`. The test of this module fails if a setting does not survive that way.

#[cfg(feature = "sources")]
mod lookup;
mod row;

#[cfg(all(test, feature = "sources"))]
pub(crate) use self::row::dashed;
pub use self::row::{Place, Setting, Slot, Takes, Unit, Units};

use super::MAX_SHARDING_TOTAL_COUNT;

use Place::{Application, Prop, Registry};
use Takes::{Duration, List, Name, Number, Switch, Text, Verbatim};

/// The unit of `max-time-diff` in the registry.
pub(super) const MAX_TIME_DIFF: Units = Units {
    unit: Unit::Seconds,
    off: -1,
};

/// The unit of `reconcile-interval` in the registry.
pub(super) const RECONCILE_INTERVAL: Units = Units {
    unit: Unit::Minutes,
    off: 0,
};

/// The key of the pool before Java 3.0.5, and since.
pub(super) const POOL_KEYS: [&str; 2] = ["jobExecutorServiceHandlerType", "jobExecutorThreadPoolSizeProviderType"];

/// All settings of a job.
pub static SETTINGS: [Setting; 27] = [
    Setting {
        name: "elastic-job-class",
        attribute: &[],
        takes: Text,
        place: Application,
        default: "",
        about: "The declared job that does the work, by its name or the last part of a Java class.",
    },
    Setting {
        name: "elastic-job-type",
        attribute: &[],
        takes: Text,
        place: Application,
        default: "",
        about: "The type of job that does the work, such as `SCRIPT` or `HTTP`, if no code does it.",
    },
    Setting {
        name: "cron",
        attribute: &["cron"],
        takes: Text,
        place: Registry {
            keys: &["cron"],
            slot: Slot::Text(|raw| &mut raw.cron),
        },
        default: "",
        about: "When the job fires, as a Quartz expression in quotes. Without it the job runs for triggers alone.",
    },
    Setting {
        name: "time-zone",
        attribute: &["time_zone"],
        takes: Text,
        place: Registry {
            keys: &["timeZone"],
            slot: Slot::Text(|raw| &mut raw.time_zone),
        },
        default: "the machine's",
        about: "The zone of the expression: an IANA name, or `GMT+8`.",
    },
    Setting {
        name: "job-bootstrap-bean-name",
        attribute: &["bootstrap", "job_bootstrap_bean_name"],
        takes: Name,
        place: Application,
        default: "",
        about: "The name by which the application triggers a one-off job.",
    },
    Setting {
        name: "sharding-total-count",
        attribute: &["sharding", "sharding_total_count"],
        takes: Number(1, MAX_SHARDING_TOTAL_COUNT as i64),
        place: Registry {
            keys: &["shardingTotalCount"],
            slot: Slot::Number(|raw| &mut raw.sharding_total_count),
        },
        default: "",
        about: "The number of items that the job is divided into.",
    },
    Setting {
        name: "sharding-item-parameters",
        attribute: &["item_parameters", "sharding_item_parameters"],
        takes: Text,
        place: Registry {
            keys: &["shardingItemParameters"],
            slot: Slot::Text(|raw| &mut raw.sharding_item_parameters),
        },
        default: "",
        about: "The parameters of the items: `0=Beijing,1=Shanghai`.",
    },
    Setting {
        name: "job-parameter",
        attribute: &["parameter", "job_parameter"],
        takes: Verbatim,
        place: Registry {
            keys: &["jobParameter"],
            slot: Slot::Text(|raw| &mut raw.job_parameter),
        },
        default: "",
        about: "The parameter of the job.",
    },
    Setting {
        name: "monitor-execution",
        attribute: &["monitor_execution"],
        takes: Switch,
        place: Registry {
            keys: &["monitorExecution"],
            slot: Slot::Switch(|raw| &mut raw.monitor_execution),
        },
        default: "true",
        about: "Whether runs are marked in the registry while they last.",
    },
    Setting {
        name: "failover",
        attribute: &["failover"],
        takes: Switch,
        place: Registry {
            keys: &["failover"],
            slot: Slot::Switch(|raw| &mut raw.failover),
        },
        default: "false",
        about: "Whether an item is run again elsewhere if its instance dies.",
    },
    Setting {
        name: "misfire",
        attribute: &["misfire"],
        takes: Switch,
        place: Registry {
            keys: &["misfire"],
            slot: Slot::Switch(|raw| &mut raw.misfire),
        },
        default: "true",
        about: "Whether a time that came while the job ran is made up for.",
    },
    Setting {
        name: "max-time-diff",
        attribute: &["max_time_diff_seconds"],
        takes: Duration,
        place: Registry {
            keys: &["maxTimeDiffSeconds"],
            slot: Slot::Units(MAX_TIME_DIFF, |raw| &mut raw.max_time_diff_seconds),
        },
        default: "none",
        about: "How far the clock of an instance may be from that of the registry.",
    },
    Setting {
        name: "reconcile-interval",
        attribute: &["reconcile_interval_minutes"],
        takes: Duration,
        place: Registry {
            keys: &["reconcileIntervalMinutes"],
            slot: Slot::Units(RECONCILE_INTERVAL, |raw| &mut raw.reconcile_interval_minutes),
        },
        default: "10m",
        about: "How often the leader looks for items that are not where they should be; 0 for never.",
    },
    Setting {
        name: "job-sharding-strategy-type",
        attribute: &["strategy", "job_sharding_strategy_type"],
        takes: Name,
        place: Registry {
            keys: &["jobShardingStrategyType"],
            slot: Slot::Text(|raw| &mut raw.job_sharding_strategy_type),
        },
        default: "AVG_ALLOCATION",
        about: "How the items are shared out.",
    },
    Setting {
        name: "job-executor-service-handler-type",
        attribute: &["executor", "job_executor_service_handler_type"],
        takes: Name,
        place: Registry {
            keys: &POOL_KEYS,
            slot: Slot::Text(|raw| &mut raw.job_executor_service_handler_type),
        },
        default: "CPU",
        about: "The pool in which the items run.",
    },
    Setting {
        name: "job-error-handler-type",
        attribute: &["error_handler", "job_error_handler_type"],
        takes: Name,
        place: Registry {
            keys: &["jobErrorHandlerType"],
            slot: Slot::Text(|raw| &mut raw.job_error_handler_type),
        },
        default: "LOG",
        about: "What is done with failures.",
    },
    Setting {
        name: "job-listener-types",
        attribute: &["job_listener_types"],
        takes: List,
        place: Registry {
            keys: &["jobListenerTypes"],
            slot: Slot::List(|raw| &mut raw.job_listener_types),
        },
        default: "",
        about: "The listeners that are called around each firing.",
    },
    Setting {
        name: "description",
        attribute: &["description"],
        takes: Text,
        place: Registry {
            keys: &["description"],
            slot: Slot::Text(|raw| &mut raw.description),
        },
        default: "",
        about: "What the job is for, in words.",
    },
    Setting {
        name: "disabled",
        attribute: &["disabled"],
        takes: Switch,
        place: Registry {
            keys: &["disabled"],
            slot: Slot::Switch(|raw| &mut raw.disabled),
        },
        default: "false",
        about: "Whether the job is switched off on this server when it is registered.",
    },
    Setting {
        name: "overwrite",
        attribute: &["overwrite"],
        takes: Switch,
        place: Registry {
            keys: &["overwrite"],
            slot: Slot::Switch(|raw| &mut raw.overwrite),
        },
        default: "false",
        about: "Whether this configuration replaces the one in the registry at each start.",
    },
    Setting {
        name: "label",
        attribute: &["label"],
        takes: Name,
        place: Registry {
            keys: &["label"],
            slot: Slot::Text(|raw| &mut raw.label),
        },
        default: "",
        about: "The labels that an instance needs to run items, with the strategy `LABEL`.",
    },
    Setting {
        name: "static-sharding",
        attribute: &["static_sharding"],
        takes: Switch,
        place: Registry {
            keys: &["staticSharding"],
            slot: Slot::Switch(|raw| &mut raw.static_sharding),
        },
        default: "false",
        about: "Whether the items stay where they are when instances come and go.",
    },
    Setting {
        name: "streaming",
        attribute: &["streaming"],
        takes: Switch,
        place: Prop("streaming.process"),
        default: "false",
        about: "Whether a dataflow job goes on as long as there is data.",
    },
    Setting {
        name: "timeout",
        attribute: &["timeout"],
        takes: Duration,
        place: Prop("elasticjob.timeout"),
        default: "none",
        about: "How long a run of an item may take, or a batch of a stream.",
    },
    Setting {
        name: "retry",
        attribute: &["retry"],
        takes: Number(0, 1000),
        place: Prop("elasticjob.retry"),
        default: "0",
        about: "How often an item that fails is tried again, unless its error is permanent.",
    },
    Setting {
        name: "retry-backoff",
        attribute: &["retry_backoff"],
        takes: Duration,
        place: Prop("elasticjob.retry.backoff"),
        default: "1s",
        about: "The pause before the first of these tries. It doubles each time, less up to a half by chance.",
    },
    Setting {
        name: "retry-max-backoff",
        attribute: &["retry_max_backoff"],
        takes: Duration,
        place: Prop("elasticjob.retry.max-backoff"),
        default: "1m",
        about: "The longest pause before such a try.",
    },
];

/// The settings that the registry holds, by the keys that we write.
pub(super) fn stored() -> impl Iterator<Item = (&'static str, Slot)> {
    SETTINGS.iter().filter_map(|setting| match setting.place {
        Registry { keys, slot } => Some((*keys.first()?, slot)),
        Prop(_) | Application => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::job::RawJobConfig;
    use crate::spelling::canonical;

    /// A value that is not the default.
    fn fill(raw: &mut RawJobConfig, key: &str, slot: Slot) {
        match slot {
            Slot::Text(of) => {
                *of(raw) = Some(match key {
                    "cron" => "0 0 2 * * ?".to_owned(),
                    "timeZone" => "Asia/Shanghai".to_owned(),
                    "shardingItemParameters" => "0=A".to_owned(),
                    other => format!("a {other}"),
                });
            }
            Slot::Number(of) | Slot::Units(_, of) => *of(raw) = Some(7),
            Slot::Switch(of) => *of(raw) = Some(!matches!(key, "monitorExecution" | "misfire")),
            Slot::List(of) => *of(raw) = vec![format!("a {key}")],
        }
    }

    #[test]
    fn each_setting_survives_its_check() {
        for (key, slot) in stored() {
            let mut raw = RawJobConfig::new("sync");
            raw.sharding_total_count = Some(2);
            fill(&mut raw, key, slot);
            let written = raw.clone().settings();
            let config = raw.check().unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.settings().get(key), written.get(key), "{key}");
            assert!(written.contains_key(key), "{key}");
        }
    }

    #[test]
    fn each_name_belongs_to_one_setting() {
        let names = SETTINGS.iter().flat_map(|setting| {
            let keys = setting.java_keys().iter().chain(setting.attribute);
            let names: BTreeSet<String> = keys.chain([&setting.name]).map(|name| canonical(name)).collect();
            names
        });
        let mut seen = BTreeSet::new();
        for name in names {
            assert!(seen.insert(name.clone()), "{name}");
        }
    }

    #[test]
    fn java_key_is_the_name_with_its_unit() {
        for setting in &SETTINGS {
            let unit = match setting.place {
                Registry {
                    slot: Slot::Units(units, _),
                    ..
                } => units.unit.name(),
                _ => "",
            };
            let Some(key) = setting.java_keys().first() else {
                continue;
            };
            assert_eq!(canonical(key), canonical(setting.name) + unit);
        }
    }

    #[test]
    fn last_key_of_the_attribute_is_that_of_java() {
        for setting in SETTINGS.iter().filter(|setting| !setting.attribute.is_empty()) {
            let last = setting.attribute.last().map(|key| key.replace('_', "-"));
            assert_eq!(last, Some(setting.java_name()));
        }
    }
}
