//! The firings that have begun and are not over. No item is of two of them.
//!
//! Usually there is one. More than one are open only if single items were triggered: such a firing may go on beside
//! another, over different items. There are never many, so a list is searched from its beginning, oldest first.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::cluster::ledger::Source;

use super::listening::ListenerPhase;
use super::sources::Origin;
use super::{Claim, Occasion};

/// Names a firing among those of one job on this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FiringId(u64);

/// A firing that has begun and is not over.
#[derive(Debug)]
pub(super) struct OpenFiring {
    pub(super) id: FiringId,
    /// The source that its occasion came from.
    pub(super) origin: Origin,
    pub(super) occasion: Occasion,
    /// Its items that are claimed, or to be claimed, and have no recorded end.
    pub(super) items: BTreeSet<u32>,
    /// The items that did not fit into the transaction of the claim.
    pub(super) rest: Option<Claim>,
    /// Whether any of its items was claimed.
    pub(super) is_begun: bool,
    pub(super) phase: ListenerPhase,
}

/// The open firings of a job.
#[derive(Debug, Default)]
pub(super) struct OpenFirings {
    firings: Vec<OpenFiring>,
    /// The number of the newest firing.
    newest: u64,
}

impl OpenFiring {
    /// Returns whether nothing of it is left but to close it.
    pub(super) fn is_over(&self) -> bool {
        self.items.is_empty() && self.phase == ListenerPhase::Over
    }
}

impl OpenFirings {
    /// Returns a name that no firing has had.
    pub(super) fn name(&mut self) -> FiringId {
        self.newest += 1;
        FiringId(self.newest)
    }

    /// Adds a firing, which is the newest one.
    ///
    /// # Panics
    /// In debug builds, if one of its items is of another open firing.
    pub(super) fn add(&mut self, firing: OpenFiring) {
        debug_assert!(
            !firing.items.iter().any(|item| self.has(*item)),
            "an item is of two firings"
        );
        self.firings.push(firing);
    }

    /// Returns a firing by its name; `None` if it is closed.
    pub(super) fn get(&self, id: FiringId) -> Option<&OpenFiring> {
        self.firings.iter().find(|firing| firing.id == id)
    }

    /// Returns a firing by its name, to be changed; `None` if it is closed.
    pub(super) fn get_mut(&mut self, id: FiringId) -> Option<&mut OpenFiring> {
        self.firings.iter_mut().find(|firing| firing.id == id)
    }

    /// Returns the firings, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenFiring> {
        self.firings.iter()
    }

    /// Returns the firings, the oldest first, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenFiring> {
        self.firings.iter_mut()
    }

    /// Returns whether no firing is open, not even one that is over and only to be closed.
    pub(super) fn is_empty(&self) -> bool {
        self.firings.is_empty()
    }

    /// Returns whether a firing is open that is not over.
    pub(super) fn is_going_on(&self) -> bool {
        self.firings.iter().any(|firing| !firing.is_over())
    }

    /// Returns whether the item is of an open firing.
    pub(super) fn has(&self, item: u32) -> bool {
        self.firings.iter().any(|firing| firing.items.contains(&item))
    }

    /// Returns whether a firing is open that began while no other was.
    pub(super) fn is_any_alone(&self) -> bool {
        self.firings.iter().any(|firing| firing.occasion.items.is_alone())
    }

    /// Returns whether listeners are called for an open firing.
    pub(super) fn is_listened_to(&self) -> bool {
        self.firings.iter().any(|firing| firing.phase != ListenerPhase::Over)
    }

    /// Returns whether all open firings answer triggers.
    pub(super) fn are_triggered(&self) -> bool {
        let is_triggered = |firing: &OpenFiring| firing.occasion.source == Source::Trigger;
        !self.is_empty() && self.firings.iter().all(is_triggered)
    }

    /// Returns the newest time of an open firing.
    pub(super) fn newest_time(&self) -> Option<Timestamp> {
        self.firings.iter().map(|firing| firing.occasion.time).max()
    }

    /// Takes what of the oldest firing that is not all claimed is left to be claimed.
    pub(super) fn take_rest(&mut self) -> Option<(FiringId, Claim)> {
        let rest = |firing: &mut OpenFiring| Some((firing.id, firing.rest.take()?));
        self.firings.iter_mut().find_map(rest)
    }

    /// Leaves the rest of a firing to be claimed later.
    pub(super) fn leave(&mut self, id: FiringId, rest: Option<Claim>) {
        if let Some(firing) = self.get_mut(id) {
            firing.rest = rest;
        }
    }

    /// Returns the items of all open firings, those of one after those of another.
    pub(super) fn items(&self) -> impl Iterator<Item = u32> {
        self.firings.iter().flat_map(|firing| firing.items.iter().copied())
    }

    /// Notes that an item needs nothing more.
    pub(super) fn close(&mut self, item: u32) {
        self.firings.iter_mut().any(|firing| firing.items.remove(&item));
    }

    /// Takes a firing out.
    pub(super) fn take(&mut self, id: FiringId) -> Option<OpenFiring> {
        let at = self.firings.iter().position(|firing| firing.id == id)?;
        Some(self.firings.remove(at))
    }

    /// Takes out the oldest firing that is over.
    pub(super) fn take_closed(&mut self) -> Option<OpenFiring> {
        let at = self.firings.iter().position(OpenFiring::is_over)?;
        Some(self.firings.remove(at))
    }

    /// Forgets all. Their names are not given again.
    pub(super) fn clear(&mut self) {
        self.firings.clear();
    }
}
