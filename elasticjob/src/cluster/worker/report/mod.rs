//! Reports what becomes of a job's items: as events, as metrics, and as the status that
//! [`health`](crate::starter::ElasticJob::health) shows.
//!
//! All three are informed from here and from nowhere else, so that they agree. Most functions are called with the state and
//! not with the change: they compare it with the last report and are silent if it is the same. So the worker may
//! call them after every step.
//!
//! A run is reported as ended when its end is in the ledger and not when the code returned: a process that dies in
//! between has reported no end that the cluster does not know.

mod failures;
pub(super) mod hindrance;
mod status;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Arc;

use elasticjob_config::job::{Difference, Warning};
use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use crate::cluster::core::firing::Start;
use crate::cluster::instance::InstanceId;
use crate::cluster::launch::Finished;
use crate::cluster::ledger::{Gap, Run, Verdict};
use crate::cluster::note::Note;
use crate::cluster::pause::StoredPause;
use crate::cluster::policy::Policy;
use crate::cluster::refusal::Trouble;
use crate::registry::Error;
use crate::run::ItemOutcome;
use crate::telemetry::{JobMetrics, LastSuccess};
use crate::trace::{Bus, JobEvent, LostRun, RunEvent, SkippedTimes};

use super::outcome;
use failures::Failures;
use hindrance::{Action, Hindrances, News};
pub(crate) use status::WorkerStatus;
use tasks::OpenTasks;

/// The one place that a worker reports from.
#[derive(Debug)]
pub(super) struct Reporter {
    job: Arc<str>,
    events: Bus,
    metrics: Arc<JobMetrics>,
    status: Arc<WorkerStatus>,
    /// What is known of each item that runs and is not in its ledger.
    running: BTreeMap<u32, Box<Running>>,
    tasks: OpenTasks,
    hindrances: Hindrances,
    /// The leader that does not see this instance.
    unseen_by: Option<InstanceId>,
    last_success: LastSuccess,
    failures: Failures,
    /// Health shows an item if so many of its last runs failed, or more.
    failed_runs: u32,
    /// What was last said of the configuration in force.
    notices: Vec<Warning>,
}

/// A run from its claim until its end is recorded.
#[derive(Debug)]
struct Running {
    run_id: String,
    attempt: u32,
    task_id: Arc<str>,
    started_at: Timestamp,
    /// `None` while it runs.
    ended_at: Option<Timestamp>,
    failure: Option<Arc<str>>,
    retries: u32,
}

impl Reporter {
    pub(super) fn new(job: &str, events: Bus) -> Self {
        let metrics = Arc::new(JobMetrics::new(job));
        let job: Arc<str> = job.into();
        Self {
            tasks: OpenTasks::new(Arc::clone(&job)),
            last_success: LastSuccess::new(&job),
            failures: Failures::default(),
            failed_runs: Policy::default().failed_runs,
            notices: Vec::new(),
            job,
            events,
            metrics,
            status: Arc::new(WorkerStatus::new()),
            running: BTreeMap::new(),
            hindrances: Hindrances::default(),
            unseen_by: None,
        }
    }

    /// Notes how a request to the registry went. Returns whether there is news about what the registry refuses.
    pub(super) fn went(&mut self, action: Action, result: Result<(), &Error>) -> bool {
        let Some(news) = self.hindrances.note(action, result) else {
            return false;
        };
        let (job, action) = (&*self.job, action.name());
        match (news, result.err()) {
            (News::Refused { in_a_row }, Some(error)) => error!(
                job,
                action, in_a_row, %error, "the registry refuses what the job needs to go on"
            ),
            _ => info!(job, action, "the registry takes the request again"),
        }
        self.show_hindrances();
        true
    }

    /// Notes whether the leader does not see this instance. Returns whether that is news.
    pub(super) fn unseen_by(&mut self, leader: Option<InstanceId>) -> bool {
        if self.unseen_by == leader {
            return false;
        }
        self.unseen_by = leader;
        let job = &*self.job;
        match &self.unseen_by {
            Some(leader) => error!(
                job,
                %leader,
                "the leader takes no notice of this instance: it may be kept from its nodes, as by another digest"
            ),
            None => info!(job, "the leader takes notice of this instance"),
        }
        self.show_hindrances();
        true
    }

