//! The executor of a simulated process: the real one, with the history told of each run.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use elasticjob_config::job::JobConfig;

use crate::cluster::launch::{Heard, Launch, Runner, Told};
use crate::erased::BoxFuture;
use crate::executor::JobRunner;
use crate::job::{ErasedJob, Outcome, RunContext};
use crate::tasks::Task;

use super::history::{History, LiveRun};

/// Tells of what is launched.
pub(super) struct WatchedRunner {
    pub(super) runner: JobRunner,
    pub(super) machine: usize,
    pub(super) job: Arc<str>,
    pub(super) history: History,
}

/// Tells of what a job does.
pub(super) struct WatchedJob {
    pub(super) job: Arc<dyn ErasedJob>,
    pub(super) history: History,
}

/// Tells of each poll, and of the end.
struct WatchedRun {
    run: BoxFuture<'static, Outcome>,
    /// Until it is over.
    live: Option<Arc<LiveRun>>,
}

impl Runner for WatchedRunner {
    fn launch(&self, launch: Launch) {
        let is_monitored = launch.config.monitor_execution();
        self.history
            .launched(self.machine, &self.job, &launch.start, is_monitored);
        self.runner.launch(launch);
    }

    fn configure(&self, config: &JobConfig) -> Result<(), String> {
        self.runner.configure(config)
    }

    fn is_listened_to(&self) -> bool {
        self.runner.is_listened_to()
    }

    fn tell(&self, told: Told) -> Task<Heard> {
        self.runner.tell(told)
    }

    fn report(&self, fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        self.runner.report(fault)
    }
}

impl ErasedJob for WatchedJob {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let shard = run.sharding();
        let live = self
            .history
            .made(shard.run_id(), shard.attempt(), shard.job_parameter());
        Box::pin(WatchedRun {
            run: self.job.run(run),
            live,
        })
    }
}

impl Future for WatchedRun {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(live) = &self.live {
            live.polled();
        }
        let polled = self.run.as_mut().poll(cx);
        if let Poll::Ready(outcome) = &polled
            && let Some(live) = self.live.take()
        {
            match outcome {
                Ok(()) => live.end("succeeded"),
                Err(cause) => live.end(&format!("failed: {cause}")),
            }
        }
        polled
    }
}

impl Drop for WatchedRun {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            live.end("is dropped");
        }
    }
}

impl fmt::Debug for WatchedRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedRunner")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
