//! How the progress of runs comes into the registry: `ledger/progress/{item}`. Pure.
//!
//! An instance writes at most once in [`PACE`], however often its runs report. It writes at most [`RUNS`] runs at a time: first
//! those that have waited longest. A run that is over within [`BRIEF`] is not written at all, so jobs of short runs cost no request. A node lives by
//! the session of its instance, and names the attempt: readers ignore what is not of the run that goes on. Nothing else
//! relies on these nodes: a write that is refused or lost is only made up for later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::progress::{ProgressCell, Reported};
use crate::registry::{Answer, CreateMode, Error, Limits, Read, Step, WriteError, Written};
use crate::run::RunKey;

use super::core::request::{Reply, Request};
use super::layout::Node;

/// Between two writes of an instance.
pub(crate) const PACE: Duration = Duration::from_secs(5);

/// A run that is over within this time is not written.
const BRIEF: Duration = Duration::from_secs(1);

/// Most runs in one write.
const RUNS: usize = 100;

/// What the registry holds of a run's progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredProgress {
    pub(crate) run: String,
    pub(crate) attempt: u32,
    /// When the run reported it, in milliseconds since 1970 by the clock of its instance.
    pub(crate) at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<u8>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
}

/// The progress of all runs of one job on this instance, within one session.
#[derive(Debug, Default)]
pub(crate) struct Progresses {
    /// The run of each item.
    runs: BTreeMap<u32, Reporting>,
    /// The items that have a node, as far as is known.
    there: BTreeSet<u32>,
    /// Whether the parent of the nodes is there; `None` until it was looked.
    has_parent: Option<bool>,
    /// Whether a run may have reported since it was last looked.
    has_news: bool,
    not_before: Duration,
    stage: Stage,
}

#[derive(Debug)]
struct Reporting {
    run: String,
    attempt: u32,
    launched_at: Duration,
    cell: ProgressCell,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    None,
    /// The nodes of these items are being written, or deleted.
    Writing {
        written: Vec<u32>,
        deleted: Vec<u32>,
    },
    /// It is not known which of these items have a node.
    Doubtful(Vec<u32>),
    Reading(Vec<u32>),
}

/// What a request about progress is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Write reports, and remove those of runs that are over.
    Write,
    /// Look which runs have a node.
    Look,
}

impl StoredProgress {
    /// Reads what an instance wrote; `None` if that says nothing.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }

    /// Returns the stored form, JSON.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has only texts and numbers, which JSON can hold")
    }
}

impl Progresses {
    /// A run was launched that reports to this cell.
    pub(crate) fn launched(&mut self, key: &RunKey, cell: ProgressCell, elapsed: Duration) {
        let reporting = Reporting {
            run: key.run.clone(),
            attempt: key.attempt,
            launched_at: elapsed,
            cell,
        };
        self.runs.insert(key.item, reporting);
    }

    /// A run is over.
    pub(crate) fn finished(&mut self, key: &RunKey) {
        let is_it = |known: &Reporting| known.run == key.run && known.attempt == key.attempt;
        if self.runs.get(&key.item).is_some_and(is_it) {
            self.runs.remove(&key.item);
        }
    }

    /// A run has reported.
    pub(crate) fn reported(&mut self) {
        self.has_news = true;
    }

    /// Returns the next request, if there is one to make now.
    pub(crate) fn next_request(
        &mut self,
        job: &str,
        limits: Limits,
        elapsed: Duration,
        now: Timestamp,
    ) -> Option<Request<Purpose>> {
        if elapsed < self.not_before {
            return None;
        }
        let doubtful = match &mut self.stage {
            Stage::None => None,
            Stage::Doubtful(items) => Some(std::mem::take(items)),
            Stage::Writing { .. } | Stage::Reading(_) => return None,
        };
        if let Some(items) = doubtful {
            return Some(self.look(job, items, elapsed));
        }
        if self.has_parent.is_none() && self.is_waiting(elapsed) {
            return Some(self.look(job, Vec::new(), elapsed));
        }
        let most = limits.batch().min(RUNS);
        let deleted: Vec<u32> = self.over().take(most).collect();
        let written = if std::mem::take(&mut self.has_news) {
            self.take_waiting(most, elapsed)
        } else {
            Vec::new()
        };
        if deleted.is_empty() && written.is_empty() {
            return None;
        }
        let steps = self.steps(job, &deleted, &written, now);
        self.not_before = elapsed + PACE;
        let written = written.into_iter().map(|(item, _)| item).collect();
        self.stage = Stage::Writing { written, deleted };
        Some(Request::write_as_member(Purpose::Write, steps))
    }

    /// Returns when there will be a request to make, if nothing else happens.
    pub(crate) fn next_at(&self, elapsed: Duration) -> Option<Duration> {
        let is_waiting = match self.stage {
            Stage::None => self.has_news || self.over().next().is_some(),
            Stage::Doubtful(_) => true,
            Stage::Writing { .. } | Stage::Reading(_) => false,
        };
        // Runs that have news are looked at again when the shortest of them may have become worth it.
        is_waiting.then(|| self.not_before.max(elapsed + BRIEF))
    }