    /// Puts into the status what the registry refuses, with the leader that does not see this instance.
    fn show_hindrances(&self) {
        let mut texts = self.hindrances.texts();
        texts.extend(self.unseen_by.as_ref().map(|leader| {
            format!(
                "take items: the leader {leader} takes no notice of it, and may be kept from its nodes, as by another digest"
            )
        }));
        self.status.change(|now| now.hindrances = texts);
    }

    /// Returns the metrics of the job, which its runs count on, too.
    pub(super) fn metrics(&self) -> &Arc<JobMetrics> {
        &self.metrics
    }

    /// Returns the status that others read.
    pub(super) fn status(&self) -> &Arc<WorkerStatus> {
        &self.status
    }

    /// A firing began: these items were claimed by `instance` and are handed to the pool.
    pub(super) fn fired(&mut self, starts: &[Start], instance: &str, task_id: &Arc<str>, now: Timestamp) {
        let Some(first) = starts.first() else { return };
        self.metrics.fired(first.run.source, starts.len());
        self.status.change(|now_so| now_so.last_firing = Some(now));
        self.tasks.open(starts, instance, task_id, now, &self.events);
        for start in starts {
            let running = Running {
                run_id: start.run.id.clone(),
                attempt: start.run.attempt,
                task_id: Arc::clone(task_id),
                started_at: now,
                ended_at: None,
                failure: None,
                retries: 0,
            };
            self.events
                .publish(|| JobEvent::Started(self.run(start.item, &start.run, &running)));
            self.running.insert(start.item, Box::new(running));
        }
    }

    /// A run came back from the pool. Its end is not recorded yet.
    pub(super) fn returned(&mut self, finished: &Finished) {
        let running = self.running.get_mut(&finished.key.item);
        let is_this =
            |running: &&mut Box<Running>| running.run_id == finished.key.run && running.attempt == finished.key.attempt;
        if let Some(running) = running.filter(is_this) {
            running.started_at = finished.began_at.unwrap_or(running.started_at);
            running.ended_at = Some(finished.ended_at);
            running.failure = finished.failure.clone();
            running.retries = finished.retries;
        }
    }

    /// A run ended, and its end is in the ledger.
    pub(super) fn ended(&mut self, item: u32, ended: &Run, now: Timestamp) {
        if let Some(end) = &ended.end {
            self.metrics.ended(end.verdict);
        }
        let outcome = ended.end.as_ref().map_or(ItemOutcome::Pending, outcome);
        // What was begun by a session that is gone is not known any more.
        let running = self.running.remove(&item).unwrap_or_else(|| {
            Box::new(Running {
                run_id: ended.id.clone(),
                attempt: ended.attempt,
                task_id: "".into(),
                started_at: now,
                ended_at: None,
                failure: None,
                retries: 0,
            })
        });
        let ended_at = running.ended_at.unwrap_or(now);
        self.events.publish(|| JobEvent::Ended {
            run: self.run(item, ended, &running),
            outcome: outcome.clone(),
            ended_at,
            failure: running.failure.clone(),
        });
        self.tasks
            .ended(item, &running.task_id, &outcome, ended_at, &self.events);
        match ended.end.as_ref().map(|end| end.verdict) {
            Some(Verdict::Succeeded) => {
                self.last_success.succeeded(item, ended_at);
                self.failures.succeeded(item);
            }
            Some(Verdict::Failed) => self.failures.failed(item, &ended.id),
            _ => return,
        }
        self.tell_failing_of(item);
    }

    /// Takes in the newest run of an item of ours, as its ledger has it.
    pub(super) fn known(&mut self, item: u32, newest: &Run) {
        match newest.end.as_ref().map(|end| end.verdict) {
            // When it ended is not written down: not before it was due.
            Some(Verdict::Succeeded) => {
                self.last_success.succeeded(item, newest.scheduled_time());
                self.failures.succeeded(item);
            }
            Some(Verdict::Failed) => self.failures.failed_before(item, &newest.id),
            _ => return,
        }
        self.tell_failing_of(item);
    }

