//! The words for runs, which every module above knows: why an item is run, what became of it, and how a job stands here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an item is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// Its schedule says so.
    Schedule,
    /// A scheduled time came while the one before was running; it is made up right after.
    Misfire,
    /// Somebody asked for it.
    Trigger,
    /// The instance that ran it died.
    Failover,
}

/// One attempt of a run. Keys of one item stand together in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey {
    pub(crate) item: u32,
    /// The id of the run, over all its attempts.
    pub(crate) run: String,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

impl RunKey {
    /// Returns the key that comes before all of an item.
    pub(crate) fn before(item: u32) -> Self {
        Self {
            item,
            run: String::new(),
            attempt: 0,
        }
    }
}

/// How a run ended, by the ledger. `Display` shows it as the ledger and JSON have it: `succeeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It ran and returned success.
    Succeeded,
    /// It ran and returned an error, or panicked.
    Failed,
    /// It was stopped before it returned.
    Cancelled,
    /// Its instance died, or lost its session, while running it.
    Lost,
    /// It was not run, for a stated reason.
    Skipped,
    /// A newer version wrote a verdict that this version does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        })
    }
}

/// What became of one item of a run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ItemOutcome {
    /// It ran on an instance of ours, and returned success.
    Succeeded,
    /// It ran on an instance of ours, and returned an error or panicked.
    Failed {
        /// The error, cut to a few hundred bytes.
        cause: String,
    },
    /// It was stopped before it returned, or its instance died.
    Cancelled {
        /// By what.
        cause: String,
    },
    /// It was not run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It belongs to an instance that does not say what becomes of it: a Java member. Or a newer version ended it in a way that this
    /// version does not know.
    Unknown,
    /// It has not ended in the time that was given.
    Pending,
}

impl ItemOutcome {
    /// Returns why it did not succeed, if it says so.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::Failed { cause } | Self::Cancelled { cause } => Some(cause),
            Self::Skipped { reason } => Some(reason),
            Self::Succeeded | Self::Unknown | Self::Pending => None,
        }
    }
}

/// How it stands with a job on this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobState {
    /// Not registered: there is no session at present, or not yet.
    Waiting,
    /// Not registered, although there is a session: this process cannot run it by the configuration in the registry, or what
    /// decides about it panicked. It takes no items, and registers when there is another configuration, or after a pause.
    StandingBy,
    /// Registered; it fires as its schedule says.
    Ready,
    /// It starts nothing more, and leaves when its items have ended.
    Draining,
    /// It left the cluster.
    Stopped,
}
