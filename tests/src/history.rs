//! What members really did: a file that all of them append to, and the laws that it must obey.
//!
//! A run is what is between its first and its last sign of life. A run that was stopped leaves a note when its future
//! is dropped, which is no sign of life: a process that was paused drops its runs when it goes on, long after.
//!
//! Times are those since the machine's start: one clock for all processes, which is never set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use elasticjob::job::ShardingContext;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::lines::{Appender, Tail};

/// Returns how long the machine has been up.
#[must_use]
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).expect("the clock starts at zero with the machine")
}

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Event {
    Begun,
    WentOn,
    Finished,
    Dropped,
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    at: Duration,
    event: Event,
    #[serde(flatten)]
    run: RunId,
}

/// Which run of which item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunId {
    /// The job.
    pub job: String,
    /// The sharding item.
    pub item: u32,
    /// The time it was due.
    pub scheduled: Timestamp,
    /// Which attempt it was.
    pub attempt: u32,
    /// The framework's name for the run.
    pub run: String,
    /// The fencing token. Java members have none.
    #[serde(default)]
    pub token: Option<i64>,
    /// The instance that it ran on.
    pub instance: String,
}

impl RunId {
    fn of(shard: &ShardingContext) -> Self {
        Self {
            job: shard.job_name().to_owned(),
            item: shard.sharding_item(),
            scheduled: shard.scheduled_time(),
            attempt: shard.attempt(),
            run: shard.run_id().to_owned(),
            token: Some(shard.fencing_token()),
            instance: shard.instance_id().to_owned(),
        }
    }
}

/// Where a member writes.
#[derive(Debug)]
pub struct Journal(Appender);

impl Journal {
    /// Opens the file, which others append to as well.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(Appender::open(path)?))
    }

    /// Notes that a run has begun. Dropping what it gives before its end says that the run was stopped.
    #[must_use]
    pub fn begin(&self, shard: &ShardingContext) -> Recorder<'_> {
        let recorder = Recorder {
            journal: self,
            run: RunId::of(shard),
            is_over: false,
        };
        recorder.note(Event::Begun);
        recorder
    }
}

/// Writes what happens to one run.
#[derive(Debug)]
pub struct Recorder<'a> {
    journal: &'a Journal,
    run: RunId,
    is_over: bool,
}

impl Recorder<'_> {
    /// Notes that the run goes on.
    pub fn go_on(&self) {
        self.note(Event::WentOn);
    }

    /// Notes that the run came to its end.
    pub fn finish(mut self) {
        self.is_over = true;
        self.note(Event::Finished);
    }

    fn note(&self, event: Event) {
        self.journal.0.append(&Line {
            at: since_boot(),
            event,
            run: self.run.clone(),
        });
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.note(Event::Dropped);
        }
    }
}

/// One run, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// The first sign of life.
    pub first: Duration,
    /// The last sign of life.
    pub last: Duration,
    /// How it ended, if it has, and its process lived to say so.
    pub end: Option<RunEnd>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It came to its end, successfully or not.
    Finished,
    /// It was stopped.
    Dropped,
}

/// What was written so far.
#[derive(Debug)]
pub struct History {
    lines: Tail<Line>,
    runs: BTreeMap<(String, u32, Option<i64>, String), Run>,
}

impl History {
    /// Returns the history in a file, which need not be there yet.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            lines: Tail::of(path),
            runs: BTreeMap::new(),
        }
    }

    /// Records what was written since the last time; gives all runs in the order in which they began.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what no journal writes.
    pub fn read(&mut self) -> anyhow::Result<Vec<Run>> {
        for line in self.lines.read()? {
            take_in(&mut self.runs, line);
        }
        let mut runs: Vec<Run> = self.runs.values().cloned().collect();
        runs.sort_by_key(|run| run.first);
        Ok(runs)
    }
}

fn take_in(runs: &mut BTreeMap<(String, u32, Option<i64>, String), Run>, line: Line) {
    let Line { at, event, run: id } = line;
    let key = (id.job.clone(), id.item, id.token, id.run.clone());
    let run = runs.entry(key).or_insert_with(|| Run {
        id,
        first: at,
        last: at,
        end: None,
    });
    match event {
        Event::Begun | Event::WentOn => run.last = at,
        Event::Finished => (run.last, run.end) = (at, Some(RunEnd::Finished)),
        Event::Dropped => run.end = Some(RunEnd::Dropped),
    }
}

