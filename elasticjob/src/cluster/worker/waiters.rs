//! Those who wait for the outcome of a run that they asked for.
//!
//! The outcome of each item is in its ledger, by request. The ledger is read on its events only while a caller waits.
//!
//! Some items will never have an outcome there: those that are disabled, and those of Java instances, which write no
//! ledgers. The caller would wait for them until its time is up, so that they are foreseen from the view.
//!
//! A caller goes away by dropping its receiver. It is forgotten at the next look, and so is one that knows the outcome
//! of every item.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::cluster::ledger::{End, Record};
use crate::cluster::view::{Revision, View, look};
use crate::run::{ItemOutcome, Verdict};

/// What is known of a requested run.
///
/// It only grows: an outcome that is known is not replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How many items the job has.
    pub(crate) total: u32,
    pub(crate) outcomes: BTreeMap<u32, ItemOutcome>,
}

/// A caller that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) request: String,
    pub(crate) progress: watch::Sender<Progress>,
}

/// All those who wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Vec<Waiter>,
    /// What was seen when it was last judged for all of them; `None` if one has come since.
    judged: Option<Judged>,
}

/// All that is looked at to foresee what becomes of items.
#[derive(Clone, Copy, Debug)]
struct Judged {
    revision: Revision,
    total: u32,
}

impl Judged {
    /// Returns the items of which something else may be foreseen now; `None` for all.
    fn changed(self, view: &View, total: u32) -> Option<impl Iterator<Item = u32>> {
        let is_same = self.total == total && self.revision.is_same_job(view.revision());
        is_same.then(|| view.changed_since(self.revision)).flatten()
    }
}

impl Waiters {
    /// Adds a caller. At the next look all items are judged for it.
    pub(super) fn add(&mut self, waiter: Waiter) {
        self.waiting.push(waiter);
        self.judged = None;
    }

    /// Whether the ledger is of interest.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes in an item's ledger.
    pub(super) fn note(&mut self, item: u32, record: &Record) {
        for waiter in &self.waiting {
            let Some(end) = record.answer_to(&waiter.request) else {
                continue;
            };
            waiter
                .progress
                .send_if_modified(|progress| progress.outcomes.insert(item, outcome(end)).is_none());
        }
    }

    /// Takes in what says that an item will not be run, and forgets those who have gone or know everything.
    pub(super) fn judge(&mut self, view: &View, total: u32) {
        if self.waiting.is_empty() {
            return;
        }
        let revision = view.revision();
        let judged = self.judged.replace(Judged { revision, total });
        let foreseen = |item: u32| Some((item, foreseen(view, item)?));
        let news: Vec<(u32, ItemOutcome)> = match judged.and_then(|judged| judged.changed(view, total)) {
            Some(changed) => changed.filter(|item| *item < total).filter_map(foreseen).collect(),
            None => (0..total).filter_map(foreseen).collect(),
        };
        self.waiting.retain(|waiter| {
            waiter.progress.send_if_modified(|progress| {
                let before = (progress.total, progress.outcomes.len());
                progress.total = total;
                for (item, outcome) in &news {
                    progress.outcomes.entry(*item).or_insert_with(|| outcome.clone());
                }
                (progress.total, progress.outcomes.len()) != before
            });
            let is_complete = waiter.progress.borrow().outcomes.len() >= total as usize;
            !is_complete && !waiter.progress.is_closed()
        });
    }
}

/// Returns the outcome of an item that its ledger will not have.
pub(crate) fn foreseen(view: &View, item: u32) -> Option<ItemOutcome> {
    look();
    let of_view = view.items.get(&item)?;
    match &of_view.owner {
        _ if of_view.is_disabled => Some(ItemOutcome::Skipped {
            reason: "the item is disabled".into(),
        }),
        Some(owner) if view.instances.contains(owner) && !view.members.contains_key(owner) => {
            Some(ItemOutcome::Unknown)
        }
        _ => None,
    }
}

/// Returns the outcome that a caller gets for an end.
pub(crate) fn outcome(end: &End) -> ItemOutcome {
    let cause = end.cause.clone().unwrap_or_default();
    match end.verdict {
        Verdict::Succeeded => ItemOutcome::Succeeded,
        Verdict::Failed => ItemOutcome::Failed { cause },
        Verdict::Cancelled => ItemOutcome::Cancelled { cause },
        Verdict::Lost => ItemOutcome::Cancelled {
            cause: "its instance died".into(),
        },
        Verdict::Skipped => ItemOutcome::Skipped { reason: cause },
        Verdict::Unknown => ItemOutcome::Unknown,
    }
}
