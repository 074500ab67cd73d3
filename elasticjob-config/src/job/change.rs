//! Changes of single settings, as files spell them or the registry does, also in a text that no job can run by.

use std::collections::BTreeSet;

use super::extension::EXTENSIONS;
use super::raw::Origin;
use super::setting::{Place, Setting, Slot};
use super::settings::PROPS;
use super::{Errors, Fault, JobConfig, RawJobConfig};
use crate::sources::Spelt;
use crate::sources::value;
use crate::spelling::canonical;

/// What came of changes.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The names in the registry of what was set.
    keys: BTreeSet<String>,
    /// What could not be set.
    faults: Vec<Fault>,
}

impl JobConfig {
    /// Returns this configuration with some settings changed, in any spelling of files or of the registry; `None` and a blank text
    /// give a setting its default back, and `None` removes a property.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let config = JobConfig::builder("sync").cron("0/5 * * * * ?").sharding_total_count(2).build()?;
    /// let changed = config.with_settings([("sharding-total-count", Some("4")), ("props.batch", Some("10"))])?;
    /// assert_eq!(changed.sharding_total_count().get(), 4);
    /// let changed = changed.with_settings([("timeout", Some("3s")), ("reconcile-interval", Some("1h"))])?;
    /// assert_eq!(changed.props()["elasticjob.timeout"], "3s");
    /// let errors = changed.with_settings([("timeuot", Some("5s")), ("misfire", Some("maybe"))]).unwrap_err();
    /// assert_eq!(errors.faults().len(), 2);
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    ///
    /// # Errors
    /// All faults at once: names that are none, texts that say nothing, and what no job can run by.
    pub fn with_settings<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, Errors> {
        let mut raw = RawJobConfig::from(self);
        let changed = raw.change(changes);
        changed.check(raw, Vec::new())
    }
}

impl RawJobConfig {
    /// Changes settings, as [`JobConfig::with_settings`] has them.
    pub(super) fn change<'a>(&mut self, changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Changed {
        let mut changed = Changed::default();
        for (written, text) in changes {
            match set(self, written, text) {
                Ok(key) => drop(changed.keys.insert(key)),
                Err(problem) => changed.faults.push(Fault::new(written, text, problem)),
            }
        }
        changed
    }
}

impl Changed {
    /// Checks what has come of the changes. `before` is what was wrong when the text was read; what is wrong with a setting that
    /// was changed does not count any more.
    pub(super) fn check(self, raw: RawJobConfig, before: Vec<Fault>) -> Result<JobConfig, Errors> {
        let name = raw.job_name.clone();
        let origin = self.origin();
        let faults: Vec<Fault> = before
            .into_iter()
            .filter(|fault| !self.keys.contains(setting_of(&fault.key)))
            .chain(self.faults)
            .collect();
        match raw.check_from(origin) {
            Ok(config) if faults.is_empty() => Ok(config),
            Ok(_) => Err(Errors::new(name, faults)),
            Err(errors) => Err(errors.after(name, faults)),
        }
    }

    /// A Java member may have stored parameters of items that there are not. An operator who changes either of the two answers
    /// for both.
    fn origin(&self) -> Origin {
        let of_items = ["shardingTotalCount", "shardingItemParameters"];
        if of_items.iter().any(|key| self.keys.contains(*key)) {
            Origin::User
        } else {
            Origin::Registry
        }
    }
}

/// The setting that a fault of a stored text is about: some stand under more than one key.
fn setting_of(key: &str) -> &str {
    let prop = key.strip_prefix(PROPS);
    let extension = EXTENSIONS.iter().find(|extension| Some(extension.prop) == prop);
    let first_key = || Setting::of_key(key)?.java_keys().first().copied();
    match extension {
        Some(extension) => extension.java_key,
        None => first_key().unwrap_or(key),
    }
}

