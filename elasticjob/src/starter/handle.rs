//! The handle of a running application.
//!
//! All methods that return a value at once answer from what this process knows; only [`ElasticJob::operations`] leads
//! to requests.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::job::Job;
use crate::operation::Operations;
use crate::run::JobState;
#[cfg(feature = "_history")]
use crate::trace::history;
use crate::trace::{Events, TraceListenerStats};

use super::builder::Builder;
use super::error::Error;
use super::health::Health;
use super::one_off::{OneOff, OneOffJob};
use super::running::{Parts, Phase, RunningApplication, RunningJob};

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
    running: Arc<RunningApplication>,
}

impl ElasticJob {
    pub(super) async fn start(parts: Parts) -> Result<Self, Error> {
        let running = RunningApplication::start(parts).await?;
        Ok(Self { running })
    }

    /// Starts to put an application together.
    ///
    /// The file of the caller decides which jobs of test code are discovered; see [`Builder`].
    #[track_caller]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs an application from its start to its end: reads the configuration, discovers the declared jobs, starts them, waits for
    /// SIGTERM or ctrl-c, and stops them within the grace period of the configuration. It is
    /// [`builder().build()?.run()`](super::Ready::run).
    ///
    /// # Errors
    /// The error with which the jobs cannot start or go on.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the jobs at once, without their ends being recorded: other instances see this one
    /// die.
    pub async fn run() -> Result<(), Error> {
        Self::builder().build()?.run().await
    }

    /// Waits until all jobs are registered: at once after a start with a registry that answers. It waits without limit while no server
    /// of the registry does.
    ///
    /// # Errors
    /// If the jobs cannot be registered: as [`stopped`](Self::stopped).
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

    /// Returns whether all jobs are registered and serve their schedules now: not before the start is complete, nor while the
    /// registry does not answer, nor while stopping.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.health().is_ready
    }

    /// Returns the health of the application on this instance, from what this process knows: it neither waits nor makes a request to the
    /// registry, so it can be called as often as probes come.
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

    /// Returns the address of the endpoint with metrics and health: that of `elasticjob.metrics`, with the actual port if it says 0.
    /// `None` if the configuration has no `elasticjob.metrics.port`.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.running.metrics_address
    }

    /// Returns the state of each job on this instance, by name. [`health`](Self::health) has more of each.
    ///
    /// It has each job of the application, also before the start is complete: such a job is [`JobState::Waiting`].
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, JobState> {
        self.running
            .jobs
            .iter()
            .map(|(name, job)| (name.clone(), *job.handle.state.borrow()))
            .collect()
    }

    /// Returns a stream of what becomes of each run, firing and scheduled time on this instance, from this call on. A receiver that falls
    /// far behind loses the oldest events. [Trace listeners](crate::trace::TraceListener) receive the same events.
    ///
    /// Events of other instances are not among them; the history has those.
    #[must_use]
    pub fn events(&self) -> Events {
        self.running.process.events.subscribe()
    }

    /// Returns the counts of each trace listener.
    ///
    /// They count from the start of the application: what was delivered, what was dropped, and what failed.
    #[must_use]
    pub fn trace_listeners(&self) -> Vec<TraceListenerStats> {
        self.running.deliveries.now()
    }

    /// Returns the history that is recorded, to be asked; `None` if none is. Of several places it is that of the configuration, or
    /// else the first that the program handed in: [`history_of`](Self::history_of) returns those of jobs.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn history(&self) -> Option<history::History> {
        self.running.history.first().map(|kept| kept.history().clone())
    }

    /// Returns the history in which what becomes of a job is recorded; `None` if it is recorded nowhere.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn history_of(&self, job: &str) -> Option<history::History> {
        self.kept_of(job).map(|kept| kept.history().clone())
    }

    /// Returns the counts of the recorder of [this history](Self::history); `None` if none is recorded.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn recording(&self) -> Option<history::RecorderStats> {
        self.running.history.first().map(history::Kept::recording)
    }

    /// Returns the counts of the recorder of a job's history; `None` if it is recorded nowhere.
    #[cfg(feature = "_history")]
    #[must_use]
    pub fn recording_of(&self, job: &str) -> Option<history::RecorderStats> {
        self.kept_of(job).map(history::Kept::recording)
    }

    #[cfg(feature = "_history")]
    fn kept_of(&self, job: &str) -> Option<&history::Kept> {
        self.running.history.iter().find(|kept| kept.is_of(job))
    }

    /// Returns what operators do with the jobs of this registry centre: those of this application, and all others in its
    /// namespace. All that are returned share one session beside that of the application, opened by the first call and closed
    /// by [`shutdown`](Self::shutdown).
    #[must_use]
    pub fn operations(&self) -> Operations {
        self.running.operations.clone()
    }

    /// Returns the address of the [dump port](crate::snapshot), with the actual port if the configuration says 0; `None` if it has none.
    #[must_use]
    pub fn dump_address(&self) -> Option<SocketAddr> {
        self.running.dump_address
    }

    /// Returns the handle of a declared one-off job, by its type.
    ///
    /// # Errors
    /// [`Error::NoSuchOneOffJob`] when the application does not have it, or it has a schedule.
    ///
    /// The handle is cheap to make and to clone, and works as long as the application runs.
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

    /// Returns the handle of a one-off job, by its `job-bootstrap-bean-name`, or else by its name.
    ///
    /// # Errors
    /// [`Error::NoSuchOneOffJob`] when there is none.
    ///
    /// Use it for jobs that configuration declares, such as a script, which have no type in the program.
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
            self.operations(),
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
    /// The error with which they cannot go on. The first caller gets it; later callers get [`Error::Stopped`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) -> Result<(), Error> {
        let mut phase = self.running.phase.subscribe();
        let end = phase.wait_for(|phase| matches!(phase, Phase::Failed | Phase::Stopped));
        let end = end.await.map(|phase| *phase);
        if let Some(error) = self.running.take_failure() {
            return Err(error);
        }
        match end {
            Ok(Phase::Stopped) => Ok(()),
            _ => Err(Error::Stopped("the error was returned before".to_owned())),
        }
    }

    /// Stops: no new firing; running items may finish within `grace`, then are cancelled; their ends are recorded, the
    /// instances leave the cluster, the session is closed.
    ///
    /// Waits for all that, and no longer than `grace` and 30 s. The log names each item that goes on then.
    ///
    /// # Cancel safety
    /// Dropping the future lets the jobs stop by themselves, and leaves the session open until the process ends.
    pub async fn shutdown(&self, grace: Duration) {
        self.running.shutdown(grace).await;
    }
}

impl fmt::Debug for ElasticJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticJob").field("jobs", &self.states()).finish()
    }
}
