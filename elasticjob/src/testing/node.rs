//! One simulated process: a machine with a clock and a link, a keeper of sessions, and a worker for each job.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use elasticjob_config::job::JobConfig;
use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::cluster::ids::Ids;
use crate::cluster::process::Process;
use crate::cluster::registration::{Application, RegistrationError};
use crate::cluster::session::{FenceAlarm, Keeper, Retry};
use crate::cluster::worker::{Command, JobState, Worker, WorkerHandle};
use crate::executor::Pool;
use crate::registry::memory::Link;
use crate::registry::metered::Metered;
use crate::schedule::Clock;
use crate::sharding::Strategies;
use crate::tasks::{Task, Tasks};

use super::clock::MachineClock;
use super::history::History;
use super::scheduler::Machine;
use super::work::{SimulatedRunner, Work};

/// How long a process that stops waits for its jobs beyond their grace.
const LEAVE_LIMIT: Duration = Duration::from_secs(15);

/// A job as all nodes are built with it.
#[derive(Clone)]
pub(super) struct SimulatedJob {
    pub(super) config: JobConfig,
    pub(super) work: Work,
    pub(super) pool: NonZeroUsize,
}

/// What a node is made of.
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) ip: String,
    pub(super) machine: Machine,
    pub(super) link: Link,
    pub(super) clock: Arc<MachineClock>,
    pub(super) history: History,
    pub(super) ids: Ids,
}

/// One process.
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) ip: String,
    pub(super) machine: Machine,
    pub(super) link: Link,
    pub(super) clock: Arc<MachineClock>,
    /// The delay that the link has at the best of times.
    pub(super) latency: Duration,
    pub(super) condition: Condition,
    /// Faults of the link that are not over.
    pub(super) link_faults: u32,
    pub(super) registry: Arc<Metered<Link>>,
    tasks: Tasks,
    jobs: Vec<RunningJob>,
}

/// How it stands with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Running,
    Paused,
    Stopping,
    Crashed,
}

struct RunningJob {
    name: String,
    handle: WorkerHandle,
    /// Until it has ended.
    worker: Option<Task<Result<(), RegistrationError>>>,
}

impl Node {
    /// Starts the process.
    pub(super) fn start(parts: Parts, jobs: &[SimulatedJob]) -> Self {
        let Parts {
            index,
            ip,
            machine,
            link,
            clock,
            history,
            mut ids,
        } = parts;
        let tasks = Tasks::with_spawner(Arc::new(machine.clone()));
        let registry = Arc::new(Metered::new(link.clone()));
        let (sender, memberships) = watch::channel(None);
        let keeper = Keeper {
            registry: Arc::clone(&registry) as _,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            tasks: tasks.clone(),
            ids: ids.fork(),
            ip: ip.clone(),
            pid: u32::try_from(index).expect("few nodes") + 1000,
            retry: Retry {
                base: Duration::from_millis(500),
                limit: Duration::from_secs(2),
                attempts: None,
            },
            alarm: FenceAlarm::Task,
            memberships: sender,
            failed_attempts: watch::Sender::new(0),
        };
        tasks.spawn_essential("session", keeper.run());
        let process = Arc::new(Process::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            memberships,
            Strategies::built_in(),
            ids,
            Duration::from_secs(10),
        ));
        let jobs = jobs
            .iter()
            .map(|job| {
                let name = job.config.name().as_str();
                let runner = SimulatedRunner {
                    machine: index,
                    job: name.into(),
                    is_monitored: job.config.monitor_execution(),
                    tasks: tasks.clone(),
                    permits: Pool::of(job.pool).open(),
                    history: history.clone(),
                    work: job.work.clone(),
                };
                let application = Application {
                    config: Arc::new(job.config.clone()),
                    implementation: None,
                };
                let (worker, handle) = Worker::new(Arc::clone(&process), application, Box::new(runner));
                RunningJob {
                    name: name.to_owned(),
                    handle,
                    worker: Some(tasks.spawn_essential("worker", worker.run())),
                }
            })
            .collect();
        Self {
            index,
            ip,
            machine,
            link,
            clock,
            latency: Duration::ZERO,
            condition: Condition::Running,
            link_faults: 0,
            registry,
            tasks,
            jobs,
        }
    }

    /// Whether it takes part, or will again by itself.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.condition, Condition::Running | Condition::Paused)
    }

    /// As SIGTERM does.
    pub(super) fn stop(&mut self, grace: Duration) {
        self.condition = Condition::Stopping;
        let cancel_at = Instant::now() + grace;
        let handles: Vec<WorkerHandle> = self.jobs.iter().map(|job| job.handle.clone()).collect();
        let token = self.tasks.token().clone();
        self.tasks.spawn("shutdown", async move {
            for handle in &handles {
                // One that is gone has stopped.
                let _ = handle.commands.send(Box::new(Command::Stop { cancel_at })).await;
            }
            for handle in handles {
                let mut state = handle.state;
                let stopped = state.wait_for(|state| *state == JobState::Stopped);
                let _ = tokio::time::timeout_at(cancel_at + LEAVE_LIMIT, stopped).await;
            }
            token.cancel();
        });
    }

    /// As a failure of power does: nothing is cleaned up, and the registry is not told.
    pub(super) fn crash(&mut self) {
        self.condition = Condition::Crashed;
        self.link.cut();
        self.machine.crash();
    }

    /// Asks for a run of a job now.
    pub(super) fn trigger(&self, job: &str, request: String) {
        let (answer, _) = oneshot::channel();
        let found = self.jobs.iter().find(|known| known.name == job);
        let commands = found.map(|job| job.handle.commands.clone());
        // A full queue is a request that was not made.
        let _ = commands.map(|commands| commands.try_send(Box::new(Command::Trigger { request, answer })));
    }

    /// What of it ended that should not have.
    pub(super) fn faults(&mut self) -> Vec<String> {
        if self.condition == Condition::Crashed {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for job in &mut self.jobs {
            let Some(ended) = job.worker.as_mut().and_then(|worker| worker.now_or_never()) else {
                continue;
            };
            job.worker = None;
            let is_told_to = self.condition == Condition::Stopping;
            if !matches!(ended, Ok(Ok(())) if is_told_to) {
                faults.push(format!(
                    "the worker of {} on node {} ended: {ended:?}",
                    job.name, self.index
                ));
            }
        }
        if self.tasks.token().is_cancelled() && self.condition != Condition::Stopping {
            faults.push(format!("a task of node {} that others depend on panicked", self.index));
        }
        faults
    }
}
