//! What runs have in common: counts, durations, errors, hosts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use elasticjob::trace::history::RunOutcome;
use jiff::Timestamp;

use super::Run;

/// Most groups that are counted each by itself.
const GROUPS: usize = 100;

/// Most characters of the text of an error by which runs are grouped.
const PATTERN: usize = 160;

/// What some runs have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) outcomes: BTreeMap<RunOutcome, usize>,
    /// Runs that ended, by how long they took: each twice as long as the one before.
    pub(crate) durations: Vec<Bucket>,
    /// What half of the runs that ended did not exceed, and 95 of 100.
    pub(crate) percentiles: Option<(u64, u64)>,
}

/// Runs that took from so many milliseconds on, and less than the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) from: u64,
    pub(crate) below: u64,
    pub(crate) succeeded: usize,
    pub(crate) others: usize,
}

/// Runs that share something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The server, or the text of the error with its numbers left out.
    pub(crate) name: String,
    pub(crate) runs: usize,
    pub(crate) unsuccessful: usize,
    pub(crate) jobs: BTreeSet<String>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// What half of its runs did not exceed.
    pub(crate) median: Option<u64>,
    /// The newest of its runs.
    pub(crate) newest: Run,
}

impl Summary {
    pub(crate) fn new(runs: &[Run]) -> Self {
        let mut outcomes = BTreeMap::new();
        for run in runs {
            *outcomes.entry(run.outcome).or_default() += 1;
        }
        let mut took: Vec<u64> = runs.iter().filter_map(|run| run.took_millis).collect();
        took.sort_unstable();
        Self {
            count: runs.len(),
            outcomes,
            durations: buckets(runs),
            percentiles: percentile(&took, 50).zip(percentile(&took, 95)),
        }
    }
}

/// Returns what so many in a hundred did not exceed, of sorted durations.
fn percentile(took: &[u64], percent: usize) -> Option<u64> {
    let place = (took.len() * percent).div_ceil(100).max(1) - 1;
    took.get(place).copied()
}

/// Sorts runs into buckets, without empty ones at the ends.
fn buckets(runs: &[Run]) -> Vec<Bucket> {
    let place = |took: u64| (u64::BITS - took.leading_zeros()) as usize;
    let mut all: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for run in runs {
        let Some(took) = run.took_millis else { continue };
        let (succeeded, others) = all.entry(place(took)).or_default();
        *(if run.outcome == RunOutcome::Succeeded {
            succeeded
        } else {
            others
        }) += 1;
    }
    let (Some(first), Some(last)) = (all.keys().next(), all.keys().next_back()) else {
        return Vec::new();
    };
    let edge = |place: usize| if place == 0 { 0 } else { 1_u64 << (place - 1).min(62) };
    (*first..=*last)
        .map(|place| {
            let (succeeded, others) = all.get(&place).copied().unwrap_or_default();
            Bucket {
                from: edge(place),
                below: edge(place + 1),
                succeeded,
                others,
            }
        })
        .collect()
}

impl Group {
    /// Groups runs that did not succeed by their errors, the most frequent first. Errors that differ in numbers alone are one.
    pub(crate) fn by_error(runs: &[Run]) -> Vec<Self> {
        let failed = runs
            .iter()
            .filter(|run| !matches!(run.outcome, RunOutcome::Succeeded | RunOutcome::Running));
        Self::by(failed, |run| pattern(run.failure.as_deref().unwrap_or_default()))
    }

    /// Groups runs by the servers that ran them, those with most failures first.
    pub(crate) fn by_server(runs: &[Run]) -> Vec<Self> {
        Self::by(runs.iter(), |run| run.server.clone())
    }

