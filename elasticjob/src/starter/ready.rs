//! The start: an application that is in order becomes one that runs.
//!
//! The steps that can be refused by this machine come first (address, ports), then the recorders of metrics and
//! history, and only then the session with the registry. So a start that fails leaves nothing in the registry.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::sources::Settings;
use elasticjob_config::zone;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::cluster::ids::Ids;
use crate::cluster::session::{FenceAlarm, Place, Retry};
use crate::cluster::session_metrics;
use crate::cluster::worker::Worker;
use crate::executor::Underway;
use crate::host;
use crate::operation::Operations;
use crate::registry::Registry;
use crate::schedule::Clock;
use crate::snapshot;
use crate::tasks::Tasks;
use crate::telemetry;
use crate::trace::{self, RunLogs, TraceListeners};
#[cfg(feature = "_history")]
use crate::trace::{Tap, history};

use super::assemble::{ApplicationJob, ApplicationParts, AssembledJob, Assembly, Surroundings, assemble};
use super::builder::{Builder, system_clock};
use super::companion::{Companion, CompanionContext};
#[cfg(feature = "prometheus")]
use super::endpoint::Endpoint;
use super::error::Error;
use super::fault::{Fault, invalid};
use super::handle::ElasticJob;
use super::running::{Parts, RunningJob};
use super::signal;
use super::watchdog::Watchdog;

/// An application that is in order and can be started.
///
/// Every value that the configuration names is known, and every job has what it takes. What is left to go wrong is
/// outside: the registry, and the ports of this machine.
#[must_use = "nothing runs before `start` or `run`"]
pub struct Ready {
    application: ApplicationParts,
    trace_listeners: TraceListeners,
    registry: Arc<dyn Registry>,
    retry: Retry,
    preferences: host::Preferences,
    clock: Option<Arc<dyn Clock>>,
    grace_period: Duration,
    exits_when_stuck: bool,
    underway: Underway,
    is_enabled: bool,
    #[cfg(feature = "prometheus")]
    metrics: Option<SocketAddr>,
    dump_address: Option<SocketAddr>,
    companions: Vec<Box<dyn Companion>>,
    /// What companions see of the configuration; none is kept if there is no companion.
    settings: Option<Arc<Settings>>,
    #[cfg(feature = "_history")]
    history: Vec<history::Setup>,
    /// The variable `TZ`.
    time_zone: Option<String>,
}

impl Ready {
    pub(super) fn new(
        builder: Builder,
        settings: Settings,
        preferences: host::Preferences,
        registry: Arc<dyn Registry>,
        retry: Retry,
        jobs: Vec<ApplicationJob>,
    ) -> Self {
        let application = ApplicationParts {
            jobs,
            components: Arc::new(builder.components),
            strategies: builder.strategies,
            error_handlers: builder.error_handlers,
            listeners: builder.listeners,
            pools: builder.pools,
            labels: settings.labels.into(),
        };
        Self {
            application,
            trace_listeners: builder.trace_listeners,
            registry,
            retry,
            preferences,
            clock: builder.clock,
            grace_period: settings.grace_period,
            exits_when_stuck: builder.exits_when_stuck,
            underway: Underway::default(),
            is_enabled: settings.enabled,
            #[cfg(feature = "prometheus")]
            metrics: settings.metrics.map(|metrics| (metrics.host, metrics.port).into()),
            dump_address: settings.dump.map(|dump| SocketAddr::new(dump.host, dump.port)),
            companions: builder.companions,
            settings: None,
            #[cfg(feature = "_history")]
            history: Vec::new(),
            time_zone: builder.time_zone,
        }
    }

    /// Has what becomes of the jobs recorded.
    #[cfg(feature = "_history")]
    pub(super) fn with_history(self, history: Vec<history::Setup>) -> Self {
        Self { history, ..self }
    }

    /// Has companions see this configuration.
    pub(super) fn with_settings(self, settings: Option<Arc<Settings>>) -> Self {
        Self { settings, ..self }
    }

    /// The names of the jobs, sorted.
    /// Jobs that [`Builder::only`](super::Builder::only) leaves out are not among them.
    pub fn job_names(&self) -> impl Iterator<Item = &str> {
        self.application.jobs.iter().map(|job| job.config.name().as_str())
    }

