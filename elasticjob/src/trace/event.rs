use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::run::ItemOutcome;
use crate::run::Source;

/// Something that became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEvent {
    /// A run was claimed and handed to the pool.
    Started(RunEvent),
    /// A run ended, and that is recorded.
    Ended {
        /// The run.
        run: RunEvent,
        /// How it ended.
        outcome: ItemOutcome,
        /// When.
        ended_at: Timestamp,
        /// Why it failed, with all that led to it, where that is more than `outcome` says.
        failure: Option<Arc<str>>,
    },
    /// The instance that ran an item died, and the item is not tried again at this time.
    Lost {
        /// The job.
        job: Arc<str>,
        /// The item.
        item: u32,
        /// The run, as the ledger knows it; `None` for a run of a Java member, which records nothing.
        run: Option<LostRun>,
    },
    /// Scheduled times passed without a run.
    Skipped {
        /// The job.
        job: Arc<str>,
        /// The item.
        item: u32,
        /// Which times.
        times: SkippedTimes,
    },
    /// The items that one instance runs in one firing have come this far, together.
    Task(TaskEvent),
}

impl JobEvent {
    /// The job.
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

/// A run of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEvent {
    /// The job.
    pub job: Arc<str>,
    /// The item.
    pub item: u32,
    /// The time it was due, or when it was asked for.
    pub scheduled_time: Timestamp,
    /// Names the run, over all its attempts.
    pub run_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// How often this attempt was [tried again](crate::job::ShardingContext::retry); 0 until it has ended.
    pub retries: u32,
    /// Why it runs.
    pub source: Source,
    /// The instance that runs it.
    pub instance: Arc<str>,
    /// The firing that it belongs to, as Java names it: the same for all items that the instance runs in it.
    pub task_id: Arc<str>,
    /// When it was handed to the pool; once it has ended, when the pool had room and the job began.
    pub started_at: Timestamp,
}

/// A run whose instance died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRun {
    /// The time it was due, or when it was asked for.
    pub scheduled_time: Timestamp,
    /// Names the run, over all its attempts.
    pub run_id: String,
    /// The attempt that was lost.
    pub attempt: u32,
    /// Why it ran.
    pub source: Source,
    /// The instance that died.
    pub instance: Arc<str>,
}

/// Scheduled times that follow each other and were not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedTimes {
    /// All after this time,
    pub after: Timestamp,
    /// and before this one.
    pub before: Timestamp,
    /// How many they are.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// The items that one instance runs in one firing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskEvent {
    /// The job.
    pub job: Arc<str>,
    /// Names the firing on this instance.
    pub task_id: Arc<str>,
    /// The instance.
    pub instance: Arc<str>,
    /// The time it was due, or when it was asked for.
    pub scheduled_time: Timestamp,
    /// The run of its first item, and
    pub run_id: String,
    /// the attempt of that: no other task has both.
    pub attempt: u32,
    /// All its items.
    pub items: Arc<[u32]>,
    /// How far it has come.
    pub state: TaskState,
    /// Which items failed and why, if any did.
    pub message: String,
    /// When.
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
    /// Java's name of it.
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
