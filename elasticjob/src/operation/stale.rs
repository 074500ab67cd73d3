//! What was left behind in a job's subtree, and its removal.
//!
//! Stale nodes have no effect any more: servers without an instance that are not switched off, triggers and
//! marks of instances that are gone, cancellations of runs that are over, items beyond the total count, notes on switches that
//! another operator has changed since. If the job has members of ours, marks are left to them, because they also take runs over.
//!
//! A removal that a claim could cross is made so that the registry refuses one of the two.

use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{End, Verdict};
use crate::cluster::transaction::{Transaction, packed};
use crate::cluster::view::{ItemView, MarkHolder, ServerStatus};
use crate::registry::{CreateMode, Step};

use super::parts::Part;
use super::survey::{Depth, Survey};
use super::switch::Switch;
use super::{Error, Operations};

impl Operations {
    /// What of a job is stale, as paths below it, sorted.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Registry`].
    pub async fn stale(&self, job: &str) -> Result<Vec<String>, Error> {
        let survey = self.survey(job, Depth::Whole).await?;
        Ok(paths(&survey, &groups(&survey).concat()))
    }

    /// Removes what of a job is stale; gives what that was, as paths below it, sorted.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Busy`], [`Error::Registry`].
    pub async fn remove_stale(&self, job: &str) -> Result<Vec<String>, Error> {
        let decide = |survey: &Survey| {
            let mut parts = packed(groups(survey), survey.view.limits().of_worker(job)).into_iter();
            let steps = parts.next().unwrap_or_default();
            Ok(Part {
                result: paths(survey, &steps),
                steps,
                is_last: parts.next().is_none(),
            })
        };
        let mut removed = self.change_in_parts(job, Depth::Whole, decide).await?.concat();
        removed.sort();
        Ok(removed)
    }
}

fn paths(survey: &Survey, steps: &[Step]) -> Vec<String> {
    let root = Node::Root.of(survey.job());
    let deleted = steps.iter().filter(|step| matches!(step, Step::Delete { .. }));
    let mut paths: Vec<String> = deleted
        .filter_map(|step| step.path().strip_prefix(&root))
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths
}

/// What removes all that is stale, in groups of steps that go together. Each is sound without the others.
fn groups(survey: &Survey) -> Vec<Vec<Step>> {
    let view = &survey.view;
    let group = |add: &dyn Fn(&mut Transaction<'_>)| {
        let mut transaction = Transaction::on(view);
        add(&mut transaction);
        transaction.into_steps()
    };
    let delete = |node: Node<'_>| {
        group(&|transaction| {
            transaction.delete(node);
        })
    };
    let mut groups = Vec::new();
    for (ip, status) in &view.servers {
        if *status != ServerStatus::Disabled && survey.instances_on(ip).next().is_none() {
            groups.push(delete(Node::Server(ip)));
        }
    }
    for id in view.triggers.keys().filter(|id| !view.is_alive(id)) {
        groups.push(delete(Node::TriggerFor(id.as_str())));
    }
    for switch in survey.notes.keys().filter(|switch| survey.note_of(switch).is_none()) {
        groups.push(delete(match switch {
            Switch::Server(ip) => Node::ServerNote(ip),
            Switch::Item(item) => Node::ItemNote(*item),
        }));
    }
    let runs = |item: &u32| survey.ledgers.get(item).is_some_and(|stored| stored.value.is_open());
    for item in view.cancels.keys().filter(|item| !runs(item)) {
        groups.push(group(&|transaction| uncancel(transaction, survey, *item)));
    }
    if view.members.is_empty() {
        let marked = view.items.iter().filter(|(_, item)| has_dead_mark(survey, item));
        groups.extend(marked.map(|(item, _)| group(&|transaction| unmark(transaction, survey, *item))));
    }
    let total = survey
        .configuration()
        .and_then(Result::ok)
        .map(|config| config.sharding_total_count().get());
    if let Some(total) = total {
        groups.extend(
            view.failover_queue
                .range(total..)
                .map(|item| delete(Node::FailoverItem(*item))),
        );
        groups.extend(
            view.item_triggers
                .range(total..)
                .map(|(item, _)| delete(Node::Request(*item))),
        );
        let beyond = view.items.range(total..).filter(|(_, item)| item.exists);
        // A running item still belongs to an instance.
        let idle = beyond.filter(|(_, state)| state.mark.is_none());
        groups.extend(idle.map(|(item, state)| group(&|transaction| remove_item(transaction, *item, state))));
    }
    groups
}

fn has_dead_mark(survey: &Survey, item: &ItemView) -> bool {
    match item.mark.as_ref().map(|mark| &mark.holder) {
        Some(MarkHolder::Instance(id)) => !survey.view.is_alive(id),
        _ => false,
    }
}

/// Removes the cancel of a run that is over.
fn uncancel(transaction: &mut Transaction<'_>, survey: &Survey, item: u32) {
    if let Some(stored) = survey.ledgers.get(&item) {
        // No other run has begun that may have been cancelled meanwhile.
        transaction.check(Node::LedgerItem(item), Some(stored.stat.version));
    }
    transaction.delete(Node::Cancel(item));
}

/// Removes a mark, and says in the ledger that its run was lost, as a member would.
fn unmark(transaction: &mut Transaction<'_>, survey: &Survey, item: u32) {
    let record = survey.ledgers.get(&item);
    match record.filter(|stored| stored.value.is_open()) {
        Some(stored) => {
            let lost = stored.value.ended(End::new(Verdict::Lost));
            transaction.set(Node::LedgerItem(item), lost.to_bytes(), Some(stored.stat.version));
        }
        // So that either a claim at this moment is refused, or this removal.
        None => match record {
            Some(stored) => drop(transaction.check(Node::LedgerItem(item), Some(stored.stat.version))),
            None => drop(transaction.create(Node::LedgerItem(item), "{}", CreateMode::Persistent)),
        },
    }
    transaction.delete(Node::ItemState {
        item,
        kind: ItemKind::Running,
    });
}

fn remove_item(transaction: &mut Transaction<'_>, item: u32, state: &ItemView) {
    let there = [
        (ItemKind::Owner, state.owner.is_some()),
        (ItemKind::Misfire, state.is_misfire_marked),
        (ItemKind::Disabled, state.is_disabled),
        (ItemKind::Failover, state.failover.is_some()),
        (ItemKind::Failovering, state.is_failovering),
    ];
    for (kind, _) in there.into_iter().filter(|(_, is_there)| *is_there) {
        transaction.delete(Node::ItemState { item, kind });
    }
    transaction.delete(Node::Item(item));
}
