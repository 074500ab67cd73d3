//! The checked configuration of one job.
//!
//! [`JobConfig`] is what the runtime accepts: every value in it has been parsed and checked, so nothing of it can fail
//! at a trigger. It is made in three ways, which all go through [`RawJobConfig::check`] and report every fault at once:
//! by code with [`JobConfig::builder`], from layers of files by [`crate::sources`], and from the registry's `config` node
//! with [`JobConfig::from_registry`].
//!
//! ```
//! # #[cfg(feature = "sources")] {
//! # mod elasticjob { pub mod configuration { pub use elasticjob_config::*; } }
//! use elasticjob::configuration::job::JobConfig;
//!
//! let config = JobConfig::builder("sync_orders")
//!     .cron("0/5 * * * * ?")
//!     .sharding_total_count(2)
//!     .sharding_item_parameters("0=Beijing,1=Shanghai")
//!     .build()?;
//! assert_eq!(JobConfig::from_yaml(&config.to_yaml())?, config);
//! # }
//! # Ok::<(), elasticjob_config::job::Errors>(())
//! ```

mod builder;
#[cfg(feature = "sources")]
mod change;
mod difference;
mod error;
mod extension;
mod name;
mod notice;
mod raw;
mod registry_form;
#[doc(hidden)]
pub mod setting;
mod settings;
#[cfg(feature = "sources")]
mod stored;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

pub use self::builder::Builder;
pub use self::difference::Difference;
pub use self::error::{Errors, Fault, Warning};
pub use self::name::{JobName, NameError};
pub use self::raw::RawJobConfig;
pub use self::registry_form::RegistryForm;
#[cfg(feature = "sources")]
pub use self::stored::StoredJobConfig;

use crate::cron::Expression;
use crate::item_parameters::ItemParameters;
use crate::secret::WithoutSecrets;
use crate::zone::Zone;

/// The largest number of sharding items that a job can have.
///
/// An item costs nodes in the registry and memory in each instance, so that a number with some zeros too many would
/// exhaust one instance after the other. Java members accept larger numbers: a configuration of theirs with more items is
/// refused as a whole, and the last valid one stays in force.
pub const MAX_SHARDING_TOTAL_COUNT: u32 = 1_000_000;

/// The checked configuration of one job.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of Java's, and independent of the others"
)]
pub struct JobConfig {
    name: JobName,
    cron: Option<Expression>,
    time_zone: Option<Zone>,
    sharding_total_count: NonZeroU32,
    item_parameters: ItemParameters,
    /// As it was written: the registry keeps the text, and Java members read it.
    item_parameters_text: String,
    job_parameter: String,
    monitor_execution: bool,
    failover: bool,
    misfire: bool,
    max_time_diff: Option<Duration>,
    reconcile_interval: Option<Duration>,
    sharding_strategy: Option<String>,
    executor_service_handler: Option<String>,
    error_handler: Option<String>,
    listener_types: Vec<String>,
    description: String,
    props: Props,
    disabled: bool,
    overwrite: bool,
    label: Option<String>,
    static_sharding: bool,
    kept: Kept,
}

/// Properties, some of which are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
struct Props(BTreeMap<String, String>);

impl fmt::Debug for Props {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        WithoutSecrets(&self.0).fmt(formatter)
    }
}

/// What a stored configuration holds beside its settings, so that a rewrite gives it back.
#[derive(Clone, Default, PartialEq, Eq)]
struct Kept {
    /// The YAML behind `jobExtraConfigurations:`, tags of Java classes included.
    extra_configurations: Option<String>,
    /// The YAML behind keys that neither we nor Java 3.0.x know.
    unknown: BTreeMap<String, String>,
    /// Values that only Java members know, by the key where they stood.
    foreign_types: BTreeMap<&'static str, String>,
    /// Keys of newer versions of Java under which settings stood, by the keys that are written otherwise.
    newer_keys: BTreeMap<&'static str, &'static str>,
}

impl Kept {
    /// The key of a setting that is written as `key` where nothing else stood.
    fn key(&self, key: &'static str) -> &'static str {
        self.newer_keys.get(key).copied().unwrap_or(key)
    }
}

/// Data sources of Java members have their passwords in it.
impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl JobConfig {
    /// Starts a configuration by code. What is not set has ElasticJob's default.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name)
    }

