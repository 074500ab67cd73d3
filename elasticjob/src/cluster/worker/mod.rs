//! The worker of one job: a task that owns all of the job's state on this instance.
//!
//! Watches, timers, commands and ended items only enqueue. [`event_loop`] takes one after another and decides nothing;
//! after each, [`step`] asks what there is to do, in an order that it explains. What to do is decided by pure code:
//! [`Governor`](super::governor::Governor) for the job as a whole, and [`Firings`] for what runs here. [`requests`] asks the
//! registry, [`answer`] takes in its answers, and [`effect`] carries out what follows. [`follow`] is what this instance knows of
//! the registry, and [`report`] what it says of itself.
//!
//! No lock guards the state of a job, because no other task touches it. Others send a command, read the status, or wait
//! for the outcome of a request. A worker lives through any number of sessions: what belongs to one session is in
//! `join::Joined`, and what outlives it is in [`Worker`]. A panic in the worker does not end the job: [`recovery`] has
//! it begin again as another instance.

mod answer;
mod commands;
mod configuration;
mod effect;
mod event_loop;
mod firing;
mod flight;
mod follow;
mod following;
mod governing;
mod join;
mod leaving;
mod listeners;
mod progress;
mod recovery;
pub(crate) mod report;
mod requests;
mod settings;
mod signals;
mod standby;
mod step;
#[cfg(test)]
mod tests;
mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt as _;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::erased::BoxFuture;
use crate::guard::{self, Panicked};
use crate::run::{JobState, RunKey};

use super::core::firing::{Firings, WaitedFor};
use super::launch::{Finished, Runner};
use super::note::Note;
use super::process::Process;
use super::progress::Progresses;
use super::registration::{Application, RegistrationError};
use super::session::Membership;
use listeners::ListenerCalls;
use recovery::Setbacks;
use report::Reporter;
pub(crate) use report::WorkerStatus;
use settings::Settings;
use signals::{LetGo, Signals, StopReason};
use waiters::Waiters;

pub(crate) use waiters::{foreseen, outcome};

pub(crate) use waiters::{Progress, Waiter};

/// A command to a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Have all instances run the job now, once; the answer is that this is recorded.
    Trigger {
        request: String,
        /// What the run is given instead of the job's parameter.
        parameter: Option<String>,
        answer: oneshot::Sender<Result<(), TriggerError>>,
    },
    /// Report the outcome of a run that is about to be triggered.
    Await(Waiter),
    /// Start nothing more, let what runs go on until `cancel_at`, record the ends, and leave the job.
    Stop { cancel_at: Instant },
}

