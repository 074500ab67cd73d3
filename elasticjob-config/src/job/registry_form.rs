//! What a configuration looks like in the registry.

use std::collections::BTreeMap;
use std::fmt;

use super::extension::{EXTENSIONS, Spelling};
#[cfg(feature = "sources")]
use super::{Errors, Fault};
use super::{JobConfig, Warning};
use crate::yaml::{Value, Writer};

/// The key of the pool before Java 3.0.5, and since.
pub(super) const POOL_KEYS: [&str; 2] = ["jobExecutorServiceHandlerType", "jobExecutorThreadPoolSizeProviderType"];

/// The text of a `config` node, and what Java members will not make of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryForm {
    /// The text, as a Java member would write it.
    pub yaml: String,
    /// Settings that Java members of the job do not see.
    pub warnings: Vec<Warning>,
}

/// Without the text, which may hold secrets.
impl fmt::Debug for RegistryForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistryForm")
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl JobConfig {
    /// The text of the registry's `config` node, which Java members of the same job can read.
    ///
    /// Settings that Java does not have are stored under `props` with the prefix `elasticjob.`, and a warning says what
    /// Java members do instead.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let config = JobConfig::builder("report").sharding_total_count(1).sharding_strategy("STICKY").build()?;
    /// let form = config.to_registry();
    /// assert!(form.yaml.contains("props:\n  elasticjob.sharding-strategy: STICKY\n"));
    /// assert_eq!(form.warnings[0].key, "jobShardingStrategyType");
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    #[must_use]
    pub fn to_registry(&self) -> RegistryForm {
        let mut props = self.props.0.clone();
        let mut java = BTreeMap::new();
        let mut warnings = Vec::new();
        for extension in &EXTENSIONS {
            match (extension.value)(self) {
                None => {}
                Some(Spelling::Java(value)) => {
                    java.insert(extension.java_key, value);
                }
                // A Java member has put it there, so Java members know it.
                Some(Spelling::Ours(value))
                    if self
                        .kept
                        .foreign_types
                        .get(extension.java_key)
                        .is_some_and(|kept| kept == value) =>
                {
                    java.insert(extension.java_key, value);
                }
                Some(Spelling::Ours(value)) => {
                    props.insert(extension.prop.to_owned(), value.to_owned());
                    warnings.push(extension.unknown_to_java(value));
                }
            }
        }
        RegistryForm {
            yaml: self.write(&java, &props),
            warnings,
        }
    }

    /// As [`to_yaml`](Self::to_yaml), once it is certain that every member reads this configuration from it.
    ///
    /// # Errors
    /// If the text cannot be read, or says something else: it would stop the job on all members at once.
    #[cfg(feature = "sources")]
    pub fn to_readable_yaml(&self) -> Result<String, Errors> {
        let yaml = self.to_yaml();
        let read = Self::from_yaml(&yaml)?;
        let keeps_all = read.kept.unknown.keys().eq(self.kept.unknown.keys())
            && read.kept.extra_configurations.is_some() == self.kept.extra_configurations.is_some();
        if keeps_all && read.keeping(self) == *self {
            return Ok(yaml);
        }
        let problem = "what would be written does not read back as the same configuration";
        Err(Errors::new(self.name.as_str(), vec![Fault::new("", None, problem)]))
    }

    fn write(&self, java: &BTreeMap<&'static str, &str>, props: &BTreeMap<String, String>) -> String {
        let cron = self.cron.as_ref().map(ToString::to_string);
        let mut writer = Writer::default();
        writer.entry("jobName", Value::Text(self.name.as_str()));
        writer.optional("cron", cron.as_deref());
        writer.entry(
            "shardingTotalCount",
            Value::Int(i64::from(self.sharding_total_count.get())),
        );
        writer.entry("shardingItemParameters", Value::Text(&self.item_parameters_text));
        writer.entry("jobParameter", Value::Text(&self.job_parameter));
        writer.entry("monitorExecution", Value::Bool(self.monitor_execution));
        writer.entry("failover", Value::Bool(self.failover));
        writer.entry("misfire", Value::Bool(self.misfire));
        writer.entry("maxTimeDiffSeconds", Value::Int(self.max_time_diff_seconds()));
        writer.entry(
            "reconcileIntervalMinutes",
            Value::Int(self.reconcile_interval_minutes()),
        );
        writer.entry("jobListenerTypes", Value::Texts(&self.listener_types));
        writer.entry("description", Value::Text(&self.description));
        writer.entry("props", Value::Map(props));
        writer.entry("disabled", Value::Bool(self.disabled));
        writer.entry("overwrite", Value::Bool(self.overwrite));
        writer.optional("label", self.label.as_deref());
        writer.entry("staticSharding", Value::Bool(self.static_sharding));
        for (key, value) in java {
            let is_pool = *key == POOL_KEYS[0];
            let key = if is_pool && self.kept.has_newer_pool_key {
                POOL_KEYS[1]
            } else {
                key
            };
            writer.entry(key, Value::Text(value));
        }
        if let Some(text) = &self.kept.extra_configurations {
            writer.entry("jobExtraConfigurations", Value::Verbatim(text));
        }
        for (key, text) in &self.kept.unknown {
            writer.entry(key, Value::Verbatim(text));
        }
        writer.finish()
    }
}