    /// Records the answer to the request.
    pub(crate) fn answered(&mut self, reply: Reply) {
        match reply {
            Reply::Written(result) => self.written(&result),
            Reply::Read(result) => self.read(result),
            Reply::Surveyed(_) => unreachable!("no survey is asked for"),
        }
    }

    /// A write was answered.
    fn written(&mut self, result: &Result<Vec<Written>, WriteError>) {
        let Stage::Writing { written, deleted } = std::mem::take(&mut self.stage) else {
            return;
        };
        if result.is_ok() {
            self.has_parent = Some(true);
            self.there.extend(written);
            self.there.retain(|item| !deleted.contains(item));
            return;
        }
        for item in &written {
            if let Some(reporting) = self.runs.get(item) {
                reporting.cell.put_back();
                self.has_news = true;
            }
        }
        self.stage = Stage::Doubtful(written.into_iter().chain(deleted).collect());
    }

    /// It was read which items have a node.
    fn read(&mut self, result: Result<Vec<Answer>, Error>) {
        let Stage::Reading(items) = std::mem::take(&mut self.stage) else {
            return;
        };
        let Ok(answers) = result else {
            self.stage = Stage::Doubtful(items);
            return;
        };
        let mut are_there = answers.iter().map(|answer| matches!(answer, Answer::Data(Some(_))));
        for (item, is_there) in items.into_iter().zip(are_there.by_ref()) {
            if is_there {
                self.there.insert(item)
            } else {
                self.there.remove(&item)
            };
        }
        self.has_parent = are_there.next();
    }

    /// Reads whether these items have a node, and whether the parent is there.
    fn look(&mut self, job: &str, items: Vec<u32>, elapsed: Duration) -> Request<Purpose> {
        self.not_before = elapsed + BRIEF;
        let nodes = items.iter().map(|item| Node::Progress(*item)).chain([Node::Progresses]);
        let reads = nodes.map(|node| Read::Data(node.of(job))).collect();
        self.stage = Stage::Reading(items);
        Request::read(Purpose::Look, reads)
    }

    /// Returns whether there is a report to write now.
    fn is_waiting(&self, elapsed: Duration) -> bool {
        let is_waiting = |reporting: &Reporting| {
            elapsed >= reporting.launched_at + BRIEF && reporting.cell.waiting_since().is_some()
        };
        self.has_news && self.runs.values().any(is_waiting)
    }

    /// Returns the items that have a node and no run.
    fn over(&self) -> impl Iterator<Item = u32> {
        self.there.iter().copied().filter(|item| !self.runs.contains_key(item))
    }

    /// Takes the reports that are to be written, the longest waiting first, and so many at most.
    fn take_waiting(&mut self, most: usize, elapsed: Duration) -> Vec<(u32, Reported)> {
        let waiting = self.runs.iter().filter_map(|(item, reporting)| {
            let since = reporting.cell.waiting_since()?;
            Some((since, *item, reporting.launched_at))
        });
        let mut waiting: Vec<(Instant, u32, Duration)> = waiting.collect();
        let all = waiting.len();
        waiting.retain(|(_, _, launched_at)| elapsed >= *launched_at + BRIEF);
        waiting.sort_unstable_by_key(|(since, item, _)| (*since, *item));
        waiting.truncate(most);
        self.has_news = waiting.len() < all;
        let taken = waiting.into_iter().filter_map(|(_, item, _)| {
            let reported = self.runs.get(&item)?.cell.take()?;
            Some((item, reported))
        });
        taken.collect()
    }

