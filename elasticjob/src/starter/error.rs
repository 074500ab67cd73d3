//! The error of a start, of a running application, and of triggers.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::chain::Chain;
use crate::cluster::registration::RegistrationError;
use crate::cluster::worker::TriggerError;
use crate::registry;

use super::fault::Faults;

/// Why jobs do not start, or a request to them failed.
///
/// Shown with `{:?}` as with `{}`: in full and in words, since `main` prints it so when it returns one.
///
/// `Display` shows the error without its causes, and [`chain`](Self::chain) shows them in one line. Match on a variant
/// to decide what to do, or ask [`is_retryable`](Self::is_retryable).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The application cannot start as it is: all that is wrong with it. Nothing was registered.
    #[error("{0}")]
    Invalid(Faults),
    /// The registry centre will not have us, or (with `fail-fast`) did not answer.
    ///
    /// With `fail-fast` this ends the start after the configured retries. Without it an unreachable registry is waited
    /// for, and only a refusal, such as wrong credentials, leads here.
    #[error("no session with the registry centre ({registry})")]
    Registry {
        /// Which registry centre.
        registry: String,
        /// What the last attempt to connect ended with.
        source: registry::Error,
    },
    /// The dump port cannot be opened: it is in use, or the address is not one of this machine.
    #[error("the dump port `elasticjob.dump` cannot listen on {address}")]
    DumpPort {
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A job cannot run here.
    ///
    /// For example, the registry has a job of this name with another class.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// A run could not be asked for.
    #[error("job `{job}`: no run can be asked for")]
    Trigger {
        /// The name of the job.
        job: String,
        /// Why the job did not take the trigger.
        source: TriggerError,
    },
    /// There is no such one-off job.
    ///
    /// A job with a schedule is none; trigger it with [`Operations::trigger`](crate::operation::Operations::trigger).
    #[error("no one-off job `{name}`: there {}", Names(.known))]
    NoSuchOneOffJob {
        /// What was asked for.
        name: String,
        /// The one-off jobs there are.
        known: Vec<String>,
    },
    /// A task that all jobs depend on ended unexpectedly. A fault of ours.
    #[error("the jobs stopped unexpectedly: {0}")]
    Stopped(String),
}

impl Error {
    /// Returns whether another try later may succeed.
    ///
    /// For a trigger that is so if the job is not registered at present, and for failures of the registry that are not
    /// permanent. Such a trigger may have been carried out all the same: see
    /// [`OneOff::execute`](super::OneOff::execute). A paused job, a stopped application and a parameter that is too
    /// long stay as they are, so these return `false`.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Trigger { source, .. } => match source {
                TriggerError::NotRegistered => true,
                TriggerError::Registry(source) => !source.is_permanent(),
                TriggerError::Paused(_) | TriggerError::Stopped | TriggerError::ParameterTooLong { .. } => false,
            },
            Self::Registry { source, .. } => matches!(
                source,
                registry::Error::Busy(_) | registry::Error::Unreachable(_) | registry::Error::ConnectionLoss
            ),
            _ => false,
        }
    }
}

impl Error {
    /// Shows the error with all that led to it, in one line. `Display` shows the error alone.
    pub fn chain(&self) -> impl fmt::Display + '_ {
        Chain(self)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Names as the end of a sentence that begins with "there".
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("are none"),
            [only] => write!(f, "is `{only}`"),
            many => write!(f, "are `{}`", many.join("`, `")),
        }
    }
}
