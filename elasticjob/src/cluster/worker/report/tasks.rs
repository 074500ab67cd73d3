//! The tasks of a job on this instance, as Java has them: the items that it runs in one firing.
//!
//! A task begins with the claim of its items and ends with the last of them; it failed if one of them did. Every task
//! that begins also ends: with the session, or when its items run again, the open ones are given up, so that no history
//! shows a task that runs for ever.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cluster::core::firing::Start;
use crate::run::ItemOutcome;
use crate::trace::{Bus, JobEvent, TaskEvent, TaskState};

/// Longest account of what failed that is kept of a task, in bytes.
const MESSAGE_LIMIT: usize = 4000;

/// The tasks that have not ended.
#[derive(Debug)]
pub(in crate::cluster::worker) struct OpenTasks {
    job: Arc<str>,
    tasks: Vec<OpenTask>,
}

/// A task of which at least one item has not ended.
#[derive(Debug)]
struct OpenTask {
    id: Arc<str>,
    instance: Arc<str>,
    scheduled_time: Timestamp,
    run_id: String,
    attempt: u32,
    items: Arc<[u32]>,
    open: BTreeSet<u32>,
    has_failed: bool,
    message: String,
}

impl OpenTasks {
    pub(in crate::cluster::worker) fn new(job: Arc<str>) -> Self {
        let tasks = Vec::new();
        Self { job, tasks }
    }

    /// These items were claimed, and are about to run.
    pub(in crate::cluster::worker) fn open(
        &mut self,
        starts: &[Start],
        instance: &str,
        id: &Arc<str>,
        now: Timestamp,
        events: &Bus,
    ) {
        let Some(first) = starts.first() else { return };
        self.give_up(starts, now, events);
        let items: Arc<[u32]> = starts.iter().map(|start| start.item).collect();
        let task = OpenTask {
            id: Arc::clone(id),
            instance: instance.into(),
            scheduled_time: first.run.scheduled_time(),
            run_id: first.run.id.clone(),
            attempt: first.run.attempt,
            open: items.iter().copied().collect(),
            items,
            has_failed: false,
            message: String::new(),
        };
        for state in [TaskState::Staging, TaskState::Running] {
            events.publish(|| task.event(&self.job, state, now));
        }
        // There is one as a rule, and room for four would be made.
        self.tasks.reserve_exact(1);
        self.tasks.push(task);
    }

    /// Ends the earlier tasks of items that run again: the ends of the runs before will not come.
    fn give_up(&mut self, starts: &[Start], now: Timestamp, events: &Bus) {
        let outcome = ItemOutcome::Cancelled {
            cause: "run again: its end was not recorded".to_owned(),
        };
        for task in &mut self.tasks {
            for start in starts {
                if task.open.remove(&start.item) {
                    task.note(start.item, &outcome);
                }
            }
        }
        let is_over = |task: &mut OpenTask| task.open.is_empty();
        for task in self.tasks.extract_if(.., is_over) {
            events.publish(|| task.event(&self.job, TaskState::Error, now));
        }
    }

    /// An item of a task ended, and with the last of them the task.
    pub(in crate::cluster::worker) fn ended(
        &mut self,
        item: u32,
        id: &str,
        outcome: &ItemOutcome,
        now: Timestamp,
        events: &Bus,
    ) {
        // Two tasks of the same items have the same id, as in Java; the older one is the first to end.
        let is_it = |task: &OpenTask| *task.id == *id && task.open.contains(&item);
        let Some(place) = self.tasks.iter().position(is_it) else {
            return;
        };
        let task = &mut self.tasks[place];
        task.open.remove(&item);
        task.note(item, outcome);
        if !task.open.is_empty() {
            return;
        }
        let task = self.tasks.remove(place);
        let state = if task.has_failed {
            TaskState::Error
        } else {
            TaskState::Finished
        };
        events.publish(|| task.event(&self.job, state, now));
    }

    /// What runs is no longer ours.
    pub(in crate::cluster::worker) fn abandon(&mut self, now: Timestamp, events: &Bus) {
        for mut task in std::mem::take(&mut self.tasks) {
            let cause = "lost with the registry session".to_owned();
            let outcome = ItemOutcome::Cancelled { cause };
            for item in std::mem::take(&mut task.open) {
                task.note(item, &outcome);
            }
            events.publish(|| task.event(&self.job, TaskState::Error, now));
        }
    }
}

impl OpenTask {
    /// Takes in how an item ended: a failure is added to the message as long as this has room.
    fn note(&mut self, item: u32, outcome: &ItemOutcome) {
        let (ItemOutcome::Failed { cause } | ItemOutcome::Cancelled { cause }) = outcome else {
            return;
        };
        self.has_failed = true;
        if self.message.len() < MESSAGE_LIMIT {
            let separator = if self.message.is_empty() { "" } else { "; " };
            // Writing to a text cannot fail.
            let _ = write!(self.message, "{separator}item {item}: {cause}");
        }
    }

    /// Returns the task as an event, in this state.
    fn event(&self, job: &Arc<str>, state: TaskState, at: Timestamp) -> JobEvent {
        JobEvent::Task(TaskEvent {
            job: Arc::clone(job),
            task_id: Arc::clone(&self.id),
            instance: Arc::clone(&self.instance),
            scheduled_time: self.scheduled_time,
            run_id: self.run_id.clone(),
            attempt: self.attempt,
            items: Arc::clone(&self.items),
            state,
            message: self.message.clone(),
            at,
        })
    }
}
