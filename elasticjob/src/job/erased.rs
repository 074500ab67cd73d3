//! A job with its type forgotten: what the executor runs.

use std::sync::Arc;

use crate::erased::BoxFuture;

use super::context::RunContext;
use super::declaration::Kind;
use super::outcome::Outcome;
use super::simple::SimpleJob;

/// A job that can run its items: what every kind of job becomes at start. Closures, declared functions, [`SimpleJob`] and
/// [`DataflowJob`](super::DataflowJob) are turned into one by the framework, so applications seldom see it.
///
/// A test can run a job as the executor does:
///
/// ```
/// use elasticjob::job::{BoxError, ErasedJob, RunContext, ShardingContext};
///
/// async fn run_once(job: &dyn ErasedJob, item: u32) -> Result<(), BoxError> {
///     job.run(RunContext::for_test(ShardingContext::for_test(item, 3))).await
/// }
/// ```
pub trait ErasedJob: Send + Sync + 'static {
    /// Runs one item. Nothing of the user's is executed before the first poll, so a panic, too, comes out of
    /// a poll.
    ///
    /// # Cancel safety
    /// Dropping the future stops an async job at its current await point. A blocking function that has begun
    /// goes on.
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome>;
}

/// How values of a type become jobs, by the job trait that it implements.
#[doc(hidden)]
#[allow(missing_docs, missing_debug_implementations, reason = "for generated code alone")]
pub struct JobTrait<J> {
    kind: Kind,
    erase: fn(J) -> Box<dyn ErasedJob>,
}

#[allow(missing_docs, reason = "for generated code alone")]
impl<J> JobTrait<J> {
    pub(super) const fn new(kind: Kind, erase: fn(J) -> Box<dyn ErasedJob>) -> Self {
        Self { kind, erase }
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether jobs of the trait can stream.
    pub const fn streams(&self) -> bool {
        matches!(self.kind, Kind::Dataflow)
    }

    pub fn erase(&self, job: J) -> Box<dyn ErasedJob> {
        (self.erase)(job)
    }
}

/// A function, through the caller that its attribute generated.
pub(crate) struct Function(pub(crate) fn(RunContext) -> BoxFuture<'static, Outcome>);

impl ErasedJob for Function {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        (self.0)(run)
    }
}

/// A type that implements [`SimpleJob`].
pub(crate) struct Simple<J>(pub(crate) Arc<J>);

impl<J: SimpleJob> ErasedJob for Simple<J> {
    fn run(&self, run: RunContext) -> BoxFuture<'static, Outcome> {
        let job = Arc::clone(&self.0);
        Box::pin(async move { job.execute(run.sharding()).await })
    }
}
