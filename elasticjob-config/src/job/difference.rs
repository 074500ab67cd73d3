//! What the configuration in the registry says otherwise than the application's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::JobConfig;
use super::setting::{Place, SETTINGS, Setting};
use super::settings::PROPS;

/// The defaults of properties that are no settings.
const OF_PROPS: [(&str, &str); 2] = [("elasticjob.failover-attempts", "3"), ("elasticjob.failed-runs", "3")];

/// Says only whether the application may write its configuration, which is not what the job runs by.
const OVERWRITE: &str = "overwrite";

/// Longest value that is shown, in characters.
const SHOWN: usize = 200;

/// A setting that the registry has otherwise. `Display` says it in words; secrets are not among the values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The setting, by its name in the registry; properties as `props.KEY`.
    pub name: String,
    /// Its value in the application; `None` if it is left out.
    pub own: Option<String>,
    /// Its value in the registry; `None` if it is left out.
    pub stored: Option<String>,
}

impl JobConfig {
    /// Compares this configuration, of an application, with the stored one. What is left out is equal to its default.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let own = JobConfig::builder("sync").cron("0/5 * * * * ?").sharding_total_count(2).build()?;
    /// let stored = own.to_builder().sharding_total_count(4).error_handler("LOG").build()?;
    /// let differences: Vec<String> = own.differences(&stored).iter().map(ToString::to_string).collect();
    /// assert_eq!(differences, ["shardingTotalCount is 4 in the registry, 2 here"]);
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    #[must_use]
    pub fn differences(&self, stored: &Self) -> Vec<Difference> {
        let (own, stored) = (self.settings(), stored.settings());
        let names: BTreeSet<&String> = own.keys().chain(stored.keys()).collect();
        let different = names
            .into_iter()
            .filter(|name| *name != OVERWRITE && effective(&own, name) != effective(&stored, name));
        let shown = |name: &str, value: Option<&String>| value.map(|value| Self::shown(name, value).into_owned());
        different
            .map(|name| Difference {
                name: name.clone(),
                own: shown(name, own.get(name)),
                stored: shown(name, stored.get(name)),
            })
            .collect()
    }
}

fn effective<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let value = settings.get(name).map(String::as_str);
    value.or_else(|| default(name))
}

/// What a setting is where it is left out, if a text says the same.
fn default(name: &str) -> Option<&'static str> {
    let prop = name.strip_prefix(PROPS);
    let is_it = |setting: &&Setting| match setting.place {
        Place::Registry { keys, .. } => keys.first() == Some(&name),
        Place::Prop(short_for) => prop == Some(short_for),
        Place::Application => false,
    };
    let setting = SETTINGS.iter().find(is_it);
    let of_setting = setting.and_then(Setting::default_value);
    let of_prop = || OF_PROPS.iter().find(|(key, _)| prop == Some(key));
    of_setting.or_else(|| of_prop().map(|(_, text)| *text))
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, own, stored } = self;
        write!(
            formatter,
            "{name} is {} in the registry, {} here",
            Shown(stored),
            Shown(own)
        )
    }
}

struct Shown<'a>(&'a Option<String>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            None => formatter.write_str("left out"),
            Some("") => formatter.write_str("``"),
            Some(value) => match value.char_indices().nth(SHOWN) {
                Some((end, _)) => write!(formatter, "{}.. (cut)", &value[..end]),
                None => formatter.write_str(value),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_default_that_is_written_are_none() {
        let own = JobConfig::builder("job").sharding_total_count(1).build().unwrap();
        let written = own
            .to_builder()
            .sharding_strategy("AVG_ALLOCATION")
            .error_handler("LOG");
        let written = written
            .executor_service_handler("CPU")
            .prop("elasticjob.retry.backoff", "1s");
        let written = written
            .prop("streaming.process", "false")
            .prop("elasticjob.failed-runs", "3");
        let written = written.build().unwrap();
        assert!(own.differences(&written).is_empty(), "{:?}", own.differences(&written));
        let other = own.to_builder().error_handler("THROW").build().unwrap();
        assert_eq!(other.differences(&written)[0].name, "jobErrorHandlerType");
        assert_eq!(own.differences(&other).len(), 1);
    }
}
