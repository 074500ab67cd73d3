//! The plain kind of job, as a type.

use std::future::Future;
use std::sync::Arc;

use super::context::ShardingContext;
use super::declaration::Kind;
use super::erased::{JobTrait, Simple};
use super::outcome::BoxError;

/// A job that runs once for each of its sharding items.
///
/// Write `execute` as a plain `async fn`. The type is made by `Default`, or with its components by
/// `#[derive(Inject)]`; `#[elastic_job(..)]` on the `impl` block declares it.
///
/// ```
/// use elasticjob::prelude::*;
///
/// #[derive(Default)]
/// struct CleanUp;
///
/// #[elastic_job(cron = "0 0 2 * * ?", sharding = 1)]
/// impl SimpleJob for CleanUp {
///     async fn execute(&self, shard: &ShardingContext) -> Result<(), BoxError> {
///         assert_eq!(shard.sharding_item(), 0);
///         Ok(())
///     }
/// }
/// # use elasticjob::job::Job;
/// # assert_eq!(CleanUp::DECLARATION.name(), "CleanUp");
/// ```
pub trait SimpleJob: Sized + Send + Sync + 'static {
    /// Runs one sharding item.
    ///
    /// # Errors
    /// Any error fails the run and goes to the job's error handler.
    ///
    /// # Cancel safety
    /// The future is dropped at an await point when the run has to end early.
    ///
    /// It is called once for each item and firing, on one value that all items of this process share. Several items may
    /// run at the same time.
    fn execute(&self, shard: &ShardingContext) -> impl Future<Output = Result<(), BoxError>> + Send;

    #[doc(hidden)]
    const __ELASTIC_JOB_TRAIT: JobTrait<Self> = JobTrait::new(Kind::Simple, |job| Box::new(Simple(Arc::new(job))));
}
