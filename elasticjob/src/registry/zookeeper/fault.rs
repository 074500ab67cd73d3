//! What is wrong with settings, each with its name: an operator is shown all of it at once.

use std::fmt;
#[cfg(feature = "zookeeper-tls")]
use std::path::Path;

use crate::registry::Error;

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its name below `elasticjob`.
    pub(crate) setting: &'static str,
    /// Its value, unless that is a secret.
    pub(crate) value: Option<String>,
    /// What is wrong with it.
    pub(crate) problem: String,
}

impl Fault {
    pub(super) fn new(setting: &'static str, value: Option<String>, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self {
            setting,
            value,
            problem,
        }
    }

    #[cfg(feature = "zookeeper-tls")]
    pub(super) fn of_file(setting: &'static str, path: &Path, problem: impl Into<String>) -> Self {
        Self::new(setting, Some(path.display().to_string()), problem)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`elasticjob.{}`", self.setting)?;
        if let Some(value) = &self.value {
            write!(f, " is `{value}`")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// All that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn extend(&mut self, faults: Self) {
        self.0.extend(faults.0);
    }

    /// Returns the value, or keeps what is wrong with it.
    pub(super) fn take<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        result.map_err(|faults| self.extend(faults)).ok()
    }

    /// Returns them as an error, if there are any.
    pub(super) fn check(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::InvalidArgument(faults.to_string())
    }
}