/// Returns every breach of the promises that hold under any fault: two runs of an item at once, a scheduled time of an item that
/// one of our instances ran again, a fencing token that does not grow.
#[must_use]
pub fn breaches(runs: &[Run]) -> Vec<String> {
    let mut by_item: BTreeMap<(&str, u32), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        by_item.entry((&run.id.job, run.id.item)).or_default().push(run);
    }
    let mut breaches = Vec::new();
    for ((job, item), mut runs) in by_item {
        runs.sort_by_key(|run| run.first);
        for pair in runs.windows(2) {
            let [before, after] = pair else { continue };
            if after.first < before.last {
                breaches.push(format!("{job}/{item}: two runs at once: {before:?} and {after:?}"));
            }
            let tokens = (before.id.token, after.id.token);
            if let (Some(before_it), Some(token)) = tokens
                && token <= before_it
            {
                breaches.push(format!(
                    "{job}/{item}: the token does not grow: {before:?}, then {after:?}"
                ));
            }
        }
        let mut attempts: BTreeMap<_, &Run> = BTreeMap::new();
        for run in runs {
            let first = attempts.insert((run.id.scheduled, run.id.attempt), run);
            // A Java member that is late runs the items that it has by then, although another instance ran them in time.
            if let Some(first) = first.filter(|_| run.id.token.is_some()) {
                breaches.push(format!(
                    "{job}/{item}: a second run for one time: {first:?}, then {run:?}"
                ));
            }
        }
    }
    breaches
}

/// Returns the times and items of a job that were not run to their end.
#[must_use]
pub fn gaps(runs: &[Run], job: &str, items: &[u32], times: &[Timestamp]) -> Vec<(Timestamp, u32)> {
    let finished: BTreeSet<(Timestamp, u32)> = runs
        .iter()
        .filter(|run| run.id.job == job && run.end == Some(RunEnd::Finished))
        .map(|run| (run.id.scheduled, run.id.item))
        .collect();
    let wanted = times
        .iter()
        .flat_map(|time| items.iter().map(move |item| (*time, *item)));
    wanted.filter(|wanted| !finished.contains(wanted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i32) -> Timestamp {
        Timestamp::from_second(second.into()).expect("within range")
    }

    /// Returns a run of item 0 that is due when it begins.
    fn run(token: i32, first: i32, last: i32) -> Run {
        let since_boot = |second: i32| Duration::from_secs(second.unsigned_abs().into());
        Run {
            id: RunId {
                job: "job".into(),
                item: 0,
                scheduled: at(first),
                attempt: 1,
                run: format!("r{token}"),
                token: Some(token.into()),
                instance: "a".into(),
            },
            first: since_boot(first),
            last: since_boot(last),
            end: Some(RunEnd::Finished),
        }
    }

    #[test]
    fn runs_one_after_the_other_should_be_in_order() {
        assert_eq!(breaches(&[run(2, 20, 25), run(1, 10, 20)]), Vec::<String>::new());
    }

    #[test]
    fn each_breach_should_be_found() {
        let said = |runs: &[Run]| breaches(runs).join("\n");
        assert!(said(&[run(1, 10, 21), run(2, 20, 25)]).contains("two runs at once"));
        assert!(said(&[run(2, 10, 20), run(1, 20, 25)]).contains("the token does not grow"));
        let mut again = run(2, 20, 25);
        again.id.scheduled = at(10);
        assert!(said(&[run(1, 10, 15), again]).contains("a second run for one time"));
    }

    #[test]
    fn what_was_not_run_to_its_end_should_be_a_gap() {
        let mut stopped = run(2, 20, 25);
        stopped.end = Some(RunEnd::Dropped);
        let runs = [run(1, 10, 15), stopped];
        assert_eq!(gaps(&runs, "job", &[0], &[at(10), at(20)]), [(at(20), 0)]);
        assert_eq!(gaps(&runs, "job", &[0, 1], &[at(10)]), [(at(10), 1)]);
    }

    #[test]
    fn a_stopped_run_should_end_at_its_last_sign_of_life() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("history");
        let journal = Journal::open(&path)?;
        let mut history = History::of(&path);
        let recorder = journal.begin(&ShardingContext::for_test(1, 2));
        recorder.go_on();
        let known = history.read()?;
        assert_eq!(known.len(), 1);
        assert_eq!((known[0].id.item, known[0].end), (1, None));
        drop(recorder);
        let stopped = history.read()?;
        assert_eq!(
            (stopped[0].last, stopped[0].end),
            (known[0].last, Some(RunEnd::Dropped))
        );
        Ok(())
    }
}
