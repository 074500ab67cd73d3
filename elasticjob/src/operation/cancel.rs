//! Cancelling runs, and how they end then.
//!
//! A cancellation is a node below `ledger/cancels`, for one run by its id. The transaction that writes it checks the
//! version of the item's ledger: so it is for a run that was open at that moment, and never for the next one. The
//! instance that runs the item watches these nodes; the transaction that records the end of the run removes the node.
//! If the instance dies, its successor finds the node and cancels the attempt that it has taken over.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::cluster::cancel::Cancel;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::ledger::Run;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::MarkHolder;
use crate::cluster::worker::outcome;
use crate::registry::{CreateMode, Step};
use crate::run::ItemOutcome;

use super::survey::{Depth, Survey};
use super::switch::checked;
use super::{Error, Note, Operations, listing};

/// Runs that were cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cancelled {
    /// The name of the job.
    pub job_name: String,
    /// The runs that are to end, by item.
    pub runs: BTreeMap<u32, CancelledRun>,
    /// The items with runs that cannot be cancelled, each with its instance: a Java member, or an older member of ours.
    pub unreachable: BTreeMap<u32, String>,
}

/// A run that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CancelledRun {
    /// The id of the run, which is the same over all its attempts.
    pub run: String,
    /// The id of the instance that ran it when it was cancelled. If that dies, another one may take the run over and cancel it.
    pub instance: String,
}

/// What became of runs that were cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CancelReport {
    /// The name of the job.
    pub job_name: String,
    /// What became of each run, by item.
    pub items: BTreeMap<u32, CancelOutcome>,
    /// The items with runs that could not be cancelled, each with its instance, as in [`Cancelled`].
    pub unreachable: BTreeMap<u32, String>,
}

/// What became of a run that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum CancelOutcome {
    /// It has ended: cancelled, or as it did before it could be.
    Ended {
        /// How the run ended.
        end: ItemOutcome,
    },
    /// It has not ended yet: work that blocks ends by itself.
    Running,
    /// It has ended, and another run of the item has begun since. The history has its end.
    Superseded,
}

/// Runs that were cancelled, by item.
type Runs = BTreeMap<u32, CancelledRun>;

/// As many runs as one transaction cancels.
struct Part {
    runs: Runs,
    unreachable: BTreeMap<u32, String>,
    is_last: bool,
}

impl Cancelled {
    fn report(&self, survey: &Survey) -> CancelReport {
        let of = |(item, run): (&u32, &CancelledRun)| {
            let record = survey.ledgers.get(item).map(|stored| &stored.value);
            let runs = record
                .into_iter()
                .flat_map(|record| record.run.iter().chain(&record.cancelled).chain(&record.lost));
            let found = runs.into_iter().find(|known| known.id == run.run);
            let outcome = match found.map(|found| &found.end) {
                Some(Some(end)) => CancelOutcome::Ended { end: outcome(end) },
                Some(None) => CancelOutcome::Running,
                None => CancelOutcome::Superseded,
            };
            (*item, outcome)
        };
        CancelReport {
            job_name: self.job_name.clone(),
            items: self.runs.iter().map(of).collect(),
            unreachable: self.unreachable.clone(),
        }
    }
}

impl CancelReport {
    /// Returns whether all runs have ended, or nothing more will be known of them.
    /// `true` also if nothing could be cancelled.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.items.values().all(|outcome| *outcome != CancelOutcome::Running)
    }
}

impl Operations {
    /// Cancels the present runs of a job, of all items or of one. When this returns the cancellation is recorded, and its members see it;
    /// [`cancelled`](Self::cancelled) waits until the runs have ended.
    ///
    /// ```no_run
    /// use elasticjob::operation::Operations;
    /// use std::time::Duration;
    ///
    /// # async fn f(operations: &Operations) -> Result<(), elasticjob::operation::Error> {
    /// let note = operations.note(Some("mei"), Some("wrong month"));
    /// let cancelled = operations.cancel("import", Some(3), Some(note)).await?;
    /// let report = operations.cancelled(&cancelled, Duration::from_secs(30)).await?;
    /// println!("all have ended: {}", report.is_over());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The runs end as cancelled by the operator of the note, in the history and in the answers to triggers. Asynchronous work
    /// is dropped at once, and no further try or attempt follows. Blocking work sees its token cancelled, and its item stays claimed until
    /// it has ended. If an instance dies meanwhile, the instance that takes its run over cancels it. Later runs of the items start as
    /// scheduled.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::NoConfiguration`], [`Error::Configuration`], [`Error::NoSuchItem`],
    /// [`Error::NothingRuns`], [`Error::NoteTooLong`], [`Error::Busy`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves open which runs are cancelled. The call can be repeated.
    pub async fn cancel(&self, job: &str, item: Option<u32>, note: Option<Note>) -> Result<Cancelled, Error> {
        let note = checked(note.unwrap_or_else(|| self.note(None, None)))?;
        let mut cancelled = Cancelled {
            job_name: job.to_owned(),
            runs: BTreeMap::new(),
            unreachable: BTreeMap::new(),
        };
        let tried = Mutex::default();
        loop {
            let decide = |survey: &Survey| decide(survey, item, &note, &cancelled.runs, &tried);
            let part = self.change(job, Depth::Whole, decide).await?;
            cancelled.runs.extend(part.runs);
            cancelled.unreachable = part.unreachable;
            if part.is_last {
                break;
            }
        }
        if cancelled.runs.is_empty() && cancelled.unreachable.is_empty() {
            let job = job.to_owned();
            return Err(Error::NothingRuns { job, item });
        }
        Ok(cancelled)
    }

