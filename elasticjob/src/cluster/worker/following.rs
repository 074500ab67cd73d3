//! Keeping the view true: watches are set, changes are read, and the whole subtree is read again if changes may have been missed.
//!
//! This is the side of following that sends. Each failed request pauses in its own future before its answer goes to the
//! loop, so that the loop may ask again at once without asking a registry that is away over and over.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::cluster::layout::Node;
use crate::cluster::ledger::Record;
use crate::cluster::scope::Scope;
use crate::cluster::subtree;
use crate::cluster::view::View;
use crate::registry::{self, Answer, Error, Read, SessionState};

use super::answer::Answered;
use super::follow::watches;
use super::join::Joined;
use super::report::hindrance::{Action, unhurried};
use super::{Left, Worker};

/// Between attempts to read the subtree, or to watch it, again.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);

/// Between attempts to read what has changed.
const DIRTY_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Watches what concerns us, now that this is less or more than before.
    pub(super) fn rewatch(&mut self, joined: &mut Joined) {
        let total = self.settings.config.sharding_total_count().get();
        let reads_ledgers = !self.waiters.is_empty();
        let begun = joined.follower.begin_rewatching(total, reads_ledgers);
        let Some((wanted, missing)) = begun else { return };
        let membership = Arc::clone(&joined.membership);
        joined.requests.push(Box::pin(async move {
            let result = unhurried(watches::set(&membership, missing)).await;
            if result.is_err() {
                // It is tried again at once, and the reason may become known later.
                tokio::time::sleep(REFRESH_PAUSE).await;
            }
            Answered::Watched(wanted, result)
        }));
    }

    /// Takes in watches that were set.
    pub(super) fn rewatched(
        &mut self,
        joined: &mut Joined,
        scope: Scope,
        result: Result<watches::Set, registry::Error>,
    ) {
        self.went(joined, Action::WATCH, result.as_ref().map(drop));
        // If only the connection went away, it is tried again after it is back.
        if result.as_ref().is_err_and(registry::Error::is_session_lost) {
            joined.left.get_or_insert(Left::SessionLost);
        }
        joined.follower.rewatched(scope, result.ok());
    }

    /// Reads what events said has changed.
    pub(super) fn read_dirty(&mut self, joined: &mut Joined) {
        let Some(paths) = joined.follower.begin_reading() else {
            return;
        };
        let reads = paths.iter().cloned().map(Read::Data).collect();
        let membership = Arc::clone(&joined.membership);
        joined.requests.push(Box::pin(async move {
            let result = unhurried(membership.read(reads)).await;
            if result.is_err() {
                // They stay to be read, which begins as soon as this is known. The loss of the connection may become known later.
                tokio::time::sleep(DIRTY_PAUSE).await;
            }
            Answered::Read(paths, result)
        }));
    }

    /// Takes in data that was read: first ends of requested runs for those who wait, then the view.
    pub(super) fn was_read(&mut self, joined: &mut Joined, paths: Vec<String>, result: Result<Vec<Answer>, Error>) {
        self.went(joined, Action::READ_CHANGES, result.as_ref().map(drop));
        joined.governing.look();
        if result.as_ref().is_err_and(Error::is_session_lost) {
            joined.left.get_or_insert(Left::SessionLost);
        }
        for (path, answer) in paths.iter().zip(result.iter().flatten()) {
            if let (Some(Node::LedgerItem(item)), Answer::Data(Some((data, _)))) =
                (Node::parse(self.application.name(), path), answer)
            {
                self.waiters.note(item, &Record::parse(data));
            }
        }
        // If it failed, everything is read again after the reconnect; until then these stay to be read.
        let total = self.settings.config.sharding_total_count().get();
        joined.follower.was_read(paths, result.ok(), total);
    }

    /// Reads everything again: changes may have been missed. Until that is done nothing is decided.
    ///
    /// The read is behind a `sync`, so that a server that lags behind does not answer with less than the watches have
    /// said. It takes its turn with the other jobs of the process: after a reconnect all of them read at once.
    pub(super) fn refresh(&mut self, joined: &mut Joined) {
        joined.follower.begin_refreshing();
        joined.governing.governor.reset();
        self.firings.reconnect();
        let membership = Arc::clone(&joined.membership);
        let job = self.application.name().to_owned();
        let process = Arc::clone(&self.process);
        joined.requests.push(Box::pin(async move {
            let view = async {
                let _permit = process.starting.acquire().await.expect("the semaphore is never closed");
                membership.sync().await?;
                subtree::read(&membership, &job).await
            };
            let result = unhurried(view).await;
            if let Err(error) = &result {
                debug!(job, %error, "cannot read the job again yet");
                tokio::time::sleep(REFRESH_PAUSE).await;
            }
            Answered::Refreshed(result.map(Box::new))
        }));
    }

    /// Takes in the subtree that was read again, and what came meanwhile.
    pub(super) fn refreshed(&mut self, joined: &mut Joined, result: Result<Box<View>, registry::Error>) {
        self.went(joined, Action::READ_ALL, result.as_ref().map(drop));
        if result.as_ref().is_err_and(registry::Error::is_session_lost) {
            joined.left.get_or_insert(Left::SessionLost);
        }
        let is_connected = *joined.membership.state().borrow() == SessionState::Connected;
        let is_read = result.is_ok();
        let since = joined.follower.refreshed(result.ok().map(|view| *view), is_connected);
        if !is_read {
            return;
        }
        joined.governing.look();
        for event in since {
            self.note(joined, event);
        }
        if !self.waiters.is_empty() {
            joined.follower.read_ledgers();
        }
    }
}
