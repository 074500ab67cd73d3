//! What the jobs of one process share: clock, session, strategies, events, and bounds on what they do at once.
//!
//! Ten thousand jobs of one process start together after a reconnect, and each reads its subtree. The bound on how many
//! do so at a time keeps the registry responsive for the others.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::schedule::Clock;
use crate::sharding::Strategies;
use crate::trace::Bus;

use super::fail_point::FailPoint;
use super::ids::Ids;
use super::session::{Keeper, Membership, Place};

/// Most jobs of a process that read or write their whole subtree at once, at the start and after a reconnect: a
/// registry serves a few thousand requests a second, and others need it too.
const STARTING: usize = 64;

/// What the jobs of one process share.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memberships: watch::Receiver<Option<Arc<Membership>>>,
    pub(crate) strategies: Strategies,
    pub(crate) events: Bus,
    pub(crate) starting: Semaphore,
    /// How long running items go on when an operator shuts the job down here.
    pub(crate) operator_grace: std::time::Duration,
    pub(crate) fail_point: FailPoint,
    /// A std mutex: never held across an await.
    ids: Mutex<Ids>,
}

impl Process {
    /// Creates what the jobs of a process share, and the keeper of its sessions.
    pub(crate) fn new(place: Place, strategies: Strategies, operator_grace: std::time::Duration) -> (Keeper, Self) {
        let mut ids = place.ids;
        let place = Place {
            ids: ids.fork(),
            ..place
        };
        let clock = Arc::clone(&place.clock);
        let (keeper, memberships) = Keeper::new(place);
        let process = Self {
            operator_grace,
            clock,
            memberships,
            strategies,
            events: Bus::new(),
            starting: Semaphore::new(STARTING),
            fail_point: FailPoint::default(),
            ids: Mutex::new(ids),
        };
        (keeper, process)
    }

    /// Sends every event to these taps, too.
    pub(crate) fn with_taps(self, taps: Vec<crate::trace::Tap>) -> Self {
        Self {
            events: self.events.with_taps(taps),
            ..self
        }
    }

    /// Returns a source of names for one job.
    pub(crate) fn ids(&self) -> Ids {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }
}