/// Why a run could not be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// There is no connection to the registry, or its answer was lost: the run may come or not.
    #[error("the request could not be recorded")]
    Registry(#[source] crate::registry::Error),
    /// The whole job is paused, so that nothing of it starts.
    #[error("the job is paused{}: `enable` ends that", .0.as_ref().map(|note| format!(" {note}")).unwrap_or_default())]
    Paused(Option<Note>),
    /// The job is not in the cluster now, so no instance can be asked.
    #[error("the job is not registered at present")]
    NotRegistered,
    /// The application is stopping, or the job has ended.
    #[error("the job has stopped")]
    Stopped,
    /// The parameter of a requested run is kept with each item, so it has to be short.
    #[error("the parameter has {length} bytes, the limit is {limit}")]
    ParameterTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// One job on this instance.
///
/// It is made without a registry, runs as one task until the job is stopped, and is dropped at the end of that task. It
/// does not come back.
pub(crate) struct Worker {
    process: Arc<Process>,
    application: Application,
    runner: Box<dyn Runner>,
    commands: UnboundedReceiver<Command>,
    finished: UnboundedReceiver<Finished>,
    /// Handed to each run; see [`super::launch::Launch::finished`].
    finish: UnboundedSender<Finished>,
    state: watch::Sender<JobState>,
    settings: Settings,
    firings: Firings,
    /// Cancels all that was launched since the worker began, or began again.
    incarnation: CancellationToken,
    setbacks: Setbacks,
    /// What the worker attends to.
    attended: Option<Arc<Membership>>,
    /// After a panic: the membership in the place of the one that was given up, for as long as the session lives.
    renewed: Option<Arc<Membership>>,
    /// How to stop each item that runs.
    signals: BTreeMap<RunKey, Signals>,
    /// The runs that were asked to end because something waits for that. A run that is launched later was not.
    gave_way: WaitedFor,
    /// What runs report of their progress, in the present session.
    progresses: Progresses,
    /// Wakes the loop when a run reports.
    progress_wake: Arc<Notify>,
    /// When running items are cancelled, once the job is to stop.
    stopping: Option<Instant>,
    waiters: Waiters,
    listener_calls: ListenerCalls,
    reporter: Reporter,
    /// When it is to be looked whether every scheduled time has its verdict.
    audit_at: Option<Duration>,
    is_first: bool,
}

/// The way to a worker.
///
/// Clones lead to the same worker. With all of them dropped the worker finds its commands closed, and stops when it
/// next waits for a session.
#[derive(Clone, Debug)]
pub(crate) struct WorkerHandle {
    /// Unbounded: a caller waits for its answer, and there are few callers.
    pub(crate) commands: UnboundedSender<Command>,
    pub(crate) state: watch::Receiver<JobState>,
    pub(crate) status: Arc<WorkerStatus>,
}

/// Why a worker stopped attending to a session.
#[derive(Debug)]
enum Left {
    /// The session is over. The worker waits for the next.
    SessionLost,
    Stopped,
    Refused(RegistrationError),
}

impl Worker {
    /// A worker, not running yet, and the way to it.
    ///
    /// # Errors
    /// There is no sharding strategy of the name that the job gives, or it refuses the job's props.
    pub(crate) fn new(
        process: Arc<Process>,
        application: Application,
        runner: Box<dyn Runner>,
    ) -> Result<(Self, WorkerHandle), String> {
        // Tokio's channels make room for 32 messages at once, in each of ten thousand jobs.
        let (commands, receiver) = unbounded();
        let (finish, finished) = unbounded();
        let (state, observed) = watch::channel(JobState::Waiting);
        let settings = Settings::of(&application, &process)?;
        let mut firings = Firings::new(process.ids());
        firings.listened_to(runner.is_listened_to());
        let reporter = Reporter::new(application.name(), process.events.clone());
        let status = Arc::clone(reporter.status());
        let worker = Self {
            settings,
            commands: receiver,
            finished,
            finish,
            state,
            firings,
            incarnation: CancellationToken::new(),
            setbacks: Setbacks::default(),
            attended: None,
            renewed: None,
            signals: BTreeMap::new(),
            gave_way: WaitedFor::Nothing,
            progresses: Progresses::default(),
            progress_wake: Arc::default(),
            stopping: None,
            waiters: Waiters::default(),
            listener_calls: ListenerCalls::default(),
            reporter,
            audit_at: None,
            is_first: true,
            process,
            application,
            runner,
        };
        let handle = WorkerHandle {
            commands,
            state: observed,
            status,
        };
        Ok((worker, handle))
    }

    /// The name of the job.
    pub(crate) fn name(&self) -> &str {
        self.application.name()
    }

    /// Looks whether the job may be registered at all. Writes nothing.
    pub(crate) fn check(&self, membership: &Arc<Membership>) -> BoxFuture<'static, Result<(), RegistrationError>> {
        let (application, membership) = (self.application.clone(), Arc::clone(membership));
        Box::pin(async move { application.check(&membership).await })
    }

    /// Runs the job, through any number of sessions, until it is stopped.
    ///
    /// # Errors
    /// When the registry has the job as another one, or with a configuration that no job can run by.
    pub(crate) fn run(self) -> impl Future<Output = Result<(), RegistrationError>> + Send + 'static {
        // Boxed, since a future holds what it is given more than once, and there may be ten thousand of them.
        let mut worker = Box::new(self);
        async move {
            let result = loop {
                match guard::future(worker.run_sessions()).await {
                    Ok(result) => break result,
                    Err(Panicked(message)) => worker.recover(message).await,
                }
            };
            let reason = match worker.stopping {
                Some(_) => LetGo::Leaving,
                None => LetGo::Removed,
            };
            worker.let_go(reason);
            worker.own_nothing();
            worker.state.send_replace(JobState::Stopped);
            result
        }
    }

    /// Attends to one session after another, until the job is stopped or refused.
    async fn run_sessions(&mut self) -> Result<(), RegistrationError> {
        let mut memberships = self.process.memberships.clone();
        loop {
            let Some(membership) = self.membership(&mut memberships).await else {
                return Ok(());
            };
            let own = self.own(&membership);
            self.attended = Some(Arc::clone(&own));
            match self.attend(&own).await {
                Left::Stopped => return Ok(()),
                Left::Refused(error) => return Err(error),
                Left::SessionLost => {
                    debug!(job = self.application.name(), "session lost, waiting for the next");
                    self.state.send_replace(JobState::Waiting);
                    self.lose_session(&mut memberships, &membership).await;
                }
            }
        }
    }

    /// The membership that the job has in the session of this one: another, if its instance was given up there.
    fn own(&self, published: &Arc<Membership>) -> Arc<Membership> {
        let is_of_session = |own: &&Arc<Membership>| Arc::ptr_eq(own.session(), published.session());
        let renewed = self.renewed.as_ref();
        Arc::clone(renewed.filter(is_of_session).unwrap_or(published))
    }

    /// Waits for a membership; `None` when the job is to stop before there is one.
    async fn membership(
        &mut self,
        memberships: &mut watch::Receiver<Option<Arc<Membership>>>,
    ) -> Option<Arc<Membership>> {
        loop {
            if self.stopping.is_some() {
                return None;
            }
            if let Some(membership) = memberships.borrow_and_update().clone() {
                return Some(membership);
            }
            tokio::select! {
                biased;
                changed = memberships.changed() => changed.ok()?,
                command = self.commands.next() => self.command_without_session(command?),
                Some(finished) = self.finished.next() => drop(self.forget(&finished)),
            }
        }
    }

    /// What ran in the session that is gone is no longer ours; the fence stops it, or has.
    async fn lose_session(
        &mut self,
        memberships: &mut watch::Receiver<Option<Arc<Membership>>>,
        lost: &Arc<Membership>,
    ) {
        let running: Vec<u32> = self.firings.running().collect();
        if !running.is_empty() {
            warn!(job = self.application.name(), items = ?running, "lost with the session");
        }
        self.firings.lose_session();
        self.listener_calls.lose_session();
        self.reporter.lose_session(self.process.clock.now());
        self.own_nothing();
        // Only the keeper knows when the next session is there: until then ours stays published.
        let is_next = |current: &Option<Arc<Membership>>| current.as_ref().is_none_or(|next| !Arc::ptr_eq(next, lost));
        let _ = memberships.wait_for(is_next).await;
    }

    /// Reports that nothing here is ours, for now or for good.
    fn own_nothing(&self) {
        self.reporter.owns(Vec::new());
        self.reporter.misses(0);
        self.reporter.unassigned(Vec::new(), self.settings.placement.strategy());
        self.reporter.pauses(None);
        self.reporter.status().waits();
    }

    /// Carries out a command while the job is not registered: no instance can be asked for a run.
    fn command_without_session(&mut self, command: Command) {
        match command {
            Command::Trigger { answer, .. } => drop(answer.send(Err(TriggerError::NotRegistered))),
            Command::Await(waiter) => self.waiters.add(waiter),
            Command::Stop { cancel_at } => self.stop(cancel_at),
        }
    }

    /// Begins to drain. Of several commands to stop the earliest end of the grace period counts.
    fn stop(&mut self, cancel_at: Instant) {
        if self.stopping.is_none() {
            self.state.send_replace(JobState::Draining);
        }
        let earlier = self.stopping.map_or(cancel_at, |before| before.min(cancel_at));
        self.stopping = Some(earlier);
        self.firings.stop();
        self.wind_down_all("the job stops here");
        self.listener_calls.leave();
    }

    /// Forgets a run that has ended. Returns why it was stopped, if it was.
    fn forget(&mut self, finished: &Finished) -> Option<StopReason> {
        let signals = self.signals.remove(&finished.key);
        self.reporter.runs(self.signals.len(), self.process.clock.now());
        signals.and_then(|signals| signals.stopped)
    }
}
