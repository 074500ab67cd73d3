//! What a valid configuration does otherwise than it seems to.

use super::extension::{EXTENSIONS, Spelling};
use super::setting::POOL_KEYS;
use super::{JobConfig, Warning};

impl JobConfig {
    /// Returns the settings that do not do what they seem to, and those that keep some Java members from starting if the job
    /// has such members.
    ///
    /// ```
    /// # use elasticjob_config::job::JobConfig;
    /// let config = JobConfig::builder("report").sharding_total_count(1).failover(true).monitor_execution(false).build()?;
    /// assert_eq!(config.notices(false)[0].key, "failover");
    /// # Ok::<(), elasticjob_config::job::Errors>(())
    /// ```
    #[must_use]
    pub fn notices(&self, has_java_members: bool) -> Vec<Warning> {
        let pool = has_java_members.then(|| self.pool_notice()).flatten();
        let unknown = has_java_members.then(|| self.unknown_to_java());
        let of_java = pool.into_iter().chain(unknown.into_iter().flatten());
        self.failover_notice().into_iter().chain(of_java).collect()
    }

    /// Settings that Java does not have, and what its members do instead.
    fn unknown_to_java(&self) -> impl Iterator<Item = Warning> {
        EXTENSIONS
            .iter()
            .filter_map(|extension| match (extension.value)(self)? {
                Spelling::Ours(value)
                    if self
                        .kept
                        .foreign_types
                        .get(extension.java_key)
                        .is_none_or(|kept| kept != value) =>
                {
                    Some(extension.unknown_to_java(value))
                }
                _ => None,
            })
    }

    fn failover_notice(&self) -> Option<Warning> {
        (self.failover && !self.monitor_execution).then(|| Warning {
            key: "failover".to_owned(),
            message:
                "has no effect while `monitorExecution` is off: there are no marks of the items that a dead instance was running"
                    .to_owned(),
        })
    }

    /// A pool that Java brings stands under a key that other versions of Java refuse.
    fn pool_notice(&self) -> Option<Warning> {
        let pool = EXTENSIONS.iter().find(|extension| extension.java_key == POOL_KEYS[0])?;
        let foreign = self.kept.foreign_types.get(pool.java_key);
        let name = match (pool.value)(self)? {
            Spelling::Java(name) => name,
            Spelling::Ours(name) => foreign.filter(|kept| *kept == name)?,
        };
        let key = self.kept.key(pool.java_key);
        let refusing = if key == POOL_KEYS[0] {
            "from 3.0.5 on"
        } else {
            "before 3.0.5"
        };
        Some(Warning {
            key: key.to_owned(),
            message: format!("names `{name}`: Java members {refusing} know another key, and do not start by this one"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pool: Option<&str>, has_java_members: bool) -> Vec<String> {
        let mut builder = JobConfig::builder("job").sharding_total_count(1);
        if let Some(pool) = pool {
            builder = builder.executor_service_handler(pool);
        }
        let config = builder.build().expect("it is valid");
        let notices = config.notices(has_java_members).into_iter();
        notices.map(|notice| notice.key).collect()
    }

    #[test]
    fn warn_of_a_pool_beside_java_members() {
        assert_eq!(keys(Some("SINGLE_THREAD"), true), [POOL_KEYS[0]]);
        assert_eq!(keys(Some("CPU"), true), [POOL_KEYS[0]]);
        assert!(keys(Some("SINGLE_THREAD"), false).is_empty());
        assert_eq!(keys(Some("FIXED(3)"), true), [POOL_KEYS[0]], "it stands in the props");
        assert!(keys(Some("FIXED(3)"), false).is_empty());
        assert!(keys(None, true).is_empty());
    }

    #[test]
    fn name_what_java_members_do_not_know() {
        let builder = JobConfig::builder("job")
            .sharding_total_count(1)
            .error_handler("WEBHOOK");
        let config = builder.build().expect("it is valid");
        assert!(config.notices(false).is_empty());
        assert_eq!(
            config.notices(true)[0].to_string(),
            "`jobErrorHandlerType`: Java members of the job do not know `WEBHOOK` and use LOG"
        );
    }

    #[cfg(feature = "sources")]
    #[test]
    fn warn_older_members_of_the_newer_pool_key() {
        let stored = format!("jobName: job\nshardingTotalCount: 1\n{}: CPU\n", POOL_KEYS[1]);
        let config = JobConfig::from_yaml(&stored).expect("it is valid");
        let notice = config.notices(true).remove(0);
        assert_eq!(notice.key, POOL_KEYS[1]);
        assert!(notice.message.contains("before 3.0.5"), "{}", notice.message);
    }
}
