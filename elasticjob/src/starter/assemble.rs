//! The one place that makes a process out of an application: a real one, and each of a simulated cluster.
//!
//! That the simulator runs the same assembly is what its results are worth: a job that is tried in virtual time has the
//! pools, handlers and listeners that it has in production. Nothing is connected here, and no task is started.

use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;

use crate::cluster::launch::Runner;
use crate::cluster::process::Process;
use crate::cluster::registration;
use crate::cluster::session::{Keeper, Place};
use crate::cluster::worker::{Worker, WorkerHandle};
use crate::error_handler::{ErrorHandlers, Post};
use crate::executor::{Equipment, JobRunner, Pools, Underway, Work};
use crate::job::Components;
use crate::listener::JobListeners;
use crate::sharding::Strategies;
use crate::trace::{RunLogs, Tap};

use super::error::Error;
use super::fault::{Fault, invalid};

/// The parts of an application: what runs in each of its processes.
#[derive(Clone)]
pub(crate) struct ApplicationParts {
    /// The jobs, sorted by name. Each has been checked.
    pub(crate) jobs: Vec<ApplicationJob>,
    pub(crate) components: Arc<Components>,
    pub(crate) strategies: Strategies,
    pub(crate) error_handlers: ErrorHandlers,
    pub(crate) listeners: JobListeners,
    pub(crate) pools: Pools,
    /// What its instances say that they can run.
    pub(crate) labels: Arc<[String]>,
}

/// One of its jobs, which is in order.
#[derive(Clone)]
pub(crate) struct ApplicationJob {
    pub(crate) config: Arc<JobConfig>,
    /// The class that is written to the job's root node.
    pub(crate) implementation: Option<String>,
    pub(crate) bootstrap: Option<String>,
    /// The name it is declared under.
    pub(crate) declared: String,
    /// Where it is declared.
    pub(crate) origin: String,
    pub(crate) work: Work,
}

/// What a process has beside its application and its place.
pub(crate) struct Surroundings {
    /// What notices of failures name as the machine.
    pub(crate) host: Arc<str>,
    /// How long running items go on if an operator shuts a job down here.
    pub(crate) operator_grace: Duration,
    pub(crate) underway: Underway,
    /// Receive every event.
    pub(crate) taps: Vec<Tap>,
    pub(crate) logs: RunLogs,
}

/// A process, of which nothing runs yet.
pub(crate) struct Assembly {
    /// Opens the session and keeps it. It has to run for any worker to get on.
    pub(crate) keeper: Keeper,
    /// What all jobs of the process share.
    pub(crate) process: Arc<Process>,
    /// The jobs, in the order of the application.
    pub(crate) jobs: Vec<AssembledJob>,
}

/// One of its jobs.
pub(crate) struct AssembledJob {
    pub(crate) job: ApplicationJob,
    /// The job's loop, which has not begun.
    pub(crate) worker: Worker,
    /// How the rest of the process speaks to the loop.
    pub(crate) handle: WorkerHandle,
}

/// Makes the process. `observe` may put something around the runner of a job.
///
/// # Errors
/// [`Error::Invalid`] if a job asks for what the application does not have.
pub(crate) fn assemble(
    application: ApplicationParts,
    place: Place,
    surroundings: Surroundings,
    observe: impl Fn(&ApplicationJob, JobRunner) -> Box<dyn Runner>,
) -> Result<Assembly, Error> {
    let Surroundings {
        host,
        operator_grace,
        underway,
        taps,
        logs,
    } = surroundings;
    let (tasks, clock) = (place.tasks.clone(), Arc::clone(&place.clock));
    let (keeper, process) = Process::new(place, application.strategies, operator_grace);
    let process = Arc::new(process.with_taps(taps));
    let equipment = Arc::new(Equipment {
        underway,
        tasks: tasks.clone(),
        components: application.components,
        pools: application.pools,
        error_handlers: application.error_handlers,
        listeners: application.listeners,
        logs,
        post: Post { tasks, clock, host },
    });
    let assembled = |job: ApplicationJob| {
        let refused = |problem: String| invalid(Fault::of_job(job.config.name().as_str(), &job.origin, problem));
        let runner = JobRunner::new(job.work.clone(), Arc::clone(&equipment), &job.config)
            .map_err(|error| refused(error.to_string()))?;
        let of_registry = registration::Application {
            config: Arc::clone(&job.config),
            implementation: job.implementation.clone(),
            labels: Arc::clone(&application.labels),
        };
        let (worker, handle) =
            Worker::new(Arc::clone(&process), of_registry, observe(&job, runner)).map_err(refused)?;
        Ok::<_, Error>(AssembledJob { job, worker, handle })
    };
    let jobs = application.jobs.into_iter().map(assembled).collect::<Result<_, _>>()?;
    Ok(Assembly { keeper, process, jobs })
}
