//! What operators do with jobs: look at them, switch them on and off, run them, change them, remove them.
//!
//! Start at [`Operations`]: one on any registry centre, or the one of a running application,
//! [`ElasticJob::operations`](crate::starter::ElasticJob::operations). All operations go through the registry, like those of the
//! Java console and with its statuses, so they work for members of both kinds. The data beyond Java's (why an item does not run, which
//! operator switched it off, how its last run ended) comes from the ledger, which only our members write.
//!
//! Listing jobs costs two rounds of reads, for any number of jobs and items, with a bounded number of requests at a
//! time. The answers of one listing need not be one snapshot. A change is one transaction for each job. It is decided on what was read;
//! if that changed meanwhile, the registry refuses the transaction, and the change is decided again. So every change except a
//! [trigger](Operations::trigger) may be repeated after a lost answer.

mod cancel;
mod configuration;
mod copy;
mod drain;
mod dump;
mod error;
mod execution;
mod explain;
mod instance;
mod item;
pub mod java;
mod listing;
mod next;
mod obstacle;
mod parts;
mod pause;
mod remaining;
mod removal;
mod report;
mod server;
mod shell;
mod stale;
mod survey;
mod switch;
mod target;
mod tree;
mod trigger;
#[cfg(feature = "registry-postgres")]
mod trigger_in;
#[cfg(feature = "axum")]
mod web;
pub mod world;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cluster::ids::Ids;
use crate::registry::{Registry, Session};
use crate::schedule::{Clock, SystemClock};

pub use cancel::{CancelOutcome, CancelReport, Cancelled, CancelledRun};
pub use configuration::{Change, StoredConfiguration};
pub use copy::{CopiedJob, CopyReport, IfThere};
pub use drain::Drained;
pub(crate) use dump::dumped_node;
pub use dump::{DumpLimits, dump, dump_within};
pub use error::Error;
pub use execution::Execution;
pub use explain::{Explanation, Finding, ItemExplanation};
pub use instance::InstanceReport;
pub use item::{ItemReport, ItemStatus, ProgressReport, RunReport, SkippedReport};
pub use listing::{JobBrief, JobOnServer, JobStatus, Listing, Unlisted, UnlistedReason};
pub use next::{NextFirings, next_firings};
pub use obstacle::Obstacle;
pub use pause::PauseChange;
pub use report::JobReport;
pub use server::{ServerBrief, ServerReport, ServerSwitch};
pub use switch::Switched;
pub use target::Target;
pub use trigger::Requested;

pub use crate::cluster::note::Note;
pub use crate::cluster::trigger::PARAMETER_LIMIT;
pub use crate::run::Verdict;

pub(crate) use tree::{Limits, TreeError, subtree};
#[cfg(feature = "registry-postgres")]
pub(crate) use trigger_in::requested;

/// Operations on the jobs of one namespace of a registry centre. Clones share a session.
///
/// The first call opens the session, and so does the first call after it was lost.
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::operation::{Operations, Target};
/// use elasticjob::registry::memory::MemoryRegistry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let operations = Operations::new(Arc::new(MemoryRegistry::new()));
/// assert!(operations.jobs().await?.jobs.is_empty());
/// let error = operations.disable(&Target::job("sync_orders"), None).await.unwrap_err();
/// assert_eq!(error.to_string(), "there is no job `sync_orders` in the registry");
/// # Ok::<_, elasticjob::operation::Error>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Calls on one value, or on its clones, may be made at the same time. Each call reads afresh: nothing is cached
/// between two calls.
#[derive(Clone)]
pub struct Operations {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    /// A std mutex: never held across an await.
    session: Mutex<Option<Arc<dyn Session>>>,
    /// Held by the call that opens the session, so that others do not open more.
    opening: tokio::sync::Mutex<()>,
    /// A std mutex: never held across an await.
    ids: Mutex<Ids>,
}

impl Operations {
    /// On the jobs in this registry. Nothing is connected yet.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self::with_clock(registry, Arc::new(SystemClock::new()))
    }

    /// As [`new`](Self::new), by this clock: for when something was switched off, and what comes next.
    #[must_use]
    pub fn with_clock(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                clock,
                session: Mutex::default(),
                opening: tokio::sync::Mutex::default(),
                ids: Mutex::new(Ids::random()),
            }),
        }
    }

    /// Names requests from this source.
    #[cfg(feature = "testing")]
    pub(crate) fn with_ids(self, ids: Ids) -> Self {
        *self.shared.ids.lock().unwrap_or_else(PoisonError::into_inner) = ids;
        self
    }

    /// Names the registry centre, without secrets: `zookeeper at 10.0.0.1:2181, namespace /shop`.
    #[must_use]
    pub fn registry(&self) -> String {
        self.shared.registry.describe()
    }

    /// Returns whether other processes can reach the registry centre, such as the command line.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.registry.is_shared()
    }

    /// Ends the session, if one is open. The next call opens another.
    ///
    /// Calls that are under way fail with [`Error::Registry`].
    pub async fn close(&self) {
        let session = self
            .shared
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(session) = session {
            session.close().await;
        }
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("registry", &self.shared.registry.describe())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
