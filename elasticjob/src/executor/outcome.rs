//! How one try of an item ended.

use std::fmt;
use std::time::Duration;

use crate::chain::Chain;
use crate::cluster::fence::Stopped;
use crate::guard::{Cause, Panicked};
use crate::job::BoxError;

/// How a try of an item ended. Shown, it says so in the words of the job's history.
#[derive(Debug)]
pub(crate) enum TryOutcome {
    /// The job returned success.
    Succeeded,
    /// The job returned an error.
    Failed(Cause),
    /// The job panicked, with this message.
    Panicked(String),
    /// The job took longer than it may.
    TimedOut(Duration),
    /// The job was stopped before it returned, or before it began.
    Cancelled(Stopped),
}

impl TryOutcome {
    /// The failure, for the job's error handler; `None` when the job did not fail.
    pub(crate) fn into_failure(self) -> Option<Cause> {
        match self {
            Self::Failed(cause) => Some(cause),
            Self::Panicked(message) => Some(Panicked(message).into()),
            Self::TimedOut(limit) => Some(TimedOut(limit).into()),
            Self::Succeeded | Self::Cancelled(_) => None,
        }
    }
}

impl From<Result<(), BoxError>> for TryOutcome {
    fn from(returned: Result<(), BoxError>) -> Self {
        returned.map_or_else(|error| Self::Failed(error.into()), |()| Self::Succeeded)
    }
}

impl fmt::Display for TryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed(cause) => write!(f, "failed: {}", Chain(cause.error())),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::TimedOut(limit) => TimedOut(*limit).fmt(f),
            Self::Cancelled(stopped) => write!(f, "{stopped}"),
        }
    }
}

/// A run that took too long, as error handlers see it.
#[derive(Debug, thiserror::Error)]
#[error("timed out after {0:?}")]
struct TimedOut(Duration);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: TryOutcome, text: &str, failure: Option<&str>) {
        assert_eq!(outcome.to_string(), text);
        assert_eq!(
            outcome.into_failure().map(|cause| cause.error().to_string()).as_deref(),
            failure
        );
    }

    #[test]
    fn describes_itself_and_knows_failures() {
        let cause = || std::io::Error::other("disk full");
        check(Ok(()).into(), "succeeded", None);
        check(Err(cause().into()).into(), "failed: disk full", Some("disk full"));
        check(
            TryOutcome::Panicked("no luck".to_owned()),
            "panicked: no luck",
            Some("panicked: no luck"),
        );
        check(
            TryOutcome::TimedOut(Duration::from_secs(30)),
            "timed out after 30s",
            Some("timed out after 30s"),
        );
        check(TryOutcome::Cancelled(Stopped::Cancelled), "cancelled", None);
        let fenced = "fenced: the registry session can no longer be relied upon";
        check(TryOutcome::Cancelled(Stopped::Fenced), fenced, None);
    }
}
