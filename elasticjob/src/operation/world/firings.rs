//! The newest firings of a job, as an observer of its ledgers sees them go by.
//!
//! A ledger keeps the newest run of each item alone. So what is here was seen: what ran between two looks, and was replaced by a
//! newer run before the second, is not known, and [`Firing::cell`] returns `None` for it. All of it is pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::ledger::{Record, Run};
use crate::run::{Source, Verdict};

/// The most firings that are kept of a job.
const MOST: usize = 50;

/// The most cells that are kept of a job: a job of many items has fewer firings.
const MOST_CELLS: usize = 64 * MOST;

/// How far back scheduled times are filled in at which nothing was seen, such as after the registry was away.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(1);

/// The newest firings of a job, the oldest first: one for each scheduled time, and one for each trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firings {
    firings: Vec<Firing>,
    /// Since when it is known which times came.
    since: Option<Timestamp>,
}

/// One scheduled time, or one trigger, with what is known of each item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The scheduled time, or when the first of its items was triggered.
    pub time: Timestamp,
    /// The request of an operator or program; `None` for a scheduled time.
    pub request: Option<Arc<str>>,
    /// By item, in ascending order.
    cells: Vec<(u32, Cell)>,
}

/// What became of an item at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cell {
    /// How it stands.
    pub outcome: Outcome,
    /// How long the work took, in milliseconds.
    pub took_millis: Option<u64>,
    /// The number of the attempt, from 1; 0 if it did not run.
    pub attempt: u32,
    /// Why it ran; `None` if it did not.
    pub source: Option<Source>,
    /// The instance that ran it; `None` if it did not run.
    pub instance: Option<Arc<str>>,
    /// Why it ended so, or why it did not run.
    pub cause: Option<Arc<str>>,
    /// The id of the run; `None` if it did not run.
    pub run: Option<Arc<str>>,
    /// When it ended, by the clock of its instance.
    pub ended: Option<Timestamp>,
}

/// How an item stands at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It runs, or waits for room in the pool.
    Running,
    /// It ended so.
    Ended(Verdict),
    /// The time passed without a run.
    Passed,
}

impl Firings {
    /// Returns the firings, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[Firing] {
        &self.firings
    }

    /// Returns the newest that was seen of an item.
    #[must_use]
    pub fn newest(&self, item: u32) -> Option<&Cell> {
        self.firings.iter().rev().find_map(|firing| firing.cell(item))
    }

    /// Records what the ledger of an item says.
    pub(super) fn note(&mut self, item: u32, record: &Record) {
        for run in [&record.lost, &record.cancelled, &record.run].into_iter().flatten() {
            self.note_run(item, run);
        }
        let Some(gap) = &record.skipped else { return };
        let passed = |firing: &&mut Firing| {
            let time = firing.time.as_millisecond();
            firing.request.is_none() && gap.after < time && time < gap.before
        };
        let cause: Arc<str> = gap.reason.as_str().into();
        for firing in self.firings.iter_mut().filter(passed) {
            if let Err(at) = firing.position(item) {
                firing.cells.insert(at, (item, Cell::passed(&cause)));
            }
        }
    }

    fn note_run(&mut self, item: u32, run: &Run) {
        let index = match self.index_of(item, run) {
            Some(index) => index,
            None => match self.opened(run) {
                Some(index) => index,
                None => return,
            },
        };
        let instance = self.shared_instance(item, index, &run.owner);
        let firing = &mut self.firings[index];
        let cell = Cell::of(run, instance);
        match firing.position(item) {
            Ok(at) if firing.cells[at].1.is_newer_than(&cell) => {}
            Ok(at) => firing.cells[at].1 = cell,
            Err(at) => firing.cells.insert(at, (item, cell)),
        }
    }

    /// Finds the firing that a run belongs to: the one that has it, that of its request, or that of its time.
    fn index_of(&self, item: u32, run: &Run) -> Option<usize> {
        let has_it = |firing: &Firing| {
            firing
                .cell(item)
                .is_some_and(|cell| cell.run.as_deref() == Some(&*run.id))
        };
        if let Some(index) = self.firings.iter().rposition(has_it) {
            return Some(index);
        }
        let time = run.scheduled_time();
        match run.requests.first() {
            Some(request) => self
                .firings
                .iter()
                .rposition(|firing| firing.request.as_deref() == Some(request)),
            None if is_triggered(run) => None,
            None => self
                .firings
                .iter()
                .rposition(|firing| firing.request.is_none() && firing.time == time),
        }
    }

    /// Opens a firing for a run, in the order of time; `None` if it is older than all that are kept.
    fn opened(&mut self, run: &Run) -> Option<usize> {
        let request = match run.requests.first() {
            Some(request) => Some(Arc::from(request.as_str())),
            None => is_triggered(run).then(|| Arc::from(run.id.as_str())),
        };
        let time = run.scheduled_time();
        let at = self.firings.partition_point(|firing| firing.time <= time);
        if at == 0 && self.firings.len() >= self.most() {
            return None;
        }
        self.firings.insert(at, Firing::new(time, request));
        Some(at)
    }

    /// Adds the scheduled times that have come since the last call: `next` gives the one after a time.
    pub(super) fn fill(&mut self, now: Timestamp, next: impl Fn(Timestamp) -> Option<Timestamp>) {
        let since = self.since.replace(now).unwrap_or(now);
        let mut times = Vec::new();
        let mut time = since.max(now.saturating_sub(LONGEST_GAP).unwrap_or(since));
        while let Some(due) = next(time).filter(|due| *due <= now) {
            times.push(due);
            time = due;
        }
        let newest = times.len().saturating_sub(MOST);
        for due in times.split_off(newest) {
            let is_known = |firing: &Firing| firing.request.is_none() && firing.time == due;
            if !self.firings.iter().rev().any(is_known) {
                let at = self.firings.partition_point(|firing| firing.time <= due);
                self.firings.insert(at, Firing::new(due, None));
            }
        }
    }

    /// Drops the oldest firings beyond what is kept.
    pub(super) fn trim(&mut self) {
        let excess = self.firings.len().saturating_sub(self.most());
        self.firings.drain(..excess);
        self.firings.shrink_to(MOST);
    }

    fn most(&self) -> usize {
        let widest = self.firings.iter().map(|firing| firing.cells.len()).max().unwrap_or(0);
        (MOST_CELLS / widest.max(1)).clamp(1, MOST)
    }

    /// Returns the name of an instance as it is held already, so that many cells share it.
    fn shared_instance(&self, item: u32, below: usize, owner: &str) -> Arc<str> {
        let before = self.firings[..=below].iter().rev();
        let mut known = before.filter_map(|firing| firing.cell(item)?.instance.as_ref());
        let first = known.find(|instance| &***instance == owner);
        first.map_or_else(|| owner.into(), Arc::clone)
    }
}

