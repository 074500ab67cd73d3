//! Runs that the console has seen itself: the newest firings of each job. Pure.

use elasticjob::operation::world::{Cell, Firing, Outcome, Picture};
use elasticjob::run::{Source, Verdict};
use elasticjob::trace::history::{Cursor, RunOutcome};
use jiff::{SignedDuration, Timestamp};

use super::{Filter, Found, Run, behind};

/// Returns the runs of a picture that a filter asks for, the newest first.
pub(super) fn runs(picture: &Picture, filter: &Filter, after: Option<&Cursor>, limit: usize, now: Timestamp) -> Found {
    let jobs = picture
        .jobs
        .iter()
        .filter(|(name, _)| filter.job().is_none_or(|job| &***name == job));
    let all = jobs.flat_map(|(name, job)| job.firings.all().iter().flat_map(move |firing| of_firing(name, firing)));
    let mut runs: Vec<Run> = all.filter(|run| is_asked_for(run, filter, now)).collect();
    runs.sort_by(|a, b| place(b).cmp(&place(a)));
    if let Some(after) = after.map(ToString::to_string) {
        // Places are in the order of times, which the text of a cursor is not.
        let Some((time, id)) = after
            .split_once('.')
            .and_then(|(time, id)| Some((time.parse::<i64>().ok()?, id)))
        else {
            return Found::default();
        };
        runs.retain(|run| place(run) < (time, id));
    }
    let next = runs.get(limit).is_some().then(|| behind(&runs[limit - 1])).flatten();
    runs.truncate(limit);
    Found { runs, next }
}

/// Returns by what runs are ordered.
fn place(run: &Run) -> (i64, &str) {
    (run.started_at.as_microsecond(), &run.id)
}

fn of_firing<'a>(job: &'a str, firing: &'a Firing) -> impl Iterator<Item = Run> + 'a {
    firing
        .cells()
        .filter_map(move |(item, cell)| of_cell(job, firing, item, cell))
}

/// Returns the run of a cell; `None` if the item did not run.
fn of_cell(job: &str, firing: &Firing, item: u32, cell: &Cell) -> Option<Run> {
    let outcome = match cell.outcome {
        Outcome::Running => RunOutcome::Running,
        Outcome::Ended(Verdict::Succeeded) => RunOutcome::Succeeded,
        Outcome::Ended(Verdict::Failed) => RunOutcome::Failed,
        Outcome::Ended(Verdict::Cancelled) => RunOutcome::Cancelled,
        Outcome::Ended(Verdict::Lost) => RunOutcome::Lost,
        _ => return None,
    };
    let instance = cell.instance.as_deref()?;
    let took = cell.took_millis.and_then(|took| i64::try_from(took).ok());
    let began = cell
        .ended
        .zip(took)
        .and_then(|(ended, took)| ended.checked_sub(SignedDuration::from_millis(took)).ok());
    Some(Run {
        id: format!("{job}/{item}/{}", firing.time.as_millisecond()),
        job: job.to_owned(),
        item,
        outcome,
        source: cell.source.unwrap_or(Source::Schedule),
        started_at: began.unwrap_or(firing.time),
        ended_at: cell.ended,
        took_millis: cell.took_millis,
        server: instance
            .split_once("@-@")
            .map_or(instance, |(address, _)| address)
            .to_owned(),
        instance: Some(instance.to_owned()),
        attempt: Some(cell.attempt),
        retries: None,
        scheduled_time: Some(firing.time),
        run_id: cell.run.as_deref().map(str::to_owned),
        failure: cell.cause.as_deref().map(str::to_owned),
    })
}

fn is_asked_for(run: &Run, filter: &Filter, now: Timestamp) -> bool {
    let server = |asked: &str| run.server == asked || run.instance.as_deref() == Some(asked);
    filter.item.is_none_or(|item| run.item == item)
        && filter.outcome.is_none_or(|outcome| run.outcome == outcome)
        && filter.source.is_none_or(|source| run.source == source)
        && filter.server.as_deref().is_none_or(server)
        && filter.since.is_none_or(|since| run.started_at >= since.at(now))
        && filter.until.is_none_or(|until| run.started_at < until.at(now))
}
