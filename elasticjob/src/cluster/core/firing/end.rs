//! Recording ends: one transaction for all that ended since the last, each mark removed and each ledger set.
//!
//! Mark and ledger change together, so there is no moment at which an item looks free and its end is unknown. The
//! ledger is set with the version of the claim. If another instance has repaired the item meanwhile, because this one
//! seemed to be dead, the write is refused, and the end that the other has recorded stands.
//!
//! Items of one firing often end together. An end lingers for [`LINGER`], and for [`LINGER_LIMIT`] in all, in the hope
//! of company: a thousand items that end at once cost a few transactions and not a thousand. When the last item of the
//! instance ends, nothing lingers.
//!
//! A recording that was refused, or whose answer was lost, is settled by reading each item. An end that is found in the
//! ledger is recorded; one that is not is written again, [`ATTEMPTS`] times at most; one that another instance has
//! replaced is given up, and reported.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::core::context::Context;
use crate::cluster::core::request::Request;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{End, Record, Run};
use crate::cluster::mutation::Mutation;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{Answer, Error, Read, Size, Stat, WriteError, Written, size_of};

use super::claim::{Found, Granted, check_epoch};
use super::make_up::MakeUp;
use super::{ClaimOutcome, Ended, FiringRequest, Firings, Purpose, Running, Slot, Start};

/// After so many refusals that nothing explains, an end is given up and said.
const ATTEMPTS: u32 = 5;

/// How long an end waits for the next of its firing, so that items which end together cost one transaction.
const LINGER: Duration = Duration::from_millis(5);

/// How long the first end waits at most, however the others follow each other.
const LINGER_LIMIT: Duration = Duration::from_millis(30);

/// Ends that wait for others, by the clock that only moves forward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lingering {
    first: Duration,
    last: Duration,
}

impl Lingering {
    /// When they are recorded, unless another end comes.
    pub(super) fn until(self) -> Duration {
        (self.last + LINGER).min(self.first + LINGER_LIMIT)
    }
}

/// An end that could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unrecorded {
    pub(crate) item: u32,
    pub(crate) reason: &'static str,
}

/// Where the recording of ends that was sent last stands.
#[derive(Debug)]
pub(super) enum Recording {
    /// It is answered.
    Idle,
    InFlight(Batch),
    /// It was refused, or its answer was lost: what became of it has to be read.
    Doubtful(Batch),
    Settling(Batch),
}

/// What one transaction records.
///
/// Until it is answered, no other recording is sent: ends that come meanwhile wait for the next batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ending: Vec<u32>,
    /// The firing that follows, claimed in the same transaction.
    pub(super) make_up: Option<MakeUp>,
}

impl Recording {
    /// Takes out what is being recorded.
    pub(super) fn take(&mut self) -> Option<Batch> {
        match std::mem::replace(self, Self::Idle) {
            Self::Idle => None,
            Self::InFlight(batch) | Self::Doubtful(batch) | Self::Settling(batch) => Some(batch),
        }
    }
}

impl Batch {
    /// Returns what to read to know what became of it.
    pub(super) fn survey(&self, view: &View) -> Vec<Read> {
        let job = view.job();
        let of = |item: u32| {
            let state = |kind| Read::Data(Node::ItemState { item, kind }.of(job));
            let marks = [ItemKind::Running, ItemKind::Failover, ItemKind::Failovering].map(state);
            marks.into_iter().chain([Read::Data(Node::LedgerItem(item).of(job))])
        };
        self.items().into_iter().flat_map(of).collect()
    }

    /// Returns the items that end or are claimed.
    fn items(&self) -> BTreeSet<u32> {
        let claimed = self.make_up.iter().flat_map(|make_up| make_up.claim.items());
        self.ending.iter().copied().chain(claimed).collect()
    }
}

impl Firings {
    /// Records an end, which may wait for others.
    pub(super) fn record_later(&mut self, item: u32, running: Box<Running>, end: End, elapsed: Duration) {
        let ended = Ended {
            running,
            end,
            goes_on: false,
            attempts: 0,
        };
        self.runs.ended.insert(item, Box::new(ended));
        self.linger(elapsed);
    }

