//! Bringing an assignment about: the transactions, usually one.
//!
//! They are made one at a time, as they are written: those of a million items would take a gigabyte of memory together.
//!
//! Each transaction has the same frame: it checks that this instance leads, and sets the epoch with the version
//! expected, so a leader that was deposed, or that two instances believe to be, gets no part through. Every part
//! advances the epoch, and so bars claims by the assignment before. All parts but the last store an empty basis, which
//! says that the assignment is unfinished: if the leader dies in between, the next one finds a reason to share the
//! items out. Only the last part stores what the assignment was made for, and removes the resharding flag.
//!
//! The changes of an item check the version of its ledger. If its owner has claimed it since the survey, the part is
//! refused and the leader looks again: an item that is running does not move.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec;

use crate::cluster::core::governor::resharding::{Basis, SharedOut};
use crate::cluster::extent::Extent;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::Record;
use crate::cluster::surveyed::{ItemNode, Surveyed};
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{CreateMode, Limits, Size, Step, size_of};

/// An item of those that moved takes so many bytes in the epoch at most,
const BYTES_A_MOVED_ITEM: usize = 24;
/// and all of them together this part of a transaction.
const BYTES_OF_MOVED_ITEMS: usize = 4;

/// The transactions that bring an assignment about, to be executed in order.
///
/// All are made for the view at the beginning: each is refused if anything that they rely on has changed since.
#[derive(Debug)]
pub(crate) struct Parts {
    job: String,
    limits: Limits,
    frame: Frame,
    basis: Basis,
    /// The owner of each item below the total.
    target: Vec<Option<InstanceId>>,
    /// The items that change, and are not running.
    items: Peekable<vec::IntoIter<Surveyed>>,
    extent: Extent,
    /// How many were made.
    made: u32,
    is_done: bool,
}

impl Parts {
    /// Plans how the items come to their owners. `target` names the owner of each item below the total. Returns what the log says
    /// of it, too.
    pub(crate) fn new(
        view: &View,
        mut basis: Basis,
        target: Vec<Option<InstanceId>>,
        mut items: Vec<Surveyed>,
        extent: &Extent,
    ) -> (Self, SharedOut) {
        basis.left_out = (0..)
            .zip(&target)
            .filter(|(_, owner)| owner.is_none())
            .map(|(item, _)| item)
            .collect();
        let owner_of = |item: u32| target.get(item as usize);
        let deferred = items.iter().filter(|item| is_deferred(view, item, owner_of(item.item)));
        basis.deferred = deferred.map(|surveyed| surveyed.item).collect();
        let is_moved = |surveyed: &&Surveyed| {
            !basis.deferred.contains(surveyed.item)
                && surveyed.owner.as_ref() != owner_of(surveyed.item).and_then(Option::as_ref)
        };
        let moved = items.iter().filter(is_moved).map(|surveyed| surveyed.item);
        let shared_out = SharedOut::new(view, &basis, &items, moved);
        items.retain(|surveyed| !basis.deferred.contains(surveyed.item));
        basis.moved = moved_with_epoch(view.limits().of_worker(view.job()), &basis, &target, &items);
        let parts = Self {
            job: view.job().to_owned(),
            limits: view.limits().of_worker(view.job()),
            frame: Frame::of(view),
            basis,
            target,
            items: items.into_iter().peekable(),
            extent: extent.clone(),
            made: 0,
            is_done: false,
        };
        (parts, shared_out)
    }

    /// Returns whether all were made.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns how many items have changes that are not made.
    #[cfg(test)]
    pub(super) fn unmade(&self) -> usize {
        self.items.len()
    }

