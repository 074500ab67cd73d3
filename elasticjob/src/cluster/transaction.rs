//! Transactions in terms of nodes, with the parents that are missing.
//!
//! The registry creates no parents by itself. A transaction knows from the view which of them are there and creates the
//! others in front. If the view is wrong about one, the registry refuses the transaction, and the next decision is made
//! on a better view. The size is counted as steps are added, so a caller can stop before the limit.

use crate::registry::{self, CreateMode, Limits, Size, Step, size_of};

use super::layout::Node;
use super::view::View;

/// Steps that happen all or not at all, being put together.
#[derive(Debug)]
pub(crate) struct Transaction<'v> {
    view: &'v View,
    steps: Vec<Step>,
    /// Of the steps, as [`size_of`] counts them.
    size: Size,
}

impl<'v> Transaction<'v> {
    /// Creates an empty transaction on the job of this view.
    pub(crate) fn on(view: &'v View) -> Self {
        Self {
            view,
            steps: Vec::new(),
            size: Size::default(),
        }
    }

    /// Adds steps that go together, unless the transaction would become larger than a worker sends. The first such steps
    /// always go in. Returns whether they did: if not, they belong into the next transaction.
    pub(crate) fn add_if_it_fits(&mut self, add: impl FnOnce(&mut Self)) -> bool {
        let (count, size) = (self.steps.len(), self.size);
        add(self);
        let is_fitting = count == 0 || self.view.limits().of_worker(self.view.job()).take(self.size);
        if !is_fitting {
            self.steps.truncate(count);
            self.size = size;
        }
        is_fitting
    }

    fn push(&mut self, step: Step) {
        self.size += size_of(std::slice::from_ref(&step));
        self.steps.push(step);
    }

    /// Creates a node, and those of its parents that the view does not have.
    pub(crate) fn create(&mut self, node: Node<'_>, data: impl Into<Vec<u8>>, mode: CreateMode) -> &mut Self {
        self.ensure_parents(node);
        self.push(Step::Create {
            path: node.of(self.view.job()),
            data: data.into(),
            mode,
        });
        self
    }

    /// Creates the node, empty, unless it is there.
    pub(crate) fn ensure(&mut self, node: Node<'_>) -> &mut Self {
        self.ensure_parents(node);
        self.ensure_only(node);
        self
    }

    fn ensure_parents(&mut self, node: Node<'_>) {
        for parent in parents(node) {
            self.ensure_only(parent);
        }
    }

    fn ensure_only(&mut self, node: Node<'_>) {
        if self.view.has(node) {
            return;
        }
        let path = node.of(self.view.job());
        let is_made_here = |step: &Step| matches!(step, Step::Create { path: made, .. } if *made == path);
        if self.steps.iter().any(is_made_here) {
            return;
        }
        // Java creates the leader's nodes as parents of a Curator latch, which makes them containers.
        let mode = match node {
            Node::Leader | Node::Election | Node::ElectionLatch | Node::FailoverLatch => CreateMode::Container,
            _ => CreateMode::Persistent,
        };
        self.push(Step::Create {
            path,
            data: Vec::new(),
            mode,
        });
    }

    /// Sets the data of a node. `None` expects no version.
    pub(crate) fn set(&mut self, node: Node<'_>, data: impl Into<Vec<u8>>, version: Option<i32>) -> &mut Self {
        self.push(Step::Set {
            path: node.of(self.view.job()),
            data: data.into(),
            version,
        });
        self
    }

    /// Deletes a node of any version.
    pub(crate) fn delete(&mut self, node: Node<'_>) -> &mut Self {
        self.delete_version(node, None)
    }

    /// Deletes a node if it has this version.
    pub(crate) fn delete_version(&mut self, node: Node<'_>, version: Option<i32>) -> &mut Self {
        self.push(Step::Delete {
            path: node.of(self.view.job()),
            version,
        });
        self
    }

    /// Has the transaction refused unless the node is there, with this version if one is given.
    pub(crate) fn check(&mut self, node: Node<'_>, version: Option<i32>) -> &mut Self {
        self.push(Step::Check {
            path: node.of(self.view.job()),
            version,
        });
        self
    }

    /// Checks that the namespace is there, as Java's transactions do.
    pub(crate) fn check_namespace(&mut self) -> &mut Self {
        self.push(Step::Check {
            path: "/".to_owned(),
            version: None,
        });
        self
    }

