//! What keeps an application from starting, found at once.

use std::fmt;

use crate::catalogue::NameTaken;
use crate::job::{self, DuplicateComponent, MissingComponent};

use super::discovery::DuplicateJob;
use super::error::Error;

/// Everything that keeps an application from starting, found at once.
///
/// `Display` has one fault as a line, and several as a list with a line for each. An [`Error::Invalid`] that a builder
/// returns has at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// One reason why an application does not start. `Display` shows all of it, in one text.
///
/// ```
/// use elasticjob::prelude::*;
///
/// let builder = ElasticJob::builder()
///     .environment([])
///     .set("jobs.night.elastic-job-type", "SCRIPT")
///     .set("jobs.night.sharding-total-count", "none");
/// let Err(elasticjob::Error::Invalid(faults)) = builder.build() else { panic!("it is refused") };
/// let fault = faults.iter().next().expect("there is one");
/// assert_eq!(fault.job.as_deref(), Some("night"));
/// assert!(fault.problem.ends_with("a whole number is expected"), "{fault}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The job that it is about; `None` if it is about the application, or about several jobs.
    pub job: Option<String>,
    /// The place that has to be changed: a line of a file, an environment variable, or a place in the source of the program. `None`
    /// if nothing that was written is at fault.
    pub place: Option<String>,
    /// What is wrong and what was expected. A setting is named with its value, unless the value is secret.
    pub problem: String,
    /// Job, place and problem as a sentence.
    text: String,
}

impl Faults {
    pub(super) fn push(&mut self, fault: impl Into<Fault>) {
        self.0.push(fault.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the faults, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl<F: Into<Fault>> Extend<F> for Faults {
    fn extend<T: IntoIterator<Item = F>>(&mut self, faults: T) {
        self.0.extend(faults.into_iter().map(Into::into));
    }
}

impl Fault {
    /// Creates a fault of the application.
    pub(super) fn new(problem: impl fmt::Display) -> Self {
        let problem = problem.to_string();
        Self {
            job: None,
            place: None,
            text: problem.clone(),
            problem,
        }
    }

    /// Creates a fault of a job at a place.
    pub(super) fn of_job(job: &str, place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            job: Some(job.to_owned()),
            text: format!("job {job} ({place}): {problem}"),
            place: Some(place.to_string()),
            problem: problem.to_string(),
        }
    }

    /// Adds the job to a text that names it.
    pub(super) fn naming(self, job: &str) -> Self {
        Self {
            job: Some(job.to_owned()),
            ..self
        }
    }

    /// Adds the place to a text that names it.
    pub(super) fn at(self, place: impl fmt::Display) -> Self {
        Self {
            place: Some(place.to_string()),
            ..self
        }
    }
}

impl From<&elasticjob_config::sources::Error> for Fault {
    fn from(error: &elasticjob_config::sources::Error) -> Self {
        Self {
            job: error.job().map(ToOwned::to_owned),
            place: error.origin.as_ref().map(ToString::to_string),
            problem: error.without_origin().to_string(),
            text: error.to_string(),
        }
    }
}

impl From<elasticjob_config::sources::Error> for Fault {
    fn from(error: elasticjob_config::sources::Error) -> Self {
        Self::from(&error)
    }
}

impl From<job::Fault> for Fault {
    fn from(fault: job::Fault) -> Self {
        Self {
            job: fault.is_of_job().then(|| fault.job().to_owned()),
            place: Some(fault.shown_place().to_string()),
            problem: fault.problem().to_string(),
            text: fault.to_string(),
        }
    }
}

impl From<NameTaken> for Fault {
    fn from(taken: NameTaken) -> Self {
        let [_, second] = taken.places();
        Self::new(&taken).at(second)
    }
}

impl From<DuplicateComponent> for Fault {
    fn from(taken: DuplicateComponent) -> Self {
        Self::new(taken)
    }
}

impl From<MissingComponent> for Fault {
    fn from(missing: MissingComponent) -> Self {
        Self::new(missing)
    }
}

impl From<&DuplicateJob> for Fault {
    fn from(duplicate: &DuplicateJob) -> Self {
        let fault = Self::new(duplicate).naming(duplicate.name());
        match duplicate.places().last() {
            Some(place) => fault.at(place),
            None => fault,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(f, "{only}"),
            many => {
                write!(f, "{} problems:", many.len())?;
                many.iter()
                    .try_for_each(|fault| write!(f, "\n- {}", fault.text.replace('\n', "\n  ")))
            }
        }
    }
}

/// Returns the error of an application with one fault.
pub(super) fn invalid(fault: impl Into<Fault>) -> Error {
    let mut faults = Faults::default();
    faults.push(fault);
    Error::Invalid(faults)
}
