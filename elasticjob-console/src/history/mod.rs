//! Runs of the past: from the databases in which they are recorded, or from what the console has seen itself.
//!
//! [`Filter`] reads what a visitor asks for. [`Histories`] answers it from a database, and without one from the newest firings of each job, which
//! the world keeps. [`Summary`] counts what was found. All of it is the same for runs that Java members recorded.

mod export;
mod filter;
mod memory;
mod summary;

use elasticjob::configuration::sources::TracedJobs;
use elasticjob::configuration::without_secrets;
use elasticjob::operation::world::Picture;
use elasticjob::run::Source;
use elasticjob::trace::history::{Cursor, Error, History, RecordedRun, RunFilter, RunOutcome};
use jiff::Timestamp;

use crate::access::Visitor;

pub(crate) use export::{csv, json};
pub(crate) use filter::{Filter, Problem};
pub(crate) use summary::{Bucket, Group, Summary};

/// Pages of the database that are read for one answer at most. Each is bounded by itself.
const READS: usize = 5;

/// A run, from a database or from the memory of the console.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// The key of the attempt; empty if no database has it.
    pub(crate) id: String,
    pub(crate) job: String,
    pub(crate) item: u32,
    pub(crate) outcome: RunOutcome,
    pub(crate) source: Source,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) took_millis: Option<u64>,
    pub(crate) server: String,
    pub(crate) instance: Option<String>,
    /// The number of the attempt, from 1; `None` for a run of a Java member.
    pub(crate) attempt: Option<u32>,
    pub(crate) retries: Option<u32>,
    pub(crate) scheduled_time: Option<Timestamp>,
    pub(crate) run_id: Option<String>,
    /// Why it did not succeed, without secrets that it quotes.
    pub(crate) failure: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The newest first.
    pub(crate) runs: Vec<Run>,
    /// Where the next page begins; `None` if this is the last.
    pub(crate) next: Option<Cursor>,
}

/// Where runs are recorded: databases, each with the history of some jobs. Clones share the connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories(Vec<(TracedJobs, History)>);

impl Histories {
    pub(crate) fn new(histories: &[(TracedJobs, History)]) -> Self {
        Self(histories.to_vec())
    }

    /// Returns the database of a job, or the first if none is named.
    pub(crate) fn of(&self, job: Option<&str>) -> Option<&History> {
        let found = self.0.iter().find(|(jobs, _)| job.is_none_or(|job| jobs.has(job)));
        found.map(|(_, history)| history)
    }

    /// Returns all databases.
    pub(crate) fn all(&self) -> impl Iterator<Item = &History> {
        self.0.iter().map(|(_, history)| history)
    }

    /// Returns the name of the database that answers a filter; `None` if none does, so that the console's memory answers it.
    pub(crate) fn place(&self, filter: &Filter) -> Option<&str> {
        self.of(filter.job()).map(History::database)
    }

    /// Returns runs behind `after`, `limit` of them if there are, as far as a bounded look goes: those of jobs that the visitor sees.
    pub(crate) async fn runs(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
        visitor: &Visitor,
        picture: &Picture,
        now: Timestamp,
    ) -> Result<Found, Error> {
        let Some(history) = self.of(filter.job()) else {
            return Ok(memory::runs(picture, filter, after, limit, now));
        };
        let asked = filter.to_runs(now);
        let mut found = Found::default();
        let mut after = after.cloned();
        for _ in 0..READS {
            let missing = u32::try_from(limit - found.runs.len()).unwrap_or(u32::MAX);
            let page = history.runs(&asked, after.as_ref(), missing).await?;
            let seen = page.rows.into_iter().filter(|run| visitor.sees(&run.job));
            found.runs.extend(seen.map(Run::from));
            found.next = page.next;
            if found.next.is_none() || found.runs.len() >= limit {
                break;
            }
            after.clone_from(&found.next);
        }
        Ok(found)
    }
}

impl From<RecordedRun> for Run {
    fn from(run: RecordedRun) -> Self {
        let took = run
            .ended_at
            .map(|ended| ended.duration_since(run.started_at).as_millis());
        let (attempt, retries, scheduled_time, run_id, instance) = match run.detail {
            Some(detail) => (
                Some(detail.attempt),
                Some(detail.retries),
                Some(detail.scheduled_time),
                Some(detail.run_id),
                Some(detail.instance),
            ),
            None => (None, None, None, None, None),
        };
        Self {
            id: run.id,
            job: run.job,
            item: run.item,
            outcome: run.outcome,
            source: run.source,
            started_at: run.started_at,
            ended_at: run.ended_at,
            took_millis: took.map(|took| u64::try_from(took).unwrap_or_default()),
            server: run.ip,
            instance,
            attempt,
            retries,
            scheduled_time,
            run_id,
            failure: run.failure.map(|failure| without_secrets(&failure).into_owned()),
        }
    }
}

/// Returns the cursor that begins behind a run.
pub(crate) fn behind(run: &Run) -> Option<Cursor> {
    format!("{}.{}", run.started_at.as_microsecond(), run.id).parse().ok()
}

/// Returns what a filter asks of the database.
impl Filter {
    fn to_runs(&self, now: Timestamp) -> RunFilter {
        let mut runs = RunFilter::default();
        if let Some(job) = self.job() {
            runs = runs.job(job);
        }
        if let Some(item) = self.item {
            runs = runs.item(item);
        }
        if let Some(outcome) = self.outcome {
            runs = runs.outcome(outcome);
        }
        if let Some(source) = self.source {
            runs = runs.source(source);
        }
        if let Some(server) = &self.server {
            runs = runs.instance(server);
        }
        if let Some(since) = self.since {
            runs = runs.from(since.at(now));
        }
        if let Some(until) = self.until {
            runs = runs.until(until.at(now));
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that succeeded at this second.
    pub(super) fn run(second: i64) -> Run {
        let started_at = Timestamp::from_second(second).expect("a time");
        Run {
            id: format!("run-{second}"),
            job: "job".to_owned(),
            item: 0,
            outcome: RunOutcome::Succeeded,
            source: Source::Schedule,
            started_at,
            ended_at: None,
            took_millis: Some(10),
            server: "10.0.0.1".to_owned(),
            instance: None,
            attempt: Some(1),
            retries: Some(0),
            scheduled_time: None,
            run_id: None,
            failure: None,
        }
    }

    #[test]
    fn begins_behind_any_run() {
        let mut last = run(3);
        last.id = "a.b-c".to_owned();
        assert_eq!(behind(&last).expect("a place").to_string(), "3000000.a.b-c");
    }
}