    /// Waits until cancelled runs have ended, for `timeout` at most. Those that have not are [`CancelOutcome::Running`] in the
    /// answer.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    ///
    /// # Cancel safety
    /// The runs end without the waiter.
    pub async fn cancelled(&self, cancelled: &Cancelled, timeout: Duration) -> Result<CancelReport, Error> {
        self.watched(&cancelled.job_name, timeout, |survey| {
            let report = cancelled.report(survey);
            Ok(if report.is_over() {
                ControlFlow::Break(report)
            } else {
                ControlFlow::Continue(report)
            })
        })
        .await
    }
}

/// Cancels some of the runs that go on, save those of the items that are `known`.
fn decide(
    survey: &Survey,
    wanted: Option<u32>,
    note: &Note,
    known: &Runs,
    tried: &Mutex<Runs>,
) -> Result<(Vec<Step>, Part), Error> {
    let view = &survey.view;
    let total = listing::configured(survey)?.sharding_total_count().get();
    if let Some(item) = wanted.filter(|item| *item >= total) {
        let job = survey.job().to_owned();
        return Err(Error::NoSuchItem { job, item, total });
    }
    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
    let mut part = Part {
        runs: Runs::new(),
        unreachable: BTreeMap::new(),
        is_last: true,
    };
    let mut transaction = Transaction::on(view);
    let is_wanted = |item: &u32| wanted.is_none_or(|wanted| wanted == *item) && !known.contains_key(item);
    // An item beyond the total may run still.
    for item in view.items.keys().copied().filter(is_wanted) {
        if let Some(holder) = run_of_java(survey, item) {
            part.unreachable.insert(item, holder);
            continue;
        }
        let open = open_run(survey, item);
        // One that was cancelled already, if the answer to that was lost: it may have ended since, and another have begun.
        if let Some(run) = tried.get(&item)
            && open.is_none_or(|(open, _)| open.id != run.run)
        {
            part.runs.insert(item, run.clone());
            continue;
        }
        let Some((run, version)) = open else {
            continue;
        };
        if !knows_cancels(survey, run) {
            part.unreachable.insert(item, run.owner.clone());
            continue;
        }
        let cancel = Cancel {
            run: run.id.clone(),
            note: note.clone(),
        };
        let there = view.cancels.get(&item);
        let is_there = there.is_some_and(|there| there.as_ref() == Some(&cancel));
        let is_written = is_there
            || transaction.add_if_it_fits(|transaction| {
                // The run still goes on when the word is written.
                transaction.check(Node::LedgerItem(item), Some(version));
                match there {
                    Some(_) => transaction.set(Node::Cancel(item), cancel.to_bytes(), None),
                    None => transaction.create(Node::Cancel(item), cancel.to_bytes(), CreateMode::Persistent),
                };
            });
        if !is_written {
            part.is_last = false;
            break;
        }
        let cancelled = CancelledRun {
            run: run.id.clone(),
            instance: run.owner.clone(),
        };
        tried.insert(item, cancelled.clone());
        part.runs.insert(item, cancelled);
    }
    Ok((transaction.into_steps(), part))
}

/// The run of an item that goes on, and the version of its ledger.
fn open_run(survey: &Survey, item: u32) -> Option<(&Run, i32)> {
    let stored = survey.ledgers.get(&item)?;
    let run = stored.value.run.as_ref().filter(|run| run.end.is_none())?;
    Some((run, stored.stat.version))
}

/// The Java member that runs an item, if one does. Its mark may not name it: then it is the owner of the item.
fn run_of_java(survey: &Survey, item: u32) -> Option<String> {
    let (view, state) = (&survey.view, survey.view.items.get(&item)?);
    let runner = match &state.mark.as_ref()?.holder {
        MarkHolder::Instance(id) => Some(id),
        MarkHolder::Session | MarkHolder::Unknown => state.owner.as_ref(),
        MarkHolder::Unnamed => None,
    };
    let is_java = |id: &&InstanceId| view.instances.contains(*id) && !view.members.contains_key(*id);
    runner.filter(is_java).map(ToString::to_string)
}

/// Returns whether the instance that has the run obeys. One that is gone cannot, but the instance that takes the run over does.
fn knows_cancels(survey: &Survey, run: &Run) -> bool {
    let owner = InstanceId::parse(&run.owner);
    let member = owner.and_then(|id| survey.view.members.get(&id));
    member.is_none_or(|member| member.obeys_cancels)
}
