//! The seam between the cluster, which decides what runs, and the executor, which runs it.
//!
//! The cluster knows no jobs, and the executor knows no registry. A [`Launch`] carries all that a run needs, and each
//! launch is answered by exactly one [`Finished`]. The simulator and the tests of the worker stand on the other side of
//! this seam.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use elasticjob_config::job::JobConfig;
use futures_channel::mpsc::UnboundedSender;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::progress::ProgressCell;
use crate::run::RunKey;
use crate::schedule::Clock;
use crate::tasks::Task;
use crate::telemetry::JobMetrics;

use super::core::firing::Start;
use super::fence::Fence;
use super::guarantee::FiringKey;
use super::instance::InstanceId;
use super::layout::Moment;
use super::ledger::{End, Source};
use super::session::Membership;
use super::wind_down::WindDown;

/// Runs the items of one job.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Starts one claimed item. It always ends with a [`Finished`], unless the process ends.
    /// It returns at once: the run waits in a task of its own for room in the pool.
    fn launch(&self, launch: Launch);

    /// Takes over a changed configuration, or says why not.
    /// What runs keeps the configuration that it was launched with. If it fails, the configuration before stays in
    /// force.
    fn configure(&self, config: &JobConfig) -> Result<(), String>;

    /// Returns whether the job has listeners.
    fn is_listened_to(&self) -> bool;

    /// Calls the job's listeners at a moment, in a task, one after the other.
    fn call_listeners(&self, call: ListenerCall) -> Task<CallResult>;

    /// Hands a fault that is no item's to the error handler; whether the firing is to be given up for it.
    fn report(&self, fault: &(dyn Error + Send + Sync + 'static)) -> bool;
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
    /// Asks the item to end at its next good place, also when it is cancelled.
    pub(crate) wind_down: WindDown,
    /// Takes what the run reports of its progress.
    pub(crate) progress: ProgressCell,
    /// Unbounded: it never holds more than one message for each item that was claimed.
    pub(crate) finished: UnboundedSender<Finished>,
}

/// A call of the job's listeners, at one moment of a firing.
pub(crate) struct ListenerCall {
    pub(crate) moment: Moment,
    /// What was claimed for it; nothing where none of the job's items are run here.
    pub(crate) items: BTreeSet<u32>,
    pub(crate) task_id: Arc<str>,
    pub(crate) scheduled_time: Timestamp,
    pub(crate) source: Source,
    /// What it is given instead of the job's parameter.
    pub(crate) parameter: Option<String>,
    /// Which firing it is, for all instances.
    pub(crate) firing: FiringKey,
    /// Items that no instance is going to run, as far as this one knows.
    pub(crate) absent: BTreeSet<u32>,
    pub(crate) config: Arc<JobConfig>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Stops the call.
    pub(crate) cancellation: CancellationToken,
    /// Ends the waiting for other instances, once all has ended here.
    pub(crate) leaving: CancellationToken,
}

/// What came of a call of the listeners.
#[derive(Debug, Default)]
pub(crate) struct CallResult {
    pub(crate) faults: Vec<Box<dyn Error + Send + Sync + 'static>>,
}

/// An item's run has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) key: RunKey,
    /// The fence stopped it: its session could no longer be relied upon.
    pub(crate) is_fenced: bool,
    pub(crate) end: End,
    /// The error handler wants the firing given up: no make-up run follows it.
    pub(crate) is_abort: bool,
    /// How often it was tried again.
    pub(crate) retries: u32,
    /// When the pool had room and the job began; `None` if it was stopped before.
    pub(crate) began_at: Option<Timestamp>,
    pub(crate) ended_at: Timestamp,
    /// Why it failed, with all that led to it, where `end` holds less.
    pub(crate) failure: Option<Arc<str>>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
