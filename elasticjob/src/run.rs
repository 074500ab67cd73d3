//! Runs: why an item is run, what became of it, and the state of a job on this instance.
//!
//! A run is one sharding item at one time. Its id is the same over all attempts, its fencing token grows with each.
//!
//! # Failover
//!
//! With `failover = true`, another instance runs again what an instance was running when it died.
//!
//! ## Flow
//! 1. An instance dies, or loses its session. The registry removes its nodes when the session times out (10 s by default).
//! 2. The leader records that the runs of the instance were lost, and queues the items, in one transaction.
//! 3. A surviving instance takes each queued item as the next attempt of the same run, with the same scheduled time and
//!    parameter. The source of this attempt is [`Source::Failover`].
//! 4. The items that were not running move to other instances, and run at their next time.
//!
//! ## Guarantees
//! - **No other item runs again.** An item that had ended does not, even if the end was recorded a moment before the death.
//! - **Not for ever.** If the instances of three attempts died, the item waits for its next scheduled time. The prop
//!   `elasticjob.failover-attempts` sets another number.
//! - **An instance that leaves has not died.** If the application stops in good order, or an operator removes the instance, the
//!   item's run ends as cancelled and is not repeated.
//! - **Without `failover`** the run ends as lost, too, and events say so. The item runs at its next time.
//!
//! ## Assumptions
//! - `monitor-execution` is on. Without it the registry does not have the items that were running, and there is no failover.
//! - The job can bear half a run that a whole run follows. A data store that takes the
//!   [fencing token](crate::job::ShardingContext::fencing_token) with each write refuses the first one if it goes on.
//!
//! # Which run this is
//!
//! ```
//! use elasticjob::prelude::*;
//!
//! async fn import(shard: ShardingContext) {
//!     if shard.attempt() > 1 {
//!         // The instance of the last attempt died: look for what it has left behind.
//!         println!("run {} of item {} begins again", shard.run_id(), shard.sharding_item());
//!     }
//! }
//! # let shard = ShardingContext::for_test(0, 1).with_attempt(2);
//! # futures_util::FutureExt::now_or_never(import(shard)).expect("it waits for nothing");
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "_history")]
mod lines;
#[cfg(not(feature = "_history"))]
#[path = "run/no_lines.rs"]
mod lines;
mod reason;

pub(crate) use lines::Lines;
#[cfg(feature = "_history")]
pub(crate) use lines::{CONTINUED, CUT_OFF};
pub use reason::Reason;

/// Why an item is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// A scheduled time came.
    Schedule,
    /// A scheduled time came while the last firing was running, or while no instance was there. The run makes it up.
    Misfire,
    /// An operator or a program triggered the job.
    Trigger,
    /// The instance of the last attempt died while it ran the item.
    Failover,
    /// A newer version wrote a source that this version does not know.
    #[serde(other)]
    Unknown,
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// What became of one item that was triggered.
///
/// [`Execution`](crate::starter::Execution) and [`JobEvent`](crate::trace::JobEvent) have it. In JSON it is
/// `{"outcome": "FAILED", "cause": "no route to host"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
        /// What stopped it: an operator, the end of the application, or the loss of the session.
        cause: String,
    },
    /// It was not run.
    Skipped {
        /// Why, as a text for operators: `the item is disabled`.
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

/// The state of a job on this instance. [`Health`](crate::starter::Health) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
