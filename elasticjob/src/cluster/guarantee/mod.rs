//! Barriers: the instances of a job wait for each other before and after a firing, so that a hook is called once in the cluster.
//!
//! The nodes of a barrier are below `guarantee/started` or `guarantee/completed`, where each instance registers its items. An
//! instance that sees all items registered contends for the right to call the hook, in a latch as Curator makes it. After the call it
//! removes the barrier, which wakes the others. Java members do the same, and take part.
//!
//! Unlike Java's:
//! - An instance does not wait for items that no instance is going to run: disabled, without an owner, or of a firing that was given
//!   up. The [`attendance`] tells from the ledger which items are still to come.
//! - An instance waits for a state, and reads it again from time to time, so a missed event does not hold it up.
//! - The transaction that removes a barrier records in `ledger/called` for which firing the hook was called. A late instance goes on
//!   at once, and does not count at the barrier of the next firing.
//! - An instance that has waited long enough removes only its own items, and wakes no other.
//!
//! If an instance dies while it calls a hook, the barrier stays, and the next contender calls the hook again.

mod attendance;
mod called;
mod seen;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::registry::{Error, SessionState, Step};
use crate::schedule::Clock;

use super::latch;
use super::layout::{Guarantee, Moment, Node};
use super::session::Membership;
use super::transaction::packed;

pub(crate) use called::FiringKey;
use seen::Seen;
use waiting::Waiting;

/// The pause before a transaction is repeated that the registry refused because another instance was first. It doubles each time.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const REFUSED_PAUSE_LIMIT: Duration = Duration::from_secs(1);

/// Removing a barrier, or leaving one, is given up after so long.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// The barrier before or after one firing, as this instance comes to it.
#[derive(Clone, Debug)]
pub(crate) struct Barrier {
    pub(crate) membership: Arc<Membership>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) job: Arc<str>,
    pub(crate) moment: Moment,
    pub(crate) firing: FiringKey,
    pub(crate) is_takeover: bool,
    /// The items that this instance runs. Not empty.
    pub(crate) items: BTreeSet<u32>,
    pub(crate) total: u32,
    /// Items that no instance is going to run, as far as this one knows.
    pub(crate) absent: BTreeSet<u32>,
    /// Ends the wait for the end of others, because this instance leaves; the remaining instances call the hook.
    pub(crate) leaving: CancellationToken,
    /// One contender of this process at a time: the names of contenders distinguish only processes.
    pub(crate) contending: Arc<Mutex<()>>,
}

/// How an instance passes a barrier.
#[derive(Debug)]
pub(crate) enum Passage {
    /// An instance has called the hook.
    Called,
    /// This instance must call it, and then [close](HookTurn::close) the barrier.
    Ours(HookTurn),
    /// This instance leaves. Its items stay registered, because they have ended.
    Left,
}

/// Why an instance does not pass a barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// These items have not come in time.
    Late(Vec<u32>),
    /// The session is over.
    SessionLost,
}

/// The right to call the hook.
#[derive(Debug)]
pub(crate) struct HookTurn {
    barrier: Barrier,
    listener: String,
    _alone: OwnedMutexGuard<()>,
}

impl Barrier {
    /// Waits until the hook of this listener has been called, or this instance must call it; until `deadline` at most.
    ///
    /// # Cancel safety
    /// If it, or the [`HookTurn`] that it returned, is dropped, nodes stay that [`withdraw`](Self::withdraw) removes.
    pub(crate) async fn wait(&self, listener: &str, deadline: Instant) -> Result<Passage, Failed> {
        let outcome = Waiting::at(self, listener, deadline).await.wait().await;
        if matches!(outcome, Err(Failed::Late(_))) {
            self.withdraw().await;
        }
        outcome
    }

    fn root(&self) -> String {
        Node::Guarantee(Guarantee::Root).of(&self.job)
    }

    async fn look(&self) -> Result<Seen, Error> {
        let reads = Seen::reads(&self.job, self.moment);
        self.membership.read(reads).await.map(Seen::of)
    }

    /// Reads like [`look`](Self::look), after all that this instance has sent before, with or without an answer.
    async fn look_in_sync(&self) -> Result<Seen, Error> {
        self.membership.sync().await?;
        self.look().await
    }

    /// Removes this instance's items and its contender, if it has one.
    pub(crate) async fn withdraw(&self) {
        // If another barrier of this process contends, all contenders of the process belong to that one.
        let alone = self.contending.try_lock().ok();
        let steps = |seen: &Seen| {
            let own = if alone.is_some() { self.own(seen) } else { Vec::new() };
            let mut steps = seen::leave(&self.job, self.moment, &own);
            steps.extend(seen.withdraw(&self.job, self.moment, &self.items));
            steps
        };
        // A dropped request may have been on its way: to register, or to contend.
        self.persist(self.look_in_sync(), steps).await;
    }

    /// Writes the steps for the state that `look` reads, and repeats that until it succeeded, is not needed any more, the session is
    /// over, or [`CLOSE_LIMIT`] has passed.
    async fn persist(&self, look: impl Future<Output = Result<Seen, Error>>, steps: impl Fn(&Seen) -> Vec<Step>) {
        let persisting = async {
            let mut pause = REFUSED_PAUSE;
            let mut written = self.write_by(look.await, &steps).await;
            while let Err(error) = written {
                debug!(job = &*self.job, %error, "barrier not written, reading it again");
                if error.is_session_lost() || self.connected().await.is_err() {
                    return;
                }
                sleep(pause).await;
                pause = (pause * 2).min(REFUSED_PAUSE_LIMIT);
                written = self.write_by(self.look_in_sync().await, &steps).await;
            }
        };
        let _ = timeout_at(Instant::now() + CLOSE_LIMIT, persisting).await;
    }

    async fn write_by(&self, seen: Result<Seen, Error>, steps: impl Fn(&Seen) -> Vec<Step>) -> Result<(), Error> {
        self.write(steps(&seen?)).await
    }

    /// Writes the steps in order, in as few transactions as possible.
    async fn write(&self, steps: Vec<Step>) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        let groups = steps.into_iter().map(|step| vec![step]);
        for part in packed(groups, self.membership.limits()) {
            let written = self.membership.write(part).await;
            written.map_err(|refused| refused.error)?;
        }
        Ok(())
    }

    /// Returns this instance's contenders, of this barrier or left behind by an earlier one.
    fn own<'a>(&self, seen: &'a Seen) -> Vec<&'a str> {
        latch::standing(&seen.contenders, self.membership.latch()).own
    }

    /// Waits until the session is connected.
    async fn connected(&self) -> Result<(), Failed> {
        let mut state = self.membership.state();
        let is_decided = |state: &SessionState| *state != SessionState::Suspended;
        match state.wait_for(is_decided).await.as_deref() {
            Ok(SessionState::Connected) => Ok(()),
            _ => Err(Failed::SessionLost),
        }
    }
}

impl HookTurn {
    /// Records that the hook was called, and lets the other instances go on.
    pub(crate) async fn close(self) {
        let Barrier {
            job, moment, firing, ..
        } = &self.barrier;
        let steps = |seen: &Seen| {
            let mut steps = Vec::new();
            if !seen.called.has(&self.listener, *moment, firing) {
                let called = seen.called.clone().with(&self.listener, *moment, firing);
                steps = seen.close(job, *moment, &called);
            }
            // Last, so that the others see the end before they see that there is no contender.
            steps.extend(seen::leave(job, *moment, &self.barrier.own(seen)));
            steps
        };
        self.barrier.persist(self.barrier.look(), steps).await;
    }
}
