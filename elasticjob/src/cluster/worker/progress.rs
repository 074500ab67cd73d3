//! The part of the worker that writes what runs report of their progress.
//!
//! A run writes into a cell of its own and never waits. The loop looks at the cells when one has woken it, and writes
//! at intervals what is news then: reports in between are overwritten, as only the newest is worth knowing. Progress is
//! written beside the other requests and may be lost without harm.

use tracing::debug;

use crate::cluster::core::request::Reply;
use crate::cluster::launch::Finished;
use crate::progress::ProgressCell;
use crate::run::RunKey;

use super::Worker;
use super::answer::Purpose;
use super::join::Joined;

impl Worker {
    /// Makes the next request about the progress of runs, which are in no other's way.
    pub(super) fn write_progress(&mut self, joined: &mut Joined) {
        let (elapsed, now) = (self.process.clock.elapsed(), self.process.clock.now());
        let limits = joined.membership.limits();
        let request = self
            .progresses
            .next_request(self.application.name(), limits, elapsed, now);
        if let Some(request) = request {
            self.ask(joined, request.map(Purpose::Progress));
        }
        if let Some(at) = self.progresses.next_at(elapsed) {
            joined.wake_by(at);
        }
    }

    /// Creates the cell that a run which is about to be launched reports to.
    pub(super) fn progress_of(&mut self, key: &RunKey) -> ProgressCell {
        let cell = ProgressCell::waking(&self.progress_wake);
        let elapsed = self.process.clock.elapsed();
        self.progresses.launched(key, cell.clone(), elapsed);
        cell
    }

    /// A run is over, and with it its progress.
    pub(super) fn forget_progress(&mut self, finished: &Finished) {
        self.progresses.finished(&finished.key);
    }

    /// Takes in how a request about progress went.
    pub(super) fn progress_answered(&mut self, reply: Reply) {
        if let (Reply::Written(_), Err(error)) = (&reply, reply.outcome()) {
            debug!(job = self.application.name(), %error, "progress not written, trying again later");
        }
        self.progresses.answered(reply);
    }
}