    /// A builder that holds this configuration, to change some of it.
    pub fn to_builder(&self) -> Builder {
        Builder::from(self)
    }

    /// The job's name, which is also its node in the registry.
    #[must_use]
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// When the job fires; `None` for a one-off job.
    #[must_use]
    pub fn cron(&self) -> Option<&Expression> {
        self.cron.as_ref()
    }

    /// The zone that the cron expression is read in; `None` for the zone of the process.
    #[must_use]
    pub fn time_zone(&self) -> Option<&Zone> {
        self.time_zone.as_ref()
    }

    /// Into how many items the job is sharded: at most [`MAX_SHARDING_TOTAL_COUNT`].
    #[must_use]
    pub fn sharding_total_count(&self) -> NonZeroU32 {
        self.sharding_total_count
    }

    /// What each sharding item is given.
    #[must_use]
    pub fn item_parameters(&self) -> &ItemParameters {
        &self.item_parameters
    }

    /// What all sharding items are given.
    #[must_use]
    pub fn job_parameter(&self) -> &str {
        &self.job_parameter
    }

    /// Whether running items are marked in the registry. Failover and overlap protection need it.
    #[must_use]
    pub fn monitor_execution(&self) -> bool {
        self.monitor_execution
    }

    /// Whether another instance takes over the running items of one that died.
    #[must_use]
    pub fn failover(&self) -> bool {
        self.failover
    }

    /// Whether a firing that was missed because the last one still ran is made up.
    #[must_use]
    pub fn misfire(&self) -> bool {
        self.misfire
    }

    /// How far the clock may be from the registry's; `None` for no check.
    #[must_use]
    pub fn max_time_diff(&self) -> Option<Duration> {
        self.max_time_diff
    }

    /// How often the sharding is checked against the instances that are there; `None` for never.
    #[must_use]
    pub fn reconcile_interval(&self) -> Option<Duration> {
        self.reconcile_interval
    }

    /// The type of the sharding strategy; `None` for `AVG_ALLOCATION`.
    #[must_use]
    pub fn sharding_strategy(&self) -> Option<&str> {
        self.sharding_strategy.as_deref()
    }

    /// The type of the pool that items run in; `None` for `CPU`.
    #[must_use]
    pub fn executor_service_handler(&self) -> Option<&str> {
        self.executor_service_handler.as_deref()
    }

    /// The type of the error handler; `None` for `LOG`.
    #[must_use]
    pub fn error_handler(&self) -> Option<&str> {
        self.error_handler.as_deref()
    }

    /// The types of the job's listeners.
    #[must_use]
    pub fn listener_types(&self) -> &[String] {
        &self.listener_types
    }

    /// Configurations that Java members have put into the registry, as YAML text. They are kept, not understood.
    #[must_use]
    pub fn extra_configurations(&self) -> Option<&str> {
        self.kept.extra_configurations.as_deref()
    }

    /// What the job is for, in words.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Settings of the job's executor, error handler and other parts.
    #[must_use]
    pub fn props(&self) -> &BTreeMap<String, String> {
        &self.props.0
    }

    /// Whether instances start disabled.
    #[must_use]
    pub fn disabled(&self) -> bool {
        self.disabled
    }

    /// Whether this configuration replaces the one in the registry when the job starts.
    #[must_use]
    pub fn overwrite(&self) -> bool {
        self.overwrite
    }

    /// With the sharding strategy `LABEL`, what an instance must say of itself to run the items. Others do not look at it.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Whether items stay where they are when instances come and go.
    #[must_use]
    pub fn static_sharding(&self) -> bool {
        self.static_sharding
    }

    /// Returns this configuration with the other entries of `stored`: tracing configurations of Java members, and unknown
    /// keys. For a rewrite, which must not lose them.
    #[must_use]
    pub fn keeping(&self, stored: &Self) -> Self {
        Self {
            kept: stored.kept.clone(),
            ..self.clone()
        }
    }

    /// The text of the registry's `config` node, as a Java member would write it, without the warnings of
    /// [`to_registry`](Self::to_registry).
    #[must_use]
    pub fn to_yaml(&self) -> String {
        self.to_registry().yaml
    }
}