    /// Lets an end wait for others.
    fn linger(&mut self, elapsed: Duration) {
        let first = self.lingering.map_or(elapsed, |lingering| lingering.first.min(elapsed));
        self.lingering = Some(Lingering { first, last: elapsed });
    }

    /// The transaction that records all ends there are, unless more are about to come.
    ///
    /// A run that goes on as its next attempt keeps its marks, and the transaction checks the epoch: if the items have
    /// been shared out since, the attempt must not begin. A pause ends such a run too.
    pub(super) fn record_ends(&mut self, cx: &Context<'_>) -> Option<FiringRequest> {
        if !matches!(self.recording, Recording::Idle) || self.runs.ended.is_empty() {
            return None;
        }
        let is_lingering = self.linger_until().is_some_and(|until| cx.elapsed < until);
        if is_lingering && !self.runs.running.is_empty() {
            return None;
        }
        if cx.view.is_paused() {
            // The next attempt of a run is a beginning, too.
            self.runs.ended.values_mut().for_each(|ended| ended.goes_on = false);
        }
        let mut transaction = Transaction::on(cx.view);
        let mut goes_any_on = false;
        let mut items = Vec::new();
        let mut size = Size::default();
        let limits = cx.view.limits().of_worker(cx.view.job());
        for (item, ended) in &self.runs.ended {
            let mut steps = Transaction::on(cx.view);
            let node = |kind| Node::ItemState { item: *item, kind };
            if !ended.goes_on && ended.running.is_marked {
                steps.delete(node(ItemKind::Running));
            }
            if !ended.goes_on && ended.running.is_failover {
                steps.delete(node(ItemKind::Failover));
            }
            if !ended.goes_on && ended.running.is_failovering {
                steps.delete(node(ItemKind::Failovering));
            }
            if !ended.goes_on && cx.view.has(Node::Cancel(*item)) {
                // It was for this run, or for one that is long over.
                steps.delete(Node::Cancel(*item));
            }
            let record = ended.record();
            steps.set(Node::LedgerItem(*item), record.to_bytes(), Some(ended.running.version));
            let steps = steps.into_steps();
            size += size_of(&steps);
            if !limits.take(size) && !items.is_empty() {
                break;
            }
            transaction.extend(steps);
            items.push(*item);
            goes_any_on |= ended.goes_on;
        }
        if goes_any_on {
            let epoch = cx.view.epoch.as_ref().map(|epoch| epoch.version);
            check_epoch(&mut transaction, epoch);
        }
        if items.len() == self.runs.ended.len() {
            self.lingering = None;
        }
        let mut steps = transaction.into_steps();
        let make_up = self.make_up(cx, &items, &steps);
        if let Some(make_up) = &make_up {
            steps.extend(make_up.claim.steps(cx.view));
        }
        let ending = items;
        self.recording = Recording::InFlight(Batch { ending, make_up });
        Some(Request::write_as_member(Purpose::RecordEnds, steps))
    }

    /// The recording was answered. Events that came before the answer must be in the view already.
    pub(crate) fn recorded(&mut self, cx: &Context<'_>, result: Result<Vec<Written>, WriteError>) -> Recordings {
        let mut recordings = Recordings::default();
        let batch = match std::mem::replace(&mut self.recording, Recording::Idle) {
            Recording::InFlight(batch) => batch,
            other => {
                self.recording = other;
                return recordings;
            }
        };
        let written = match result {
            Ok(written) => written,
            Err(WriteError {
                error: Error::SessionExpired,
                ..
            }) => {
                if let Some(make_up) = batch.make_up {
                    self.put_back(make_up);
                }
                return recordings;
            }
            // Nothing was done: it is asked for again, however often, since no other instance can have recorded these ends.
            Err(WriteError {
                error: Error::Busy(_), ..
            }) => {
                if let Some(make_up) = batch.make_up {
                    self.put_back(make_up);
                }
                self.linger(Duration::ZERO);
                return recordings;
            }
            Err(_) => {
                self.recording = Recording::Doubtful(batch);
                return recordings;
            }
        };
        let mut stats = written.into_iter().filter_map(|written| match written {
            Written::Set(stat) => Some(stat),
            _ => None,
        });
        for (item, stat) in batch.ending.into_iter().zip(&mut stats) {
            let Some(ended) = self.runs.ended.remove(&item) else {
                continue;
            };
            self.conclude(item, *ended, stat, &mut recordings);
        }
        if let Some(make_up) = batch.make_up {
            let granted = make_up.claim.with_stats(stats);
            recordings.made_up = self.begin_make_up(cx, make_up, granted);
        }
        recordings
    }