    /// Has health tell of items from so many failed runs on.
    pub(super) fn tells_of_failed_runs(&mut self, least: u32) {
        if self.failed_runs != least {
            self.failed_runs = least;
            self.tell_failing();
        }
    }

    /// Tells of one item: many end together, and many may fail.
    fn tell_failing_of(&self, item: u32) {
        let runs = self.failures.of(item, self.failed_runs);
        self.status.change(|now| match runs {
            Some(runs) if now.items.binary_search(&item).is_ok() => drop(now.failing.insert(item, runs)),
            _ => drop(now.failing.remove(&item)),
        });
    }

    /// Tells of all own items, after the items or the number of failed runs that counts have changed.
    fn tell_failing(&self) {
        self.status
            .change(|now| now.failing = self.failures.among(&now.items, self.failed_runs));
    }

    /// Says what the configuration in force does otherwise than it seems to, once.
    pub(super) fn notices(&mut self, notices: Vec<Warning>) {
        for notice in notices.iter().filter(|notice| !self.notices.contains(notice)) {
            warn!(job = &*self.job, key = notice.key, "{}", notice.message);
        }
        self.notices = notices;
    }

    /// The instance that ran an item died, and we recorded the loss.
    pub(super) fn lost(&self, item: u32, run: Option<&Run>) {
        self.metrics.ended(Verdict::Lost);
        self.events.publish(|| JobEvent::Lost {
            job: Arc::clone(&self.job),
            item,
            run: run.map(|run| LostRun {
                scheduled_time: run.scheduled_time(),
                run_id: run.id.clone(),
                attempt: run.attempt,
                source: run.source,
                instance: run.owner.as_str().into(),
            }),
        });
    }

    /// The runs are no longer ours, and another instance will report what became of them.
    pub(super) fn lose_session(&mut self, now: Timestamp) {
        self.running.clear();
        self.tasks.abandon(now, &self.events);
        self.hindrances = Hindrances::default();
        self.show_hindrances();
    }

    /// Scheduled times of an item passed without a run, and the ledger says so.
    pub(super) fn skipped(&self, item: u32, gap: &Gap) {
        let times = times(gap);
        info!(job = &*self.job, item, count = times.count, after = %times.after, reason = times.reason, "scheduled times passed without a run");
        self.pass(item, times);
    }

    /// A scheduled time passed an item that does not run. An operator knows: the item is switched off, or health says that it
    /// has no instance.
    pub(super) fn passed(&self, item: u32, gap: &Gap) {
        let times = times(gap);
        debug!(job = &*self.job, item, count = times.count, after = %times.after, reason = times.reason, "scheduled time passed");
        self.pass(item, times);
    }

    /// Counts times without a run, and publishes them.
    fn pass(&self, item: u32, times: SkippedTimes) {
        self.metrics.skipped(times.count);
        self.events.publish(|| JobEvent::Skipped {
            job: Arc::clone(&self.job),
            item,
            times,
        });
    }

    /// So many scheduled times came while the firing before them was running.
    pub(super) fn misfired(&self, times: u64) {
        self.metrics.misfired(times);
    }

    /// We shared the items out.
    pub(super) fn resharded(&self) {
        self.metrics.resharded();
    }

    /// Returns whether this item was reported to be ours.
    pub(super) fn tells_of_item(&self, item: u32) -> bool {
        self.status.now_is(|now| now.items.binary_search(&item).is_ok())
    }

    /// These items are ours. Whether they were not before.
    pub(super) fn owns(&self, items: Vec<u32>) -> bool {
        self.metrics.owns(items.len());
        if self.status.now_is(|now| now.items == items) {
            return false;
        }
        self.last_success.keep_to(&items);
        self.status.change(|now| now.items = items);
        self.tell_failing();
        true
    }

