//! Whether the view of a job follows the registry.
//!
//! The states form a small machine. `InStep` is the only one in which the worker decides. It is left for `Suspended`
//! when the connection goes away and for `Behind` when a watch says that it may have missed something. `Behind` leads
//! to `Refreshing`, and that back to `InStep` if the read succeeded, nothing was missed meanwhile and the connection is
//! there.

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
    /// Returns the state after a read that was complete.
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
    ///
    /// One that is behind already stays so: the watches will not say again what they have said.
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
