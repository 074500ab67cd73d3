//! Events: what became of runs, firings and scheduled times.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::run::{ItemOutcome, Reason, Source};

/// What became of a run, a firing or a scheduled time, on this instance.
///
/// For one run the events come in this order: [`Task`](Self::Task) `Staging`, [`Started`](Self::Started), `Task` `Running`,
/// [`Ended`](Self::Ended), and a last `Task` when all items of the firing have ended. Events of different items interleave.
///
/// Each event comes on one instance of the cluster: that which ran the item, or which found out that it was lost or skipped. So
/// the events of all instances together have each run once.
///
/// ```
/// use elasticjob::run::ItemOutcome;
/// use elasticjob::trace::JobEvent;
///
/// /// A line for the operator, if an event is worth one.
/// fn line(event: &JobEvent) -> Option<String> {
///     match event {
///         JobEvent::Ended { run, outcome: ItemOutcome::Failed { cause }, .. } => {
///             Some(format!("{} item {}, attempt {}: {cause}", run.job, run.item, run.attempt))
///         }
///         JobEvent::Lost { job, item, .. } => Some(format!("{job} item {item}: its instance died")),
///         JobEvent::Skipped { job, item, times } => {
///             Some(format!("{job} item {item}: {} times skipped: {}", times.count, times.reason))
///         }
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEvent {
    /// A run was claimed and handed to the pool.
    Started(RunEvent),
    /// A run ended, and its verdict is in the registry. If the session of a run was lost, no such event comes: the instance that
    /// finds the run reports [`Lost`](Self::Lost).
    Ended {
        /// The run that ended.
        run: RunEvent,
        /// How it ended: succeeded, failed, cancelled or skipped.
        outcome: ItemOutcome,
        /// When it ended, by the wall clock of the instance.
        ended_at: Timestamp,
        /// The error with all its causes, up to 16 KiB; `None` if `outcome` has all of it, or the run did not fail.
        failure: Option<Arc<str>>,
    },
    /// The instance that ran an item died, and no other instance runs the item again for this time: `failover` is off, or the run
    /// has had all its attempts.
    Lost {
        /// The name of the job.
        job: Arc<str>,
        /// The item that the instance ran, from 0.
        item: u32,
        /// The run, as the ledger knows it; `None` for a run of a Java member, which records nothing.
        run: Option<LostRun>,
    },
    /// Scheduled times of an item passed without a run.
    Skipped {
        /// The name of the job.
        job: Arc<str>,
        /// The item that did not run, from 0.
        item: u32,
        /// The range of times, their number, and the reason.
        times: SkippedTimes,
    },
    /// The items that one instance runs in one firing have come this far, together. Java members record the same states.
    Task(TaskEvent),
}

impl JobEvent {
    /// Returns the name of the job that the event is about.
    #[must_use]
    pub fn job(&self) -> &Arc<str> {
        match self {
            Self::Started(run) | Self::Ended { run, .. } => &run.job,
            Self::Lost { job, .. } | Self::Skipped { job, .. } => job,
            Self::Task(task) => &task.job,
        }
    }

    /// Returns about how many bytes of memory it holds. What the events of one firing share is counted with its steps.
    pub(crate) fn weight(&self) -> usize {
        let texts = match self {
            Self::Started(run) => run.run_id.len(),
            Self::Ended {
                run, outcome, failure, ..
            } => run.run_id.len() + outcome.cause().map_or(0, str::len) + failure.as_ref().map_or(0, |text| text.len()),
            Self::Lost { run, .. } => run.as_ref().map_or(0, |run| run.run_id.len() + run.instance.len()),
            Self::Skipped { times, .. } => times.reason.len(),
            Self::Task(task) => {
                task.run_id.len() + task.message.len() + task.task_id.len() + size_of_val::<[u32]>(&task.items)
            }
        };
        size_of::<Self>() + texts
    }
}

/// A run of an item, as far as it is known when the event is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEvent {
    /// The name of the job.
    pub job: Arc<str>,
    /// The item that runs, from 0.
    pub item: u32,
    /// The scheduled time, or when the run was triggered.
    pub scheduled_time: Timestamp,
    /// The id of the run, which is the same over all its attempts and belongs to no other run.
    pub run_id: String,
    /// The number of the attempt, from 1. A larger one is a take-over after the instance of the last one died.
    pub attempt: u32,
    /// How often this attempt was [tried again](crate::job::ShardingContext::retry); 0 until it has ended.
    pub retries: u32,
    /// Why the item runs.
    pub source: Source,
    /// The instance that runs it.
    pub instance: Arc<str>,
    /// The firing that it belongs to, as Java names it: the same for all items that the instance runs in it.
    /// Later firings of the same items on this instance have the same task id: `run_id` tells them apart.
    pub task_id: Arc<str>,
    /// When it was handed to the pool; once it has ended, when the pool had room and the job began.
    pub started_at: Timestamp,
}

/// A run that its instance died with, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRun {
    /// The scheduled time, or when the run was triggered.
    pub scheduled_time: Timestamp,
    /// The id of the run, which is the same over all its attempts.
    pub run_id: String,
    /// The number of the attempt that was lost, from 1.
    pub attempt: u32,
    /// Why the item ran.
    pub source: Source,
    /// The id of the instance that died.
    pub instance: Arc<str>,
}

/// Scheduled times that follow each other and were not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedTimes {
    /// The last moment before the first skipped time: all of them are after it.
    pub after: Timestamp,
    /// The first moment after the last skipped time: all of them are before it.
    pub before: Timestamp,
    /// The number of skipped times.
    pub count: u64,
    /// Why they were skipped, as a text for operators: `switched off`.
    pub reason: String,
    /// Why they were skipped, for programs; `None` if it is not known.
    pub code: Option<Reason>,
}

/// The items that one instance runs in one firing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskEvent {
    /// The name of the job.
    pub job: Arc<str>,
    /// The firing as Java names it. It is the same for all firings of the same items on this instance.
    pub task_id: Arc<str>,
    /// The id of the instance that runs the items.
    pub instance: Arc<str>,
    /// The scheduled time, or when the firing was triggered.
    pub scheduled_time: Timestamp,
    /// The id of the run of its first item. With `attempt` it belongs to this task alone.
    pub run_id: String,
    /// The number of the attempt of its first item, from 1.
    pub attempt: u32,
    /// All items that the instance runs in this firing, in ascending order.
    pub items: Arc<[u32]>,
    /// How far the items have come.
    pub state: TaskState,
    /// Which items failed and why; empty if none did.
    pub message: String,
    /// When the task came to this state, by the wall clock of the instance.
    pub at: Timestamp,
}

/// How far a task has come. Java has the same states for a job that runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// Its items are claimed.
    Staging,
    /// They are handed to the pool.
    Running,
    /// All have ended, and none failed.
    Finished,
    /// All have ended or were lost, and some failed.
    Error,
}

impl TaskState {
    /// Returns Java's name of the state, which is also how it is shown: `TASK_RUNNING`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "TASK_STAGING",
            Self::Running => "TASK_RUNNING",
            Self::Finished => "TASK_FINISHED",
            Self::Error => "TASK_ERROR",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
