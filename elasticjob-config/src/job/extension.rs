//! Settings of ours in a store that Java shares.
//!
//! An unknown key in the registry's `config` breaks every Java member, and so does an unknown value of a key that it
//! looks up. So values that Java 3.0.x does not know are stored under `props`, with a key of their own that starts
//! with `elasticjob.`, and the Java key is left out. [`EXTENSIONS`] is the only list of such settings: a further setting is a further
//! row.

use std::collections::BTreeMap;

use super::{Fault, JobConfig, RawJobConfig, Warning};

/// A setting that can hold what Java does not know.
pub(super) struct Extension {
    /// Where it is stored when Java does not know the value.
    pub(super) prop: &'static str,
    /// Where it is stored when Java does.
    pub(super) java_key: &'static str,
    /// Whether Java members may know values that come from a library of theirs.
    #[cfg_attr(
        not(feature = "sources"),
        expect(dead_code, reason = "only the reader of the registry needs it")
    )]
    pub(super) is_open_in_java: bool,
    /// What Java members do without it.
    pub(super) without: &'static str,
    /// The value, and whether Java knows it.
    pub(super) value: fn(&JobConfig) -> Option<Spelling<'_>>,
    /// Where it is kept while a configuration is read.
    #[cfg_attr(
        not(feature = "sources"),
        expect(dead_code, reason = "only the reader of the registry needs it")
    )]
    pub(super) slot: fn(&mut RawJobConfig) -> &mut Option<String>,
}

impl Extension {
    /// What Java members make of a value of ours.
    pub(super) fn unknown_to_java(&self, value: &str) -> Warning {
        Warning {
            key: self.java_key.to_owned(),
            message: format!("Java members of the job do not know `{value}` and use {}", self.without),
        }
    }
}

/// How a value is written.
pub(super) enum Spelling<'a> {
    /// So that Java reads it too.
    Java(&'a str),
    /// So that only we read it.
    Ours(&'a str),
}

pub(super) const EXTENSIONS: [Extension; 4] = [
    Extension {
        prop: "elasticjob.time-zone",
        java_key: "timeZone",
        is_open_in_java: false,
        without: "the zone of their own process",
        value: |config| {
            let zone = config.time_zone()?;
            Some(zone.java_name().map_or(Spelling::Ours(zone.name()), Spelling::Java))
        },
        slot: |raw| &mut raw.time_zone,
    },
    Extension {
        prop: "elasticjob.sharding-strategy",
        java_key: "jobShardingStrategyType",
        is_open_in_java: true,
        without: "AVG_ALLOCATION",
        value: |config| {
            type_name(
                config.sharding_strategy()?,
                &["AVG_ALLOCATION", "ODEVITY", "ROUND_ROBIN"],
            )
        },
        slot: |raw| &mut raw.job_sharding_strategy_type,
    },
    Extension {
        prop: "elasticjob.executor-service-handler",
        java_key: "jobExecutorServiceHandlerType",
        is_open_in_java: true,
        without: "CPU",
        value: |config| type_name(config.executor_service_handler()?, &["CPU", "SINGLE_THREAD"]),
        slot: |raw| &mut raw.job_executor_service_handler_type,
    },
    Extension {
        prop: "elasticjob.error-handler",
        java_key: "jobErrorHandlerType",
        is_open_in_java: true,
        without: "LOG",
        value: |config| {
            type_name(
                config.error_handler()?,
                &["LOG", "THROW", "IGNORE", "EMAIL", "WECHAT", "DINGTALK"],
            )
        },
        slot: |raw| &mut raw.job_error_handler_type,
    },
];

fn type_name<'a>(name: &'a str, known_to_java: &[&str]) -> Option<Spelling<'a>> {
    Some(if known_to_java.contains(&name) {
        Spelling::Java(name)
    } else {
        Spelling::Ours(name)
    })
}

/// A user who writes one of our stored keys would set the same thing twice.
pub(super) fn check_props(props: &BTreeMap<String, String>) -> impl Iterator<Item = Fault> {
    let set_twice = EXTENSIONS
        .iter()
        .filter_map(|extension| Some((extension, props.get(extension.prop)?)));
    set_twice.map(|(extension, value)| {
        let problem = format!("is where the registry keeps `{}`: set that instead", extension.java_key);
        Fault::new(format!("props.{}", extension.prop), Some(value), problem)
    })
}
