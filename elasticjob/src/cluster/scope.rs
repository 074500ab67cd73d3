//! How much of a job's subtree an instance follows.
//!
//! Each firing writes to each item, so with many items on many instances most events would go to instances that they
//! do not concern. A follower of such a job watches its own items only, and learns which these are when the leader has
//! shared them out.
//!
//! Without this a job of 1,000 items on 100 instances would send each event to all 100, although it concerns one of
//! them. The leader, or the member that repairs under a Java leader, follows everything: it has to see every mark. The
//! change from one scope to the other costs a read of the subtree, so the limit for going back is half of that for
//! going.

use std::collections::BTreeSet;

use crate::limits;

use super::core::governor::marks;
use super::instance::InstanceId;
use super::layout::{ItemKind, Node};
use super::view::View;

/// What an instance watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the job's subtree.
    Whole,
    /// What concerns all, and these items; also the ledger of all items while a caller waits for an outcome.
    Own { items: BTreeSet<u32>, ledger: bool },
}

impl Scope {
    /// Returns what `me` should watch.
    pub(crate) fn wanted(&self, view: &View, me: &InstanceId, total: u32, is_ledger_awaited: bool) -> Self {
        let size = view.instances.len().saturating_mul(total as usize);
        // Not at the same size back and forth: each change costs as much as a start.
        let limit = match self {
            Self::Whole => limits::whole_scope(),
            Self::Own { .. } => limits::whole_scope() / 2,
        };
        // Who leads, or repairs where a Java member leads, has to see every mark.
        let has_to_see_all = view.leader.is_some() && marks::is_repairer(view, me);
        if size <= limit || has_to_see_all {
            return Self::Whole;
        }
        let items = view.items_of(me, total).map(|(item, _)| item).collect();
        Self::Own {
            items,
            ledger: is_ledger_awaited,
        }
    }

    /// Returns the paths to watch, each with everything below it.
    pub(crate) fn paths(&self, job: &str) -> BTreeSet<String> {
        match self {
            Self::Whole => BTreeSet::from([Node::Root.of(job)]),
            Self::Own { items, ledger } => {
                let shared = [
                    Node::Config,
                    Node::Servers,
                    Node::Instances,
                    Node::Leader,
                    Node::Trigger,
                    Node::Epoch,
                    Node::Pause,
                    Node::Cancels,
                    Node::Requests,
                    Node::Members,
                ];
                let own = items.iter().map(|item| Node::Item(*item));
                let ledger = ledger.then_some(Node::LedgerItems);
                shared
                    .into_iter()
                    .chain(own)
                    .chain(ledger)
                    .map(|node| node.of(job))
                    .collect()
            }
        }
    }

    /// Returns what has to be read once `self` is watched instead of `before`; `None` for everything.
    pub(crate) fn unseen(&self, before: &Self, job: &str) -> Option<Vec<String>> {
        match (before, self) {
            (Self::Whole, _) => Some(Vec::new()),
            (Self::Own { .. }, Self::Whole) => None,
            (
                Self::Own {
                    items: seen,
                    ledger: saw_ledger,
                },
                Self::Own { items, ledger },
            ) => {
                let states = items
                    .difference(seen)
                    .flat_map(|item| ItemKind::ALL.map(|kind| Node::ItemState { item: *item, kind }.of(job)));
                // What is read answers the callers that wait, so all ledgers are read once.
                (*saw_ledger || !*ledger).then(|| states.collect())
            }
        }
    }
}

/// Returns the paths to read for the owners of these items.
pub(crate) fn owners(job: &str, items: impl Iterator<Item = u32>) -> impl Iterator<Item = String> {
    items.map(move |item| {
        Node::ItemState {
            item,
            kind: ItemKind::Owner,
        }
        .of(job)
    })
}

#[cfg(test)]
mod tests {
    use crate::registry::Stat;

    use super::*;
    use crate::cluster::fixtures::id;

    fn view(instances: usize) -> View {
        let mut view = View::new("job");
        for instance in 0..instances {
            view.read(
                &format!("/job/instances/a@-@{instance}"),
                Some((Vec::new(), Stat::default())),
            );
        }
        view.read("/job/sharding/7/instance", Some((b"a@-@1".to_vec(), Stat::default())));
        view
    }

    #[test]
    fn follows_a_large_job_in_part_except_as_leader() {
        let mut large = view(3);
        let own = Scope::Own {
            items: BTreeSet::from([7]),
            ledger: false,
        };
        assert_eq!(Scope::Whole.wanted(&large, &id("a@-@1"), 334, false), own);
        assert_eq!(Scope::Whole.wanted(&large, &id("a@-@1"), 333, false), Scope::Whole);
        assert_eq!(
            own.wanted(&large, &id("a@-@1"), 333, false),
            own,
            "not back at the same size"
        );
        assert_eq!(own.wanted(&large, &id("a@-@1"), 100, false), Scope::Whole);
        large.read("/job/ledger/members/a@-@1", Some((Vec::new(), Stat::default())));
        large.read(
            "/job/leader/election/instance",
            Some((b"a@-@1".to_vec(), Stat::default())),
        );
        assert_eq!(own.wanted(&large, &id("a@-@1"), 334, false), Scope::Whole);
    }

    #[test]
    fn what_was_not_watched_before_should_be_read() {
        let none = Scope::Own {
            items: BTreeSet::new(),
            ledger: false,
        };
        let one = Scope::Own {
            items: BTreeSet::from([7]),
            ledger: false,
        };
        let awaited = Scope::Own {
            items: BTreeSet::from([7]),
            ledger: true,
        };
        assert_eq!(
            one.unseen(&none, "job").map(|paths| paths.len()),
            Some(ItemKind::ALL.len())
        );
        assert_eq!(one.unseen(&Scope::Whole, "job"), Some(Vec::new()));
        assert_eq!(Scope::Whole.unseen(&one, "job"), None);
        assert_eq!(awaited.unseen(&one, "job"), None);
        assert_eq!(one.unseen(&awaited, "job"), Some(Vec::new()));
    }
}
