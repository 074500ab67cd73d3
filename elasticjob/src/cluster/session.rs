//! One session at a time: opened, kept proving that it lives, and after its loss followed by the next.
//!
//! All jobs of a process share it as their [`Membership`]: the session, the id that instances have in it, and the
//! fence that stops their work before another instance may start it.
//!
//! Each session of the registry gives a new id, and a fence that belongs to the session. Writes go through the
//! membership and not through the session itself, because their answers move the fence. While the jobs are at rest the
//! keeper proves each sixth of the timeout that the session lives, so a single lost answer lets no fence pass.
//!
//! When a session ends, the order matters: the fence is closed first, and only then is the session closed, since other
//! instances may start the work as soon as the registry has ended the session.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, field, info, warn};

use crate::registry::{self, Answer, Limits, Read, Registry, Session, SessionState, Step, WriteError, Written, memory};
use crate::schedule::Clock;
use crate::tasks::Tasks;

use super::fence::Fence;
use super::ids::Ids;
use super::instance::InstanceId;
use super::mutation::Mutation;

/// How often an attempt to connect is repeated, and what to do when all failed.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// The first pause between two attempts; it doubles.
    pub(crate) base: Duration,
    pub(crate) limit: Duration,
    /// Give up after so many attempts; `None` to go on for ever.
    pub(crate) attempts: Option<u32>,
}

/// What wakes the waiters of a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FenceAlarm {
    /// A thread of its own, which wakes even when the runtime is stuck.
    Thread,
    /// A task, which follows virtual time.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "for clusters in virtual time")
    )]
    Task,
}

/// Our membership in the cluster for the life of one session.
pub(crate) struct Membership {
    session: Arc<dyn Session>,
    id: InstanceId,
    latch: String,
    clock: Arc<dyn Clock>,
    /// Replaced when it passed although the session lives on, for all memberships of it. A std mutex: never held across an
    /// await.
    fence: Arc<Mutex<Fence>>,
}

impl Membership {
    /// Returns the id of our instances. It is never used in another session.
    pub(crate) fn id(&self) -> &InstanceId {
        &self.id
    }

    /// Returns a membership in the same session under another id, for a job that gave its previous instance up.
    pub(crate) fn renewed(&self, ids: &mut Ids) -> Self {
        Self {
            session: Arc::clone(&self.session),
            id: self.id.renewed(ids),
            latch: ids.uuid(),
            clock: Arc::clone(&self.clock),
            fence: Arc::clone(&self.fence),
        }
    }

    /// Returns the UUID in the names of our latch nodes.
    pub(crate) fn latch(&self) -> &str {
        &self.latch
    }

    /// Returns the fence that new work is to be started under.
    pub(crate) fn fence(&self) -> Fence {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the state of the session, to be watched.
    pub(crate) fn state(&self) -> watch::Receiver<SessionState> {
        self.session.state()
    }

    /// Returns the timeout that the registry granted, which may differ from the one that was asked for.
    pub(crate) fn timeout(&self) -> Duration {
        self.session.timeout()
    }

    /// Returns how much one request of the session may be.
    pub(crate) fn limits(&self) -> Limits {
        self.session.limits()
    }

    /// Returns the session itself, for watches and walks. A write that goes past the membership moves no fence.
    pub(crate) fn session(&self) -> &Arc<dyn Session> {
        &self.session
    }

    /// As [`Session::write`]; an answer moves the fence.
    pub(crate) async fn write(&self, steps: Vec<Step>) -> Result<Vec<Written>, WriteError> {
        let sent_at = self.clock.elapsed();
        let written = self.session.write(steps).await?;
        self.note_contact(sent_at);
        Ok(written)
    }

    /// As [`Session::read`]. It proves nothing: a server that is cut off from the others still answers.
    pub(crate) async fn read(&self, reads: Vec<Read>) -> Result<Vec<Answer>, registry::Error> {
        self.session.read(reads).await
    }

    /// As [`Session::read`], of a state that is not older than this call.
    pub(crate) async fn read_in_sync(&self, reads: Vec<Read>) -> Result<Vec<Answer>, registry::Error> {
        self.sync().await?;
        self.read(reads).await
    }

    /// As [`Session::sync`]; an answer moves the fence.
    pub(crate) async fn sync(&self) -> Result<(), registry::Error> {
        let sent_at = self.clock.elapsed();
        self.session.sync().await?;
        self.note_contact(sent_at);
        Ok(())
    }
}

impl Membership {
    /// Moves the fence forward, by an answer to a request that was sent at this moment.
    fn note_contact(&self, sent_at: Duration) {
        let is_by_answer = Mutation::FenceFromAnswer.is_on();
        let contact = if is_by_answer { self.clock.elapsed() } else { sent_at };
        self.fence().note_contact(contact);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("id", &self.id)
            .field("session", &self.session.id())
            .finish_non_exhaustive()
    }
}

/// Opens sessions, one after the other, and publishes the membership that each gives.
#[derive(Debug)]
pub(crate) struct Keeper {
    place: Place,
    memberships: watch::Sender<Option<Arc<Membership>>>,
    failed_attempts: watch::Sender<u32>,
}

/// Where a process runs: its registry, its clock, its tasks, and what it is known by.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) ids: Ids,
    /// Its address, in the ids of its instances.
    pub(crate) ip: String,
    pub(crate) pid: u32,
    pub(crate) retry: Retry,
    pub(crate) alarm: FenceAlarm,
}