    /// Returns the transaction that writes these reports and deletes these nodes.
    fn steps(&self, job: &str, deleted: &[u32], written: &[(u32, Reported)], now: Timestamp) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.has_parent == Some(false) && !written.is_empty() {
            steps.push(Step::Create {
                path: Node::Progresses.of(job),
                data: Vec::new(),
                mode: CreateMode::Persistent,
            });
        }
        steps.extend(deleted.iter().map(|item| Step::Delete {
            path: Node::Progress(*item).of(job),
            version: None,
        }));
        for (item, reported) in written {
            let Some(Reporting { run, attempt, .. }) = self.runs.get(item) else {
                continue;
            };
            let ago = SignedDuration::try_from(reported.at.elapsed()).unwrap_or_default();
            let data = StoredProgress {
                run: run.clone(),
                attempt: *attempt,
                at: now.saturating_sub(ago).unwrap_or(now).as_millisecond(),
                percent: reported.percent,
                text: reported.text.clone(),
            }
            .to_bytes();
            let path = Node::Progress(*item).of(job);
            steps.push(if self.there.contains(item) {
                Step::Set {
                    path,
                    data,
                    version: None,
                }
            } else {
                Step::Create {
                    path,
                    data,
                    mode: CreateMode::Ephemeral,
                }
            });
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::super::core::request::Io;
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn key(item: u32, attempt: u32) -> RunKey {
        RunKey {
            item,
            run: "r".to_owned(),
            attempt,
        }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    /// Runs of so many items, launched at the second 0, that have reported.
    fn reporting(items: u32) -> (Progresses, Vec<ProgressCell>) {
        let mut progresses = Progresses {
            has_parent: Some(true),
            ..Progresses::default()
        };
        let cells: Vec<ProgressCell> = (0..items).map(|_| ProgressCell::default()).collect();
        for (item, cell) in (0..).zip(&cells) {
            progresses.launched(&key(item, 1), cell.clone(), at(0));
            cell.report(Some(0.5), "half");
        }
        progresses.reported();
        (progresses, cells)
    }

    fn write(progresses: &mut Progresses, elapsed: Duration) -> Option<Vec<String>> {
        match progresses.next_request("job", Limits::default(), elapsed, NOW)?.io {
            Io::WriteAsMember(steps) => {
                let name = |step: &Step| match step {
                    Step::Create { path, .. } => format!("create {path}"),
                    Step::Set { path, .. } => format!("set {path}"),
                    Step::Delete { path, .. } => format!("delete {path}"),
                    Step::Check { path, .. } => format!("check {path}"),
                };
                Some(steps.iter().map(name).collect())
            }
            io => panic!("unexpected {io:?}"),
        }
    }

    fn refused() -> Result<Vec<Written>, WriteError> {
        let error = Error::NoNode;
        Err(WriteError { step: Some(0), error })
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_runs_is_written_in_turn() {
        let (mut progresses, _cells) = reporting(250);
        assert_eq!(write(&mut progresses, at(0)), None, "they are brief so far");
        assert_eq!(progresses.next_at(at(0)), Some(at(1)));
        let mut items = BTreeSet::new();
        for (round, expected) in [(0, 100), (1, 100), (2, 50)] {
            let elapsed = at(1) + PACE * round;
            let steps = write(&mut progresses, elapsed).expect("they wait");
            assert_eq!(steps.len(), expected);
            items.extend(steps);
            assert_eq!(write(&mut progresses, elapsed), None, "one at a time");
            progresses.written(&Ok(Vec::new()));
            assert_eq!(write(&mut progresses, elapsed + PACE - at(1)), None, "at its pace");
        }
        assert_eq!(items.len(), 250, "each once");
        assert_eq!(progresses.next_at(at(60)), None, "nothing waits");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_for_the_parent_once_and_only_if_there_is_something_to_write() {
        let (mut progresses, cells) = reporting(1);
        progresses.has_parent = None;
        let _ = cells[0].take();
        assert_eq!(progresses.next_request("job", Limits::default(), at(1), NOW), None);
        cells[0].put_back();
        progresses.reported();
        let reads = vec![Read::Data("/job/ledger/progress".to_owned())];
        assert_eq!(
            progresses.next_request("job", Limits::default(), at(1), NOW),
            Some(Request::read(Purpose::Look, reads))
        );
        progresses.read(Ok(vec![Answer::Data(None)]));
        let expected = ["create /job/ledger/progress", "create /job/ledger/progress/0"];
        assert_eq!(write(&mut progresses, at(2)).unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn that_is_refused_is_made_up_for() {
        let (mut progresses, cells) = reporting(1);
        assert_eq!(
            write(&mut progresses, at(1)).unwrap(),
            ["create /job/ledger/progress/0"]
        );
        progresses.written(&refused());
        assert_eq!(
            progresses.next_request("job", Limits::default(), at(2), NOW),
            None,
            "not at once"
        );
        assert_eq!(progresses.next_at(at(2)), Some(at(6)));
        let read = progresses.next_request("job", Limits::default(), at(6), NOW);
        let paths = ["/job/ledger/progress/0", "/job/ledger/progress"];
        let reads = paths.map(|path| Read::Data(path.to_owned())).to_vec();
        assert_eq!(read, Some(Request::read(Purpose::Look, reads)));
        progresses.read(Ok(vec![Answer::Data(None), Answer::Data(None)]));
        let expected = ["create /job/ledger/progress", "create /job/ledger/progress/0"];
        assert_eq!(write(&mut progresses, at(7)).unwrap(), expected);
        progresses.written(&Ok(Vec::new()));
        cells[0].report(None, "more");
        progresses.reported();
        assert_eq!(write(&mut progresses, at(12)).unwrap(), ["set /job/ledger/progress/0"]);
        progresses.written(&Ok(Vec::new()));
        progresses.finished(&key(0, 2));
        assert_eq!(write(&mut progresses, at(17)), None, "another attempt has ended");
        progresses.finished(&key(0, 1));
        assert_eq!(
            write(&mut progresses, at(17)).unwrap(),
            ["delete /job/ledger/progress/0"]
        );
        progresses.written(&Ok(Vec::new()));
        assert_eq!(progresses.next_at(at(17)), None);
    }
}
