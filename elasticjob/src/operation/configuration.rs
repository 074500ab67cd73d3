//! The configuration that the registry holds of a job, and changes to it.
//!
//! A change is read, decide, write with the version that was read. If another operator was faster, the write is refused
//! and [`Error::Changed`] is returned: unlike the other operations this one is not decided again by itself, because the
//! operator has looked at the configuration that is gone.

use std::collections::{BTreeMap, BTreeSet};

use elasticjob_config::job::{Errors, JobConfig};
use serde::Serialize;

use crate::cluster::layout::Node;
use crate::cluster::policy::Policy;
use crate::executor::Tries;
use crate::property::{Properties as _, Reader};
use crate::registry::Step;

use super::survey::Depth;
use super::{Error, Operations};

/// The configuration that the registry holds of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredConfiguration {
    /// The name of the job.
    pub job_name: String,
    /// The version of the node, which each change raises by one. A change names the version that it is made to.
    pub version: i32,
    /// The text of the node, YAML as Java writes it. It may hold secrets.
    pub text: String,
    /// The configuration that the text means, or all reasons why no job can run by it.
    pub config: Result<JobConfig, Errors>,
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Change {
    /// The setting by its name in the registry: `shardingTotalCount`, `props.sink.password`.
    pub key: String,
    /// The value before the change; `None` if it is unset. Secrets are shown as `[provided]`.
    pub before: Option<String>,
    /// The value after the change; `None` if it is to be unset. Secrets are shown as `[provided]`.
    pub after: Option<String>,
}

impl StoredConfiguration {
    /// Returns the configuration with some settings changed, by any of their names in files or in the registry; see
    /// [`JobConfig::with_settings`]. One that no job can run by is repaired if all that is wrong with it is changed.
    ///
    /// # Errors
    /// [`Error::Unacceptable`] with all that is wrong, [`Error::Unusable`].
    pub fn with_settings<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<JobConfig, Error> {
        let job = &self.job_name;
        let changed = match &self.config {
            Ok(config) if config.name().as_str() == job => config.with_settings(changes),
            _ => JobConfig::repaired(job, &self.text, changes),
        };
        let changed = changed.map_err(|source| Error::Unacceptable {
            job: job.clone(),
            source,
        })?;
        check(job, &changed)?;
        Ok(changed)
    }

    /// Returns what is different in `after`, with values that could not be used as they stand. Values of secrets are not shown.
    #[must_use]
    pub fn changes(&self, after: &JobConfig) -> Vec<Change> {
        let before = match &self.config {
            Ok(before) => before.settings(),
            Err(_) => JobConfig::legible_settings(&self.text),
        };
        Change::of(&before, &after.settings())
    }
}

/// Checks those props that each member of ours reads. Others are known to the members alone.
fn check(job: &str, config: &JobConfig) -> Result<(), Error> {
    let mut reader = Reader::new(config.props());
    let _: (Option<Policy>, Option<Tries>) = (Policy::read(&mut reader), Tries::read(&mut reader));
    reader.finish(Some(())).map_err(|faults| Error::Unusable {
        job: job.to_owned(),
        problem: faults.to_string(),
    })
}

impl Operations {
    /// Returns the configuration in the registry; `None` if the job has none, such as while it is being removed.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn configuration(&self, job: &str) -> Result<Option<StoredConfiguration>, Error> {
        let survey = self.survey(job, Depth::Brief).await?;
        let config = survey.configuration();
        Ok(survey
            .config
            .as_ref()
            .zip(config)
            .map(|(stored, config)| StoredConfiguration {
                job_name: job.to_owned(),
                version: stored.version,
                text: stored.text.clone(),
                config,
            }))
    }

    /// Replaces the configuration in the registry, and returns its new version. All members run by it at once: a run that goes on keeps
    /// the configuration that it began with. What the registry holds beside the settings (tracing configurations of Java members,
    /// unknown keys) stays.
    ///
    /// ```no_run
    /// use elasticjob::operation::Operations;
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let stored = operations.configuration("sync_orders").await?.expect("the job is configured");
    /// let config = stored.with_settings([("cron", Some("0 0/10 * * * ?"))])?;
    /// for change in stored.changes(&config) {
    ///     println!("{change}");
    /// }
    /// // Refused if another operator has changed the configuration since it was read.
    /// operations.update_configuration("sync_orders", &config, stored.version).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Changed`] if the one there has another version than `expected`, unless an answer to this very change was
    /// lost. [`Error::Unusable`] if no member of ours could run the job by it, [`Error::Unreadable`] if members could not read
    /// the text that would be written. [`Error::AnotherJob`], [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Busy`],
    /// [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the configuration is changed. The call can be repeated: if it is
    /// changed, the same text is accepted again.
    pub async fn update_configuration(&self, job: &str, config: &JobConfig, expected: i32) -> Result<i32, Error> {
        let given = config.name().as_str();
        if given != job {
            let (job, given) = (job.to_owned(), given.to_owned());
            return Err(Error::AnotherJob { job, given });
        }
        check(job, config)?;
        let decide = |survey: &super::survey::Survey| {
            let Some(stored) = &survey.config else {
                return Err(Error::NoConfiguration { job: job.to_owned() });
            };
            let config = match survey.configuration() {
                Some(Ok(before)) => config.keeping(&before),
                _ => config.clone(),
            };
            let text = config.to_readable_yaml().map_err(|source| Error::Unreadable {
                job: job.to_owned(),
                source,
            })?;
            if text == stored.text {
                return Ok((Vec::new(), stored.version));
            }
            if stored.version != expected {
                return Err(Error::Changed {
                    job: job.to_owned(),
                    expected,
                    found: stored.version,
                });
            }
            let step = Step::Set {
                path: Node::Config.of(job),
                data: text.into_bytes(),
                version: Some(expected),
            };
            Ok((vec![step], expected.wrapping_add(1)))
        };
        self.change(job, Depth::Brief, decide).await
    }
}

impl Change {
    /// What is different in `after`, by the settings' names in the registry. Values of secrets are not shown.
    ///
    /// ```
    /// use elasticjob::configuration::job::JobConfig;
    /// use elasticjob::operation::Change;
    ///
    /// let before = JobConfig::builder("sync").cron("0/5 * * * * ?").sharding_total_count(2).build()?;
    /// let after = before.to_builder().sharding_total_count(4).prop("sink.password", "tiger").build()?;
    /// let changes: Vec<String> = Change::between(&before, &after).iter().map(ToString::to_string).collect();
    /// assert_eq!(changes, ["props.sink.password: unset -> [provided]", "shardingTotalCount: 2 -> 4"]);
    /// # Ok::<_, elasticjob::configuration::job::Errors>(())
    /// ```
    #[must_use]
    pub fn between(before: &JobConfig, after: &JobConfig) -> Vec<Self> {
        Self::of(&before.settings(), &after.settings())
    }

    fn of(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Self> {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let different = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
        let shown = |key: &str, value: Option<&String>| value.map(|value| JobConfig::shown(key, value).into_owned());
        different
            .map(|key| Self {
                key: key.clone(),
                before: shown(key, before.get(key)),
                after: shown(key, after.get(key)),
            })
            .collect()
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| match value.as_deref() {
            None => "unset".to_owned(),
            Some("") => "``".to_owned(),
            Some(value) => value.to_owned(),
        };
        write!(f, "{}: {} -> {}", self.key, shown(&self.before), shown(&self.after))
    }
}