impl Keeper {
    /// Creates a keeper that has no session yet. Its memberships are published to the receiver: `None` while there is none.
    pub(crate) fn new(place: Place) -> (Self, watch::Receiver<Option<Arc<Membership>>>) {
        let (memberships, published) = watch::channel(None);
        let keeper = Self {
            place,
            memberships,
            failed_attempts: watch::Sender::new(0),
        };
        (keeper, published)
    }

    /// Returns the registry that the sessions are opened on.
    pub(crate) fn registry(&self) -> &Arc<dyn Registry> {
        &self.place.registry
    }

    /// Returns how many attempts to connect have failed so far.
    pub(crate) fn failed_attempts(&self) -> watch::Receiver<u32> {
        self.failed_attempts.subscribe()
    }

    /// Keeps a session until `tasks` are cancelled, and closes the last one.
    ///
    /// # Errors
    /// When the registry refuses us, or all attempts of [`Retry`] failed.
    pub(crate) async fn run(mut self) -> Result<(), registry::Error> {
        let token = self.place.tasks.token().clone();
        loop {
            let session = tokio::select! {
                biased;
                session = self.connect() => session?,
                () = token.cancelled() => return Ok(()),
            };
            let sent_at = self.place.clock.elapsed();
            if let Err(error) = session.sync().await {
                debug!(%error, "a new registry session did not last");
                session.close().await;
                tokio::time::sleep(self.place.retry.base).await;
                continue;
            }
            let membership = Arc::new(self.join(session, sent_at));
            // A session of the embedded registry ends with the process alone.
            let timeout = Some(membership.timeout()).filter(|timeout| *timeout < memory::SESSION_TIMEOUT);
            info!(instance = %membership.id, timeout = timeout.map(field::debug), "joined the registry centre");
            self.memberships.send_replace(Some(Arc::clone(&membership)));
            let is_stopped = tokio::select! {
                biased;
                () = self.keep(&membership) => false,
                () = token.cancelled() => true,
            };
            self.memberships.send_replace(None);
            if is_stopped {
                // First, since others may start our work once the session is closed.
                membership.fence().close();
                membership.session.close().await;
                return Ok(());
            }
            membership.fence().close();
            warn!(instance = %membership.id, "registry session lost, opening a new one");
        }
    }

    /// Connects, and repeats that with a pause that doubles, until the registry answers, refuses, or all attempts are
    /// used up.
    async fn connect(&mut self) -> Result<Arc<dyn Session>, registry::Error> {
        let mut pause = self.place.retry.base;
        let mut attempt = 1;
        loop {
            let error = match self.place.registry.connect().await {
                Ok(session) => return Ok(session),
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => error,
            };
            self.failed_attempts
                .send_modify(|failed| *failed = failed.saturating_add(1));
            if self.place.retry.attempts.is_some_and(|attempts| attempt > attempts) {
                return Err(error);
            }
            warn!(%error, attempt, retry_in = ?pause, registry = self.place.registry.describe(), "waiting for the registry centre");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.place.retry.limit);
            attempt = attempt.saturating_add(1);
        }
    }

    /// Returns the membership in a session that is known to have lived at `sent_at`.
    fn join(&mut self, session: Arc<dyn Session>, sent_at: Duration) -> Membership {
        let fence = self.fence(&session, sent_at);
        Membership {
            id: InstanceId::fresh(&self.place.ip, self.place.pid, &mut self.place.ids),
            latch: self.place.ids.uuid(),
            clock: Arc::clone(&self.place.clock),
            fence: Arc::new(Mutex::new(fence)),
            session,
        }
    }

    /// Returns a fence of the session, with the alarm of this place.
    fn fence(&self, session: &Arc<dyn Session>, sent_at: Duration) -> Fence {
        let clock = Arc::clone(&self.place.clock);
        match self.place.alarm {
            FenceAlarm::Thread => Fence::new(clock, session.timeout(), sent_at),
            FenceAlarm::Task => Fence::on_tokio_time(clock, session.timeout(), sent_at, &self.place.tasks),
        }
    }

    /// Proves each sixth of the timeout that the session lives; returns when it is lost.
    async fn keep(&self, membership: &Membership) {
        let mut state = membership.state();
        loop {
            let pause = tokio::time::sleep(membership.timeout() / 6);
            tokio::select! {
                biased;
                () = pause => {}
                changed = state.changed() => {
                    if changed.is_err() || *state.borrow() == SessionState::Lost {
                        return;
                    }
                    debug!(state = ?*state.borrow(), "registry connection changed");
                    continue;
                }
            }
            let sent_at = self.place.clock.elapsed();
            match membership.sync().await {
                Ok(()) if membership.fence().is_passed() => {
                    // The session outlived its fence: work that was stopped stays so, new work gets a new one.
                    let fence = self.fence(&membership.session, sent_at);
                    *membership.fence.lock().unwrap_or_else(PoisonError::into_inner) = fence;
                }
                Err(error) if error.is_session_lost() => return,
                Ok(()) | Err(_) => {}
            }
        }
    }
}
