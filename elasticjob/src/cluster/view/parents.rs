//! The nodes of a job that only hold others.

use crate::cluster::layout::Node;

/// Which of the nodes that only hold others exist, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parents(u32);

impl Parents {
    /// Returns whether the node is one of these.
    pub(super) fn knows(node: Node<'_>) -> bool {
        Self::bit(node).is_some()
    }

    fn bit(node: Node<'_>) -> Option<u32> {
        let place = match node {
            Node::Servers => 0,
            Node::Instances => 1,
            Node::Leader => 2,
            Node::Election => 3,
            Node::ElectionLatch => 4,
            Node::LeaderSharding => 5,
            Node::Sharding => 6,
            Node::Trigger => 7,
            Node::SystemTime => 8,
            Node::Ledger => 9,
            Node::LedgerItems => 10,
            Node::Members => 11,
            Node::LeaderFailover => 12,
            Node::FailoverItems => 13,
            Node::FailoverLatch => 14,
            Node::Notes => 15,
            Node::ServerNotes => 16,
            Node::ItemNotes => 17,
            Node::Standbys => 18,
            Node::Cancels => 19,
            Node::Requests => 20,
            _ => return None,
        };
        Some(1 << place)
    }

    pub(super) fn set(&mut self, node: Node<'_>, exists: bool) {
        let Some(bit) = Self::bit(node) else { return };
        if exists {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }

    pub(super) fn has(self, node: Node<'_>) -> bool {
        Self::bit(node).is_some_and(|bit| self.0 & bit != 0)
    }
}