    /// Takes the changes of as many items as fit into `room`, one item at least. Returns them with their size.
    ///
    /// An item is never split over two transactions: owner, ledger and node change together.
    fn take_changes(&mut self, room: Limits) -> (Vec<Step>, Size) {
        let (mut changes, mut size) = (Vec::new(), Size::default());
        while let Some(surveyed) = self.items.peek() {
            let wanted = self.target.get(surveyed.item as usize);
            let steps = steps(&self.job, surveyed, wanted, &self.extent);
            let more = size_of(&steps);
            if !room.take(size + more) && !changes.is_empty() {
                break;
            }
            self.items.next();
            changes.extend(steps);
            size += more;
        }
        (changes, size)
    }
}

impl Iterator for Parts {
    type Item = Vec<Step>;

    fn next(&mut self) -> Option<Vec<Step>> {
        if self.is_done {
            return None;
        }
        let frame = size_of(&self.frame.steps(Place::ONLY, &Basis::default()));
        let (changes, size) = self.take_changes(self.limits.beside(frame));
        // What the assignment was made for grows with the instances and the items, and may need a transaction of its own.
        let is_fitting = changes.is_empty()
            || self
                .limits
                .take(size + size_of(&self.frame.steps(Place::ONLY, &self.basis)));
        let is_last = self.items.peek().is_none() && is_fitting;
        let place = Place {
            before: self.made,
            is_last,
        };
        self.made += 1;
        self.is_done = is_last;
        // Only the last part says that all is done; those before leave the reason standing.
        let mut steps = if is_last {
            if self.made > 1 {
                self.basis.parts = self.made;
            }
            self.frame.steps(place, &self.basis)
        } else {
            self.frame.steps(place, &Basis::default())
        };
        steps.extend(changes);
        Some(steps)
    }
}

/// Where a transaction stands among those of an assignment.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// How many come before it.
    before: u32,
    is_last: bool,
}

impl Place {
    const ONLY: Self = Self {
        before: 0,
        is_last: true,
    };
}

/// What is in each transaction beside the changes of items: what it relies on, and the next epoch.
#[derive(Debug)]
struct Frame {
    job: String,
    /// The version of the epoch at the beginning, if there was one.
    epoch: Option<i32>,
    checks: Vec<Step>,
    /// What only the first does: it creates the parents that are missing.
    first: Vec<Step>,
    /// What only the last does: it says that the items are shared out.
    last: Vec<Step>,
}

impl Frame {
    fn of(view: &View) -> Self {
        let (mut checks, mut first, mut last) = (Transaction::on(view), Transaction::on(view), Transaction::on(view));
        checks.check_namespace().check(Node::LeaderInstance, None);
        first
            .ensure(Node::Ledger)
            .ensure(Node::Sharding)
            .ensure(Node::LedgerItems);
        if view.is_resharding_necessary {
            last.delete(Node::Necessary);
        }
        if view.is_resharding_processing {
            last.delete(Node::Processing);
        }
        Self {
            job: view.job().to_owned(),
            epoch: view.epoch.as_ref().map(|epoch| epoch.version),
            checks: checks.into_steps(),
            first: first.into_steps(),
            last: last.into_steps(),
        }
    }

    /// Returns the steps that the part at this place has beside its changes. Checks come first, so that the registry
    /// refuses early.
    fn steps(&self, place: Place, basis: &Basis) -> Vec<Step> {
        let mut steps = self.checks.clone();
        if place.before == 0 {
            steps.extend_from_slice(&self.first);
        }
        steps.push(self.next_epoch(place, basis.to_bytes()));
        if place.is_last {
            steps.extend_from_slice(&self.last);
        }
        steps
    }

    /// Returns the step that makes the next epoch. The version grows by one with each part, so the version that part
    /// `n` expects is that of the beginning plus `n`. An epoch that is not there yet is created by the first part, at
    /// version 0.
    fn next_epoch(&self, place: Place, data: Vec<u8>) -> Step {
        let path = Node::Epoch.of(&self.job);
        let before = i32::try_from(place.before).unwrap_or(i32::MAX);
        let version = match self.epoch {
            Some(version) => version.saturating_add(before),
            None if before == 0 => {
                let mode = CreateMode::Persistent;
                return Step::Create { path, data, mode };
            }
            None => before - 1,
        };
        Step::Set {
            path,
            data,
            version: Some(version),
        }
    }
}

