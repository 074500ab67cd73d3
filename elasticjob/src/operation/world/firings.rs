//! The newest firings of a job, as an observer of its ledgers sees them go by.
//!
//! A ledger has the newest run of each item whole, and the outcomes of some runs before it. So what is here was seen, or is known by its
//! outcome alone. What is neither is not known, and [`Firing::cell`] returns `None` for it. All of it is pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::ledger::{Record, Run};
use crate::cluster::recent::{Past, PastOutcome, Recent};
use crate::run::{Reason, Source, Verdict};

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
    /// The instance that ran it; `None` if it did not run, or its ledger keeps no more than the outcome.
    pub instance: Option<Arc<str>>,
    /// Why it ended so, or why it did not run.
    pub cause: Option<Arc<str>>,
    /// The code of the cause, if it is one of ours.
    pub reason: Option<Reason>,
    /// The id of the run; `None` if it did not run, or its ledger keeps no more than the outcome.
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

    /// Records what the ledgers say at this moment. `next` gives the scheduled time after another.
    pub(super) fn note<'a>(
        &mut self,
        ledgers: impl Iterator<Item = (u32, &'a Record)> + Clone,
        now: Timestamp,
        next: impl Fn(Timestamp) -> Option<Timestamp>,
    ) {
        for (item, record) in ledgers.clone() {
            self.note_runs(item, record);
        }
        self.fill(now, next);
        for (item, record) in ledgers {
            self.note_gaps(item, record);
        }
        self.trim();
    }

    fn note_runs(&mut self, item: u32, record: &Record) {
        for run in [&record.lost, &record.cancelled, &record.run].into_iter().flatten() {
            self.note_run(item, run, &record.recent);
        }
        // The newest first: beyond what is kept the older ones are of no use.
        record
            .recent
            .all()
            .iter()
            .rev()
            .for_each(|past| self.note_past(item, past));
    }

    /// Records the outcome of a run, unless more is known of it.
    fn note_past(&mut self, item: u32, past: &Past) {
        let (Some(cell), Ok(time)) = (Cell::of_past(&past.outcome), Timestamp::from_millisecond(past.time)) else {
            return;
        };
        let request = past.request();
        if cell.source == Some(Source::Trigger) && request.is_none() {
            // There is nothing that tells it from others, and from the items that ran with it.
            return;
        }
        let is_it = |firing: &Firing| match request {
            Some(_) => firing.request.as_deref() == request,
            None => firing.request.is_none() && firing.time == time,
        };
        let index = self.firings.iter().rposition(is_it);
        let Some(index) = index.or_else(|| self.opened(time, || request.map(Arc::from))) else {
            return;
        };
        let firing = &mut self.firings[index];
        if let Err(at) = firing.position(item) {
            firing.cells.insert(at, (item, cell));
        }
    }

    fn note_gaps(&mut self, item: u32, record: &Record) {
        if let Some(gap) = &record.skipped {
            self.note_gap(
                item,
                (gap.after, gap.before),
                &Cell::passed(gap.reason.as_str().into(), gap.code),
            );
        }
        for past in record.recent.all() {
            if let PastOutcome::Passed { after, reason } = past.outcome {
                let cell = Cell::passed(reason.in_english().into(), Some(reason));
                self.note_gap(item, (after, past.time), &cell);
            }
        }
    }

    /// Records that an item passed the times between two moments, in milliseconds since 1970.
    fn note_gap(&mut self, item: u32, (after, before): (i64, i64), cell: &Cell) {
        let passed = |firing: &&mut Firing| {
            let time = firing.time.as_millisecond();
            firing.request.is_none() && after < time && time < before
        };
        for firing in self.firings.iter_mut().filter(passed) {
            if let Err(at) = firing.position(item) {
                firing.cells.insert(at, (item, cell.clone()));
            }
        }
    }

    fn note_run(&mut self, item: u32, run: &Run, recent: &Recent) {
        let request = run.requests.first().map(String::as_str).or_else(|| {
            // The ledger leaves the requests of a run out that was lost or cancelled.
            let requests = recent.all().iter().filter(|past| past.time == run.due);
            requests.rev().find_map(|past| past.request())
        });
        let index = match self.index_of(item, run, request) {
            Some(index) => index,
            None => match self.opened(run.scheduled_time(), || request_of(run, request)) {
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
    fn index_of(&self, item: u32, run: &Run, request: Option<&str>) -> Option<usize> {
        let has_it = |firing: &Firing| {
            firing
                .cell(item)
                .is_some_and(|cell| cell.run.as_deref() == Some(&*run.id))
        };
        if let Some(index) = self.firings.iter().rposition(has_it) {
            return Some(index);
        }
        let time = run.scheduled_time();
        match request {
            Some(_) => self
                .firings
                .iter()
                .rposition(|firing| firing.request.as_deref() == request),
            None if is_triggered(run) => None,
            None => self
                .firings
                .iter()
                .rposition(|firing| firing.request.is_none() && firing.time == time),
        }
    }

    /// Opens a firing, in the order of time; `None` if it is older than all that are kept.
    fn opened(&mut self, time: Timestamp, request: impl FnOnce() -> Option<Arc<str>>) -> Option<usize> {
        let at = self.firings.partition_point(|firing| firing.time <= time);
        if at == 0 && self.firings.len() >= self.most() {
            return None;
        }
        self.firings.insert(at, Firing::new(time, request()));
        Some(at)
    }

    /// Adds the scheduled times that have come since the last call, or at first since the oldest that is known.
    fn fill(&mut self, now: Timestamp, next: impl Fn(Timestamp) -> Option<Timestamp>) {
        let oldest = self.firings.first().map(|firing| firing.time);
        let since = self.since.replace(now).or(oldest).unwrap_or(now);
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
    fn trim(&mut self) {
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

/// Returns what tells the firing of a run from others; `None` if its time does.
fn request_of(run: &Run, request: Option<&str>) -> Option<Arc<str>> {
    match request {
        Some(request) => Some(request.into()),
        None => is_triggered(run).then(|| run.id.as_str().into()),
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
            reason: end.and_then(|end| end.code),
            run: Some(run.id.as_str().into()),
            ended: end.and_then(|end| Timestamp::from_millisecond(end.at?).ok()),
        }
    }

    /// Returns what the outcome of a run says; `None` for times that passed.
    fn of_past(past: &PastOutcome) -> Option<Self> {
        let PastOutcome::Ran {
            verdict,
            took,
            attempt,
            source,
            ..
        } = past
        else {
            return None;
        };
        Some(Self {
            outcome: Outcome::Ended(*verdict),
            took_millis: *took,
            attempt: *attempt,
            source: Some(*source),
            instance: None,
            cause: None,
            reason: None,
            run: None,
            ended: None,
        })
    }

    fn passed(cause: Arc<str>, reason: Option<Reason>) -> Self {
        Self {
            outcome: Outcome::Passed,
            took_millis: None,
            attempt: 0,
            source: None,
            instance: None,
            cause: Some(cause),
            reason,
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
    use crate::cluster::recent::Kept;

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

    fn note(firings: &mut Firings, item: u32, record: &Record) {
        firings.note([(item, record)].into_iter(), at(0), |_| None);
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
        note(&mut firings, 0, &record(run("a", 5)));
        assert_eq!(firings.all()[0].cell(0).unwrap().outcome, Outcome::Running);
        note(&mut firings, 0, &record(ended(run("a", 5), Verdict::Succeeded)));
        let cell = firings.all()[0].cell(0).unwrap();
        assert_eq!(
            (cell.outcome, cell.took_millis),
            (Outcome::Ended(Verdict::Succeeded), Some(1000))
        );
        // A read that is older than the one before changes nothing.
        note(&mut firings, 0, &record(run("a", 5)));
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
        note(&mut firings, 0, &record(run("a", 5)));
        note(&mut firings, 1, &record(run("b", 5)));
        note(&mut firings, 0, &record(triggered("c", 7)));
        note(&mut firings, 1, &record(triggered("d", 8)));
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
        note(&mut firings, 0, &lost);
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
        note(&mut firings, 0, &record(run("a", 12)));
        let gap = Gap {
            after: 12_000,
            before: 14_000,
            count: 1,
            reason: "switched off".to_owned(),
            code: Some(Reason::SwitchedOff),
        };
        let record = Record::default().with_skipped(Some(gap), Kept::of(1));
        note(&mut firings, 0, &record);
        assert_eq!(firings.all()[0].cell(0), None);
        let passed = firings.all()[2].cell(0).unwrap();
        assert_eq!(
            (passed.outcome, passed.cause.as_deref()),
            (Outcome::Passed, Some("switched off"))
        );
    }

    #[test]
    fn begins_with_the_outcomes_that_ledgers_keep() {
        let kept = Kept::of(2);
        let scheduled = |record: Record, id: &str, second| {
            let record = record.claimed(run(id, second), at(second), kept);
            record.ended(End::new(Verdict::Failed).timed(Some(at(0)), at(1)))
        };
        let triggered = Run {
            source: Source::Trigger,
            requests: vec!["q".to_owned()],
            ..run("c", 7)
        };
        let gap = Gap::new(at(7), at(10), 2, Reason::SwitchedOff);
        let newer = Gap::new(at(11), at(12), 0, Reason::TooLate);
        let first = scheduled(scheduled(Record::default(), "a", 5), "b", 6).claimed(triggered.clone(), at(7), kept);
        let first = first.ended(End::new(Verdict::Succeeded)).with_skipped(Some(gap), kept);
        let first = scheduled(first, "d", 11).with_skipped(Some(newer), kept);
        // As another process reads it.
        let first = Record::parse(&first.to_bytes());
        let second = scheduled(Record::default().claimed(triggered, at(7), kept), "e", 10);
        let mut firings = Firings::default();
        firings.note([(0, &first), (1, &second)].into_iter(), at(12), every_second);
        assert_eq!(times(&firings), [5, 6, 7, 7, 8, 9, 10, 11, 12]);
        let shown = |item| {
            let cell = |firing: &Firing| match firing.cell(item) {
                None => '-',
                Some(cell) if cell.outcome == Outcome::Passed => 'p',
                Some(cell) if cell.source == Some(Source::Trigger) => 't',
                Some(_) => 'r',
            };
            firings.all().iter().map(cell).collect::<String>()
        };
        assert_eq!((shown(0).as_str(), shown(1).as_str()), ("rrt-pp-r-", "--t---r--"));
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
            note(&mut firings, item, &record(run(&item.to_string(), 100_000)));
        }
        firings.trim();
        assert_eq!(times(&firings), [99_998, 99_999, 100_000]);
        // What is older than all that is kept is not taken up again.
        note(&mut firings, 0, &record(run("old", 5)));
        assert_eq!(times(&firings), [99_998, 99_999, 100_000]);
    }
}
