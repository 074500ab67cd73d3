//! One simulated process: a machine with a clock and a link, a keeper of sessions, and a worker for each job.
//!
//! It is put together by the same code as a real process. What differs is what surrounds it: the clock, the registry
//! behind the link, and the machine that polls its tasks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cluster::ids::Ids;
use crate::cluster::launch::Runner;
use crate::cluster::process::Process;
use crate::cluster::registration::RegistrationError;
use crate::cluster::session::{FenceAlarm, Place, Retry};
use crate::cluster::worker::{Command, WorkerHandle};
use crate::executor::Underway;
use crate::registry::memory::Link;
use crate::registry::metered::Metered;
use crate::run::JobState;
use crate::schedule::Clock;
use crate::starter::{ApplicationJob, ApplicationParts, AssembledJob, Assembly, Surroundings, assemble};
use crate::tasks::{Task, Tasks};
use crate::trace::RunLogs;

use super::clock::MachineClock;
use super::history::History;
use super::scheduler::Machine;
use super::watched::{WatchedRunner, watched};

/// How long a process that stops waits for its jobs beyond their grace.
const LEAVE_LIMIT: Duration = Duration::from_secs(15);

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
    /// When the registry last ended its session out of turn.
    pub(super) expired_at: Option<Instant>,
    pub(super) registry: Arc<Metered<Link>>,
    tasks: Tasks,
    process: Arc<Process>,
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

/// A job of the process, and the way to its worker.
struct RunningJob {
    name: String,
    handle: WorkerHandle,
    /// Until it has ended.
    worker: Option<Task<Result<(), RegistrationError>>>,
    /// An operator took the job away from here, so that it ends by itself.
    is_taken_away: bool,
}

/// Returns the process id of a node.
pub(super) fn pid(index: usize) -> u32 {
    u32::try_from(index).expect("few nodes") + 1000
}

/// Returns the index of the node that this instance is of.
pub(super) fn index_of(instance: &str) -> Option<usize> {
    let (_, process) = instance.split_once("@-@")?;
    let (pid, _) = process.split_once('-')?;
    pid.parse::<usize>().ok()?.checked_sub(1000)
}

impl Node {
    /// Starts the process.
    pub(super) fn start(parts: Parts, application: &ApplicationParts) -> Self {
        let Parts {
            index,
            ip,
            machine,
            link,
            clock,
            history,
            ids,
        } = parts;
        let tasks = Tasks::with_spawner(Arc::new(machine.clone()));
        let registry = Arc::new(Metered::new(link.clone()));
        let place = Place {
            registry: Arc::clone(&registry) as _,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            tasks: tasks.clone(),
            ids,
            ip: ip.clone(),
            pid: pid(index),
            retry: Retry {
                base: Duration::from_millis(500),
                limit: Duration::from_secs(2),
                attempts: None,
            },
            alarm: FenceAlarm::Task,
        };
        let surroundings = Surroundings {
            host: ip.as_str().into(),
            operator_grace: Duration::from_secs(10),
            underway: Underway::default(),
            taps: Vec::new(),
            logs: RunLogs::default(),
        };
        let mut application = application.clone();
        for job in &mut application.jobs {
            job.work = watched(&job.work, &history);
        }
        let observed = |job: &ApplicationJob, runner| {
            Box::new(WatchedRunner {
                runner,
                machine: index,
                job: job.config.name().as_str().into(),
                history: history.clone(),
            }) as Box<dyn Runner>
        };
        let Assembly { keeper, process, jobs } =
            assemble(application, place, surroundings, observed).expect("the application was checked");
        tasks.spawn_essential("session", keeper.run());
        let start = |AssembledJob { job, worker, handle }| RunningJob {
            name: job.config.name().as_str().to_owned(),
            handle,
            worker: Some(tasks.spawn_essential("worker", worker.run())),
            is_taken_away: false,
        };
        let jobs = jobs.into_iter().map(start).collect();
        Self {
            index,
            ip,
            machine,
            link,
            clock,
            latency: Duration::ZERO,
            condition: Condition::Running,
            link_faults: 0,
            expired_at: None,
            registry,
            tasks,
            process,
            jobs,
        }
    }

    /// Returns whether it takes part, or will again by itself.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.condition, Condition::Running | Condition::Paused)
    }

    /// Makes the worker of a job panic, so many steps from now.
    pub(super) fn panic_at(&self, step: u32) {
        self.process.fail_point.panic_at(step);
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
                let _ = handle.commands.unbounded_send(Command::Stop { cancel_at });
            }
            for handle in handles {
                let mut state = handle.state;
                let stopped = state.wait_for(|state| *state == JobState::Stopped);
                let _ = tokio::time::timeout_at(cancel_at + LEAVE_LIMIT, stopped).await;
            }
            token.cancel();
        });
    }

    /// Ends it like a power failure: nothing is cleaned up, and the registry does not learn it.
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
        let _ = commands.map(|commands| {
            commands.unbounded_send(Command::Trigger {
                request,
                parameter: None,
                answer,
            })
        });
    }

    /// An operator is about to take a job away from here.
    pub(super) fn take_away(&mut self, job: &str) {
        let found = self.jobs.iter_mut().find(|known| known.name == job);
        found.into_iter().for_each(|job| job.is_taken_away = true);
    }

    /// Returns whether a job was taken away from here, so that it comes back with the next process only.
    pub(super) fn lacks_a_job(&self) -> bool {
        self.jobs.iter().any(|job| job.is_taken_away)
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
            let is_meant_to = self.condition == Condition::Stopping || job.is_taken_away;
            if !matches!(ended, Ok(Ok(())) if is_meant_to) {
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
