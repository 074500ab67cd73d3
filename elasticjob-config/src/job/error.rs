use std::fmt;

use crate::secret;

/// Everything that is wrong with the configuration of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    job: String,
    faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The setting, by its name in the registry: `shardingTotalCount`, or `props.script.command.line`. Empty if the fault
    /// is of the whole.
    pub key: String,
    /// The value, if there is one. Instead of a secret, and of one that it quotes, it is `[provided]`.
    pub value: Option<String>,
    /// What is wrong with it and what was expected.
    pub problem: String,
}

/// Something that works, but not as the writer of a configuration may think.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The setting, by its name in the registry.
    pub key: String,
    /// What happens instead.
    pub message: String,
}

impl Errors {
    pub(crate) fn new(job: impl Into<String>, faults: Vec<Fault>) -> Self {
        assert!(!faults.is_empty(), "an error says what is wrong");
        Self {
            job: job.into(),
            faults,
        }
    }

    /// The same faults, of a job whose name is known.
    #[cfg(feature = "sources")]
    pub(super) fn of(self, job: &str) -> Self {
        Self::new(job, self.faults)
    }

    /// Puts faults that were found before these in front; of a setting that has one, these say nothing more.
    #[cfg(feature = "sources")]
    pub(super) fn after(self, job: impl Into<String>, mut faults: Vec<Fault>) -> Self {
        let is_known = |fault: &Fault, known: &[Fault]| known.iter().any(|known| known.key == fault.key);
        let further: Vec<Fault> = self
            .faults
            .into_iter()
            .filter(|fault| !is_known(fault, &faults))
            .collect();
        faults.extend(further);
        Self::new(job, faults)
    }

    /// The job's name as it was given, empty if there was none.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// All that is wrong, at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl Fault {
    pub(crate) fn new(key: impl Into<String>, value: Option<&str>, problem: impl Into<String>) -> Self {
        let key = key.into();
        let value = value.map(|value| secret::shown(&key, value).into_owned());
        let problem = problem.into();
        Self { key, value, problem }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = if self.job.is_empty() {
            "a job".to_owned()
        } else {
            format!("job `{}`", self.job)
        };
        if let [fault] = self.faults.as_slice() {
            return write!(formatter, "invalid configuration of {job}: {fault}");
        }
        write!(formatter, "{} faults in the configuration of {job}:", self.faults.len())?;
        for fault in &self.faults {
            write!(formatter, "\n- {}", fault.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.value) {
            ("", _) => write!(formatter, "{}", self.problem),
            (key, None) => write!(formatter, "`{key}`: {}", self.problem),
            (key, Some(value)) => write!(formatter, "`{key}` is `{value}`: {}", self.problem),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.key, self.message)
    }
}
