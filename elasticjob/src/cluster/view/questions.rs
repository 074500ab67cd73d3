//! What decisions ask of the view. Answers come from what is known; nothing is read for them.

use std::collections::BTreeSet;

use crate::cluster::cancel::Cancel;
use crate::cluster::core::governor::resharding::Basis;
use crate::cluster::instance::InstanceId;
use crate::cluster::layout::Node;
use crate::cluster::mutation::Mutation;

use super::parents::Parents;
use super::{ItemView, ServerStatus, View, look};

impl View {
    /// Returns whether the node is known to be there.
    pub(crate) fn has(&self, node: Node<'_>) -> bool {
        match node {
            // An item that has an owner is there, even where only the owner was read.
            Node::Sharding => self.parents.has(node) || self.owners().next().is_some(),
            Node::Item(item) => self
                .items
                .get(&item)
                .is_some_and(|item| item.exists || item.owner.is_some()),
            _ if Parents::knows(node) => self.parents.has(node),
            Node::Config => self.has_config,
            Node::Epoch => self.epoch.is_some(),
            Node::Pause => self.pause.is_some(),
            Node::Cancel(item) => self.cancels.contains_key(&item),
            Node::Request(item) => self.item_triggers.contains_key(&item),
            Node::LedgerItem(item) => self.items.get(&item).is_some_and(|item| item.has_ledger),
            Node::Server(ip) => self.servers.contains_key(ip),
            Node::CurrentTime => self.has_current_time,
            Node::FailoverItem(item) => self.failover_queue.contains(&item),
            _ => false,
        }
    }

    /// Returns whether the instance is there and its server is switched on.
    pub(crate) fn is_available(&self, id: &InstanceId) -> bool {
        self.instances.contains(id) && self.is_enabled(id)
    }

    /// Returns whether the server of the instance is switched on.
    pub(crate) fn is_enabled(&self, id: &InstanceId) -> bool {
        self.servers.get(id.server()) == Some(&ServerStatus::Enabled)
    }

    /// Returns whether the instance may be running something. One that an operator removed goes on until it has left: no longer
    /// registered, it is still a member. Java members are none, and dead once they are not registered.
    pub(crate) fn is_alive(&self, id: &InstanceId) -> bool {
        self.instances.contains(id) || self.members.contains_key(id)
    }

    /// Returns whether the whole job is paused: nothing of it is claimed.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_some() && !Mutation::IgnorePause.is_on()
    }

    /// Returns an operator's word that this run of the item is to end, if there is one.
    pub(crate) fn cancel_of(&self, item: u32, run: &str) -> Option<&Cancel> {
        let cancel = self.cancels.get(&item)?.as_ref();
        cancel.filter(|cancel| cancel.run == run && !Mutation::IgnoreCancel.is_on())
    }

    /// Returns whether the instance starts nothing while the job is paused: a member of ours that knows of pauses.
    pub(crate) fn obeys_pause(&self, id: &InstanceId) -> bool {
        self.members.get(id).is_some_and(|member| member.obeys_pause)
    }

    /// Returns the instances that items may be given to, in the order of strategies: descending. While the job is paused
    /// these are such as obey the pause.
    pub(crate) fn candidates_for_items(&self) -> impl Iterator<Item = &InstanceId> {
        self.instances
            .iter()
            .rev()
            .filter(|id| self.is_enabled(id))
            .filter(|id| !self.members.get(id).is_some_and(|member| member.draining))
            .filter(|id| !self.is_paused() || self.obeys_pause(id))
    }

    /// Returns whether a member of the job is not one of ours.
    pub(crate) fn has_java_members(&self) -> bool {
        self.instances.iter().any(|id| !self.members.contains_key(id))
    }

    /// Returns whether the leader is not one of ours.
    pub(crate) fn is_led_by_java(&self) -> bool {
        let is_of_java = |leader| !self.members.contains_key(leader);
        self.leader.as_ref().is_some_and(is_of_java)
    }

    /// Returns whether nothing may start, since the items are about to change hands.
    pub(crate) fn is_held_up(&self) -> bool {
        self.is_resharding() && !self.is_awaited_by_java_leader()
    }

    /// Returns whether a Java leader has begun a firing, and waits for the items of all others to come to it: it shares nothing
    /// out before they have.
    pub(super) fn is_awaited_by_java_leader(&self) -> bool {
        let Some(leader) = self.leader.as_ref().filter(|_| self.is_led_by_java()) else {
            return false;
        };
        let is_theirs = |item: &u32| {
            self.items
                .get(item)
                .is_some_and(|item| item.owner.as_ref() == Some(leader))
        };
        self.is_resharding_necessary && !self.is_resharding_processing && self.gathered.iter().any(is_theirs)
    }

    /// Returns the items below `total` that belong to `id`.
    pub(crate) fn items_of<'a>(
        &'a self,
        id: &InstanceId,
        total: u32,
    ) -> impl Iterator<Item = (u32, &'a ItemView)> + use<'a> {
        let items = self
            .owned
            .of(id)
            .into_iter()
            .flat_map(move |items| items.range(..total));
        items.filter_map(|item| {
            look();
            Some((*item, &**self.items.get(item)?))
        })
    }

    /// Returns whether the item belongs to `id`.
    pub(crate) fn is_of(&self, item: u32, id: &InstanceId) -> bool {
        self.items.get(&item).and_then(|item| item.owner.as_ref()) == Some(id)
    }

    /// Returns all owners, each with its items, of which it has one at least.
    pub(crate) fn owners(&self) -> impl Iterator<Item = (&InstanceId, &BTreeSet<u32>)> {
        self.owned.iter()
    }

    /// Returns how many of the items below `total` have an owner.
    pub(crate) fn count_owned(&self, total: u32) -> usize {
        self.owned.count(total)
    }

    /// Returns whether an item that waits to move has no mark.
    pub(crate) fn is_any_free_to_move(&self) -> bool {
        self.free_to_move > 0
    }

    /// Returns whether the item waits for its run to end, to move elsewhere: it is not to be run again before.
    pub(crate) fn is_moving(&self, item: u32) -> bool {
        // A Java leader shares items out without a word here, so what one of ours said before is void.
        let is_led_by_ours = self
            .leader
            .as_ref()
            .is_some_and(|leader| self.members.contains_key(leader));
        let basis = self.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref());
        is_led_by_ours && basis.is_some_and(|basis| basis.deferred().contains(item))
    }

    /// Returns whether the item was running when it was to move, and came to its owner after that.
    pub(crate) fn was_busy(&self, item: u32) -> bool {
        let basis = self.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref());
        let is_coming = || basis.is_some_and(Basis::is_unfinished) && self.waiting.contains(item);
        self.released.contains(item) || is_coming()
    }

    /// Returns whether any item waits for its run to end, to move elsewhere.
    pub(crate) fn has_moving_items(&self) -> bool {
        let basis = self.epoch.as_ref().and_then(|epoch| epoch.basis.as_ref());
        basis.is_some_and(|basis| !basis.deferred().is_empty())
    }

    /// Returns whether all instances have to wait for the leader to reshard.
    pub(crate) fn is_resharding(&self) -> bool {
        self.is_resharding_necessary || self.is_resharding_processing
    }
}
