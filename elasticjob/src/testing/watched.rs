//! The executor of a simulated process: the real one, which also records in the history each run, and what jobs need that a
//! simulation does not have.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use elasticjob_config::job::JobConfig;

use crate::chain::Chain;
use crate::cluster::launch::{CallResult, Launch, ListenerCall, Runner};
use crate::erased::BoxFuture;
use crate::executor::{AnyJobExecutor, JobRunner, Work};
use crate::guard::{self, Panicked};
use crate::job::{ErasedJob, Outcome, RunContext};
use crate::property::Reader;
use crate::tasks::Task;

use super::history::{History, LiveRun};
use super::outside::{FromOutside, Wakes};

/// Records what is launched.
pub(super) struct WatchedRunner {
    pub(super) runner: JobRunner,
    pub(super) machine: usize,
    pub(super) job: Arc<str>,
    pub(super) history: History,
}

/// Records what a job does.
struct WatchedJob {
    job: Arc<dyn ErasedJob>,
    history: History,
}

/// Records what the jobs of a type do.
struct WatchedType {
    executor: Arc<dyn AnyJobExecutor>,
    history: History,
}

/// Records each poll, and the end.
struct WatchedRun {
    run: BoxFuture<'static, Outcome>,
    job: Arc<str>,
    history: History,
    wakes: Arc<Wakes>,
    /// Until it is over.
    live: Option<Arc<LiveRun>>,
}

/// Returns the same work, watched.
pub(super) fn watched(work: &Work, history: &History) -> Work {
    let history = history.clone();
    match work {
        Work::Declared { job, kind } => Work::Declared {
            job: Arc::new(WatchedJob {
                job: Arc::clone(job),
                history,
            }),
            kind: *kind,
        },
        Work::Typed(executor) => Work::Typed(Arc::new(WatchedType {
            executor: Arc::clone(executor),
            history,
        })),
    }
}

impl AnyJobExecutor for WatchedType {
    fn open(self: Arc<Self>, reader: &mut Reader<'_>) -> Option<Arc<dyn ErasedJob>> {
        let job = Arc::clone(&self.executor).open(reader)?;
        let history = self.history.clone();
        Some(Arc::new(WatchedJob { job, history }))
    }

    fn describe(&self) -> &'static str {
        self.executor.describe()
    }
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

    fn call_listeners(&self, call: ListenerCall) -> Task<CallResult> {
        self.runner.call_listeners(call)
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
        let job = Arc::from(shard.job_name());
        Box::pin(WatchedRun {
            wakes: Wakes::watch(&job),
            job,
            history: self.history.clone(),
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
        let polled = self.poll_run(cx);
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

impl WatchedRun {
    /// Polls the run. One that asked for what a simulation does not have fails.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(fault) = self.wakes.woken_from_outside() {
            return Poll::Ready(self.fail(fault));
        }
        let waker = self.wakes.waker(cx.waker());
        let polled = guard::call(|| self.run.as_mut().poll(&mut Context::from_waker(&waker)));
        let text = match &polled {
            Ok(Poll::Pending | Poll::Ready(Ok(()))) => None,
            Ok(Poll::Ready(Err(cause))) => Some(Chain(&**cause).to_string()),
            Err(Panicked(message)) => Some(message.clone()),
        };
        if let Some(fault) = text.and_then(|text| FromOutside::of_failure(&self.job, &text)) {
            return Poll::Ready(self.fail(fault));
        }
        // The hook of panics has seen it.
        polled.unwrap_or_else(|Panicked(message)| resume_unwind(Box::new(message)))
    }

    /// Fails the run, and reports once why.
    fn fail(&self, fault: FromOutside) -> Outcome {
        self.history.violate_once(&fault.to_string());
        Err(fault.into())
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
