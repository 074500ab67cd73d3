use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::run::{Source, Verdict};

use super::facade::{Counter, Gauge, Histogram, counter, gauge, histogram};
use super::names;

/// The metrics of one job on this instance.
///
/// All handles are made when the job is, also for outcomes that may never come: a series that is there from the begin
/// with 0 has a rate from its first increase on.
#[derive(Debug)]
pub(crate) struct JobMetrics {
    firings: [Counter; SOURCES.len()],
    runs: [Counter; VERDICTS.len()],
    start_delay: Histogram,
    run_duration: Histogram,
    items_owned: Gauge,
    items_unassigned: Gauge,
    paused: Gauge,
    items_running: Gauge,
    failovers: Counter,
    retries: Counter,
    misfires: Counter,
    skipped_times: Counter,
    unaccounted_times: Gauge,
    reshardings: Counter,
}

const SOURCES: [(Source, &str); 4] = [
    (Source::Schedule, "schedule"),
    (Source::Misfire, "misfire"),
    (Source::Trigger, "trigger"),
    (Source::Failover, "failover"),
];

/// Those that instances of this version give.
const VERDICTS: [Verdict; 5] = [
    Verdict::Succeeded,
    Verdict::Failed,
    Verdict::Cancelled,
    Verdict::Lost,
    Verdict::Skipped,
];

impl JobMetrics {
    /// Makes the handles, which belong to the recorder that is installed now.
    pub(crate) fn new(job: &str) -> Self {
        let of_job = [("job", job)];
        Self {
            firings: SOURCES.map(|(_, source)| counter(names::FIRINGS, &[("job", job), ("source", source)])),
            runs: VERDICTS.map(|verdict| counter(names::RUNS, &[("job", job), ("outcome", &verdict.to_string())])),
            start_delay: histogram(names::START_DELAY, &of_job),
            run_duration: histogram(names::RUN_DURATION, &of_job),
            items_owned: gauge(names::ITEMS_OWNED, &of_job),
            items_unassigned: gauge(names::ITEMS_UNASSIGNED, &of_job),
            paused: gauge(names::PAUSED, &of_job),
            items_running: gauge(names::ITEMS_RUNNING, &of_job),
            failovers: counter(names::FAILOVERS, &of_job),
            retries: counter(names::RETRIES, &of_job),
            misfires: counter(names::MISFIRES, &of_job),
            skipped_times: counter(names::SKIPPED_TIMES, &of_job),
            unaccounted_times: gauge(names::UNACCOUNTED_TIMES, &of_job),
            reshardings: counter(names::RESHARDINGS, &of_job),
        }
    }

    /// A firing began with so many items.
    pub(crate) fn fired(&self, source: Source, items: usize) {
        if let Some(index) = SOURCES.iter().position(|(known, _)| *known == source) {
            self.firings[index].increment(1);
        }
        if source == Source::Failover {
            self.failovers.increment(items as u64);
        }
    }

    /// A run has its verdict.
    pub(crate) fn ended(&self, verdict: Verdict) {
        if let Some(index) = VERDICTS.iter().position(|known| *known == verdict) {
            self.runs[index].increment(1);
        }
    }

    /// A run that failed is tried again.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// So many scheduled times came while the firing before them was running.
    pub(crate) fn misfired(&self, times: u64) {
        self.misfires.increment(times);
    }

    /// So many scheduled times of an item were accounted for as passed without a run.
    pub(crate) fn skipped(&self, times: u64) {
        self.skipped_times.increment(times);
    }

    /// The items were shared out by us.
    pub(crate) fn resharded(&self) {
        self.reshardings.increment(1);
    }

    /// So many items are ours.
    pub(crate) fn owns(&self, items: usize) {
        self.items_owned.set(value(items as u64));
    }

    /// So many items have no instance, as the leader knows; 0 on an instance that does not lead.
    pub(crate) fn unassigned(&self, items: usize) {
        self.items_unassigned.set(value(items as u64));
    }

    /// The job is paused, or not, as far as this instance knows.
    pub(crate) fn pauses(&self, is_paused: bool) {
        self.paused.set(value(u64::from(is_paused)));
    }

    /// So many items run, or wait for room in the pool.
    pub(crate) fn runs(&self, items: usize) {
        self.items_running.set(value(items as u64));
    }

    /// So many scheduled times have no verdict although they should.
    pub(crate) fn misses(&self, unaccounted: u64) {
        self.unaccounted_times.set(value(unaccounted));
    }

    /// An item's work begins, so long after it was due; its end is that of the returned value.
    pub(crate) fn begin(&self, late: Option<SignedDuration>) -> Timed {
        if let Some(late) = late {
            // Before its time by a clock that was set back meanwhile: that is none.
            self.start_delay.record(Duration::try_from(late).unwrap_or_default());
        }
        Timed {
            duration: self.run_duration.clone(),
            began: Instant::now(),
        }
    }
}

/// How late a run is at `now`; `None` where it is not its schedule that says when.
pub(crate) fn lateness(source: Source, attempt: u32, due: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    (source == Source::Schedule && attempt == 1).then(|| now.duration_since(due))
}

/// Measures a run until it is dropped, however it ends.
#[derive(Debug)]
#[must_use = "it measures until it is dropped"]
pub(crate) struct Timed {
    duration: Histogram,
    began: Instant,
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.duration.record(self.began.elapsed());
    }
}

/// Exact up to 2^53, which no count of ours reaches.
fn value(count: u64) -> f64 {
    count as f64
}