    /// This instance leads, and the strategy gives these items to no instance.
    pub(super) fn unassigned(&self, items: Vec<u32>, strategy: &str) {
        if self.status.now_is(|now| now.unassigned == items) {
            return;
        }
        self.metrics.unassigned(items.len());
        match items[..] {
            [] => info!(
                job = &*self.job,
                "every item has an instance, or another instance leads"
            ),
            _ => error!(
                job = &*self.job,
                ?items,
                strategy,
                "items without an instance: the sharding strategy gives them to none"
            ),
        }
        self.status.change(|now| now.unassigned = items);
    }

    /// What keeps the job from being run here as the registry has it, or that nothing does.
    pub(super) fn troubled(&self, trouble: Option<Trouble>) {
        if self.status.now_is(|now| now.trouble == trouble) {
            return;
        }
        let job = &*self.job;
        match &trouble {
            Some(Trouble::Refused { reason }) => error!(
                job,
                reason, "takes no items: it cannot run by the configuration in the registry, and waits for another"
            ),
            Some(Trouble::Outdated { reason }) => warn!(
                job,
                reason, "cannot run by the configuration in the registry: the one before stays in force"
            ),
            // Said where it is caught.
            Some(Trouble::Panicked { .. }) => {}
            None => info!(job, "runs as the registry has it again"),
        }
        self.status.change(|now| now.trouble = trouble);
    }

    /// Keeps what the configuration in force says otherwise than the application's own, setting by setting. Warns of it when
    /// the instance joins: a change while it runs is an operator's, who knows of it.
    pub(super) fn differs(&self, differences: &[Difference], joins: bool) {
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        let text = (!texts.is_empty()).then(|| texts.join("; "));
        if self.status.now_is(|now| now.differences == text) {
            return;
        }
        if let (Some(differences), true) = (&text, joins) {
            warn!(
                job = &*self.job,
                differences,
                "the registry has another configuration than this application, and that is in force: change it there, or \
                 set `overwrite`"
            );
        }
        self.status.change(|now| now.differences = text);
    }

    /// The whole job is paused, or not.
    pub(super) fn pauses(&self, pause: Option<&StoredPause>) {
        if self.status.now_is(|now| now.pause.as_ref() == pause) {
            return;
        }
        self.metrics.pauses(pause.is_some());
        let note = pause.and_then(|pause| pause.note.as_ref());
        let said = |pick: fn(&Note) -> Option<&String>| note.and_then(pick);
        let (by, reason) = (said(|note| note.by.as_ref()), said(|note| note.reason.as_ref()));
        match pause {
            Some(_) => info!(
                job = &*self.job,
                by, reason, "paused: nothing starts before the job is enabled"
            ),
            None => info!(job = &*self.job, "not paused any more, or not known to be"),
        }
        self.status.change(|now| now.pause = pause.cloned());
    }

    /// So many items run, or wait for room in the pool.
    pub(super) fn runs(&self, items: usize, now: Timestamp) {
        self.metrics.runs(items);
        self.status.change(|status| {
            status.running = items;
            status.running_since = (items > 0).then(|| status.running_since.unwrap_or(now));
        });
    }

    /// So many scheduled times have no verdict although they should.
    pub(super) fn misses(&self, unaccounted: u64) {
        self.metrics.misses(unaccounted);
        self.status.change(|now| now.unaccounted = unaccounted);
    }

    /// Returns a run as events have it: what the ledger knows, with what only this instance does.
    fn run(&self, item: u32, run: &Run, running: &Running) -> RunEvent {
        RunEvent {
            job: Arc::clone(&self.job),
            item,
            scheduled_time: run.scheduled_time(),
            run_id: run.id.clone(),
            attempt: run.attempt,
            retries: running.retries,
            source: run.source,
            instance: run.owner.as_str().into(),
            task_id: Arc::clone(&running.task_id),
            started_at: running.started_at,
        }
    }
}

/// Returns a gap of the ledger as events have it.
fn times(gap: &Gap) -> SkippedTimes {
    SkippedTimes {
        after: at(gap.after),
        before: at(gap.before),
        count: gap.count,
        reason: gap.reason.clone(),
        code: gap.code,
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