/// Returns the items that get another owner, each with the place of that owner among the instances. Returns `None` if these are
/// too many to be stored with the epoch.
fn moved_with_epoch(
    limits: Limits,
    basis: &Basis,
    target: &[Option<InstanceId>],
    items: &[Surveyed],
) -> Option<Vec<(u32, Option<usize>)>> {
    let most = limits.bytes / BYTES_OF_MOVED_ITEMS / BYTES_A_MOVED_ITEM;
    let places: BTreeMap<&str, usize> = basis.instances.iter().map(String::as_str).zip(0..).collect();
    let mut moved = Vec::new();
    for surveyed in items {
        let wanted = target.get(surveyed.item as usize).and_then(Option::as_ref);
        if surveyed.owner.as_ref() == wanted {
            continue;
        }
        if moved.len() == most {
            return None;
        }
        let place = wanted.and_then(|owner| places.get(owner.as_str()).copied());
        moved.push((surveyed.item, place));
    }
    Some(moved)
}

/// Returns whether an item stays where it is until its run has ended. `wanted` is `None` for one beyond the total.
fn is_deferred(view: &View, surveyed: &Surveyed, wanted: Option<&Option<InstanceId>>) -> bool {
    // It took the item over. A Java member would not expect to be given what it runs.
    let is_at_home = wanted
        .and_then(Option::as_ref)
        .is_some_and(|wanted| surveyed.runner() == Some(wanted) && view.members.contains_key(wanted));
    surveyed.is_running(view) && !is_settled(surveyed, wanted) && !is_gone(surveyed, wanted) && !is_at_home
}

fn is_settled(surveyed: &Surveyed, wanted: Option<&Option<InstanceId>>) -> bool {
    wanted.is_some_and(|wanted| *wanted == surveyed.owner)
}

fn is_gone(surveyed: &Surveyed, wanted: Option<&Option<InstanceId>>) -> bool {
    wanted.is_none() && surveyed.node == ItemNode::Missing
}

/// What has to happen to one item. `wanted` is `None` for one beyond the total.
fn steps(job: &str, surveyed: &Surveyed, wanted: Option<&Option<InstanceId>>, extent: &Extent) -> Vec<Step> {
    let item = surveyed.item;
    let create = |node: Node<'_>, data: Vec<u8>| Step::Create {
        path: node.of(job),
        data,
        mode: CreateMode::Persistent,
    };
    let delete = |path| Step::Delete { path, version: None };
    let owner_node = Node::ItemState {
        item,
        kind: ItemKind::Owner,
    };
    let mut steps = Vec::new();
    if wanted.is_some() && surveyed.node == ItemNode::Missing {
        steps.push(create(Node::Item(item), Vec::new()));
    }
    let is_settled = is_settled(surveyed, wanted);
    // The version of the ledger tells whether an instance of ours claimed the item since the survey.
    match surveyed.ledger {
        Some(_) if is_settled || is_gone(surveyed, wanted) => {}
        Some(version) => steps.push(Step::Check {
            path: Node::LedgerItem(item).of(job),
            version: Some(version),
        }),
        None if wanted.is_some() => {
            let record = Record::begun(extent.since(item));
            steps.push(create(Node::LedgerItem(item), record.to_bytes()));
        }
        None => {}
    }
    let Some(wanted) = wanted else {
        if let ItemNode::There(children) = &surveyed.node {
            let path = Node::Item(item).of(job);
            steps.extend(children.iter().map(|child| delete(format!("{path}/{child}"))));
            steps.push(delete(path));
        }
        return steps;
    };
    if is_settled {
        return steps;
    }
    // Never a change of data: Java's cache would go on answering with the old owner.
    if surveyed.owner.is_some() {
        steps.push(delete(owner_node.of(job)));
    }
    if let Some(owner) = wanted {
        steps.push(create(owner_node, owner.as_str().into()));
    }
    steps
}