    /// What was read after a recording was refused or its answer lost. Those that are recorded are concluded, those
    /// that are not are tried again as things are now, and those that another instance recorded are given up.
    pub(crate) fn settled_ends(
        &mut self,
        cx: &Context<'_>,
        answers: Result<Vec<Answer>, Error>,
    ) -> (Vec<Unrecorded>, Recordings) {
        let (mut unrecorded, mut recordings) = (Vec::new(), Recordings::default());
        let batch = match std::mem::replace(&mut self.recording, Recording::Idle) {
            Recording::Settling(batch) => batch,
            other => {
                self.recording = other;
                return (unrecorded, recordings);
            }
        };
        let Ok(answers) = answers else {
            self.recording = Recording::Doubtful(batch);
            return (unrecorded, recordings);
        };
        let mut answers = Found::new(answers);
        let mut granted = Granted::default();
        for item in batch.items() {
            let found = FoundItem::next(&mut answers);
            let ended = self.runs.ended.remove(&item);
            let follower = batch.make_up.as_ref().and_then(|make_up| make_up.claim.of(item));
            let claimed = follower.zip(found.ledger.as_ref());
            if let Some((follower, (_, stat))) = claimed.filter(|(follower, (record, _))| follower.is_in(record)) {
                if let Some(ended) = ended {
                    self.conclude(item, *ended, *stat, &mut recordings);
                }
                granted.items.push((follower.clone(), *stat));
            } else if let Some(ended) = ended
                && let Err(reason) = self.settle_end(cx, item, ended, found, &mut recordings)
            {
                unrecorded.push(Unrecorded { item, reason });
                self.open.close(item);
            }
        }
        // What became of those that it let pass is read before the next claim.
        let passed = batch.make_up.iter().flat_map(|make_up| &make_up.claim.passed);
        passed.for_each(|passed| self.ledgers.forget(passed.item));
        match batch.make_up {
            Some(make_up) if granted.is_empty() => self.put_back(make_up),
            Some(make_up) => recordings.made_up = self.begin_make_up(cx, make_up, granted),
            None => {}
        }
        (unrecorded, recordings)
    }

    /// Settles one end by what was found: it is recorded, or is tried again as things are now. Returns why it is given up.
    fn settle_end(
        &mut self,
        cx: &Context<'_>,
        item: u32,
        mut ended: Box<Ended>,
        found: FoundItem,
        recordings: &mut Recordings,
    ) -> Result<(), &'static str> {
        let (record, stat) = found.ledger.ok_or("its ledger is gone")?;
        match ended.compared(&record) {
            Recorded::Yes => self.conclude(item, *ended, stat, recordings),
            Recorded::No if ended.attempts < ATTEMPTS => {
                ended.attempts += 1;
                ended.running.version = stat.version;
                ended.running.is_marked = found.mark.is_some_and(|holder| holder == cx.me.as_str().as_bytes());
                // Both go with the end, also if another instance holds them: they stand for this run.
                ended.running.is_failover &= found.is_failover;
                ended.running.is_failovering &= found.is_failovering;
                self.runs.ended.insert(item, ended);
                // At once: it has waited already.
                self.linger(Duration::ZERO);
            }
            Recorded::No => return Err("the registry keeps refusing it"),
            Recorded::Otherwise => return Err("another instance has recorded another end"),
        }
        Ok(())
    }

    /// The end is recorded, with this stat of the ledger: the item is done with, or goes on as its next attempt.
    ///
    /// The stat of the write is kept: its version is expected by the next claim, and its `modified` is the fencing
    /// token of a next attempt.
    fn conclude(&mut self, item: u32, ended: Ended, stat: Stat, recordings: &mut Recordings) {
        let record = ended.record();
        let version = stat.version;
        let Some(run) = record.run.clone() else { return };
        if !ended.goes_on {
            self.ledgers.insert(item, Slot::written(version, record));
            self.open.close(item);
            recordings.ended.push((item, run));
            return;
        }
        let running = Running {
            run: run.clone(),
            version,
            record,
            ..*ended.running
        };
        self.runs.running.insert(item, Box::new(running));
        recordings.again.push(Start {
            item,
            run,
            fencing_token: stat.modified,
        });
    }
}

