use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::cluster::process::Process;
use crate::cluster::session::{Keeper, Membership};
use crate::cluster::worker::{Command, JobState, Worker, WorkerHandle};
use crate::job::Job;
use crate::operation::Operations;
use crate::registry::{BoxFuture, Registry};
use crate::tasks::Tasks;
#[cfg(feature = "_history")]
use crate::trace::history;
use crate::trace::{Events, Listening, Tellers};

use super::builder::Builder;
#[cfg(feature = "prometheus")]
use super::endpoint::Endpoint;
use super::error::{Error, Faults};
use super::health::{Health, JobHealth, SessionHealth};
use super::one_off::{OneOff, OneOffJob};

/// Jobs that are looked up in the registry at once before any is registered.
const CHECKS: usize = 64;

/// What is left to do after the last item ended: nodes removed, session closed.
const LEAVE_LIMIT: Duration = Duration::from_secs(15);

/// A running application: jobs that fire, and one-off jobs to be asked. Clones are the same application.
///
/// Dropping the last clone abandons everything at once; [`shutdown`](Self::shutdown) is the kind way.
///
/// ```standalone_crate
/// use elasticjob::prelude::*;
/// use elasticjob::starter::ElasticJob;
///
/// #[elastic_job(sharding = 2)]
/// async fn rebuild(shard: ShardingContext) -> Result<(), String> {
///     if shard.sharding_item() == 0 { Ok(()) } else { Err("no disk".to_owned()) }
/// }
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let running = ElasticJob::builder().build()?.start().await?;
/// let execution = running.one_off::<rebuild>()?.execute_and_wait(std::time::Duration::from_secs(30)).await?;
/// assert!(!execution.is_success());
/// running.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<_, elasticjob::Error>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ElasticJob {
    running: Arc<Running>,
}

/// What an application is started from.
pub(super) struct Parts {
    pub(super) keeper: Keeper,
    pub(super) workers: Vec<Worker>,
    pub(super) jobs: BTreeMap<String, RunningJob>,
    pub(super) tasks: Tasks,
    pub(super) process: Arc<Process>,
    /// Whether a registry that does not answer is waited for.
    pub(super) is_patient: bool,
    /// Where the dump port listens, if there is one.
    pub(super) dump_address: Option<SocketAddr>,
    pub(super) tellers: Tellers,
    #[cfg(feature = "_history")]
    pub(super) history: Option<history::Kept>,
    #[cfg(feature = "prometheus")]
    pub(super) endpoint: Option<Endpoint>,
}

/// What the handles share.
pub(super) struct Running {
    jobs: BTreeMap<String, RunningJob>,
    tasks: Tasks,
    process: Arc<Process>,
    registry: Arc<dyn Registry>,
    dump_address: Option<SocketAddr>,
    tellers: Tellers,
    #[cfg(feature = "_history")]
    history: Option<history::Kept>,
    phase: watch::Sender<Phase>,
    /// Why it failed, until somebody is told. A std mutex: never held across an await.
    failure: Mutex<Option<Error>>,
    #[cfg(feature = "prometheus")]
    metrics_address: Option<SocketAddr>,
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
enum Phase {
    Connecting,
    /// The first attempt to connect failed; it goes on trying.
    Waiting,
    Ready,
    Failed,
    /// Told to stop.
    Stopping,
    Stopped,
}

impl Running {
    /// Connects and registers in the background; returns when it is known how that goes.
    pub(super) async fn start(parts: Parts) -> Result<ElasticJob, Error> {
        let Parts {
            keeper,
            workers,
            jobs,
            tasks,
            process,
            is_patient,
            dump_address,
            tellers,
            #[cfg(feature = "_history")]
            history,
            #[cfg(feature = "prometheus")]
            endpoint,
        } = parts;
        let (phase, mut observed) = watch::channel(Phase::Connecting);
        let registry = Arc::clone(&keeper.registry);
        let running = Arc::new(Self {
            jobs,
            tasks: tasks.clone(),
            process,
            registry: Arc::clone(&registry),
            dump_address,
            tellers,
            #[cfg(feature = "_history")]
            history,
            phase,
            failure: Mutex::default(),
            #[cfg(feature = "prometheus")]
            metrics_address: endpoint.as_ref().map(Endpoint::address),
        });
        #[cfg(feature = "prometheus")]
        if let Some(endpoint) = endpoint {
            running.open(endpoint)?;
        }
        let attempts = keeper.failed_attempts.subscribe();

        let ending = Arc::downgrade(&running);
        tasks.spawn_essential("session", async move {
            let result = keeper.run().await;
            let (Err(source), Some(running)) = (result, ending.upgrade()) else {
                return;
            };
            let registry = registry.describe();
            running.fail(Error::Registry { registry, source });
        });
        let starting = Arc::clone(&running);
        tasks.spawn_essential("start", async move { starting.bring_up(workers).await });

        let waiting = async {
            let mut attempts = attempts;
            // What it gives holds the channel, and with it whoever counts the next attempt: let go of it at once.
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
            None => Ok(ElasticJob { running }),
        }
    }

