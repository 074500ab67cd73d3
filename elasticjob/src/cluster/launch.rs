//! The seam between the cluster, which decides what runs, and the executor, which runs it.

use std::fmt;
use std::sync::Arc;

use elasticjob_config::job::JobConfig;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::telemetry::JobMetrics;

use super::fence::Fence;
use super::firing::Start;
use super::instance::InstanceId;
use super::ledger::End;

/// Runs the items of one job.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Starts one claimed item. It ends by a [`Finished`], whatever happens to it, unless the process ends.
    fn launch(&self, launch: Launch);

    /// Takes over a changed configuration, or says why not.
    fn configure(&self, config: &JobConfig) -> Result<(), String>;

    /// Hands a fault that is no item's to the error handler; whether the firing is to be given up for it.
    fn report(&self, fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool;
}

/// One claimed item, ready to run.
pub(crate) struct Launch {
    pub(crate) start: Start,
    /// The same for all items of a firing on one instance.
    pub(crate) task_id: Arc<str>,
    /// The instance that claimed the item.
    pub(crate) instance: InstanceId,
    /// When the job is scheduled next.
    pub(crate) next: Option<Timestamp>,
    pub(crate) config: Arc<JobConfig>,
    pub(crate) fence: Fence,
    /// The wall clock, when it was handed over.
    pub(crate) launched_at: Timestamp,
    pub(crate) metrics: Arc<JobMetrics>,
    /// Cancels this item alone.
    pub(crate) cancellation: CancellationToken,
    /// Unbounded: it never holds more than one message for each item that was claimed.
    /// Boxed: a channel makes room for 32 at once, in each of ten thousand jobs.
    pub(crate) finished: mpsc::UnboundedSender<Box<Finished>>,
}

/// An item's run has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) item: u32,
    pub(crate) run: String,
    pub(crate) attempt: u32,
    /// The fence stopped it: its session could no longer be relied upon.
    pub(crate) is_fenced: bool,
    pub(crate) end: End,
    /// The error handler wants the firing given up: no make-up run follows it.
    pub(crate) is_abort: bool,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