/// What was read of one item of a batch, as [`Batch::survey`] asked for it.
struct FoundItem {
    /// The holder of the `running` mark.
    mark: Option<Vec<u8>>,
    is_failover: bool,
    is_failovering: bool,
    ledger: Option<(Record, Stat)>,
}

impl FoundItem {
    /// Takes the next four answers.
    fn next(answers: &mut Found) -> Self {
        Self {
            mark: answers.next().map(|(holder, _)| holder),
            is_failover: answers.next().is_some(),
            is_failovering: answers.next().is_some(),
            ledger: answers.next().map(|(data, stat)| (Record::parse(&data), stat)),
        }
    }
}

/// What follows from a recording.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    /// Runs with recorded ends.
    pub(crate) ended: Vec<(u32, Run)>,
    /// Runs that are to go on, as their next attempts.
    pub(crate) again: Vec<Start>,
    /// What the claim of the firing that follows led to.
    pub(crate) made_up: ClaimOutcome,
}

/// Whether the ledger has an end.
enum Recorded {
    Yes,
    No,
    /// Another run is, or another end.
    Otherwise,
}

impl Ended {
    /// The ledger once the end is recorded.
    pub(super) fn slot(&self) -> Slot {
        Slot::written(self.running.version + 1, self.record())
    }

    /// The ledger with the end in it.
    fn record(&self) -> Record {
        if self.goes_on {
            self.running.record.again()
        } else {
            self.running.record.ended(self.end.clone())
        }
    }

    /// Compares the end with the ledger as it was found.
    fn compared(&self, found: &Record) -> Recorded {
        let (Some(found), Some(recorded)) = (&found.run, self.record().run) else {
            return Recorded::Otherwise;
        };
        if found.is_same_attempt(&recorded) && found.end == recorded.end || Mutation::BelieveEnd.is_on() {
            Recorded::Yes
        } else if found.is_same_attempt(&self.running.run) && found.end.is_none() {
            Recorded::No
        } else {
            Recorded::Otherwise
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ids::Ids;

    fn waits_until(ends: &[u64]) -> Duration {
        let mut firings = Firings::new(Ids::random());
        ends.iter()
            .for_each(|end| firings.linger(Duration::from_millis(1000 + end)));
        firings.linger_until().unwrap() - Duration::from_secs(1)
    }

    #[test]
    fn ends_should_wait_for_those_that_follow_closely_but_not_for_ever() {
        assert_eq!(waits_until(&[0]), LINGER);
        assert_eq!(waits_until(&[0, 4, 8]), Duration::from_millis(8) + LINGER);
        assert_eq!(waits_until(&[0, 4, 8, 12, 16, 20, 24, 28]), LINGER_LIMIT);
    }

    #[test]
    fn an_end_that_is_tried_again_should_not_wait_for_others() {
        let mut firings = Firings::new(Ids::random());
        firings.linger(Duration::ZERO);
        firings.linger(Duration::from_secs(1));
        assert_eq!(firings.linger_until(), Some(LINGER_LIMIT));
    }
}
