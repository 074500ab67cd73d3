//! Items that wait for a take-over that never comes: failover was switched off, or the job has fewer items now.
//!
//! No attempt follows, so the run that was to go on has ended with its instance, and the ledger says so in the
//! transaction that removes the item from the queue.

use crate::cluster::core::governor::marks::Succession;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::ledger::{End, Reason, Record, Run, Verdict};
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{Answer, Read, Step};

/// What removes such items from the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clearing {
    /// The items with runs that are lost with their instances.
    pub(crate) lost: Vec<(u32, Option<Run>)>,
    pub(crate) steps: Vec<Step>,
}

/// The next of them.
///
/// If failover is off, no item is taken over, so all that are queued are abandoned. If it is on, only items beyond the
/// sharding total count are.
pub(crate) fn find(view: &View, succession: Succession) -> Vec<u32> {
    let first = if succession.failover { succession.total } else { 0 };
    view.failover_queue
        .range(first..)
        .copied()
        .take(view.limits().batch())
        .collect()
}

/// What has to be read to judge them.
pub(crate) fn survey(view: &View, items: &[u32]) -> Vec<Read> {
    let ledger = |item: &u32| Read::Data(Node::LedgerItem(*item).of(view.job()));
    items.iter().map(ledger).collect()
}

/// Judges them by what was read, in the order of [`survey`].
///
/// If the run in the ledger has ended, or its owner is alive, the item is removed from the queue and its ledger is left
/// as it is.
pub(crate) fn clear(view: &View, items: &[u32], answers: Vec<Answer>) -> Clearing {
    let mut transaction = Transaction::on(view);
    let mut lost = Vec::new();
    for (item, answer) in items.iter().zip(answers) {
        let found = match answer {
            Answer::Data(Some((data, stat))) => Some((Record::parse(&data), stat.version)),
            _ => None,
        };
        let left = found.filter(|(record, _)| is_left_behind(view, record));
        let is_added = transaction.add_if_it_fits(|transaction| {
            transaction.delete(Node::FailoverItem(*item));
            if let Some((record, version)) = &left {
                let end = End::coded(Verdict::Lost, Reason::NotTakenOver);
                transaction.set(Node::LedgerItem(*item), record.ended(end).to_bytes(), Some(*version));
            }
        });
        if !is_added {
            // They are found again once these are gone.
            break;
        }
        lost.extend(left.map(|(record, _)| (*item, record.run)));
    }
    Clearing {
        lost,
        steps: transaction.into_steps(),
    }
}

/// Returns whether its run was never ended by an instance that is gone.
fn is_left_behind(view: &View, record: &Record) -> bool {
    let open = record.run.as_ref().filter(|run| run.end.is_none());
    let owner = open.and_then(|run| InstanceId::parse(&run.owner));
    owner.is_some_and(|owner| !view.is_alive(&owner))
}