    /// Adds steps that were made elsewhere.
    pub(crate) fn extend(&mut self, steps: Vec<Step>) -> &mut Self {
        steps.into_iter().for_each(|step| self.push(step));
        self
    }

    /// Returns whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the steps, in the order in which they were added.
    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

/// Returns the groups of steps, in order, in as few transactions within the limits as take them; one at least. A group
/// stays together, however large it is.
pub(crate) fn packed(groups: impl IntoIterator<Item = Vec<Step>>, limits: Limits) -> Vec<Vec<Step>> {
    let parts = registry::packed(groups, limits, |steps| size_of(steps));
    parts
        .into_iter()
        .map(|groups| groups.into_iter().flatten().collect())
        .collect()
}

/// Returns the parents of a node below the job's root, outermost first.
fn parents(node: Node<'_>) -> Vec<Node<'static>> {
    match node {
        Node::Server(_) => vec![Node::Servers],
        Node::Instance(_) => vec![Node::Instances],
        Node::Election => vec![Node::Leader],
        Node::ElectionLatch | Node::LeaderInstance => vec![Node::Leader, Node::Election],
        Node::ElectionCandidate(_) => vec![Node::Leader, Node::Election, Node::ElectionLatch],
        Node::LeaderSharding => vec![Node::Leader],
        Node::Necessary | Node::Processing => vec![Node::Leader, Node::LeaderSharding],
        Node::LeaderFailover => vec![Node::Leader],
        Node::FailoverItems | Node::FailoverLatch => vec![Node::Leader, Node::LeaderFailover],
        Node::FailoverItem(_) => vec![Node::Leader, Node::LeaderFailover, Node::FailoverItems],
        Node::FailoverCandidate(_) => vec![Node::Leader, Node::LeaderFailover, Node::FailoverLatch],
        Node::Item(_) => vec![Node::Sharding],
        Node::ItemState { item, .. } => vec![Node::Sharding, Node::Item(item)],
        Node::TriggerFor(_) => vec![Node::Trigger],
        Node::CurrentTime => vec![Node::SystemTime],
        Node::Epoch
        | Node::Pause
        | Node::LedgerItems
        | Node::Members
        | Node::Standbys
        | Node::Cancels
        | Node::Requests => {
            vec![Node::Ledger]
        }
        Node::LedgerItem(_) => vec![Node::Ledger, Node::LedgerItems],
        Node::Member(_) => vec![Node::Ledger, Node::Members],
        Node::Standby(_) => vec![Node::Ledger, Node::Standbys],
        Node::Cancel(_) => vec![Node::Ledger, Node::Cancels],
        Node::Request(_) => vec![Node::Ledger, Node::Requests],
        Node::ServerNote(_) => vec![Node::Ledger, Node::Notes, Node::ServerNotes],
        Node::ItemNote(_) => vec![Node::Ledger, Node::Notes, Node::ItemNotes],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::Stat;

    use super::*;

    #[test]
    fn missing_parents_should_be_created_once_and_in_order() {
        let mut view = View::new("job");
        view.read("/job/ledger", Some((Vec::new(), Stat::default())));
        let mut transaction = Transaction::on(&view);
        transaction.create(Node::LedgerItem(0), "{}", CreateMode::Persistent);
        transaction.create(Node::LedgerItem(1), "{}", CreateMode::Persistent);
        let paths: Vec<_> = transaction
            .into_steps()
            .into_iter()
            .map(|step| match step {
                Step::Create { path, .. } => path,
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(
            paths,
            ["/job/ledger/items", "/job/ledger/items/0", "/job/ledger/items/1"]
        );
    }

    #[test]
    fn the_parents_of_a_latch_should_be_containers() {
        let view = View::new("job");
        let mut transaction = Transaction::on(&view);
        transaction.create(
            Node::ElectionCandidate("_c_x-latch-"),
            "",
            CreateMode::EphemeralSequential,
        );
        let modes: Vec<_> = transaction
            .into_steps()
            .into_iter()
            .filter_map(|step| match step {
                Step::Create { mode, .. } => Some(mode),
                _ => None,
            })
            .collect();
        use CreateMode::{Container, EphemeralSequential};
        assert_eq!(modes, [Container, Container, Container, EphemeralSequential]);
    }
}
