//! A claim of the items of a firing: what it is made of, and its one transaction.
//!
//! The transaction is the point at which it is decided that an instance runs an item. It has three guards, each against
//! another danger:
//!
//! 1. It checks the version of the epoch. If the leader has shared the items out since, or an operator has paused the
//!    job, the claim is refused as a whole, so no instance claims by an assignment that is no longer in force.
//! 2. It creates the `running` mark of each item. If another instance holds the item, the node exists and the claim is
//!    refused. Java members read and write the same mark, so this guard holds against them as well.
//! 3. It sets the ledger of each item with the version that was read last. If another instance has run, repaired or
//!    ended anything of the item in between, the version differs and the claim is refused. This is the only guard for
//!    jobs that are not monitored, which have no marks.
//!
//! The answer to the setting of a ledger says which write of the registry it was (in ZooKeeper its `mzxid`). That is the
//! fencing token of the run: it is greater than that of every earlier write of the registry.
//!
//! Large claims are split by the size of a transaction. Each part is a claim of its own with all guards, so nothing is
//! lost if the process dies between two parts: the items of later parts were simply not claimed.

use std::collections::{BTreeSet, VecDeque};

use crate::cluster::core::governor::resharding::Basis;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{Gap, Record, Run, Source};
use crate::cluster::mutation::Mutation;
use crate::cluster::transaction::Transaction;
use crate::cluster::trigger::Trigger;
use crate::cluster::view::View;
use crate::registry::{Answer, CreateMode, Read, Stat, Step};

use super::FiringId;
use super::passing::PassedItem;

/// A claim that was sent, or is to be.
///
/// Invariant: an item is in `items` or in `passed`, or in neither, and never in both. The items are in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The epoch of the assignment as the claimer knows it; `None` if no member of ours has shared the items out yet.
    pub(super) epoch: Option<i32>,
    /// By which right the items are claimed.
    pub(super) kind: Kind,
    /// How the `running` marks live; `None` where the job is not to be monitored.
    pub(super) mark: Option<CreateMode>,
    // Taken from the front, part by part: there may be a million.
    pub(super) items: VecDeque<ClaimedItem>,
    /// Items that do not run, and have their verdict with it.
    pub(super) passed: VecDeque<PassedItem>,
    /// Whether it is the second attempt, after a refusal whose reason was read. A second refusal gives the claim up.
    pub(super) is_retry: bool,
}

/// What gives the right to the items.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// They are ours, by the assignment of the epoch. The firing that runs them.
    Owned(FiringId),
    /// They wait to be taken over. The contenders in Java's latch go with the claim.
    Takeover { contenders: Vec<String> },
}

/// One item of a claim.
#[derive(Clone, Debug)]
pub(super) struct ClaimedItem {
    pub(super) item: u32,
    /// The run as it stands in the ledger once the claim is granted: with a new id, and without an end.
    pub(super) run: Run,
    /// The ledger expected.
    pub(super) version: i32,
    /// The ledger with the claim in it.
    pub(super) record: Record,
    /// The times before this one that passed without a run.
    pub(super) gap: Option<Gap>,
    /// The open run of a dead instance, which this one replaces.
    pub(super) lost: Option<Run>,
    /// Whether there is a ledger to be set, and not to be created.
    pub(super) has_ledger: bool,
    /// Whether an earlier taker left its mark.
    pub(super) is_failovering: bool,
    /// The order for this item alone that the claim takes.
    pub(super) trigger: Option<TakenTrigger>,
}

/// A trigger for one item that is taken with the claim, so that it is carried out once, also if the item changes its owner.
#[derive(Clone, Debug)]
pub(super) struct TakenTrigger {
    /// The version of the node that holds it.
    version: i32,
    /// The orders that stay.
    rest: Vec<Trigger>,
}

impl TakenTrigger {
    /// The first of the triggers for an item, if it is this one still.
    pub(super) fn of(view: &View, item: u32, trigger: &Trigger) -> Option<Self> {
        let stored = view.item_triggers.get(&item)?;
        let (first, rest) = stored.triggers.split_first()?;
        (first == trigger).then(|| Self {
            version: stored.version,
            rest: rest.to_vec(),
        })
    }
}