/// Returns whether a run belongs to no scheduled time.
fn is_triggered(run: &Run) -> bool {
    run.source == Source::Trigger || !run.requests.is_empty()
}

impl Firing {
    fn new(time: Timestamp, request: Option<Arc<str>>) -> Self {
        Self {
            time,
            request,
            cells: Vec::new(),
        }
    }

    /// Returns what is known of an item; `None` if nothing was seen of it.
    #[must_use]
    pub fn cell(&self, item: u32) -> Option<&Cell> {
        let at = self.position(item).ok()?;
        Some(&self.cells[at].1)
    }

    /// Returns all that was seen, by item in ascending order.
    pub fn cells(&self) -> impl Iterator<Item = (u32, &Cell)> {
        self.cells.iter().map(|(item, cell)| (*item, cell))
    }

    fn position(&self, item: u32) -> Result<usize, usize> {
        self.cells.binary_search_by_key(&item, |(item, _)| *item)
    }
}

impl Cell {
    fn of(run: &Run, instance: Arc<str>) -> Self {
        let end = run.end.as_ref();
        Self {
            outcome: end.map_or(Outcome::Running, |end| Outcome::Ended(end.verdict)),
            took_millis: end.and_then(|end| u64::try_from(end.took?).ok()),
            attempt: run.attempt,
            source: Some(run.source),
            instance: Some(instance),
            cause: end.and_then(|end| end.cause.as_deref()).map(Arc::from),
            run: Some(run.id.as_str().into()),
            ended: end.and_then(|end| Timestamp::from_millisecond(end.at?).ok()),
        }
    }

    fn passed(cause: &Arc<str>) -> Self {
        Self {
            outcome: Outcome::Passed,
            took_millis: None,
            attempt: 0,
            source: None,
            instance: None,
            cause: Some(Arc::clone(cause)),
            run: None,
            ended: None,
        }
    }

