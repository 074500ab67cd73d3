//! What the exit code says.

use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use elasticjob::configuration::{sources, without_secrets};
use elasticjob::operation;
use elasticjob::trace::history;

/// The exit codes, as `--help` tells them. Scripts rely on these.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, and the answer is no: a run did not succeed (`--wait`), configurations differ, or a registry centre is unsafe
  2  wrong arguments or configuration
  3  not found: the job, server, instance or item does not exist
  4  refused by the present state, such as a job that runs or a configuration that changed meanwhile
  5  the registry centre, a dump port or a database did not answer
  6  not confirmed
  7  an I/O error on this machine, such as a file that cannot be read
  8  a run has not ended in time (`--wait`)
  9  refused by the registry centre because its access rights are for others; also if it refused a job of a list";

/// The registry centre answered, and refused.
const REFUSED: u8 = 9;

/// How a command ended that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As was wanted.
    Done,
    /// The answer is no.
    No,
    /// There is no answer yet.
    Late,
    /// The answer lacks what the registry centre refused.
    Refused,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Settings(#[from] sources::Errors),
    #[error(transparent)]
    Operation(#[from] operation::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    /// The configuration names no registry centre, or no database.
    #[error("{0}")]
    Unnamed(String),
    #[error("{0}")]
    NotThere(String),
    /// It is not there, in this registry centre.
    #[error("{error} ({registry})")]
    NotIn {
        error: Box<operation::Error>,
        registry: String,
    },
    /// With what the operator can do about it.
    #[error("{failure}")]
    Hinted { failure: Box<Failure>, hint: String },
    #[error("{0}")]
    Refused(String),
    #[error("nothing was done: not confirmed (`--yes` confirms in advance)")]
    NotConfirmed,
    #[error("{what}")]
    File { what: String, source: io::Error },
    #[error("I/O error")]
    Machine(#[source] io::Error),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::No => Self::from(1),
            Outcome::Late => Self::from(8),
            Outcome::Refused => Self::from(REFUSED),
        }
    }
}

impl Failure {
    /// Names the registry centre if what was asked for is not there: it may be the wrong one.
    pub(crate) fn at(self, registry: Option<String>) -> Self {
        match (self, registry) {
            (Self::Operation(error), Some(registry)) if error.is_not_found() => Self::NotIn {
                error: Box::new(error),
                registry,
            },
            (failure, _) => failure,
        }
    }

    /// Adds what the operator may have forgotten, if the place that was looked at may be the wrong one.
    pub(crate) fn hinted(self, hint: impl FnOnce() -> Option<String>) -> Self {
        match self {
            Self::Unnamed(_) | Self::NotThere(_) | Self::NotIn { .. } => match hint() {
                Some(hint) => self.and(hint),
                None => self,
            },
            failure => failure,
        }
    }

    /// Adds what the operator can do about it.
    pub(crate) fn and(self, hint: String) -> Self {
        let failure = Box::new(self);
        Self::Hinted { failure, hint }
    }

    /// Prints the failure with all its causes. Returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_of_reader() {
            // The reader of our output has closed it: `elasticjob jobs | head`.
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", without_secrets(&self.text()));
        ExitCode::from(self.code())
    }

    fn text(&self) -> String {
        if let Self::Hinted { failure, hint } = self {
            return format!("{}\n{hint}", failure.text());
        }
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// Returns whether it may be otherwise the next time.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Operation(error) if error.is_retryable())
    }

    fn is_of_reader(&self) -> bool {
        matches!(self, Self::Machine(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn code(&self) -> u8 {
        use operation::Error as Operation;
        match self {
            Self::Hinted { failure, .. } => failure.code(),
            Self::Usage(_) | Self::Settings(_) | Self::Unnamed(_) => 2,
            Self::NotThere(_) | Self::NotIn { .. } => 3,
            Self::Operation(error) if error.is_not_found() => 3,
            Self::Operation(error) if error.is_refused() => REFUSED,
            Self::History(_) => 5,
            Self::Operation(Operation::Registry { .. } | Operation::Busy { .. } | Operation::Dump { .. }) => 5,
            Self::Refused(_) | Self::Operation(_) => 4,
            Self::NotConfirmed => 6,
            Self::File { .. } | Self::Machine(_) => 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use elasticjob::configuration::sources::Loader;
    use elasticjob::registry;

    use super::*;

    fn of_registry(source: registry::Error) -> Failure {
        let registry = "zookeeper at zk1:2181".to_owned();
        Failure::from(operation::Error::Registry { registry, source })
    }

    mod text {
        use super::*;

        #[test]
        fn says_faults_of_the_configuration_once() {
            let loader = Loader::new()
                .set("reg-center.server-lists", "zk:none")
                .set("reg-center.namespace", "n");
            let errors = loader.load_registry().expect_err("it is wrong");
            let text = Failure::from(errors).text();
            assert_eq!(text.matches("has no valid port").count(), 1, "{text}");
        }

        #[test]
        fn tells_a_refusal_from_silence() {
            let refused = of_registry(registry::Error::Refused("/closed: not authorized".to_owned()));
            assert_eq!(
                refused.text(),
                "the registry (zookeeper at zk1:2181) does not allow this: the registry refused: /closed: not authorized"
            );
            let silent = of_registry(registry::Error::ConnectionLoss).text();
            assert!(
                silent.starts_with("the registry (zookeeper at zk1:2181) did not answer: "),
                "{silent}"
            );
        }
    }

    mod code {
        use super::*;

        #[test]
        fn tells_a_refusal_from_silence() {
            assert_eq!(of_registry(registry::Error::Refused(String::new())).code(), 9);
            assert_eq!(of_registry(registry::Error::ConnectionLoss).code(), 5);
        }
    }
}
