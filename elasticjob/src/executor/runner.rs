//! Runs the items of one job: the executor's side of the seam to the cluster.
//!
//! A runner has what the configuration in force chose: pool, tries, error handler, listeners, props. A change of the
//! configuration makes these again, all or none, and keeps what has not changed, so that a handler's counts and a
//! pool's queue survive it. A run keeps what it was launched with.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use elasticjob_config::is_secret;
use elasticjob_config::job::JobConfig;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error_span, info_span, warn};

use crate::catalogue::UnknownName;
use crate::chain::Chain;
use crate::cluster::core::firing::Start;
use crate::cluster::fence::{Fence, Stopped};
use crate::cluster::launch::{CallResult, Finished, Launch, ListenerCall, Runner};
use crate::cluster::ledger::{CAUSE_LIMIT, End, Verdict};
use crate::erased::BoxFuture;
use crate::error_handler::{self, DEFAULT_HANDLER, ErrorHandlers, Failure, JobErrorHandler, NoHandler, Post, Reaction};
use crate::guard::Held;
use crate::job::{Components, ErasedJob, RunContext, RunParts, ShardingContext, ShardingParts};
use crate::listener::{JobListeners, Listeners, NoListener};
use crate::property::{self, Reader};
use crate::run::RunKey;
use crate::tasks::{Task, Tasks};
use crate::telemetry;
use crate::trace::{LoggedRun, RunLogs};

use super::item::RunEnvironment;
use super::tries::{Identity, Tried};
use super::{DEFAULT_POOL, Item, NoPool, OpenPool, Permits, Pools, Tries, TryOutcome, Underway, Work};

/// So long the end of an item waits for its blocking work, after the work's token was cancelled: until then the
/// item's mark keeps other instances from running it. An instance that leaves the cluster earlier does not wait.
const BLOCKING_GRACE: Duration = Duration::from_secs(3600);

/// What the runners of all jobs of a process share.
#[derive(Debug)]
pub(crate) struct Equipment {
    pub(crate) tasks: Tasks,
    pub(crate) components: Arc<Components>,
    pub(crate) pools: Pools,
    pub(crate) error_handlers: ErrorHandlers,
    pub(crate) listeners: JobListeners,
    pub(crate) post: Post,
    pub(crate) underway: Underway,
    pub(crate) logs: RunLogs,
}

/// Runs the items of one job.
pub(crate) struct JobRunner {
    name: Arc<str>,
    work: Work,
    equipment: Arc<Equipment>,
    /// Replaced when the configuration changes. A std lock: never held across an await.
    current: RwLock<Current>,
}

/// What the configuration in force chose.
#[derive(Clone)]
struct Current {
    job: Held<Arc<dyn ErasedJob>>,
    tries: Tries,
    pool: OpenPool,
    handler_name: Arc<str>,
    handler: Held<Arc<dyn JobErrorHandler>>,
    listeners: Listeners,
    props: Arc<BTreeMap<String, String>>,
    parameter: Arc<str>,
    /// Values of props that no log of a run may have.
    secrets: Arc<[String]>,
}