    /// Has the endpoint for metrics and health answer.
    #[cfg(feature = "prometheus")]
    fn open(self: &Arc<Self>, endpoint: Endpoint) -> Result<(), Error> {
        let (address, asked) = (endpoint.address(), Arc::downgrade(self));
        let health = Arc::new(move || asked.upgrade().map(|running| running.health()));
        if let Err(error) = endpoint.serve(&self.tasks, health) {
            let mut faults = Faults::default();
            faults.push(format!("`elasticjob.metrics`: cannot listen on {address}: {error}"));
            return Err(Error::Invalid(faults));
        }
        info!(%address, "metrics and health are shown");
        Ok(())
    }

    fn health(&self) -> Health {
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
            // Nobody should be ended for ending.
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
    async fn bring_up(&self, workers: Vec<Worker>) {
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
            // Not awaited in a block, which would hold it twice, as captured and as awaited.
            let running = worker.run().map(move |result| {
                if let Err(error) = result {
                    error!(job = name, error = &error as &dyn std::error::Error, "job stopped");
                }
            });
            self.tasks.spawn("worker", running);
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

    fn fail(&self, error: Error) {
        error!(%error, "the jobs cannot go on");
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.phase.send_replace(Phase::Failed);
    }

    fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn abandon(&self) {
        self.tasks.token().cancel();
        if let Err(still) = self.tasks.close_and_wait(Instant::now() + LEAVE_LIMIT).await {
            warn!(tasks = still.tasks, "tasks still run");
        }
    }
}

/// Looks whether all jobs may be registered. Faults are empty where that could not be found out now.
async fn check(workers: &[Worker], membership: &Arc<Membership>) -> Result<(), Faults> {
    let checks: Vec<BoxFuture<'static, _>> = workers.iter().map(|worker| worker.check(membership)).collect();
    let results: Vec<_> = stream::iter(checks).buffer_unordered(CHECKS).collect().await;
    let mut faults = Faults::default();
    let mut is_unknown = false;
    for error in results.into_iter().filter_map(Result::err) {
        if error.is_passing() {
            warn!(%error, "cannot look the jobs up yet");
            is_unknown = true;
        } else {
            faults.push(with_causes(&error));
        }
    }
    if is_unknown || !faults.is_empty() {
        Err(faults)
    } else {
        Ok(())
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl ElasticJob {
    /// Starts to put an application together.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Configuration, discovery, start, wait for SIGTERM or ctrl-c, drain, stop.
    ///
    /// # Errors
    /// Whatever keeps the jobs from starting or from going on.
    pub async fn run() -> Result<(), Error> {
        Self::builder().build()?.run().await
    }

    /// Waits until all jobs are registered.
    ///
    /// # Errors
    /// When that will not be: as [`stopped`](Self::stopped).
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut phase = self.running.phase.subscribe();
        let reached = phase
            .wait_for(|phase| !matches!(phase, Phase::Connecting | Phase::Waiting))
            .await;
        match reached.map(|phase| *phase) {
            Ok(Phase::Ready) => Ok(()),
            _ => self.stopped().await,
        }
    }

    /// Whether all jobs are registered and serve their schedules now: not before the start is complete, nor while the
    /// registry does not answer, nor while stopping.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.health().is_ready
    }

    /// How it stands with the application on this instance, from what is known here: the registry is not asked, nor
    /// anybody waited for.
    ///
    /// For Kubernetes: `is_live` is the answer to a liveness probe, `is_ready` to a readiness probe. While the registry is
    /// away the application is live and not ready. With the feature `prometheus` and `elasticjob.metrics.port` in the
    /// configuration both are answered by `GET /healthz` and `GET /readyz`.
    ///
    /// ```standalone_crate
    /// use elasticjob::prelude::*;
    /// use elasticjob::starter::{ElasticJob, JobState};
    ///
    /// #[elastic_job(cron = "0 0 2 * * ?", sharding = 2)]
    /// async fn settle(_shard: ShardingContext) {}
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let running = ElasticJob::builder().build()?.start().await?;
    /// let health = running.health();
    /// assert!(health.is_live && health.is_ready, "{:?}", health.problems());
    /// assert_eq!(health.jobs["settle"].state, JobState::Ready);
    /// running.shutdown(std::time::Duration::from_secs(5)).await;
    /// assert!(!running.health().is_ready);
    /// # Ok::<_, elasticjob::Error>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        self.running.health()
    }

    /// Where metrics and health are shown: the address of `elasticjob.metrics`, with the port that was free where it says 0.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.running.metrics_address
    }

    /// How it stands with each job, by name.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, JobState> {
        self.running
            .jobs
            .iter()
            .map(|(name, job)| (name.clone(), *job.handle.state.borrow()))
            .collect()
    }