impl Claim {
    /// Returns whether there is nothing to write: no item to run, and no item that the time only passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.passed.is_empty()
    }

    /// A claim of items that wait to be taken over, to be added.
    pub(super) fn takeover(contenders: Vec<&str>, epoch: Option<i32>) -> Self {
        Self {
            epoch,
            kind: Kind::Takeover {
                contenders: contenders.into_iter().map(str::to_owned).collect(),
            },
            mark: Some(CreateMode::Persistent),
            items: VecDeque::new(),
            passed: VecDeque::new(),
            is_retry: true,
        }
    }

    /// Adds an item: the version of its ledger, if it has one, and the ledger with the claim in it.
    pub(super) fn add_takeover(
        &mut self,
        item: u32,
        version: Option<i32>,
        record: Record,
        run: Run,
        is_failovering: bool,
    ) {
        // One that is created in the claim is set at its first version.
        let (has_ledger, version) = (version.is_some(), version.unwrap_or_default());
        self.items.push_back(ClaimedItem {
            item,
            run,
            version,
            record,
            gap: None,
            lost: None,
            has_ledger,
            is_failovering,
            trigger: None,
        });
    }

    /// Returns the firing that claims; `None` for items that are taken over.
    pub(super) fn firing(&self) -> Option<FiringId> {
        match self.kind {
            Kind::Owned(id) => Some(id),
            Kind::Takeover { .. } => None,
        }
    }

    pub(super) fn is_takeover(&self) -> bool {
        matches!(self.kind, Kind::Takeover { .. })
    }

    /// Returns the items that it claims.
    pub(super) fn items(&self) -> impl Iterator<Item = u32> {
        self.items.iter().map(|claimed| claimed.item)
    }

    /// Returns all of it, with the answers to the settings of the ledgers, which are all that a claim sets.
    ///
    /// The stats are matched by position: first those of `items`, then those of `passed`. That is why no step of a
    /// claim other than a ledger may be a set.
    pub(super) fn with_stats(&self, stats: impl IntoIterator<Item = Stat>) -> Granted {
        let mut stats = stats.into_iter();
        Granted {
            items: self.items.iter().cloned().zip(&mut stats).collect(),
            passed: self.passed.iter().cloned().zip(stats).collect(),
        }
    }

    /// Returns the part of the claim that is about this item, if it is to run.
    pub(super) fn of(&self, item: u32) -> Option<&ClaimedItem> {
        self.items.iter().find(|claimed| claimed.item == item)
    }

    /// The transaction: the epoch as expected; each item's mark created and ledger set, and the ledger of each that is passed.
    pub(super) fn steps(&self, view: &View) -> Vec<Step> {
        let mut transaction = self.right(view);
        for claimed in &self.items {
            self.take(&mut transaction, view, claimed);
        }
        for passed in &self.passed {
            pass(&mut transaction, passed);
        }
        transaction.into_steps()
    }

    /// A transaction that is refused where the right to the items is gone.
    fn right<'v>(&self, view: &'v View) -> Transaction<'v> {
        let mut transaction = Transaction::on(view);
        check_epoch(&mut transaction, self.epoch);
        if let Kind::Takeover { contenders } = &self.kind {
            for name in contenders {
                transaction.delete(Node::FailoverCandidate(name));
            }
        }
        transaction
    }

    /// Adds what takes one item.
    ///
    /// The order of the steps is part of the contract with the answer: only the ledger is set, and all other nodes are
    /// created or deleted.
    fn take(&self, transaction: &mut Transaction<'_>, view: &View, claimed: &ClaimedItem) {
        let ClaimedItem {
            item,
            run,
            version,
            record,
            has_ledger,
            is_failovering,
            trigger,
            ..
        } = claimed;
        let node = |kind| Node::ItemState { item: *item, kind };
        if self.is_takeover() {
            // In Java's order: taken, noted, no longer waiting.
            transaction.create(node(ItemKind::Failover), run.owner.as_str(), CreateMode::Ephemeral);
            if *is_failovering {
                transaction.delete(node(ItemKind::Failovering));
            }
            transaction.create(node(ItemKind::Failovering), run.owner.as_str(), CreateMode::Persistent);
            transaction.delete(Node::FailoverItem(*item));
        }
        if let Some(mode) = self.mark {
            transaction.create(node(ItemKind::Running), run.owner.as_str(), mode);
        }
        if !has_ledger {
            transaction.create(Node::LedgerItem(*item), "", CreateMode::Persistent);
        }
        if let Some(trigger) = trigger
            && !Mutation::KeepRequest.is_on()
        {
            // Made again where triggers stay: the answers to settings are those of ledgers.
            transaction.delete_version(Node::Request(*item), Some(trigger.version));
            if !trigger.rest.is_empty() {
                transaction.create(
                    Node::Request(*item),
                    Trigger::to_bytes(&trigger.rest),
                    CreateMode::Persistent,
                );
            }
        }
        let is_marked = || view.items.get(item).is_some_and(|item| item.is_misfire_marked);
        if run.source == Source::Misfire && is_marked() {
            transaction.delete(node(ItemKind::Misfire));
        }
        transaction.set(Node::LedgerItem(*item), record.to_bytes(), expected(*version));
    }

    /// Keeps the items that are runnable, and gives the numbers of the others.
    pub(super) fn split_off_barred(&mut self, runnable: &BTreeSet<u32>) -> Vec<u32> {
        let barred: Vec<u32> = self.items().filter(|item| !runnable.contains(item)).collect();
        self.items.retain(|claimed| runnable.contains(&claimed.item));
        barred
    }

    /// Keeps as many items as one transaction takes, one at least, and gives the others.
    ///
    /// Items to run come before items that are passed: a run that starts late is worse than a verdict that comes late.
    pub(super) fn split_off(&mut self, view: &View) -> Option<Self> {
        let mut transaction = self.right(view);
        let is_fitting =
            |claimed: &&ClaimedItem| transaction.add_if_it_fits(|transaction| self.take(transaction, view, claimed));
        let fitting = self.items.iter().take_while(is_fitting).count();
        // The claims first: what only passes can wait.
        let is_fitting = |passed: &&PassedItem| transaction.add_if_it_fits(|transaction| pass(transaction, passed));
        let passing = if fitting == self.items.len() {
            self.passed.iter().take_while(is_fitting).count()
        } else {
            0
        };
        let (fitting, passing) = match fitting + passing {
            // One that is too large alone is sent alone.
            0 => (self.items.len().min(1), usize::from(self.items.is_empty())),
            _ => (fitting, passing),
        };
        let rest = Self {
            epoch: self.epoch,
            kind: self.kind.clone(),
            mark: self.mark,
            items: keep_first(&mut self.items, fitting),
            passed: keep_first(&mut self.passed, passing),
            is_retry: self.is_retry,
        };
        (!rest.is_empty()).then_some(rest)
    }

    /// What to read to know why it was refused, or whether it happened.
    ///
    /// The answers are read back in the same order: the epoch and the pause, then owner, mark and ledger of each item
    /// to run, then owner and ledger of each item that is passed.
    pub(super) fn survey(&self, view: &View) -> Vec<Read> {
        let job = view.job();
        let mut reads = rights(job).to_vec();
        for claimed in &self.items {
            let state = |kind| {
                Read::Data(
                    Node::ItemState {
                        item: claimed.item,
                        kind,
                    }
                    .of(job),
                )
            };
            reads.push(state(ItemKind::Owner));
            reads.push(state(ItemKind::Running));
            reads.push(Read::Data(Node::LedgerItem(claimed.item).of(job)));
        }
        for PassedItem { item, .. } in &self.passed {
            let kind = ItemKind::Owner;
            reads.push(Read::Data(Node::ItemState { item: *item, kind }.of(job)));
            reads.push(Read::Data(Node::LedgerItem(*item).of(job)));
        }
        reads
    }
}

