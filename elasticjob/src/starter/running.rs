//! An application that runs: how it comes up, how it stands, and how it stops.
//!
//! Coming up: the session is opened; all jobs are looked up in the registry, so that one that is registered there with
//! another class is found before any job of this application has left a trace; then the workers start, and each
//! registers its job. While the registry is away, this waits, and the jobs start when it answers.
//!
//! Two tasks are essential, the session and the start. If one of them ends by a panic, the whole application fails,
//! because a process that looks alive and runs nothing is worse than one that ends. A worker comes back from panics by
//! itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::chain::Chain;
use crate::cluster::process::Process;
use crate::cluster::session::{Keeper, Membership};
use crate::cluster::worker::{Command, Worker, WorkerHandle};
use crate::erased::BoxFuture;
use crate::executor::Underway;
use crate::guard::{self, Panicked};
use crate::operation::Operations;
use crate::run::JobState;
use crate::tasks::Tasks;
use crate::trace::Deliveries;
#[cfg(feature = "_history")]
use crate::trace::history;

#[cfg(feature = "prometheus")]
use super::endpoint::Endpoint;
use super::error::Error;
use super::fault::{Fault, Faults};
use super::health::{Health, JobHealth, SessionHealth};

/// Jobs that are looked up in the registry at once before any is registered.
const CHECKS: usize = 64;

/// What is left to do after the last item ended: nodes removed, session closed.
pub(super) const LEAVE_LIMIT: Duration = Duration::from_secs(15);

/// What an application is started from.
pub(super) struct Parts {
    pub(super) keeper: Keeper,
    pub(super) workers: Vec<Worker>,
    pub(super) jobs: BTreeMap<String, RunningJob>,
    pub(super) tasks: Tasks,
    /// The tasks of what runs beside the jobs: a branch of `tasks`.
    pub(super) companions: Tasks,
    pub(super) operations: Operations,
    pub(super) process: Arc<Process>,
    /// Whether a registry that does not answer is waited for.
    pub(super) is_patient: bool,
    /// Where the dump port listens, if there is one.
    pub(super) dump_address: Option<SocketAddr>,
    pub(super) deliveries: Deliveries,
    pub(super) underway: Underway,
    #[cfg(feature = "_history")]
    pub(super) history: Vec<history::Kept>,
    #[cfg(feature = "prometheus")]
    pub(super) endpoint: Option<Endpoint>,
}

/// What the handles share.
pub(super) struct RunningApplication {
    pub(super) jobs: BTreeMap<String, RunningJob>,
    pub(super) tasks: Tasks,
    companions: Tasks,
    pub(super) process: Arc<Process>,
    /// Opens its session with the first call.
    pub(super) operations: Operations,
    pub(super) dump_address: Option<SocketAddr>,
    pub(super) deliveries: Deliveries,
    underway: Underway,
    #[cfg(feature = "_history")]
    pub(super) history: Vec<history::Kept>,
    pub(super) phase: watch::Sender<Phase>,
    /// Why it failed, until a caller takes it. A std mutex: never held across an await.
    failure: Mutex<Option<Error>>,
    #[cfg(feature = "prometheus")]
    pub(super) metrics_address: Option<SocketAddr>,
}

/// A job of the running application.
#[derive(Debug)]
pub(super) struct RunningJob {
    pub(super) handle: WorkerHandle,
    /// The name it is declared under.
    pub(super) declared: String,
    pub(super) bootstrap: Option<String>,
    pub(super) is_one_off: bool,
}

/// How far the application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    /// The first attempt to connect failed; it goes on trying.
    Waiting,
    Ready,
    Failed,
    /// Stopping.
    Stopping,
    Stopped,
}

