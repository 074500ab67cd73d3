//! What a configuration looks like in the registry.

use std::collections::BTreeMap;
use std::fmt;

use super::extension::{EXTENSIONS, Spelling};
#[cfg(feature = "sources")]
use super::{Errors, Fault};
use super::{JobConfig, RawJobConfig, Warning, setting, settings};
use crate::yaml::{Value, Writer};

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
        let mut raw = RawJobConfig::from(self);
        let settings: Vec<_> = setting::stored()
            .filter(|(key, _)| !EXTENSIONS.iter().any(|extension| extension.java_key == *key))
            .map(|(key, slot)| (key, raw.take(slot)))
            .collect();
        let mut writer = Writer::default();
        writer.entry("jobName", Value::Text(self.name.as_str()));
        for (key, value) in &settings {
            if let Some(value) = in_yaml(value) {
                writer.entry(self.kept.key(key), value);
            }
        }
        writer.entry("props", Value::Map(props));
        for (key, value) in java {
            writer.entry(self.kept.key(key), Value::Text(value));
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

fn in_yaml(value: &settings::Value) -> Option<Value<'_>> {
    match value {
        settings::Value::Text(text) => text.as_deref().map(Value::Text),
        settings::Value::Number(number) => number.map(Value::Int),
        settings::Value::Switch(switch) => switch.map(Value::Bool),
        settings::Value::List(list) => Some(Value::Texts(list)),
    }
}
