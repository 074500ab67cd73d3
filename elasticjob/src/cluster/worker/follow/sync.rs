//! Whether the view of a job follows the registry.

use crate::registry::WatchEvent;

/// How the view of a job stands to the registry.
#[derive(Debug)]
pub(in crate::cluster::worker) enum Sync {
    /// Every change comes as an event.
    InStep,
    /// The connection is away. The watches say when it is back.
    Suspended,
    /// Changes may have been missed: the subtree is read next.
    Behind,
    /// The subtree is being read. Events that come meanwhile are kept, since the answer may be of before them.
    Refreshing {
        since: Vec<WatchEvent>,
        /// Changes may have been missed since the read was sent: the subtree is read once more.
        is_behind: bool,
    },
}

impl Sync {
    pub(super) fn of_connection(is_connected: bool) -> Self {
        if is_connected { Self::InStep } else { Self::Suspended }
    }

    /// Notes that changes may have been missed.
    pub(super) fn fall_behind(&mut self) {
        match self {
            Self::Refreshing { is_behind, .. } => *is_behind = true,
            Self::InStep | Self::Suspended | Self::Behind => *self = Self::Behind,
        }
    }

    /// Notes that the connection is away.
    pub(super) fn suspend(&mut self) {
        if let Self::InStep = self {
            *self = Self::Suspended;
        }
    }

    /// Keeps an event for the end of the read that is under way, if there is one.
    pub(super) fn keep(&mut self, event: WatchEvent) {
        if let Self::Refreshing { since, .. } = self {
            since.push(event);
        }
    }
}