impl RunningApplication {
    /// Connects and registers in the background; returns when it is known how that goes.
    pub(super) async fn start(parts: Parts) -> Result<Arc<Self>, Error> {
        let Parts {
            keeper,
            workers,
            jobs,
            tasks,
            companions,
            operations,
            process,
            is_patient,
            dump_address,
            deliveries,
            underway,
            #[cfg(feature = "_history")]
            history,
            #[cfg(feature = "prometheus")]
            endpoint,
        } = parts;
        let (phase, mut observed) = watch::channel(Phase::Connecting);
        let registry = Arc::clone(keeper.registry());
        let running = Arc::new(Self {
            jobs,
            tasks: tasks.clone(),
            companions,
            process,
            operations,
            dump_address,
            deliveries,
            underway,
            #[cfg(feature = "_history")]
            history,
            phase,
            failure: Mutex::default(),
            #[cfg(feature = "prometheus")]
            metrics_address: endpoint.as_ref().map(Endpoint::address),
        });
        #[cfg(feature = "prometheus")]
        if let Some(endpoint) = endpoint {
            running.open(endpoint);
        }
        let attempts = keeper.failed_attempts();

        let ending = Arc::downgrade(&running);
        tasks.spawn_essential("session", async move {
            let result = guard::future(keeper.run()).await;
            let Some(running) = ending.upgrade() else { return };
            match result {
                Ok(Ok(())) => {}
                Ok(Err(source)) => {
                    let registry = registry.describe();
                    running.fail(Error::Registry { registry, source });
                }
                Err(panicked) => running.fail_by("session", &panicked),
            }
        });
        let starting = Arc::clone(&running);
        tasks.spawn_essential("start", async move {
            if let Err(panicked) = guard::future(starting.bring_up(workers)).await {
                starting.fail_by("start", &panicked);
            }
        });

        let waiting = async {
            let mut attempts = attempts;
            // The borrow locks the channel, which would block the count of the next attempt: it is dropped at once.
            let has_failed = attempts.wait_for(|failed| *failed > 0).await.is_ok();
            if !(has_failed && is_patient) {
                std::future::pending().await
            }
        };
        tokio::select! {
            _ = observed.wait_for(|phase| *phase != Phase::Connecting) => {}
            () = waiting => {
                running.phase.send_if_modified(|phase| {
                    let is_connecting = *phase == Phase::Connecting;
                    if is_connecting {
                        *phase = Phase::Waiting;
                    }
                    is_connecting
                });
            }
        }
        match running.take_failure() {
            Some(error) => {
                running.abandon().await;
                Err(error)
            }
            None => Ok(running),
        }
    }

    /// Starts the endpoint for metrics and health.
    #[cfg(feature = "prometheus")]
    fn open(self: &Arc<Self>, endpoint: Endpoint) {
        let (address, asked) = (endpoint.address(), Arc::downgrade(self));
        let health = Arc::new(move || asked.upgrade().map(|running| running.health()));
        endpoint.serve(&self.tasks, health);
        info!(%address, "metrics and health endpoint open");
    }

    pub(super) fn health(&self) -> Health {
        let phase = *self.phase.borrow();
        let jobs: BTreeMap<String, JobHealth> = self
            .jobs
            .iter()
            .map(|(name, job)| (name.clone(), JobHealth::of(&job.handle)))
            .collect();
        let is_session_kept = self.process.memberships.has_changed().is_ok();
        let membership = self.process.memberships.borrow().clone();
        let session = membership.as_deref().map(SessionHealth::of);
        let goes_on = match phase {
            Phase::Connecting | Phase::Waiting | Phase::Ready => is_session_kept && !self.tasks.token().is_cancelled(),
            // A process that ends by itself must not be ended.
            Phase::Stopping => true,
            Phase::Failed | Phase::Stopped => false,
        };
        let is_serving = session.as_ref().is_some_and(SessionHealth::is_serving);
        let is_live = goes_on && !jobs.values().any(|job| job.is_stuck);
        Health {
            is_live,
            is_ready: is_live
                && phase == Phase::Ready
                && is_serving
                && jobs.values().all(|job| job.state == JobState::Ready),
            session,
            jobs,
        }
    }

    /// Waits for a session, looks whether all jobs may be registered, and only then registers any.
    async fn bring_up(self: &Arc<Self>, workers: Vec<Worker>) {
        let mut phase = self.phase.subscribe();
        let checked = tokio::select! {
            checked = self.check(&workers) => checked,
            // Nothing was registered, so there is nothing to leave: workers that were not started have stopped.
            _ = phase.wait_for(|phase| !matches!(phase, Phase::Connecting | Phase::Waiting)) => return,
            () = self.tasks.token().cancelled() => return,
        };
        if let Err(faults) = checked {
            return self.fail(Error::Invalid(faults));
        }
        for worker in workers {
            let name = worker.name().to_owned();
            let running = Arc::downgrade(self);
            // Not awaited in a block, which would hold it twice, as captured and as awaited.
            let run = guard::future(worker.run()).map(move |result| match (result, running.upgrade()) {
                (Ok(Err(error)), _) => {
                    error!(job = name, error = &error as &dyn std::error::Error, "job stopped");
                }
                // It comes back from panics by itself: this one came while it did.
                (Err(panicked), Some(running)) => running.fail_by("worker", &panicked),
                (Ok(Ok(())) | Err(_), _) => {}
            });
            self.tasks.spawn("worker", run);
        }
        for job in self.jobs.values() {
            let mut state = job.handle.state.clone();
            // A worker that ended without having been ready has said why.
            let _ = state.wait_for(|state| *state != JobState::Waiting).await;
        }
        info!(jobs = self.jobs.len(), "all jobs registered");
        self.phase.send_if_modified(|phase| {
            let is_on_the_way = matches!(phase, Phase::Connecting | Phase::Waiting);
            if is_on_the_way {
                *phase = Phase::Ready;
            }
            is_on_the_way
        });
    }

