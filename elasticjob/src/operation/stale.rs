//! What was left behind in a job's subtree, and its removal.
//!
//! Stale is what means nothing any more to anybody: servers without an instance that nobody switched off, orders and
//! marks of instances that are gone, items beyond the total count, notes on switches that somebody else has thrown since.
//! Marks are left to members of ours where there are any: they also see to it that a run is taken over.

use crate::cluster::layout::{ItemKind, Node};
use crate::cluster::ledger::{End, Verdict};
use crate::cluster::transaction::Transaction;
use crate::cluster::view::{ItemView, MarkHolder, ServerStatus};
use crate::registry::{CreateMode, Step};

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
        Ok(paths(&survey, &steps(&survey)))
    }

    /// Removes what of a job is stale; gives what that was, as paths below it, sorted.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], [`Error::Busy`], [`Error::Registry`].
    pub async fn remove_stale(&self, job: &str) -> Result<Vec<String>, Error> {
        self.change(job, Depth::Whole, |survey| {
            let steps = steps(survey);
            let paths = paths(survey, &steps);
            Ok((steps, paths))
        })
        .await
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

fn steps(survey: &Survey) -> Vec<Step> {
    let view = &survey.view;
    let mut transaction = Transaction::on(view);
    for (ip, status) in &view.servers {
        if *status != ServerStatus::Disabled && survey.instances_on(ip).next().is_none() {
            transaction.delete(Node::Server(ip));
        }
    }
    for id in view.triggers.keys().filter(|id| !view.is_alive(id)) {
        transaction.delete(Node::TriggerFor(id.as_str()));
    }
    for switch in survey.notes.keys().filter(|switch| survey.note_of(switch).is_none()) {
        transaction.delete(match switch {
            Switch::Server(ip) => Node::ServerNote(ip),
            Switch::Item(item) => Node::ItemNote(*item),
        });
    }
    if view.members.is_empty() {
        let marked = view.items.iter().filter(|(_, item)| has_dead_mark(survey, item));
        marked.for_each(|(item, _)| unmark(&mut transaction, survey, *item));
    }
    let total = survey
        .configuration()
        .and_then(Result::ok)
        .map(|config| config.sharding_total_count().get());
    if let Some(total) = total {
        for item in view.failover_queue.range(total..) {
            transaction.delete(Node::FailoverItem(*item));
        }
        let beyond = view.items.range(total..).filter(|(_, item)| item.exists);
        // One that runs is somebody's still.
        for (item, state) in beyond.filter(|(_, state)| state.mark.is_none()) {
            remove_item(&mut transaction, *item, state);
        }
    }
    transaction.into_steps()
}

fn has_dead_mark(survey: &Survey, item: &ItemView) -> bool {
    match item.mark.as_ref().map(|mark| &mark.holder) {
        Some(MarkHolder::Instance(id)) => !survey.view.is_alive(id),
        _ => false,
    }
}

/// Removes a mark, and says in the ledger that its run was lost, as a member would.
fn unmark(transaction: &mut Transaction<'_>, survey: &Survey, item: u32) {
    let record = survey.ledgers.get(&item);
    match record.filter(|stored| !stored.value.is_ended() && stored.value.run.is_some()) {
        Some(stored) => {
            let lost = stored.value.ended(End::new(Verdict::Lost));
            transaction.set(Node::LedgerItem(item), lost.to_bytes(), Some(stored.stat.version));
        }
        // So that whoever claims it at this moment is refused, or we are.
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