    fn by<'a>(runs: impl Iterator<Item = &'a Run>, name: impl Fn(&Run) -> String) -> Vec<Self> {
        let mut groups: BTreeMap<String, (Self, Vec<u64>)> = BTreeMap::new();
        for run in runs {
            let name = name(run);
            let (group, took) = groups
                .entry(name.clone())
                .or_insert_with(|| (Self::new(name, run), Vec::new()));
            group.add(run);
            took.extend(run.took_millis);
        }
        let mut groups: Vec<Self> = groups
            .into_values()
            .map(|(mut group, mut took)| {
                took.sort_unstable();
                group.median = percentile(&took, 50);
                group
            })
            .collect();
        groups.sort_by(|a, b| (b.unsuccessful, b.runs, &a.name).cmp(&(a.unsuccessful, a.runs, &b.name)));
        groups.truncate(GROUPS);
        groups
    }

    fn new(name: String, run: &Run) -> Self {
        Self {
            name,
            runs: 0,
            unsuccessful: 0,
            jobs: BTreeSet::new(),
            first: run.started_at,
            last: run.started_at,
            median: None,
            newest: run.clone(),
        }
    }

    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.unsuccessful += usize::from(!matches!(run.outcome, RunOutcome::Succeeded | RunOutcome::Running));
        self.jobs.insert(run.job.clone());
        self.first = self.first.min(run.started_at);
        if run.started_at > self.last {
            self.last = run.started_at;
            self.newest = run.clone();
        }
    }
}

/// Returns the first line of an error with its numbers left out, so that errors of one cause are alike.
fn pattern(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let mut pattern = String::new();
    let mut is_number = false;
    for c in line.chars().take(PATTERN) {
        if !c.is_ascii_digit() {
            pattern.push(c);
        } else if !is_number {
            pattern.push('#');
        }
        is_number = c.is_ascii_digit();
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn of_durations_doubles_and_counts_all() {
        let took = [0, 1, 1, 2, 3, 700, 90_000];
        let runs: Vec<Run> = took
            .iter()
            .map(|&took| {
                let mut run = run(0);
                run.took_millis = Some(took);
                if took == 700 {
                    run.outcome = RunOutcome::Failed;
                }
                run
            })
            .collect();
        let summary = Summary::new(&runs);
        let buckets = summary.durations;
        assert_eq!((buckets[0].from, buckets[0].below, buckets[0].succeeded), (0, 1, 1));
        assert_eq!((buckets[1].from, buckets[1].below, buckets[1].succeeded), (1, 2, 2));
        assert_eq!((buckets[2].from, buckets[2].below, buckets[2].succeeded), (2, 4, 2));
        let failed = buckets.iter().find(|bucket| bucket.others > 0).unwrap();
        assert_eq!((failed.from, failed.below), (512, 1024));
        assert_eq!(
            buckets
                .iter()
                .map(|bucket| bucket.succeeded + bucket.others)
                .sum::<usize>(),
            7
        );
        assert_eq!(summary.percentiles, Some((2, 90_000)));
        assert!(Summary::new(&[]).percentiles.is_none());
    }

    #[test]
    fn of_errors_leaves_numbers_out() {
        let failing = |second, error: &str| {
            let mut run = run(second);
            run.outcome = RunOutcome::Failed;
            run.failure = Some(error.to_owned());
            run
        };
        let runs = [
            failing(3, "order 17: connection refused (10.0.0.2:5432)\nmore"),
            run(4),
            failing(5, "disk full"),
            failing(7, "order 18: connection refused (10.0.0.3:5432)"),
        ];
        let groups = Group::by_error(&runs);
        let names: Vec<_> = groups.iter().map(|group| (&*group.name, group.runs)).collect();
        assert_eq!(
            names,
            [("order #: connection refused (#.#.#.#:#)", 2), ("disk full", 1)]
        );
        assert_eq!(
            (groups[0].first, groups[0].last),
            (runs[0].started_at, runs[3].started_at)
        );
        assert_eq!(groups[0].newest, runs[3]);
    }

    #[test]
    fn of_servers_has_the_failing_one_first() {
        let mut runs: Vec<Run> = (0..10).map(run).collect();
        for run in &mut runs[..2] {
            run.server = "10.0.0.9".to_owned();
            run.outcome = RunOutcome::Lost;
        }
        let groups = Group::by_server(&runs);
        let counts: Vec<_> = groups
            .iter()
            .map(|group| (&*group.name, group.unsuccessful, group.runs))
            .collect();
        assert_eq!(counts, [("10.0.0.9", 2, 2), ("10.0.0.1", 0, 8)]);
    }
}