    /// Joins the cluster and starts the jobs.
    ///
    /// Returns when all are registered. Where no server of the registry centre answers, it returns after the first
    /// attempt, and the jobs start when one does: [`ElasticJob::ready`] waits for that, [`ElasticJob::stopped`] tells
    /// if it fails for good. With `fail-fast` it gives up instead, after the configured retries.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no address is ours, or the endpoint for metrics cannot listen;
    /// [`Error::Registry`] when the registry refuses us, [`Error::Registration`] when a job is another one there.
    /// [`Error::DumpPort`] when the dump port cannot be listened on. Nothing was registered then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no handle. The start goes on in the background, and the jobs are abandoned as soon as
    /// it has come to its end.
    pub async fn start(self) -> Result<ElasticJob, Error> {
        let ip = self.address()?;
        // First the steps that may be refused; and the recorder is installed before the first metric.
        let dump = match self.dump_address {
            Some(address) => Some(listen(address)?),
            None => None,
        };
        #[cfg(feature = "prometheus")]
        let endpoint = self.metrics.map(Endpoint::open).transpose();
        #[cfg(feature = "prometheus")]
        let endpoint = endpoint.map_err(|error| invalid(Fault::new(error)))?;
        telemetry::describe();
        let registry = telemetry::observed(self.registry);
        let tasks = Tasks::new();
        let clock = self.clock.unwrap_or_else(|| {
            let clock = system_clock();
            Arc::clone(&clock).watch_for_jumps(&tasks);
            clock
        });
        info!(
            registry = registry.describe(),
            ip,
            host = host::host_name(),
            jobs = self.application.jobs.len(),
            "starting"
        );
        if cfg!(panic = "abort") {
            warn!("built with `panic = \"abort\"`: a panic of a job ends the process, and all that runs in it");
        }
        if let Some(tz) = &self.time_zone {
            warn_of_zone(tz, &self.application.jobs);
        }
        let names = self.application.jobs.iter().map(|job| job.config.name().as_str());
        trace::names::warn_of_unknown_to(&self.trace_listeners, names.clone());
        let (taps, deliveries) = trace::start_deliveries(&self.trace_listeners, &tasks);
        #[cfg(feature = "_history")]
        let (recorders, logs, history) = start_histories(self.history, names, &tasks, &clock)?;
        #[cfg(feature = "_history")]
        let taps: Vec<_> = taps.into_iter().chain(recorders).collect();
        #[cfg(not(feature = "_history"))]
        let logs = RunLogs;
        let operations = Operations::with_clock(Arc::clone(&registry), Arc::clone(&clock));
        let companions = tasks.child();
        if let Some(settings) = self.settings {
            let context = CompanionContext::new(settings, operations.clone(), companions.token().clone());
            #[cfg(feature = "_history")]
            let context = context.with_histories(
                history
                    .iter()
                    .map(|kept| (kept.jobs().clone(), kept.history().clone()))
                    .collect(),
            );
            accompany(self.companions, &context, &companions);
        }
        let is_patient = self.retry.attempts.is_none();
        let place = Place {
            registry,
            clock,
            tasks: tasks.clone(),
            ids: Ids::random(),
            ip,
            pid: std::process::id(),
            alarm: FenceAlarm::Thread,
            retry: self.retry,
        };
        let surroundings = Surroundings {
            host: host::host_name().into(),
            operator_grace: self.grace_period,
            underway: self.underway.clone(),
            taps,
            logs,
        };
        let Assembly { keeper, process, jobs } =
            assemble(self.application, place, surroundings, |_, runner| Box::new(runner))?;
        tasks.spawn("session metrics", session_metrics::follow(process.memberships.clone()));
        let (workers, jobs) = jobs.into_iter().map(running).unzip();
        let dump_address = dump.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = dump {
            snapshot::serve(listener, &tasks, process.memberships.clone());
        }
        ElasticJob::start(Parts {
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
            underway: self.underway,
            #[cfg(feature = "_history")]
            history,
            #[cfg(feature = "prometheus")]
            endpoint,
        })
        .await
    }