/// Sets one, and returns its name in the registry.
fn set(raw: &mut RawJobConfig, written: &str, text: Option<&str>) -> Result<String, String> {
    if canonical(written) == "jobname" {
        return Err("a job keeps its name: it is its place in the registry".to_owned());
    }
    let (setting, unit) = match Spelt::parse(written)? {
        Spelt::Setting { setting, unit } => (setting, unit),
        Spelt::Prop(key) => {
            let name = format!("{PROPS}{key}");
            match text {
                Some(text) => drop(raw.props.insert(key, text.to_owned())),
                None => drop(raw.props.remove(&key)),
            }
            return Ok(name);
        }
    };
    let Place::Registry {
        keys: [stored, ..],
        slot,
    } = setting.place
    else {
        return Err(
            "belongs to the application: the registry does not hold it in the configuration of a job".to_owned(),
        );
    };
    let given = text.filter(|text| !text.trim().is_empty());
    match slot {
        Slot::Text(of) => *of(raw) = text.map(ToOwned::to_owned),
        Slot::Number(of) => {
            *of(raw) = given
                .map(|text| value::number(text).ok_or(value::WHOLE_NUMBER))
                .transpose()?;
        }
        Slot::Units(units, of) => {
            let duration = |text: &str| value::duration(&format!("{}{unit}", text.trim())).ok_or(value::DURATION);
            *of(raw) = given.map(|text| units.unit.count(duration(text)?)).transpose()?;
        }
        Slot::Switch(of) => {
            *of(raw) = given
                .map(|text| value::switch(text.trim()).ok_or(value::SWITCH))
                .transpose()?;
        }
        Slot::List(of) => *of(raw) = value::list(given.unwrap_or_default()).ok_or(value::LIST)?,
    }
    Ok((*stored).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::setting::SETTINGS;

    fn config() -> JobConfig {
        JobConfig::builder("sync").sharding_total_count(2).build().unwrap()
    }

    #[test]
    fn each_setting_is_changed_by_each_name() {
        let mut count = 0;
        for setting in &SETTINGS {
            let names = setting.java_keys().iter().chain([&setting.name]);
            for name in names.flat_map(|name| [(*name).to_owned(), name.replace('-', "_").to_uppercase()]) {
                let changed = config().with_settings([(&*name, None), ("shardingTotalCount", Some("2"))]);
                let is_of_application = matches!(setting.place, Place::Application);
                assert_eq!(changed.is_err(), is_of_application, "{name}: {changed:?}");
                count += 1;
            }
        }
        assert!(count > 50, "{count} names");
    }

    #[test]
    fn values_are_read_as_in_files() {
        for (written, text, name, value) in [
            ("sharding-total-count", "0x10", "shardingTotalCount", "16"),
            ("misfire", "off", "misfire", "false"),
            ("MONITOR_EXECUTION", "NO", "monitorExecution", "false"),
            ("max-time-diff", "1m 30s", "maxTimeDiffSeconds", "90"),
            ("maxTimeDiffSeconds", "30", "maxTimeDiffSeconds", "30"),
            ("maxTimeDiffSeconds", "-1", "maxTimeDiffSeconds", "-1"),
            ("reconcile-interval", "1h", "reconcileIntervalMinutes", "60"),
            ("reconcileIntervalMinutes", "0", "reconcileIntervalMinutes", "0"),
            ("reconcileIntervalMinutes", "", "reconcileIntervalMinutes", "10"),
            ("job-listener-types", "[a, b]", "jobListenerTypes", "a,b"),
            (
                "job-executor-thread-pool-size-provider-type",
                "SINGLE_THREAD",
                "jobExecutorServiceHandlerType",
                "SINGLE_THREAD",
            ),
            ("retry-backoff", "500ms", "props.elasticjob.retry.backoff", "500ms"),
            ("props[客户.id]", "7", "props.客户.id", "7"),
            ("props.a[0]", "7", "props.a[0]", "7"),
        ] {
            let changed = config().with_settings([(written, Some(text))]).expect(written);
            assert_eq!(
                changed.settings().get(name).map(String::as_str),
                Some(value),
                "{written}={text}"
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (written, text, expected) in [
            ("max-time-diff", "30", "a duration is expected"),
            ("reconcile-interval", "90s", "the registry holds whole minutes"),
            ("maxTimeDiffSeconds", "soon", "a duration is expected"),
            ("timeuot", "3s", "did you mean `timeout`?"),
            ("shardingTotal", "3", "did you mean `sharding-total-count`?"),
            ("props", "3", "`props.KEY` is expected"),
            ("props.", "3", "`props.KEY` is expected"),
            ("job-name", "other", "a job keeps its name"),
            ("elastic-job-class", "x", "belongs to the application"),
            ("props.elasticjob.time-zone", "Asia/Shanghai", "set that instead"),
            ("sharding-total-count", "", "is missing"),
            ("随便", "x", "these are: elastic-job-class, "),
        ] {
            let errors = config().with_settings([(written, Some(text))]).unwrap_err().to_string();
            assert!(errors.contains(expected), "{written}={text}: {errors}");
        }
    }

    #[test]
    fn parameters_of_absent_items_hold_up_their_own_change_alone() {
        let stored =
            JobConfig::from_yaml("jobName: sync\nshardingTotalCount: 2\nshardingItemParameters: 0=a,5=b\n").unwrap();
        let changed = stored.with_settings([("description", Some("nightly"))]).unwrap();
        assert_eq!(changed.description(), "nightly");
        let errors = stored.with_settings([("sharding-total-count", Some("3"))]).unwrap_err();
        assert!(errors.to_string().contains("shardingItemParameters"), "{errors}");
    }
}