    /// What becomes of each scheduled time on this instance, from here on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.running.process.events.subscribe()
    }

    /// How it goes with each trace listener, by name.
    #[must_use]
    pub fn trace_listeners(&self) -> Vec<Listening> {
        self.running.tellers.now()
    }

    /// The history that is recorded, to be asked; `None` if the configuration has no `elasticjob.tracing`.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn history(&self) -> Option<history::History> {
        self.running.history.as_ref().map(|kept| kept.history().clone())
    }

    /// How the recording of history goes; `None` if the configuration has no `elasticjob.tracing`.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn recording(&self) -> Option<history::Recording> {
        self.running.history.as_ref().map(history::Kept::recording)
    }

    /// What operators do with the jobs of this registry centre: those of this application, and all others in its
    /// namespace. It has a session of its own.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations::with_clock(
            Arc::clone(&self.running.registry),
            Arc::clone(&self.running.process.clock),
        )
    }

    /// Where the [dump port](crate::snapshot) listens, if one is configured. Of port 0 this is the one that was free.
    #[must_use]
    pub fn dump_address(&self) -> Option<SocketAddr> {
        self.running.dump_address
    }

    /// A declared one-off job.
    ///
    /// # Errors
    /// [`Error::NoSuchOneOffJob`] when the application does not have it, or it has a schedule.
    pub fn one_off<J: Job>(&self) -> Result<OneOffJob<J>, Error> {
        let declared = J::DECLARATION.name();
        let found = self
            .running
            .jobs
            .iter()
            .find(|(_, job)| job.is_one_off && job.declared == declared);
        found
            .map(|(name, job)| OneOffJob::new(self.handle_of(name, job)))
            .ok_or_else(|| self.no_such(declared))
    }

    /// The one-off job of this bootstrap name, or else of this name.
    ///
    /// # Errors
    /// [`Error::NoSuchOneOffJob`] when there is none.
    pub fn one_off_named(&self, name: &str) -> Result<OneOff, Error> {
        let one_offs = || self.running.jobs.iter().filter(|(_, job)| job.is_one_off);
        let by_bootstrap = one_offs().find(|(_, job)| job.bootstrap.as_deref() == Some(name));
        let found = by_bootstrap.or_else(|| one_offs().find(|(known, _)| *known == name));
        found
            .map(|(name, job)| self.handle_of(name, job))
            .ok_or_else(|| self.no_such(name))
    }

    fn handle_of(&self, name: &str, job: &RunningJob) -> OneOff {
        OneOff::new(
            name.to_owned(),
            job.handle.commands.clone(),
            Arc::clone(&self.running.process),
        )
    }

    fn no_such(&self, name: &str) -> Error {
        let one_offs = self.running.jobs.iter().filter(|(_, job)| job.is_one_off);
        Error::NoSuchOneOffJob {
            name: name.to_owned(),
            known: one_offs.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Waits until the jobs have stopped: after [`shutdown`](Self::shutdown), or because they cannot go on.
    ///
    /// # Errors
    /// Why they cannot go on. It is told once; later callers get [`Error::Stopped`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) -> Result<(), Error> {
        let mut phase = self.running.phase.subscribe();
        tokio::select! {
            _ = phase.wait_for(|phase| matches!(phase, Phase::Failed | Phase::Stopped)) => {}
            () = self.running.tasks.token().cancelled() => {}
        }
        if let Some(error) = self.running.take_failure() {
            return Err(error);
        }
        match *self.running.phase.borrow() {
            Phase::Stopped => Ok(()),
            Phase::Failed => Err(Error::Stopped("it was said why".to_owned())),
            _ => Err(Error::Stopped("a task that all depend on panicked".to_owned())),
        }
    }

    /// Stops: no new firing; running items may finish within `grace`, then are cancelled; their ends are recorded, the
    /// instances leave the cluster, the session is closed.
    ///
    /// Waits for all that, and no longer than `grace` and some seconds.
    ///
    /// # Cancel safety
    /// Dropping the future lets the jobs stop by themselves, and leaves the session open until the process ends.
    pub async fn shutdown(&self, grace: Duration) {
        let cancel_at = Instant::now() + grace;
        self.running.phase.send_if_modified(|phase| {
            let is_up = !matches!(phase, Phase::Failed | Phase::Stopped);
            if is_up {
                *phase = Phase::Stopping;
            }
            is_up
        });
        for job in self.running.jobs.values() {
            // One that is gone has stopped.
            let _ = job.handle.commands.unbounded_send(Command::Stop { cancel_at });
        }
        let deadline = cancel_at + LEAVE_LIMIT;
        for (name, job) in &self.running.jobs {
            let mut state = job.handle.state.clone();
            let stopped = state.wait_for(|state| *state == JobState::Stopped);
            match tokio::time::timeout_at(deadline, stopped).await {
                Ok(_) => {}
                Err(_) => warn!(job = name, "still not stopped, going on without it"),
            }
        }
        self.running.abandon().await;
        self.running.phase.send_replace(Phase::Stopped);
        info!("stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl fmt::Debug for ElasticJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticJob").field("jobs", &self.states()).finish()
    }
}
