//! What follows a panic of the worker: a fault of ours, since code of the application is guarded.
//!
//! The panic may have come between any two steps, so nothing that the worker knew is relied upon. This instance of the job
//! is given up as if its session had ended: its runs are cancelled, all that lives by the session in the job's subtree is
//! removed once they have ended, and the other instances repair what was half recorded, as after a death. Then the
//! worker begins again from nothing, as a new instance. The session, and with it the other jobs of the process, go on.
//!
//! The order is that of a death. First the runs are cancelled and waited for, and only then their marks are removed,
//! because an item whose mark is gone may be run elsewhere. Work that does not end keeps its mark and its item;
//! everything else is freed after five seconds. The new instance has another id, so that nothing that was written for
//! the old one is taken for its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::cluster::core::firing::Firings;
use crate::cluster::refusal::{Standby, Trouble};
use crate::cluster::remains::{self, Extent};
use crate::cluster::session::Membership;
use crate::registry::SessionState;
use crate::run::JobState;

use super::Worker;
use super::leaving::OVERRUN_LIMIT;
use super::listeners::ListenerCalls;
use super::settings::Settings;

/// The pause before a worker begins again doubles from the first to the second,
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// and is the first again after so long without a panic.
const QUIET_TIME: Duration = Duration::from_secs(600);

/// Between attempts to remove what is left.
const PAUSE: Duration = Duration::from_millis(200);

/// The panics of one worker.
///
/// They are counted so that a fault that comes back at once does not have the worker join and leave several times a
/// second.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    in_a_row: u32,
    last: Option<Instant>,
}

impl Setbacks {
    /// Notes one more. Returns how long to wait before the worker begins again.
    fn next(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now >= last + QUIET_TIME) {
            self.in_a_row = 0;
        }
        self.last = Some(now);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.in_a_row.min(10)).min(LAST_PAUSE);
        self.in_a_row += 1;
        pause
    }
}

impl Worker {
    /// Gives this instance of the job up and prepares to begin again.
    pub(super) async fn recover(&mut self, message: String) {
        let pause = self.setbacks.next(Instant::now());
        error!(
            job = self.application.name(),
            panic = message,
            retry_in = ?pause,
            "worker panicked: its runs are cancelled, and the job begins again as another instance"
        );
        self.state.send_replace(JobState::StandingBy);
        self.reporter.status().waits();
        self.incarnation.cancel();
        let word = Standby::because(&format!("its worker panicked: {message}"));
        self.reporter.troubled(Some(Trouble::Panicked { message }));
        if let Some(membership) = self.attended.take() {
            self.give_up(&membership).await;
            let next = Arc::new(membership.renewed(&mut self.process.ids()));
            self.begin_again();
            if *next.state().borrow() != SessionState::Lost && self.stopping.is_none() {
                self.say(&next, &word).await;
            }
            self.renewed = Some(next);
        } else {
            self.begin_again();
        }
        self.pause(pause).await;
    }

    /// Lets go of all that this instance has in the registry, once nothing of it runs any more.
    async fn give_up(&mut self, membership: &Arc<Membership>) {
        if !self.wait_for_runs(membership, Some(OVERRUN_LIMIT)).await {
            // Blocking work goes on: its items stay claimed, all else is free for others.
            warn!(job = self.application.name(), items = ?self.running_items(), "items overrun after a panic of the worker");
            self.remove_remains(membership, Extent::AllButRuns).await;
            self.wait_for_runs(membership, None).await;
        }
        self.remove_remains(membership, Extent::All).await;
    }

    /// Waits until all that was launched has ended; whether it has. Not beyond the end of the session, nor of a grace period.
    async fn wait_for_runs(&mut self, membership: &Membership, at_most: Option<Duration>) -> bool {
        let mut state = membership.state();
        let limit = at_most.map(|limit| Instant::now() + limit);
        loop {
            self.signals.retain(|_, signals| signals.is_launched);
            let stop = self.stopping.map(|cancel_at| cancel_at + OVERRUN_LIMIT);
            let deadline = [limit, stop].into_iter().flatten().min();
            if self.signals.is_empty() || *state.borrow() == SessionState::Lost {
                return true;
            }
            if stop.is_some_and(|stop| stop <= Instant::now()) {
                return true;
            }
            let timer = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Ok(()) = state.changed() => {}
                Some(finished) = self.finished.next() => drop(self.forget(&finished)),
                Some(command) = self.commands.next() => self.command_without_session(command),
                () = timer => if limit.is_some_and(|limit| limit <= Instant::now()) {
                    return false;
                },
            }
        }
    }

    /// Removes what this instance has in the registry, until nothing of that is left or the session is over.
    async fn remove_remains(&mut self, membership: &Arc<Membership>, extent: Extent) {
        let job = self.application.name().to_owned();
        while *membership.state().borrow() != SessionState::Lost {
            let removed = remains::remove(membership, &job, extent).await;
            match removed {
                Ok(()) => return,
                Err(error) if error.is_session_lost() => return,
                Err(error) => debug!(job, %error, "cannot remove yet what a panic of the worker left"),
            }
            if self.stopping.is_some_and(|at| at + OVERRUN_LIMIT <= Instant::now()) {
                // It goes with the session, which is about to be closed.
                return;
            }
            self.pause(PAUSE).await;
        }
    }

    /// Attends to commands alone for so long, or until the job is to stop.
    async fn pause(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(end) => return,
                Some(finished) = self.finished.next() => drop(self.forget(&finished)),
                command = self.commands.next() => match command {
                    Some(command) => self.command_without_session(command),
                    None => return,
                },
            }
            if self.stopping.is_some() {
                return;
            }
        }
    }

    /// Forgets all that the worker knew, but not its commands.
    fn begin_again(&mut self) {
        self.reporter.lose_session(self.process.clock.now());
        self.incarnation = CancellationToken::new();
        self.signals.clear();
        self.listener_calls = ListenerCalls::default();
        self.firings = Firings::new(self.process.ids());
        self.firings.listened_to(self.runner.is_listened_to());
        if self.stopping.is_some() {
            self.firings.stop();
        }
        self.audit_at = None;
        self.settings = Settings::of(&self.application, &self.process)
            .expect("the application was checked before the worker was made");
        self.own_nothing();
    }

    /// Returns the items of runs that were launched and have not ended.
    fn running_items(&self) -> Vec<u32> {
        self.signals.keys().map(|key| key.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn panics_in_a_row_are_followed_by_longer_pauses_up_to_a_limit() {
        let mut setbacks = Setbacks::default();
        let now = Instant::now();
        let pauses: Vec<u64> = (0..20).map(|_| setbacks.next(now).as_secs()).collect();
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses[19], 60);
        let later = now + QUIET_TIME;
        assert_eq!(setbacks.next(later), FIRST_PAUSE);
        assert_eq!(setbacks.next(later + QUIET_TIME / 2), FIRST_PAUSE * 2);
    }
}
