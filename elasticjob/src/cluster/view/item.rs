//! What is known of one item, and of its mark.

use crate::cluster::instance::InstanceId;
use crate::cluster::layout::ItemKind;
use crate::registry::Stat;

/// What is known of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says that a node exists")]
pub(crate) struct ItemView {
    /// Whether `sharding/{item}` itself exists.
    pub(crate) exists: bool,
    pub(crate) owner: Option<InstanceId>,
    /// Whether it was seen to be a Java member's before it had this owner, or none.
    pub(crate) was_of_java: bool,
    pub(crate) mark: Option<Mark>,
    pub(crate) is_misfire_marked: bool,
    pub(crate) is_disabled: bool,
    pub(crate) failover: Option<InstanceId>,
    pub(crate) is_failovering: bool,
    /// Whether `ledger/items/{item}` exists.
    pub(crate) has_ledger: bool,
}

/// A `running` mark. Its holder is known only where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) holder: MarkHolder,
}

/// The holder of a `running` mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MarkHolder {
    /// Seen to come by an event, and not read.
    Unknown,
    /// It goes with its session, so it is never stale.
    Session,
    /// The instance named in it.
    Instance(InstanceId),
    /// It names no instance.
    Unnamed,
}

impl ItemView {
    /// Records that a node of it is there. Owners and marks are the view's to take in.
    pub(super) fn put(&mut self, kind: ItemKind, text: &str) {
        match kind {
            ItemKind::Owner | ItemKind::Running => {}
            ItemKind::Misfire => self.is_misfire_marked = true,
            ItemKind::Disabled => self.is_disabled = true,
            ItemKind::Failover => self.failover = InstanceId::parse(text),
            ItemKind::Failovering => self.is_failovering = true,
        }
    }

    pub(super) fn give(&mut self, owner: Option<InstanceId>) {
        let before = std::mem::replace(&mut self.owner, owner);
        if let Some(before) = before.filter(|before| Some(before) != self.owner.as_ref()) {
            self.was_of_java = before.is_of_java();
        }
    }

    pub(super) fn clear(&mut self, kind: ItemKind) {
        match kind {
            ItemKind::Owner | ItemKind::Running => {}
            ItemKind::Misfire => self.is_misfire_marked = false,
            ItemKind::Disabled => self.is_disabled = false,
            ItemKind::Failover => self.failover = None,
            ItemKind::Failovering => self.is_failovering = false,
        }
    }
}

impl Mark {
    pub(super) fn parse(text: &str, stat: Stat) -> Self {
        let holder = match InstanceId::parse(text) {
            _ if stat.ephemeral_owner != 0 => MarkHolder::Session,
            Some(id) => MarkHolder::Instance(id),
            None => MarkHolder::Unnamed,
        };
        Self { holder }
    }
}