    /// Waits for a session, and looks whether all jobs may be registered.
    async fn check(&self, workers: &[Worker]) -> Result<(), Faults> {
        let mut memberships = self.process.memberships.clone();
        loop {
            let current = memberships.wait_for(Option::is_some).await;
            let Ok(Some(membership)) = current.map(|current| current.clone()) else {
                // The keeper of the session has ended, which ends us, too.
                return std::future::pending().await;
            };
            match check(workers, &membership).await {
                // The session or its connection went away: once more, with the next.
                Err(faults) if faults.is_empty() => tokio::time::sleep(Duration::from_millis(500)).await,
                result => return result,
            }
        }
    }

    /// Notes that the application cannot go on. The first error is kept for the first caller that waits; later ones are
    /// only logged.
    fn fail(&self, error: Error) {
        error!(error = %error.chain(), "the jobs cannot go on");
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.phase.send_replace(Phase::Failed);
    }

    /// A task that the jobs cannot do without has panicked: nothing of the application goes on.
    fn fail_by(&self, task: &str, panicked: &Panicked) {
        self.fail(Error::Stopped(format!("task `{task}` {panicked}")));
        self.tasks.token().cancel();
    }

    /// Takes the error with which the application failed. It is returned to one caller.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops all jobs. Their items are cancelled after the grace period.
    pub(super) async fn shutdown(&self, grace_period: Duration) {
        let cancel_at = Instant::now() + grace_period;
        let items = self.underway.leftovers().len();
        info!(
            ?grace_period,
            items, "stopping: no new firing, running items may finish"
        );
        self.phase.send_if_modified(|phase| {
            let is_up = !matches!(phase, Phase::Failed | Phase::Stopped);
            if is_up {
                *phase = Phase::Stopping;
            }
            is_up
        });
        self.companions.token().cancel();
        for job in self.jobs.values() {
            // One that is gone has stopped.
            let _ = job.handle.commands.unbounded_send(Command::Stop { cancel_at });
        }
        let deadline = cancel_at + LEAVE_LIMIT;
        for (name, job) in &self.jobs {
            let mut state = job.handle.state.clone();
            let stopped = state.wait_for(|state| *state == JobState::Stopped);
            match tokio::time::timeout_at(deadline, stopped).await {
                Ok(_) => {}
                Err(_) => warn!(job = name, "still not stopped, going on without it"),
            }
        }
        // Beside the tasks: a registry that does not answer holds the end up once.
        let closing = tokio::time::timeout(LEAVE_LIMIT, self.operations.close());
        let _ = tokio::join!(self.abandon(), closing);
        for leftover in self.underway.leftovers() {
            leftover.log();
        }
        self.phase.send_replace(Phase::Stopped);
        info!("stopped");
    }

    /// Cancels all tasks and waits for them, for [`LEAVE_LIMIT`] at most.
    async fn abandon(&self) {
        self.tasks.token().cancel();
        if let Err(still) = self.tasks.close_and_wait(Instant::now() + LEAVE_LIMIT).await {
            warn!(tasks = still.tasks, "tasks still run");
        }
    }
}

/// Checks whether all jobs may be registered. Faults are empty where that could not be found out now.
async fn check(workers: &[Worker], membership: &Arc<Membership>) -> Result<(), Faults> {
    let checks: Vec<BoxFuture<'static, _>> = workers.iter().map(|worker| worker.check(membership)).collect();
    let results: Vec<_> = stream::iter(checks).buffer_unordered(CHECKS).collect().await;
    let mut faults = Faults::default();
    let mut is_unknown = false;
    for error in results.into_iter().filter_map(Result::err) {
        if error.is_passing() {
            warn!(error = %Chain(&error), "cannot look the jobs up yet");
            is_unknown = true;
        } else {
            faults.push(Fault::new(Chain(&error)).naming(error.job()));
        }
    }
    if is_unknown || !faults.is_empty() {
        Err(faults)
    } else {
        Ok(())
    }
}

impl Drop for RunningApplication {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}