    /// Starts the jobs, runs until SIGTERM or ctrl-c, then stops them within the grace period of the configuration.
    ///
    /// It returns 30 s after the grace period at the latest, also if jobs still run; the log names each item that goes on. The
    /// process can end then: its end does not wait for blocking work. Async code of a job that blocks a thread of the runtime
    /// cannot be dropped, and would keep the process alive. So the process ends itself with the exit status 70, 40 s after the
    /// grace period, if such a thread is still blocked or this has not returned;
    /// [`exit_when_stuck`](super::Builder::exit_when_stuck) can switch this off.
    ///
    /// # Errors
    /// As [`start`](Self::start); and when the jobs could not go on later.
    ///
    /// If `elasticjob.enabled` is `false`, it connects to nothing, and waits for the signal alone.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the jobs at once, without their ends being recorded.
    pub async fn run(self) -> Result<(), Error> {
        if !self.is_enabled {
            info!("switched off by `elasticjob.enabled: false`");
            signal::stop_signal().await;
            return Ok(());
        }
        let grace_period = self.grace_period;
        let watchdog = self
            .exits_when_stuck
            .then(|| Watchdog::start(grace_period, self.underway.clone()));
        let (mut start, mut stop) = (pin!(self.start()), pin!(signal::stop_signal()));
        let (running, is_to_stop) = tokio::select! {
            biased;
            // First, so that we listen before anything starts: a signal then kills no item that runs already.
            () = &mut stop => (start.await?, true),
            running = &mut start => (running?, false),
        };
        if !is_to_stop {
            tokio::select! {
                stopped = running.stopped() => return stopped,
                () = stop => {}
            }
        }
        running.shutdown(grace_period).await;
        drop(watchdog);
        Ok(())
    }

    /// What runs in each process of a simulated cluster.
    #[cfg(feature = "testing")]
    pub(crate) fn into_parts(self) -> ApplicationParts {
        self.application
    }

    fn address(&self) -> Result<String, Error> {
        let address = self.preferences.address().map(|ip| ip.to_string());
        address.map_err(|error| invalid(Fault::new(error)))
    }
}

/// Java members that share a job without a zone of its own fire it by the zone of their machine.
fn warn_of_zone(tz: &str, jobs: &[ApplicationJob]) {
    let goes_by_machine = |job: &ApplicationJob| job.config.cron().is_some() && job.config.time_zone().is_none();
    if let Some(java) = zone::read_by_java_otherwise(tz)
        && jobs.iter().any(goes_by_machine)
    {
        let offset = jiff::Zoned::now().offset();
        warn!(
            tz,
            %offset,
            java,
            "the variable TZ is read by POSIX, and by Java otherwise: give jobs that Java members share a `time-zone`"
        );
    }
}

/// Starts the recorders of the history. Returns where they hear of runs, where they take the logs of runs from, and what they record in.
#[cfg(feature = "_history")]
fn start_histories<'a>(
    setups: Vec<history::Setup>,
    jobs: impl Iterator<Item = &'a str> + Clone,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
) -> Result<(Vec<Tap>, RunLogs, Vec<history::Kept>), Error> {
    let (mut taps, mut sinks, mut histories) = (Vec::new(), Vec::new(), Vec::new());
    for setup in setups {
        setup.warn_of_unknown_names(jobs.clone());
        let (tap, sink, kept) = setup
            .start(tasks, clock)
            .map_err(|error| invalid(Fault::new(error.chain())))?;
        taps.push(tap);
        sinks.extend(sink);
        histories.push(kept);
    }
    if !sinks.is_empty() && !trace::is_run_log_installed() {
        info!("logs of runs have the output of scripts alone: the subscriber has no `trace::RunLog::layer()`");
    }
    Ok((taps, RunLogs::new(sinks), histories))
}

/// Starts what runs beside the jobs.
fn accompany(all: Vec<Box<dyn Companion>>, context: &CompanionContext, tasks: &Tasks) {
    for companion in all {
        drop(tasks.spawn("companion", companion.run(context.clone())));
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    snapshot::bind(address).map_err(|source| Error::DumpPort { address, source })
}

fn running(assembled: AssembledJob) -> (Worker, (String, RunningJob)) {
    let AssembledJob { job, worker, handle } = assembled;
    let name = job.config.name().as_str().to_owned();
    let running = RunningJob {
        handle,
        declared: job.declared,
        bootstrap: job.bootstrap,
        is_one_off: job.config.cron().is_none(),
    };
    (worker, (name, running))
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("jobs", &self.job_names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
