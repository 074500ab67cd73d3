use std::collections::HashSet;
use std::fmt;

use crate::work::Counted;

/// Everything that is wrong with an application's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

/// One thing that is wrong. Shown as `origin: key is value: problem`; secrets are never among the values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Error {
    /// The setting as it was written, dots between its parts. Empty if the fault is of a whole source.
    pub key: String,
    /// The value, if there is one that can be shown.
    pub value: Option<String>,
    /// What is wrong with it and what was expected.
    pub problem: String,
    /// Where it was written, if it was written anywhere.
    pub origin: Option<Origin>,
    /// Boxed, since errors are returned by value and few are of a job.
    owner: Option<Box<Owner>>,
}

/// The job with the setting that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    job: String,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// In a file.
    File {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: Option<usize>,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// In the attribute of a job, at `src/main.rs:12`.
    Attribute(String),
    /// By code, in the builder.
    Builder,
    /// In a `figment::Figment` or `config::Config` that the application handed in.
    HandedIn(String),
}

impl Errors {
    /// The faults, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }

    /// Succeeds if there is no fault. A fault that was found twice is reported once.
    pub(super) fn check(faults: Vec<Error>) -> Result<(), Self> {
        let mut said = HashSet::new();
        let errors: Vec<Error> = faults
            .into_iter()
            .filter(|fault| said.insert(Counted(fault.clone())))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl Error {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
            problem: problem.into(),
            origin: None,
            owner: None,
        }
    }

    /// Shows key, value and problem, without the origin.
    pub fn without_origin(&self) -> impl fmt::Display + '_ {
        WithoutOrigin(self)
    }

    /// The job that the setting is of, if it is one job's.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.job.as_str())
    }

    pub(super) fn of(mut self, job: Option<&str>) -> Self {
        self.owner = job.map(|job| Box::new(Owner { job: job.to_owned() }));
        self
    }

    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    pub(super) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [error] = self.0.as_slice() {
            return write!(formatter, "invalid configuration: {error}");
        }
        write!(formatter, "{} faults in the configuration:", self.0.len())?;
        for error in &self.0 {
            write!(formatter, "\n- {}", error.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(formatter, "{origin}: ")?;
        }
        write!(formatter, "{}", WithoutOrigin(self))
    }
}

struct WithoutOrigin<'a>(&'a Error);

impl fmt::Display for WithoutOrigin<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error {
            key, value, problem, ..
        } = self.0;
        match (key.as_str(), value) {
            ("", _) => write!(formatter, "{problem}"),
            (key, None) => write!(formatter, "`{key}`: {problem}"),
            (key, Some(value)) => write!(formatter, "`{key}` is `{value}`: {problem}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(formatter, "{path}:{line}"),
            Self::File { path, line: None } => formatter.write_str(path),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Attribute(place) => write!(formatter, "attribute at {place}"),
            Self::Builder => formatter.write_str("builder"),
            Self::HandedIn(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::assert_grows_with_input;

    #[test]
    fn the_cost_of_faults_grows_with_their_number() {
        assert_grows_with_input(|size| {
            let faults = (0..2 * size).map(|index| Error::new(format!("k{}", index % size), "is wrong"));
            let errors = Errors::check(faults.collect()).expect_err("there are faults");
            assert_eq!(errors.iter().count(), size);
        });
    }
}