    /// Returns whether the other says less of the same run: an earlier attempt, or the same one before its end.
    fn is_newer_than(&self, other: &Self) -> bool {
        let is_ended = |cell: &Self| matches!(cell.outcome, Outcome::Ended(_));
        self.run == other.run && (self.attempt, is_ended(self)) > (other.attempt, is_ended(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ledger::{End, Gap};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(id: &str, second: i64) -> Run {
        Run {
            id: id.to_owned(),
            due: second * 1000,
            attempt: 1,
            owner: "10.0.0.1@-@7".to_owned(),
            source: Source::Schedule,
            requests: Vec::new(),
            parameter: None,
            end: None,
        }
    }

    fn ended(run: Run, verdict: Verdict) -> Run {
        Run {
            end: Some(End::new(verdict).timed(Some(at(0)), at(1))),
            ..run
        }
    }

    fn record(run: Run) -> Record {
        let mut record = Record::default();
        record.run = Some(run);
        record
    }

    fn every_second(time: Timestamp) -> Option<Timestamp> {
        Some(at(time.as_second() + 1))
    }

    fn times(firings: &Firings) -> Vec<i64> {
        firings.all().iter().map(|firing| firing.time.as_second()).collect()
    }

    #[test]
    fn follows_a_run_from_its_begin_to_its_end() {
        let mut firings = Firings::default();
        firings.note(0, &record(run("a", 5)));
        assert_eq!(firings.all()[0].cell(0).unwrap().outcome, Outcome::Running);
        firings.note(0, &record(ended(run("a", 5), Verdict::Succeeded)));
        let cell = firings.all()[0].cell(0).unwrap();
        assert_eq!(
            (cell.outcome, cell.took_millis),
            (Outcome::Ended(Verdict::Succeeded), Some(1000))
        );
        // A read that is older than the one before changes nothing.
        firings.note(0, &record(run("a", 5)));
        assert_eq!(
            firings.all()[0].cell(0).unwrap().outcome,
            Outcome::Ended(Verdict::Succeeded)
        );
        assert_eq!(times(&firings), [5]);
    }

    #[test]
    fn joins_items_of_one_time_and_of_one_request() {
        let mut firings = Firings::default();
        let triggered = |id: &str, second| Run {
            source: Source::Trigger,
            requests: vec!["q".to_owned()],
            ..run(id, second)
        };
        firings.note(0, &record(run("a", 5)));
        firings.note(1, &record(run("b", 5)));
        firings.note(0, &record(triggered("c", 7)));
        firings.note(1, &record(triggered("d", 8)));
        assert_eq!(times(&firings), [5, 7]);
        assert_eq!(
            firings.all()[1].cells().map(|(item, _)| item).collect::<Vec<_>>(),
            [0, 1]
        );
        // The ledger leaves the requests of a lost run out.
        let mut lost = record(run("e", 9));
        lost.lost = Some(Run {
            requests: Vec::new(),
            ..ended(triggered("c", 7), Verdict::Lost)
        });
        firings.note(0, &lost);
        assert_eq!(times(&firings), [5, 7, 9]);
        assert_eq!(firings.all()[1].cell(0).unwrap().outcome, Outcome::Ended(Verdict::Lost));
    }

    #[test]
    fn fills_in_times_at_which_nothing_was_seen() {
        let mut firings = Firings::default();
        firings.fill(at(10), every_second);
        assert_eq!(times(&firings), [0; 0]);
        firings.fill(at(13), every_second);
        assert_eq!(times(&firings), [11, 12, 13]);
        firings.note(0, &record(run("a", 12)));
        let gap = Gap {
            after: 12_000,
            before: 14_000,
            count: 1,
            reason: "switched off".to_owned(),
        };
        let record = Record::default().with_skipped(Some(gap));
        firings.note(0, &record);
        assert_eq!(firings.all()[0].cell(0), None);
        let passed = firings.all()[2].cell(0).unwrap();
        assert_eq!(
            (passed.outcome, passed.cause.as_deref()),
            (Outcome::Passed, Some("switched off"))
        );
    }

    #[test]
    fn keeps_a_bounded_number() {
        let mut firings = Firings::default();
        firings.fill(at(0), every_second);
        firings.fill(at(100_000), every_second);
        firings.trim();
        assert_eq!(times(&firings).last(), Some(&100_000));
        assert_eq!(firings.all().len(), MOST);
        for item in 0..1_000 {
            firings.note(item, &record(run(&item.to_string(), 100_000)));
        }
        firings.trim();
        assert_eq!(times(&firings), [99_998, 99_999, 100_000]);
        // What is older than all that is kept is not taken up again.
        firings.note(0, &record(run("old", 5)));
        assert_eq!(times(&firings), [99_998, 99_999, 100_000]);
    }
}
