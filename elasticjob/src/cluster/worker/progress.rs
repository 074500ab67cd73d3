//! The part of the worker that writes what runs report of their progress.

use tracing::debug;

use crate::cluster::launch::Finished;
use crate::cluster::progress::ProgressRequest;
use crate::cluster::request::{Reply, Request};
use crate::progress::ProgressCell;

use super::Worker;
use super::answer::Purpose;
use super::join::Joined;

impl Worker {
    /// Makes the next request about the progress of runs, which are in no other's way.
    pub(super) fn write_progress(&mut self, joined: &mut Joined) {
        let (elapsed, now) = (self.process.clock.elapsed(), self.process.clock.now());
        match self.progresses.next_request(self.application.name(), elapsed, now) {
            Some(ProgressRequest::Write(steps)) => {
                self.ask(joined, Request::write_as_member(Purpose::WriteProgress, steps));
            }
            Some(ProgressRequest::Read(reads)) => self.ask(joined, Request::read(Purpose::ReadProgress, reads)),
            None => {}
        }
        if let Some(at) = self.progresses.next_at(elapsed) {
            joined.wake_by(at);
        }
    }

    /// Creates the cell that a run which is about to be launched reports to.
    pub(super) fn progress_of(&mut self, item: u32, run: &str, attempt: u32) -> ProgressCell {
        let cell = ProgressCell::waking(&self.progress_wake);
        let elapsed = self.process.clock.elapsed();
        self.progresses.launched(item, run, attempt, cell.clone(), elapsed);
        cell
    }

    /// A run is over, and with it its progress.
    pub(super) fn forget_progress(&mut self, finished: &Finished) {
        self.progresses.finished(finished.item, &finished.run, finished.attempt);
    }

    pub(super) fn progress_answered(&mut self, reply: Reply) {
        match reply {
            Reply::Written(result) => {
                if let Err(error) = &result {
                    debug!(job = self.application.name(), %error, "progress not written, trying again later");
                }
                self.progresses.written(&result);
            }
            Reply::Read(result) => self.progresses.read(result),
            // No request for progress surveys items.
            Reply::Surveyed(_) => {}
        }
    }
}