/// Keeps the first of these, and returns the others. It takes no time for these, which may be many.
fn keep_first<T>(all: &mut VecDeque<T>, kept: usize) -> VecDeque<T> {
    let first = all.drain(..kept.min(all.len())).collect();
    std::mem::replace(all, first)
}

/// What of a claim was granted, with the stats of the ledgers.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) items: Vec<(ClaimedItem, Stat)>,
    pub(super) passed: Vec<(PassedItem, Stat)>,
}

impl Granted {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.passed.is_empty()
    }
}

impl ClaimedItem {
    /// Whether the ledger says that it was claimed, and is being run.
    pub(super) fn is_in(&self, record: &Record) -> bool {
        let is_this = |run: &Run| run.is_same_attempt(&self.run) && run.end.is_none();
        record.run.as_ref().is_some_and(is_this)
    }
}

/// Adds what lets a time pass one item.
fn pass(transaction: &mut Transaction<'_>, passed: &PassedItem) {
    let record = passed.record.to_bytes();
    transaction.set(Node::LedgerItem(passed.item), record, expected(passed.version));
}

/// What decides whether anything may be claimed at all, the epoch first: a pause that begins after both were read, or in
/// between, is of a later epoch than the one that was read.
pub(super) fn rights(job: &str) -> [Read; 2] {
    [Node::Epoch, Node::Pause].map(|node| Read::Data(node.of(job)))
}

/// Has the registry refuse the transaction if the items were shared out, or the job was paused, since this epoch.
pub(super) fn check_epoch(transaction: &mut Transaction<'_>, epoch: Option<i32>) {
    match epoch {
        _ if Mutation::IgnoreEpoch.is_on() => {}
        Some(epoch) => drop(transaction.check(Node::Epoch, Some(epoch))),
        // Only Java members have led so far. One that says nothing is as good for a pause to write to.
        None => drop(transaction.create(Node::Epoch, Basis::default().to_bytes(), CreateMode::Persistent)),
    }
}

/// Returns the version that a ledger is expected to have. The simulator can switch the check off, to see that its rules
/// notice.
fn expected(version: i32) -> Option<i32> {
    (!Mutation::IgnoreLedgerVersion.is_on()).then_some(version)
}

/// Returns the scheduled time of a run. A time that cannot be represented counts as the oldest one, so it admits
/// nothing.
pub(super) fn due_of(run: &Run) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(run.due).unwrap_or(jiff::Timestamp::MIN)
}

/// The data found, answer by answer.
pub(super) struct Found(std::vec::IntoIter<Answer>);

impl Found {
    pub(super) fn new(answers: Vec<Answer>) -> Self {
        Self(answers.into_iter())
    }

    pub(super) fn next(&mut self) -> Option<(Vec<u8>, Stat)> {
        match self.0.next() {
            Some(Answer::Data(found)) => found,
            _ => None,
        }
    }

    /// Whether the next answer, or the view, says that the job is paused.
    pub(super) fn next_is_pause(&mut self, view: &View) -> bool {
        let is_found = self.next().is_some() && !Mutation::IgnorePause.is_on();
        is_found || view.is_paused()
    }
}
