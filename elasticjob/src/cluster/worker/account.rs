//! What becomes of scheduled times, in the terms of [`trace`](crate::trace).

use jiff::Timestamp;

use crate::cluster::ledger::{Gap, Run};
use crate::trace::{JobEvent, RunEvent, SkippedTimes};

use super::outcome;

pub(super) fn run(job: &str, item: u32, run: &Run) -> RunEvent {
    RunEvent {
        job: job.into(),
        item,
        scheduled_time: at(run.due),
        run_id: run.id.clone(),
        attempt: run.attempt,
        source: run.source,
    }
}

/// A run whose end is in the ledger.
pub(super) fn ended(job: &str, item: u32, run: &Run) -> JobEvent {
    let outcome = run.end.as_ref().map_or(super::ItemOutcome::Pending, outcome);
    JobEvent::Ended {
        run: self::run(job, item, run),
        outcome,
    }
}

pub(super) fn times(gap: &Gap) -> SkippedTimes {
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
