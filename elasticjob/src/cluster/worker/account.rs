//! Tells what becomes of a job's items to whoever watches from outside: as events, as metrics, and as the standing that
//! [`health`](crate::starter::ElasticJob::health) shows.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;

use crate::cluster::firing::Start;
use crate::cluster::ledger::{Gap, Run, Verdict};
use crate::telemetry::JobMetrics;
use crate::trace::{Bus, JobEvent, RunEvent, SkippedTimes};

use super::outcome;
use super::standing::Standing;

/// The one place that a worker tells of its items.
#[derive(Debug)]
pub(super) struct Account {
    job: Arc<str>,
    events: Bus,
    metrics: Arc<JobMetrics>,
    standing: Arc<Standing>,
}

impl Account {
    pub(super) fn new(job: &str, events: Bus) -> Self {
        Self {
            job: job.into(),
            events,
            metrics: Arc::new(JobMetrics::new(job)),
            standing: Arc::new(Standing::new()),
        }
    }

    pub(super) fn metrics(&self) -> &Arc<JobMetrics> {
        &self.metrics
    }

    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// A firing began: these items were claimed and are handed to the pool.
    pub(super) fn fired(&self, starts: &[Start], now: Timestamp) {
        let Some(first) = starts.first() else { return };
        self.metrics.fired(first.run.source, starts.len());
        self.standing.change(|now_so| now_so.last_firing = Some(now));
        for start in starts {
            self.events
                .publish(|| JobEvent::Started(run(&self.job, start.item, &start.run)));
        }
    }

    /// A run ended, and its end is in the ledger.
    pub(super) fn ended(&self, item: u32, ended: &Run) {
        if let Some(end) = &ended.end {
            self.metrics.ended(end.verdict);
        }
        self.events.publish(|| JobEvent::Ended {
            run: run(&self.job, item, ended),
            outcome: ended.end.as_ref().map_or(super::ItemOutcome::Pending, outcome),
        });
    }

    /// The instance that ran an item died, and we recorded the loss.
    pub(super) fn lost(&self, item: u32) {
        self.metrics.ended(Verdict::Lost);
        self.events.publish(|| JobEvent::Lost {
            job: Arc::clone(&self.job),
            item,
        });
    }

    /// Scheduled times of an item passed without a run, and the ledger says so.
    pub(super) fn skipped(&self, item: u32, gap: &Gap) {
        let times = times(gap);
        info!(job = &*self.job, item, count = times.count, after = %times.after, reason = times.reason, "scheduled times passed without a run");
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

    /// These items are ours. Whether they were not before.
    pub(super) fn owns(&self, items: Vec<u32>) -> bool {
        self.metrics.owns(items.len());
        self.standing
            .change(|now| std::mem::replace(&mut now.items, items) != now.items)
    }

    /// So many items run, or wait for room in the pool.
    pub(super) fn runs(&self, items: usize, now: Timestamp) {
        self.metrics.runs(items);
        self.standing.change(|standing| {
            standing.running = items;
            standing.running_since = (items > 0).then(|| standing.running_since.unwrap_or(now));
        });
    }

    /// So many scheduled times have no verdict although they should.
    pub(super) fn misses(&self, unaccounted: u64) {
        self.metrics.misses(unaccounted);
        self.standing.change(|now| now.unaccounted = unaccounted);
    }
}

fn run(job: &Arc<str>, item: u32, run: &Run) -> RunEvent {
    RunEvent {
        job: Arc::clone(job),
        item,
        scheduled_time: run.scheduled_time(),
        run_id: run.id.clone(),
        attempt: run.attempt,
        source: run.source,
    }
}

fn times(gap: &Gap) -> SkippedTimes {
    SkippedTimes {
        after: at(gap.after),
        before: at(gap.before),
        count: gap.count,
        reason: gap.reason.clone(),
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
