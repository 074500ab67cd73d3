//! A moment of a firing that the instances of a job wait for together, so that a hook is called once in the cluster.
//!
//! The instances gather at `guarantee/started` or `guarantee/completed`: each registers its items there. Who sees that all
//! have come contends for the right to call the hook, in a latch as Curator makes it, and ends the gathering afterwards;
//! that wakes the others. Java members do the same, and take part.
//!
//! What Java's gatherings lack:
//! - Nobody waits for items that nobody is going to run: disabled, without an owner, or of a firing that was given up.
//!   The [`roster`] says who is still to come, by the ledger.
//! - What was missed is found by looking again: whoever waits does so for a state, and no event is needed to end it.
//! - `ledger/called` says, in the transaction that ends a gathering, for which firing the hook was called. Who comes late goes on
//!   at once, and does not gather with the next firing.
//! - Who has waited long enough takes back its own items alone, and wakes nobody.
//!
//! An instance that dies calling a hook leaves the gathering as it is, and the next contender calls the hook again.

mod called;
mod roster;
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

use crate::limits;
use crate::registry::{Error, SessionState, Step, size_of};
use crate::schedule::Clock;

use super::latch;
use super::layout::{Guarantee, Moment, Node};
use super::session::Membership;
use super::transaction::packed;

pub(crate) use called::FiringKey;
use seen::Seen;
use waiting::Waiting;

/// What the registry refused, since somebody else was first, is tried again so much later; the pause doubles, up to
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
/// this.
const REFUSED_PAUSE_LIMIT: Duration = Duration::from_secs(1);

/// Ending a gathering, or leaving one, is given up after so long.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// One moment of one firing, as this instance comes to it.
#[derive(Clone, Debug)]
pub(crate) struct Gathering {
    pub(crate) membership: Arc<Membership>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) job: Arc<str>,
    pub(crate) moment: Moment,
    pub(crate) firing: FiringKey,
    pub(crate) is_takeover: bool,
    /// Those that this instance runs. Not empty.
    pub(crate) items: BTreeSet<u32>,
    pub(crate) total: u32,
    /// Items that nobody is going to run, as far as is known here.
    pub(crate) absent: BTreeSet<u32>,
    /// Ends the wait for the end of others: whoever stays sees to the hook.
    pub(crate) leaving: CancellationToken,
    /// One contender of this process at a time: they are told apart by process alone.
    pub(crate) contending: Arc<Mutex<()>>,
}

/// What comes of a gathering.
#[derive(Debug)]
pub(crate) enum Gathered {
    /// Somebody has called the hook.
    Called,
    /// We are to call it, and to [close](Turn::close) the gathering then.
    Ours(Turn),
    /// We are to leave. Our items stay registered, since they have ended.
    Left,
}

/// Why nothing comes of a gathering here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// These items have not come in time.
    Late(Vec<u32>),
    /// The session is over.
    SessionLost,
}

/// The right to call the hook.
#[derive(Debug)]
pub(crate) struct Turn {
    gathering: Gathering,
    listener: String,
    _alone: OwnedMutexGuard<()>,
}

impl Gathering {
    /// Waits until the hook of this listener has been called, or is ours to call; until `deadline` at most.
    ///
    /// # Cancel safety
    /// Dropping it, or the [`Turn`] that it gave, leaves what [`withdraw`](Self::withdraw) takes back.
    pub(crate) async fn wait(&self, listener: &str, deadline: Instant) -> Result<Gathered, Failed> {
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

    /// As [`look`](Self::look), with all that we have sent before, whatever has become of it.
    async fn look_in_sync(&self) -> Result<Seen, Error> {
        self.membership.sync().await?;
        self.look().await
    }

    /// Takes our items back, and our place among the contenders if we have one.
    pub(crate) async fn withdraw(&self) {
        // Where another gathering of this process contends, all contenders are its own.
        let alone = self.contending.try_lock().ok();
        let steps = |seen: &Seen| {
            let own = if alone.is_some() { self.own(seen) } else { Vec::new() };
            let mut steps = seen::leave(&self.job, self.moment, &own);
            steps.extend(seen.withdraw(&self.job, self.moment, &self.items));
            steps
        };
        // What was dropped may have been on its way: to register, or to contend.
        self.persist(self.look_in_sync(), steps).await;
    }

    /// Writes what `steps` makes of what is seen, at first by `look`, until that has happened, is not needed, or the session
    /// is over; for so long as it is worth to.
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

    /// Writes the steps in order, in as few transactions as take them.
    async fn write(&self, steps: Vec<Step>) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        let groups = steps.into_iter().map(|step| vec![step]);
        for part in packed(groups, limits::transaction_size(), size_of) {
            let written = self.membership.write(part).await;
            written.map_err(|refused| refused.error)?;
        }
        Ok(())
    }

    /// Our contenders, of this gathering or left behind by one before.
    fn own<'a>(&self, seen: &'a Seen) -> Vec<&'a str> {
        latch::standing(&seen.contenders, self.membership.latch()).own
    }

    /// Waits until the session is served.
    async fn connected(&self) -> Result<(), Failed> {
        let mut state = self.membership.state();
        let is_decided = |state: &SessionState| *state != SessionState::Suspended;
        match state.wait_for(is_decided).await.as_deref() {
            Ok(SessionState::Connected) => Ok(()),
            _ => Err(Failed::SessionLost),
        }
    }
}

impl Turn {
    /// Notes that the hook was called, and lets the others go on.
    pub(crate) async fn close(self) {
        let Gathering {
            job, moment, firing, ..
        } = &self.gathering;
        let steps = |seen: &Seen| {
            let mut steps = Vec::new();
            if !seen.called.has(&self.listener, *moment, firing) {
                let called = seen.called.clone().with(&self.listener, *moment, firing);
                steps = seen.close(job, *moment, &called);
            }
            // Last, so that the others hear of the end before they hear that nobody contends.
            steps.extend(seen::leave(job, *moment, &self.gathering.own(seen)));
            steps
        };
        self.gathering.persist(self.gathering.look(), steps).await;
    }
}