/// A configuration that a job cannot run by.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Misconfigured {
    Name(#[from] UnknownName),
    Pool(#[from] NoPool),
    Props(#[from] property::Faults),
    Handler(#[from] NoHandler),
    Listener(#[from] NoListener),
}

impl JobRunner {
    /// A runner by this configuration.
    ///
    /// # Errors
    /// When it names a pool, an error handler or a listener that there is not, or has props that the
    /// job's type or that handler refuses.
    pub(crate) fn new(work: Work, equipment: Arc<Equipment>, config: &JobConfig) -> Result<Self, Misconfigured> {
        let current = Current::of(config, &work, &equipment, None)?;
        Ok(Self {
            name: config.name().as_str().into(),
            work,
            equipment,
            current: RwLock::new(current),
        })
    }

    /// Returns what the configuration in force chose. Runs hold on to it while the configuration changes.
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    /// Creates what `config` chooses, and keeps what stays the same: a type's connections, a handler with its counts, and a
    /// pool with the items in it, also if its size changes.
    fn of(
        config: &JobConfig,
        work: &Work,
        equipment: &Equipment,
        before: Option<&Self>,
    ) -> Result<Self, Misconfigured> {
        let pool = config.executor_service_handler().unwrap_or(DEFAULT_POOL);
        let pool = equipment.pools.pool(pool, config.name().as_str())?;
        let (job, tries) = match before {
            Some(before) if *before.props == *config.props() => (before.job.clone(), before.tries),
            _ => {
                let mut reader = Reader::new(config.props());
                let (job, tries) = (work.open(&mut reader).map(Held::new), reader.read());
                reader.finish(job.zip(tries))?
            }
        };
        let name = config.error_handler().unwrap_or(DEFAULT_HANDLER);
        let handler = match before {
            Some(before) if *before.handler_name == *name && *before.props == *config.props() => before.handler.clone(),
            _ => Held::new(equipment.handler(name, config)?),
        };
        let listeners = Listeners::of(
            config.listener_types(),
            &equipment.listeners,
            before.map(|before| &before.listeners),
        )?;
        // Last of all: a pool that has another size cannot be had back.
        let pool = match before {
            Some(before) => before.pool.changed_to(&pool),
            None => pool.open(),
        };
        Ok(Self {
            job,
            tries,
            pool,
            handler_name: name.into(),
            handler,
            listeners,
            props: Arc::new(config.props().clone()),
            secrets: secrets(config.props()),
            parameter: config.job_parameter().into(),
        })
    }
}

/// Shorter values occur in any text, and would hide more than themselves.
const SHORTEST_SECRET: usize = 4;

/// Returns the values of props that are secrets.
fn secrets(props: &BTreeMap<String, String>) -> Arc<[String]> {
    let secrets = props
        .iter()
        .filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST_SECRET);
    secrets.map(|(_, value)| value.clone()).collect()
}

impl Equipment {
    /// Makes the error handler of a job, from its props.
    fn handler(&self, name: &str, config: &JobConfig) -> Result<Arc<dyn JobErrorHandler>, Misconfigured> {
        let kind = self.error_handlers.get(name)?;
        Ok(kind.make(name, config.name().as_str(), config.props(), &self.post)?)
    }
}

impl JobRunner {
    /// Lists the run as one that goes on, from now until the returned item is dropped.
    fn enter(&self, start: &Start, permits: Permits, fence: Fence, stop: CancellationToken) -> Item {
        let run = start.run.id.as_str().into();
        Item {
            permits,
            fence,
            stop,
            tasks: self.equipment.tasks.clone(),
            ticket: self.equipment.underway.enter(Arc::clone(&self.name), start.item, run),
            grace: BLOCKING_GRACE,
        }
    }
}

/// Returns what the pauses between the tries of a run depend on.
fn identity(start: &Start) -> Identity {
    Identity {
        run: start.run.id.clone(),
        item: start.item,
    }
}

/// Logs what the outcome of a run does not say.
fn log(tried: &Tried) {
    if tried.tries == 0 {
        debug!("stopped before there was room in the pool");
    }
    if tried.overrunning > 0 {
        warn!(
            pieces = tried.overrunning,
            "blocking work goes on although its run is over"
        );
    }
}

impl JobRunner {
    /// Returns what the log of a run is kept by.
    fn logged(&self, start: &Start, launched_at: Timestamp) -> LoggedRun {
        LoggedRun {
            job: Arc::clone(&self.name),
            item: start.item,
            run_id: start.run.id.clone(),
            attempt: start.run.attempt,
            scheduled_time: start.run.scheduled_time(),
            launched_at,
        }
    }

    /// Returns what the code of a run is handed of it.
    fn sharding(&self, launch: &Launch, parameter: Arc<str>) -> ShardingContext {
        let Launch { start, config, .. } = launch;
        ShardingContext::new(ShardingParts {
            job_name: Arc::clone(&self.name),
            task_id: Arc::clone(&launch.task_id),
            instance_id: launch.instance.clone().into_text(),
            sharding_total_count: config.sharding_total_count().get(),
            job_parameter: start.run.parameter.as_deref().map_or(parameter, Into::into),
            sharding_item: start.item,
            sharding_parameter: config.item_parameters().get(start.item).map(Into::into),
            scheduled_time: start.run.scheduled_time(),
            next_scheduled_time: launch.next,
            run_id: start.run.id.as_str().into(),
            attempt: start.run.attempt,
            retry: 0,
            fencing_token: start.fencing_token,
            progress: launch.progress.clone(),
        })
    }
}

impl Runner for JobRunner {
    fn launch(&self, launch: Launch) {
        let Current {
            job,
            tries,
            pool,
            handler,
            props,
            parameter,
            secrets,
            ..
        } = self.current();
        let sharding = self.sharding(&launch, parameter);
        let Launch {
            start,
            fence,
            cancellation,
            wind_down,
            launched_at,
            metrics,
            finished,
            ..
        } = launch;
        let due = start.run.scheduled_time();
        let tasks = self.equipment.tasks.clone();
        let item = self.enter(&start, pool.permits(), fence, cancellation);
        let components = Arc::clone(&self.equipment.components);
        let failing = sharding.clone();
        // An error, so that a filter that lets only errors pass keeps what they are about.
        let span = error_span!("item", job = &*self.name, item = start.item, run = start.run.id);
        let open_log = self
            .equipment
            .logs
            .open(self.logged(&start, launched_at), &secrets, &span);
        let lines = open_log.as_ref().map(|log| Arc::clone(log.lines()));
        let late = telemetry::lateness(start.run.source, start.run.attempt, due, launched_at);
        let handed_over = Instant::now();
        let since_launch = move || launched_at.saturating_add(handed_over.elapsed()).unwrap_or(launched_at);
        let began = Arc::new(OnceLock::new());
        let begins = Arc::clone(&began);
        let until = wind_down.clone();
        let begin = move |retry, running: RunEnvironment| -> BoxFuture<'static, _> {
            begins.get_or_init(since_launch);
            let waited = SignedDuration::try_from(handed_over.elapsed()).unwrap_or_default();
            let late = late.filter(|_| retry == 0);
            if retry > 0 {
                metrics.retried();
            }
            let timed = metrics.begin(late.map(|late| late.saturating_add(waited)));
            let parts = RunParts {
                cancellation: running.cancellation,
                wind_down: wind_down.token().clone(),
                fenced: running.fenced,
                components: Arc::clone(&components),
                props: Arc::clone(&props),
                blocking: running.blocking,
                progress: running.progress,
                log: lines.clone(),
            };
            let work = job.run(RunContext::new(sharding.clone().with_retry(retry), parts));
            Box::pin(async move {
                let _timed = timed;
                work.await
            })
        };
        let run = async move {
            let tried = tries.run(&item, &until, &identity(&start), &begin).await;
            log(&tried);
            let retries = tried.retries();
            let is_fenced = matches!(tried.outcome, TryOutcome::Cancelled(Stopped::Fenced));
            let failure = failure_beyond_ledger(&tried);
            let (end, is_abort) = concluded(&failing, &**handler, tried);
            if let Some(log) = open_log {
                log.end(end.verdict == Verdict::Succeeded);
            }
            // The worker is gone when the process stops; the end is not recorded then.
            let _ = finished.unbounded_send(Finished {
                key: RunKey {
                    item: start.item,
                    run: start.run.id,
                    attempt: start.run.attempt,
                },
                is_fenced,
                end,
                is_abort,
                retries,
                began_at: began.get().copied(),
                ended_at: since_launch(),
                failure,
            });
        };
        tasks.spawn("item", run.instrument(span));
    }

    fn configure(&self, config: &JobConfig) -> Result<(), String> {
        let before = self.current();
        let current =
            Current::of(config, &self.work, &self.equipment, Some(&before)).map_err(|error| error.to_string())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    fn is_listened_to(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        !current.listeners.is_empty()
    }

    fn call_listeners(&self, call: ListenerCall) -> Task<CallResult> {
        let span = info_span!("listeners", job = &*self.name, moment = call.moment.name());
        let calling = self.current().listeners.call_listeners(call).instrument(span);
        self.equipment.tasks.spawn("listeners", calling)
    }

    fn report(&self, fault: &(dyn Error + Send + Sync + 'static)) -> bool {
        let failure = Failure::new(&self.name, fault);
        error_handler::handle(&**self.current().handler, &failure) == Reaction::Abort
    }
}

/// Longest account of a failure that is handed on, in bytes.
const FAILURE_LIMIT: usize = 16 * 1024;

/// The whole account of a failure, where the ledger cuts it.
fn failure_beyond_ledger(tried: &Tried) -> Option<Arc<str>> {
    let mut text = match &tried.outcome {
        TryOutcome::Failed(cause) => tried.account(&Chain(cause.error()).to_string()),
        TryOutcome::Panicked(message) => tried.account(&format!("panicked: {message}")),
        TryOutcome::Succeeded | TryOutcome::TimedOut(_) | TryOutcome::Cancelled(_) => return None,
    };
    if text.len() <= CAUSE_LIMIT {
        return None;
    }
    text.truncate(text.floor_char_boundary(FAILURE_LIMIT));
    Some(text.into())
}

/// What an outcome is to the ledger, and whether the firing is to be given up for it.
fn concluded(run: &ShardingContext, handler: &dyn JobErrorHandler, tried: Tried) -> (End, bool) {
    let failed = |cause: String| End::because(Verdict::Failed, tried.account(&cause));
    let end = match &tried.outcome {
        TryOutcome::Succeeded => {
            debug!("item succeeded");
            End::new(Verdict::Succeeded)
        }
        TryOutcome::Failed(cause) => failed(Chain(cause.error()).to_string()),
        outcome @ (TryOutcome::Panicked(_) | TryOutcome::TimedOut(_)) => failed(outcome.to_string()),
        TryOutcome::Cancelled(stopped) => {
            warn!(reason = %stopped, "item stopped");
            End::because(Verdict::Cancelled, stopped.to_string())
        }
    };
    let Some(cause) = tried.outcome.into_failure() else {
        return (end, false);
    };
    let failure = Failure::of_run(run, cause.error());
    (end, error_handler::handle(handler, &failure) == Reaction::Abort)
}
