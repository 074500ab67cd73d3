//! Faults of the props of a job.

use std::fmt;

/// One thing that is wrong with a prop. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) problem: String,
}

impl Fault {
    /// The name of the prop.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its value, as far as it is given and may be shown.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What is wrong, and what is expected.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, problem } = self;
        match value {
            Some(value) => write!(f, "`props.{key}` is `{value}`: {problem}"),
            None => write!(f, "`props.{key}`: {problem}"),
        }
    }
}

/// Everything that is wrong with the props of a job, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
